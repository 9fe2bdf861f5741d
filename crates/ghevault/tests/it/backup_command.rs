//! `backup`: its last line, its exit codes, and what is left on the appliance when it ends early.

use crate::support;
use ghevault_sim::appliance::{
    commands::aqueduct,
    faults::{Action, Fault},
};
use std::{
    fs,
    io::{BufRead, BufReader},
    time::{Duration, Instant},
};
use support::{Desk, appliance};

#[test]
fn the_last_line_is_one_object_with_the_fixed_fields() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let report = desk.run(&["backup", "--json"]).exits(0).json();
    assert_eq!(report["outcome"], "complete");
    assert_eq!(report["snapshot"].as_str().map(str::len), Some(64));
    for field in ["bytes_read", "bytes_added", "files_changed", "gate_held_seconds"] {
        assert!(report[field].is_number(), "{field} in {report}");
    }
    let names: Vec<&str> =
        report["datasets"].as_array().expect("rows").iter().filter_map(|row| row["name"].as_str()).collect();
    for dataset in ["secrets", "settings", "mysql", "redis", "repositories", "pages", "storage", "audit-log"]
    {
        assert!(names.contains(&dataset), "{dataset} in {names:?}");
    }
    assert!(!appliance.gate_exists());
    let listed = desk.run(&["snapshots", "--json"]).exits(0).json();
    assert_eq!(listed[0]["id"], report["snapshot"]);
    assert_eq!(listed[0]["outcome"], "complete");
}

#[test]
fn people_get_a_table_and_few_lines_of_progress() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let done =
        desk.run(&["backup"]).exits(0).complains("repositories: started").complains("repositories: done");
    assert!(done.stdout.contains("dataset ") && done.stdout.contains("is complete"), "{done:?}");
    let done = desk.run(&["backup", "--quiet"]).exits(0);
    assert_eq!(done.stderr, "");
}

#[test]
fn an_appliance_that_nobody_trusted_is_refused() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.reach(&mut appliance);
    let done = desk
        .run(&["backup", "--json"])
        .exits(14)
        .complains("ghevault trust")
        .complains("no host key is pinned");
    assert_eq!(done.json()["exit_code"], 14);
    assert!(appliance.commands().expect("a log").is_empty(), "nothing was run on it");
}

#[test]
fn a_key_that_the_appliance_does_not_know_is_named_by_its_fingerprint() {
    let (mut appliance, folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let key = folder.path().join("stranger");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .expect("ssh-keygen runs");
    assert!(made.success());
    desk.set("GHEVAULT_SSH_KEY", &format!("file:{}", key.display()));
    desk.run(&["backup"]).exits(1).complains("refuses the SSH key SHA256:").complains("Management Console");
    let broken = desk.write("broken", "no key at all\n");
    desk.set("GHEVAULT_SSH_KEY", &format!("file:{}", broken.display()));
    desk.run(&["backup"]).exits(2).complains("it is not a private key").complains("ssh-keygen");
}

#[test]
fn a_missing_vault_and_a_wrong_password_are_told_apart() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::new();
    desk.trust(&mut appliance);
    assert_eq!(desk.run(&["backup", "--json"]).exits(10).json()["exit_code"], 10);
    desk.run(&["init"]).exits(0);
    desk.write("password", "wrong\n");
    assert_eq!(desk.run(&["backup", "--json"]).exits(12).json()["exit_code"], 12);
}

#[test]
fn a_dataset_that_fails_makes_the_snapshot_partial_and_the_others_stay() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let whole = desk.run(&["backup", "--json"]).exits(0).json();
    let failure = Action::Fail { code: 9, stderr: "mysqld is down".to_owned() };
    appliance.set_faults(vec![Fault::in_command("ghe-export-mysql", failure)]).expect("a fault");
    let report = desk.run(&["backup", "--json"]).exits(3).complains("partial: mysql").json();
    assert_eq!(report["outcome"], "partial");
    let rows = report["datasets"].as_array().expect("rows");
    let mysql = rows.iter().find(|row| row["name"] == "mysql").expect("mysql");
    assert!(mysql["problems"][0].as_str().is_some_and(|text| text.contains("mysqld is down")), "{mysql}");
    assert!(
        rows.iter().filter(|row| row["name"] != "mysql").all(|row| row["outcome"] == "complete"),
        "{report}"
    );
    // `latest` is the one before.
    let plan = desk.run(&["restore", "latest", "--to", "./out", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(plan["snapshot"], whole["snapshot"]);
}

#[test]
fn a_backup_lets_git_maintenance_catch_up_before_it_begins_and_not_for_ever() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.configure("[backup]\nbacklog_max = 2\nload_wait_s = 1\n");
    fs::write(appliance.place().store(aqueduct::STORE), "3\n").expect("a backlog");
    desk.run(&["backup"])
        .exits(0)
        .complains("3 jobs of Git maintenance wait, at most 2 are wanted")
        .complains("the backup begins all the same");
    fs::write(appliance.place().store(aqueduct::STORE), "2\n").expect("a backlog");
    let done = desk.run(&["backup"]).exits(0);
    assert!(!done.stderr.contains("maintenance"), "{done:?}");
    let missing = Action::Fail { code: 127, stderr: "command not found".to_owned() };
    appliance.set_faults(vec![Fault::in_command("ghe-aqueduct", missing)]).expect("a fault");
    desk.run(&["backup"]).exits(0).complains("does not tell how many jobs of Git maintenance wait");
}

