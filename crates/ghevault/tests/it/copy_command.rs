//! `copy` and `init --like`: seals hold in the copy, and retention knows its order.

use crate::support;
use ghevault_sim::harness::Appliance;
use std::fs;
use support::{Desk, appliance};

#[test]
fn a_copy_is_sealed_and_complete_and_a_backup_into_it_shares_its_data() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    for _ in 0..3 {
        desk.run(&["backup", "--quiet"]).exits(0);
    }
    let second = desk.path("second").display().to_string();
    let first = desk.path("vault").display().to_string();
    let other = desk.write("other-password", "another horse\n").display().to_string();
    let (to, to_password) = (["--to", &second], format!("file:{other}"));
    desk.run(&["copy", "--all"]).exits(2).complains("copy.to");
    desk.run(&["copy", "--all", to[0], to[1], "--to-password", &to_password]).exits(10);
    let made = ["init", "--vault", &second, "--password", &to_password, "--like", &first];
    desk.run(
        &[&made[..], &["--like-password", &format!("file:{}", desk.path("password").display())]].concat(),
    )
    .exits(0);
    desk.run(&["copy", "latest", to[0], to[1], "--to-password", "not a source"]).exits(2);
    let done =
        desk.run(&["copy", "latest", to[0], to[1], "--to-password", &to_password, "--json"]).exits(0).json();
    assert_eq!((&done["same_chunker"], done["snapshots"].as_array().map(Vec::len)), (&true.into(), Some(1)));
    let there = ["--vault", &second, "--password", &to_password];
    let with = |verb: &[&str]| desk.run(&[verb, &there[..]].concat());
    let json = with(&["verify", "--depth", "2", "--json"]).exits(0).json();
    assert_eq!((&json["outcome"], &json["snapshots"][0]["verdict"]), (&"sound".into(), &"sealed".into()));
    let plan = with(&["forget", "--keep-daily", "1", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(plan["remarks"], serde_json::json!([]), "the snapshots before it are known");
    let done = with(&["backup", "--json"]).exits(0).json();
    assert!(done["bytes_added"].as_u64() < Some(200_000), "{done}");
    let plan = with(&["forget", "--keep-daily", "1", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(plan["remarks"], serde_json::json!([]));
    desk.run(&["copy", "--all", to[0], to[1], "--to-password", &to_password]).exits(0);
    assert_eq!(with(&["snapshots", "--json"]).exits(0).json().as_array().map(Vec::len), Some(4));
}

/// What quarantines the next snapshot.
fn plant_a_hook(appliance: &Appliance) {
    let hook = appliance.disk("/data/user/git-hooks/repos/1/evil.sh");
    fs::create_dir_all(hook.parent().expect("a parent")).expect("a folder");
    fs::write(hook, "#!/bin/sh\n").expect("a hook");
}

#[test]
fn quarantine_goes_along_with_a_copy_and_an_acknowledgement_does_not() {
    let (mut appliance, _folder) = appliance(2);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--quiet"]).exits(0);
    plant_a_hook(&appliance);
    desk.run(&["backup", "--quiet"]).exits(13);
    let page = desk.path("page.html");
    desk.run(&["status", "--html", &page.display().to_string()]).exits(0);
    let shown = || fs::read_to_string(&page).expect("a page");
    assert!(shown().contains("looks like an attack") && shown().contains("in quarantine"));

    let second = desk.path("second").display().to_string();
    let first = desk.path("vault").display().to_string();
    let password = format!("file:{}", desk.path("password").display());
    desk.run(&["init", "--vault", &second, "--like", &first, "--like-password", &password]).exits(0);
    let copy = ["copy", "--to", &second, "--to-password", &password];
    desk.run(&[&copy[..], &["--all"]].concat()).exits(0).complains("in quarantine at the destination");
    let there = |verb: &[&str]| desk.run(&[verb, &["--vault", &second][..]].concat());
    let quarantined = |rows: serde_json::Value| {
        rows.as_array().expect("rows").iter().filter(|row| row["quarantined"] == true).count()
    };
    let snapshots = there(&["snapshots", "--json"]).exits(0).json();
    let bad: Vec<String> = snapshots
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["quarantine"]["state"] == "quarantined")
        .map(|row| row["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(bad.len(), 1, "{snapshots}");
    // judged there, too, with what is there
    assert_eq!(quarantined(there(&["findings", "--json"]).exits(13).json()), 1);

    // what somebody says at the source counts there only, also for the next copy
    let ours = desk.run(&["snapshots", "--json"]).exits(0).json();
    let newest = ours.as_array().and_then(|rows| rows.iter().max_by_key(|row| row["time"].to_string()));
    let newest = newest.and_then(|row| row["id"].as_str()).expect("an id");
    desk.run(&["ack", newest, "--reason", "our own hook"]).exits(0);
    desk.run(&["status", "--html", &page.display().to_string()]).exits(0);
    assert!(shown().contains("(our own hook)") && !shown().contains("looks like an attack"));
    desk.run(&[&copy[..], &["--all"]].concat()).exits(0);
    assert_eq!(quarantined(there(&["findings", "--json"]).exits(13).json()), 1);
    there(&["ack", &bad[0], "--reason", "seen here, too"]).exits(0);
    there(&["findings", "--json"]).exits(0);
}

#[test]
fn a_copy_without_the_good_snapshot_before_it_stays_in_quarantine() {
    let (mut appliance, _folder) = appliance(3);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--quiet"]).exits(0);
    plant_a_hook(&appliance);
    let done = desk.run(&["backup", "--quiet", "--json"]).exits(13).json();
    let bad = done["snapshot"].as_str().expect("an id");
    let second = desk.path("second").display().to_string();
    let (first, password) =
        (desk.path("vault").display().to_string(), format!("file:{}", desk.path("password").display()));
    desk.run(&["init", "--vault", &second, "--like", &first, "--like-password", &password]).exits(0);
    desk.run(&["copy", bad, "--to", &second, "--to-password", &password]).exits(0);
    // there is nothing to compare it with: what was said before stands
    desk.run(&["findings", "--vault", &second, "--json"]).exits(0);
    let shown = desk.run(&["snapshots", "--vault", &second, "--json"]).exits(0).json();
    assert_eq!(shown[0]["quarantine"]["reason"], "hook changed", "{shown}");
    // and it is never `latest`
    desk.run(&["verify", "latest", "--vault", &second]).exits(1).complains("latest");
}
