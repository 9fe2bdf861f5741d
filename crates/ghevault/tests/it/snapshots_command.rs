//! `snapshots`: what stands in a vault, and the exit codes of a vault that cannot be read.

use crate::support;
use support::{Desk, damage, only_file};

#[test]
fn an_empty_vault_is_an_empty_list() {
    let desk = Desk::with_vault();
    assert_eq!(desk.run(&["snapshots", "--json"]).exits(0).json(), serde_json::json!([]));
    assert!(desk.run(&["snapshots"]).exits(0).stdout.contains("empty"));
}

#[test]
fn a_missing_vault_has_its_own_exit_code() {
    let desk = Desk::new();
    let done = desk.run(&["snapshots", "--json"]).exits(10).complains("ghevault init");
    assert_eq!(done.json()["exit_code"], 10);
}

#[test]
fn a_wrong_password_has_its_own_exit_code() {
    let desk = Desk::with_vault();
    desk.write("password", "another\n");
    let done = desk.run(&["snapshots", "--json"]).exits(12).complains("hint: ");
    assert_eq!(done.json()["exit_code"], 12);
    assert!(!done.stderr.contains("another"), "{done:?}");
}

#[test]
fn a_snapshot_of_somebody_else_is_listed_as_unsealed_and_is_never_latest() {
    let desk = Desk::with_vault();
    desk.foreign_snapshot();
    let done = desk.run(&["snapshots", "--json"]).exits(0);
    assert_eq!(done.json()[0]["outcome"], "unsealed");
    let done =
        desk.run(&["restore", "latest", "--to", "./out", "--json"]).exits(1).complains("ghevault snapshots");
    assert_eq!(done.json()["exit_code"], 1);
    assert!(!desk.path("out").exists());
}

#[test]
fn a_damaged_snapshot_is_named_and_gives_the_code_for_damage() {
    let desk = Desk::with_vault();
    desk.foreign_snapshot();
    damage(&only_file(&desk.path("vault/snapshots")));
    let done = desk.run(&["snapshots", "--json"]).exits(13).complains("ghevault verify");
    assert_eq!(done.json()[0]["outcome"], "damaged");
}