#[test]
fn a_host_that_is_no_appliance_is_refused() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let missing = || Action::Fail { code: 127, stderr: "command not found".to_owned() };
    appliance
        .set_faults(vec![
            Fault::in_command("ghe-version", missing()),
            Fault::in_command("ghe-negotiate-version", missing()),
        ])
        .expect("faults");
    desk.run(&["backup"]).exits(14).complains("is not a GitHub Enterprise Server appliance");
}

#[test]
fn a_replica_is_refused_unless_it_is_allowed() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    fs::write(appliance.disk("/etc/github/repl-state"), "replica\n").expect("written");
    desk.run(&["backup"]).exits(14).complains("replica");
    let report = desk.run(&["backup", "--json", "--allow-replica"]).exits(0).json();
    assert!(report["warnings"][0].as_str().is_some_and(|text| text.contains("replica")), "{report}");
}

#[test]
fn a_vault_belongs_to_one_appliance() {
    let (mut first, _first_folder) = appliance(1);
    let (mut second, _second_folder) = appliance(2);
    let mut desk = Desk::with_vault();
    desk.trust(&mut first);
    desk.run(&["backup"]).exits(0);
    desk.trust(&mut second);
    desk.run(&["backup"]).exits(14).complains("another appliance");
    // let in by hand, and everything in it is another's: somebody has to say that this is right
    desk.run(&["backup", "--allow-other-appliance"]).exits(13).complains("ghevault ack");
}

#[test]
fn datasets_can_be_chosen_and_misspelt_ones_are_refused() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--skip", "page"]).exits(2).complains("repositories, pages");
    let config = desk.write("g.toml", "[backup]\nskip = [\"page\"]\n").display().to_string();
    desk.run(&["--config", &config, "backup"])
        .exits(2)
        .complains("`backup.skip` names the unknown dataset `page`");
    let done = desk.run(&["backup", "--json", "--skip", "pages", "--skip", "elasticsearch"]);
    let names: Vec<String> = done.json()["datasets"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["name"].as_str().map(str::to_owned))
        .collect();
    assert!(!names.contains(&"pages".to_owned()) && names.contains(&"mysql".to_owned()), "{done:?}");
}

#[test]
fn a_signal_ends_a_backup_with_its_own_code_and_opens_the_gate() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    // The archive of the repositories never ends: the backup stands in the middle of the gate.
    appliance.set_faults(vec![Fault::at_door("--no-recursion", Action::Hang)]).expect("a fault");
    let mut running = desk.start(&["backup", "--json"]);
    let within = Instant::now() + Duration::from_mins(1);
    while !appliance.gate_exists() {
        assert!(Instant::now() < within && running.try_wait().expect("a status").is_none(), "no gate");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    // Meanwhile nobody else writes to the vault; reading it is possible.
    let done = desk.run(&["backup", "--json"]).exits(11).complains("is being written by");
    assert_eq!(done.json()["exit_code"], 11);
    desk.run(&["snapshots"]).exits(0);
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    let mut said = String::new();
    for line in BufReader::new(running.stderr.take().expect("stderr")).lines().map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
    }
    let mut last = String::new();
    for line in BufReader::new(running.stdout.take().expect("stdout")).lines().map_while(Result::ok) {
        last = line;
    }
    let status = running.wait().expect("it ends");
    let end: serde_json::Value = serde_json::from_str(&last).expect("JSON at the end");
    assert_eq!(end["exit_code"], 130);
    assert_eq!(status.code(), Some(130), "{said}");
    let within = Instant::now() + Duration::from_mins(1);
    while appliance.gate_exists() {
        assert!(Instant::now() < within, "the gate is still closed");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    appliance.set_faults(Vec::new()).expect("no faults");
    desk.run(&["backup", "--json"]).exits(0);
}
