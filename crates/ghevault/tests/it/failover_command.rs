//! `failover promote`: what it does, and everything that stops it.

use crate::support;
use ghevault_sim::appliance::faults::{Action, Fault};
use support::{Desk, pair::Pair};

#[test]
fn a_lost_primary_is_followed_by_its_replica_and_the_next_backup_follows() {
    let mut desk = Desk::with_vault();
    let mut pair = Pair::trusted_by(&mut desk);
    desk.run(&["backup", "--quiet"]).exits(0);
    pair.lose_the_primary();
    let replica = pair.replica.clone();
    let plan = desk.run(&["failover", "promote", &replica, "--dry-run", "--json"]).exits(0).json();
    assert_eq!(plan["steps"], serde_json::json!(["heal-gate", "promote", "verify"]), "{plan}");
    assert_eq!(pair.role(), "replica", "a dry run changes nothing");
    let done = desk.run(&["failover", "promote", &replica, "--confirm", &replica, "--json"]).exits(0);
    assert!(done.stderr.contains("Switching out of replica mode"), "its lines are shown: {done:?}");
    let report = done.json();
    assert_eq!((&report["outcome"], &report["role"]), (&"promoted".into(), &"primary".into()), "{report}");
    assert!(report["next"].to_string().contains("ghe-repl-teardown -u"), "{report}");
    assert_eq!(pair.role(), "primary");
    let backup = desk.run(&["backup", "--json"]).exits(0);
    assert_eq!(backup.json()["outcome"], "complete", "{backup:?}");
    desk.run(&["failover", "promote", &replica, "--confirm", &replica]).exits(14).complains("not a replica");
}

#[test]
fn a_planned_failover_waits_for_the_primary_and_asks_the_replica_again() {
    let mut desk = Desk::new();
    let pair = Pair::trusted_by(&mut desk);
    let replica = pair.replica.clone();
    let promote = ["failover", "promote", &replica, "--confirm", &replica, "--settle", "0", "--json"];
    desk.run(&promote).exits(14).complains("answers and serves users").complains("ghe-maintenance -s");
    pair.fleet.first().set_maintenance(true).expect("maintenance");
    let report = desk.run(&promote).exits(0).json();
    let done = serde_json::json!(["drain", "check-replication", "heal-gate", "promote", "verify"]);
    assert_eq!(report["done"], done, "{report}");
    assert_eq!(pair.role(), "primary");
}

#[test]
fn nothing_is_promoted_without_its_name_or_with_data_missing() {
    let mut desk = Desk::new();
    let mut pair = Pair::trusted_by(&mut desk);
    pair.lose_the_primary();
    let (primary, replica) = (pair.primary.clone(), pair.replica.clone());
    // Nobody is there to be asked: end of input is no consent.
    desk.run(&["failover", "promote", &replica]).exits(14).complains("typed as confirmation");
    desk.run(&["failover", "promote", &replica, "--confirm", "yes"]).exits(14).complains("`yes` was typed");
    desk.run(&["failover", "promote", &primary, "--confirm", &primary])
        .exits(14)
        .complains("cannot be reached");
    pair.replica_says(
        "git",
        "CRITICAL: git replication is behind the primary by 150 repositories and/or gists",
    );
    let promote = ["failover", "promote", &replica, "--confirm", &replica];
    desk.run(&promote).exits(14).complains("--accept-data-loss git");
    let other = [&promote[..], &["--accept-data-loss", "mysql"]].concat();
    desk.run(&other).exits(14).complains("but git is not in sync");
    assert_eq!(pair.role(), "replica");
    let accepted = [&promote[..], &["--accept-data-loss", "git"]].concat();
    desk.run(&accepted).exits(0).complains("given up");
    assert_eq!(pair.role(), "primary");
}

#[test]
fn a_connection_that_is_lost_in_the_middle_is_no_verdict() {
    let mut desk = Desk::new();
    let mut pair = Pair::trusted_by(&mut desk);
    pair.lose_the_primary();
    let replica = pair.replica.clone();
    let node = pair.fleet.node_mut("ghe-replica").expect("a replica");
    node.set_faults(vec![Fault::at_door("ghe-repl-promote", Action::Cut).times(1)]).expect("a fault");
    let done = desk.run(&["failover", "promote", &replica, "--confirm", &replica, "--json"]).exits(1);
    let report = done.json();
    assert_eq!((&report["outcome"], &report["role"]), (&"unknown".into(), &"replica".into()), "{report}");
    let next = report["next"].to_string();
    assert!(next.contains("do not start it a second time") && next.contains("ghevault advise"), "{next}");
    // Nothing was running: the same command goes through.
    desk.run(&["failover", "promote", &replica, "--confirm", &replica]).exits(0);
}

#[test]
fn a_promotion_that_fails_says_what_the_appliance_said() {
    let mut desk = Desk::new();
    let mut pair = Pair::trusted_by(&mut desk);
    pair.lose_the_primary();
    let replica = pair.replica.clone();
    let node = pair.fleet.node_mut("ghe-replica").expect("a replica");
    let stderr = "Error: configuration could not be applied\n".to_owned();
    node.set_faults(vec![Fault::in_command("ghe-repl-promote", Action::Fail { code: 3, stderr })])
        .expect("a fault");
    let done = desk.run(&["failover", "promote", &replica, "--confirm", &replica]).exits(1);
    assert!(done.stdout.contains("was NOT promoted") && done.stdout.contains("exit code 3"), "{done:?}");
    assert!(done.stdout.contains("it said last: Error: configuration could not be applied"), "{done:?}");
    assert_eq!(pair.role(), "replica");
}
