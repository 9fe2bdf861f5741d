//! `init`: a vault that restic opens, made once.

use crate::support;
use std::process::Command;
use support::Desk;

#[test]
fn stock_restic_opens_a_new_vault() {
    let desk = Desk::new();
    let done = desk.run(&["init", "--json"]).exits(0);
    assert_eq!(done.json()["id"].as_str().map(str::len), Some(64));
    let restic = Command::new("restic")
        .args(["--no-cache", "-r"])
        .arg(desk.path("vault"))
        .arg("--password-file")
        .arg(desk.path("password"))
        .args(["check"])
        .output()
        .expect("restic runs");
    assert!(restic.status.success(), "{restic:?}");
}

#[test]
fn a_vault_is_never_made_twice() {
    let desk = Desk::with_vault();
    let config = std::fs::read(desk.path("vault/config")).expect("a vault");
    let done = desk.run(&["init", "--json"]).exits(1).complains("exists already");
    assert_eq!(done.json()["exit_code"], 1);
    assert_eq!(std::fs::read(desk.path("vault/config")).expect("a vault"), config);
}

#[test]
fn what_is_missing_is_named_with_every_way_to_give_it() {
    let mut desk = Desk::new();
    desk.unset("GHEVAULT_PASSWORD");
    desk.run(&["init"])
        .exits(2)
        .complains("GHEVAULT_PASSWORD")
        .complains("--password")
        .complains("ghevault.toml");
    desk.unset("GHEVAULT_VAULT");
    desk.run(&["init"]).exits(2).complains("GHEVAULT_VAULT");
}

#[test]
fn a_password_in_place_of_its_source_is_refused_and_not_shown() {
    let mut desk = Desk::new();
    desk.set("GHEVAULT_PASSWORD", "hunter2");
    let done = desk.run(&["init", "--json"]).exits(2).complains("GHEVAULT_PASSWORD");
    assert!(!done.stderr.contains("hunter2") && !done.stdout.contains("hunter2"), "{done:?}");
    desk.set("GHEVAULT_PASSWORD", "file:/nonexistent");
    desk.run(&["init"]).exits(2).complains("/nonexistent");
    assert!(!desk.path("vault").exists());
}

#[test]
fn kinds_of_stores_that_are_not_served_are_named() {
    let mut desk = Desk::new();
    desk.set("GHEVAULT_VAULT", "s3:bucket/vault");
    desk.run(&["init"]).exits(2).complains("s3");
}
