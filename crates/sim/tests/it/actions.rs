//! GitHub Actions' commands through SSH, as clients use them.

use crate::support;
use ghevault_sim::{
    appliance::{State, mssql},
    build::Recipe,
    compare::{Aspects, compare},
};
use support::Door;

fn recipe(seed: u64) -> Recipe {
    Recipe { actions: true, ..Recipe::small(seed) }
}

/// What stands in the folder of backups, by name.
fn backups(door: &Door) -> Vec<(String, Vec<u8>)> {
    let list =
        door.run("sudo test -d /data/user/mssql/backups && sudo ls /data/user/mssql/backups", b"").text();
    let fetch = |name: &str| door.run(&format!("sudo cat /data/user/mssql/backups/{name}"), b"").stdout;
    list.lines().map(|name| (name.to_owned(), fetch(name))).collect()
}

fn put(door: &Door, files: &[(String, Vec<u8>)]) {
    let folder = "/data/user/mssql/backups";
    door.run(&format!("sudo rm -rf {folder}; sudo mkdir -p {folder}"), b"");
    for (name, bytes) in files {
        assert_eq!(door.run(&format!("sudo tee -a {folder}/{name} >/dev/null"), bytes).code, Some(0));
    }
}

#[test]
fn databases_leave_as_a_chain_of_backups_and_return_on_another_appliance() {
    let source = Door::embedded(&recipe(1));
    let target = Door::embedded(&Recipe { empty: true, ..recipe(2) });
    assert_eq!(source.run("test -e /usr/local/bin/ghe-export-mssql", b"").code, Some(0));
    // Without a full backup there is nothing to go on from.
    assert_eq!(source.run("ghe-export-mssql -t", b"").code, Some(1));
    assert_eq!(source.run("ghe-export-mssql", b"").code, Some(0));
    let mut chain = backups(&source);
    assert_eq!(chain.len(), 2 * mssql::NAMES.len());
    for step in ["-d", "-t"] {
        mssql::write(source.appliance.place(), mssql::NAMES[0], step).unwrap();
        assert_eq!(source.run(&format!("ghe-export-mssql {step}"), b"").code, Some(0));
        chain.extend(backups(&source));
    }
    put(&target, &chain);
    let import = target.run("ghe-import-mssql </dev/null", b"");
    assert_eq!(import.code, Some(0), "{}", import.error());
    assert!(backups(&target).is_empty());
    let (a, b) = (source.appliance.place(), target.appliance.place());
    let row = |name: &str| {
        let all = compare(a, b, &Aspects::default()).unwrap().datasets;
        all.into_iter().find(|row| row.dataset == name).unwrap().differences
    };
    assert_eq!(row("mssql"), Vec::<String>::new());
    assert!(!row("actions").is_empty() && !row("minio").is_empty());
    // A second log whose predecessor is missing is refused, and nothing is changed.
    let rows = State::load(b).unwrap().mssql[mssql::NAMES[0]].rows.clone();
    source.run("ghe-export-mssql -t", b"");
    mssql::write(a, mssql::NAMES[0], "late").unwrap();
    source.run("ghe-export-mssql -t", b"");
    chain.extend(backups(&source));
    put(&target, &chain);
    let gap = target.run("ghe-import-mssql </dev/null", b"");
    assert_eq!(gap.code, Some(1));
    assert!(gap.error().contains("too recent"), "{}", gap.error());
    assert_eq!(State::load(b).unwrap().mssql[mssql::NAMES[0]].rows, rows);
}

#[test]
fn the_console_pads_what_it_answers() {
    let door = Door::embedded(&recipe(3));
    let script =
        "set -o pipefail; ghe-mssql-console -y -n -q \"SET NOCOUNT ON; SELECT name FROM sys.databases\"";
    let text = door.run("/bin/bash", script.as_bytes()).text();
    assert!(text.lines().all(|line| line.ends_with("  ")), "{text}");
    let names: Vec<&str> = text.split_whitespace().collect();
    assert!(names.contains(&"master") && names.contains(&mssql::CACHE));
}

#[test]
fn services_stop_and_start_and_each_call_is_written_down() {
    let door = Door::embedded(&recipe(4));
    assert_eq!(door.run("ghe-actions-stop", b"").code, Some(0));
    assert!(!door.run("ghe-actions-start --help", b"").text().contains("force"));
    assert_eq!(door.run("ghe-actions-console -s token -c Repair-DatabaseLogins", b"").code, Some(0));
    assert_eq!(door.run("ghe-actions-console -s other -c Repair-DatabaseLogins", b"").code, Some(1));
    assert_eq!(door.run("ghe-actions-start", b"").text(), "Actions was enabled!\n");
    let recorded = State::load(door.appliance.place()).unwrap().recorded;
    let calls =
        ["ghe-actions-stop", "ghe-actions-console -s token -c Repair-DatabaseLogins", "ghe-actions-start"];
    assert_eq!(recorded, calls);
}
