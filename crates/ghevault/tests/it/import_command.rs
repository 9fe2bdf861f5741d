//! `import`: a data directory of backup-utils into the vault; exit codes, JSON and hints.

use crate::support;
use std::{fs, process::Command};
use support::{Desk, appliance};

/// A desk with an exported data directory and an empty vault.
fn desk() -> Desk {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--quiet"]).exits(0);
    desk.run(&["export", "latest", "data", "--name", "20260101T000000"]).exits(0);
    desk.set("GHEVAULT_VAULT", &desk.path("other").display().to_string());
    desk.run(&["init"]).exits(0);
    desk.unset("GHEVAULT_HOST");
    desk
}

#[test]
fn a_directory_is_planned_imported_verified_and_not_imported_twice() {
    let desk = desk();
    let plan = desk.run(&["import", "data", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(plan["snapshots"][0]["action"], "import");
    assert_eq!(desk.run(&["snapshots", "--json"]).exits(0).json().as_array().map(Vec::len), Some(0));
    let report = desk.run(&["import", "data", "--json"]).exits(0).json();
    assert_eq!(
        (&report["outcome"], &report["snapshots"][0]["fate"]),
        (&"complete".into(), &"imported".into())
    );
    desk.run(&["verify", "--quiet"]).exits(0);
    let again = desk.run(&["import", "data", "--json"]).exits(0).json();
    assert_eq!(again["snapshots"][0]["fate"], "present");
    desk.run(&["export", "latest", "out"]).exits(0);
    assert!(desk.path("out/20260101T000000/mysql.sql.gz").exists());

    fs::write(desk.path("data/in-progress-restore"), "1700000000 1").expect("written");
    desk.run(&["import", "data"])
        .exits(14)
        .complains("a restore is marked as running")
        .complains("remove it");
    fs::remove_file(desk.path("data/in-progress-restore")).expect("removed");
    fs::write(desk.path("data/in-progress"), format!("20260102T000000 {}", std::process::id()))
        .expect("written");
    desk.run(&["import", "data"]).exits(14).complains("a backup is running");
    fs::remove_file(desk.path("data/in-progress")).expect("removed");

    fs::rename(desk.path("data/20260101T000000"), desk.path("data/20260102T000000")).expect("renamed");
    fs::remove_file(desk.path("data/20260102T000000/redis.rdb")).expect("removed");
    desk.run(&["import", "data"]).exits(3).complains("not complete: 20260102T000000");
}

#[test]
fn what_is_no_data_directory_is_refused_with_what_to_do() {
    let desk = Desk::with_vault();
    desk.run(&["import", "nowhere"])
        .exits(2)
        .complains("cannot list the data directory")
        .complains("GHE_DATA_DIR");
    fs::create_dir(desk.path("empty")).expect("a folder");
    desk.run(&["import", "empty"]).exits(2).complains("has no snapshots");
    fs::create_dir_all(desk.path("data/20260101T000000")).expect("a folder");
    desk.run(&["import", "data", "--snapshot", "7"]).exits(2).complains("there is no snapshot `7`");
}

#[test]
fn an_import_that_is_killed_goes_on_where_it_was_and_takes_nothing_twice() {
    let desk = desk();
    for hour in 1..4 {
        let name = desk.path(&format!("data/20260101T0{hour}0000"));
        let copied = Command::new("cp").arg("-al").arg(desk.path("data/20260101T000000")).arg(&name).status();
        assert!(copied.expect("cp runs").success());
        // a file of its own, not a hard link's other name
        fs::remove_file(name.join("settings.json")).expect("removed");
        fs::write(name.join("settings.json"), format!("{{\"hour\": {hour}}}")).expect("written");
    }
    let files = |folder: &str| fs::read_dir(desk.path("other").join(folder)).map_or(0, Iterator::count);
    let mut killed = 0;
    for wanted in 0..4 {
        let leases = files("ghevault/leases");
        let mut child = desk.start(&["import", "data", "--quiet"]);
        // as soon as it has begun to write, or has so many snapshots
        while child.try_wait().expect("a child").is_none()
            && (files("snapshots") < wanted || wanted == 0 && files("ghevault/leases") <= leases)
        {
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        child.kill().expect("killed, or gone already");
        killed += usize::from(!child.wait().expect("ended").success());
    }
    assert!(killed >= 2, "the import is too quick to be killed");
    let report = desk.run(&["import", "data", "--json"]).exits(0).json();
    assert_eq!(report["snapshots"].as_array().map(Vec::len), Some(4), "{report}");
    let list = desk.run(&["snapshots", "--json"]).exits(0).json();
    assert_eq!(list.as_array().map(Vec::len), Some(4), "{list}");
    desk.run(&["verify", "--depth", "2", "--quiet"]).exits(0);
    let restic = Command::new("restic")
        .args(["--no-cache", "--quiet", "-r"])
        .arg(desk.path("other"))
        .arg("--password-file")
        .arg(desk.path("password"))
        .args(["check", "--read-data"])
        .output()
        .expect("restic runs");
    assert!(restic.status.success(), "{restic:?}");
}
