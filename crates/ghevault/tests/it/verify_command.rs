//! `verify`: a sound vault, and each kind of damage with what it costs.

use crate::support;
use std::fs;
use support::{Desk, appliance, damage, packs};

/// A desk whose vault holds one complete snapshot.
fn backed_up() -> Desk {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--quiet"]).exits(0);
    desk
}

#[test]
fn a_sound_vault_passes_at_both_depths() {
    let desk = backed_up();
    let json = desk.run(&["verify", "--json"]).exits(0).json();
    assert_eq!((&json["outcome"], &json["depth"]), (&"sound".into(), &1.into()));
    assert_eq!(json["snapshots"][0]["verdict"], "sealed");
    let json = desk.run(&["verify", "--json", "--depth", "2", "latest"]).exits(0).json();
    assert_eq!(json["outcome"], "sound");
    desk.run(&["verify", "--depth", "3"]).exits(2);
}

#[test]
fn a_missing_pack_is_found_without_reading_everything() {
    let desk = backed_up();
    fs::remove_file(packs(&desk).last().expect("a pack")).expect("removed");
    let done = desk.run(&["verify", "--json"]).exits(13).complains("hint: ");
    assert_eq!(done.json()["outcome"], "damaged");
}

#[test]
fn one_changed_byte_is_found_at_depth_2() {
    let desk = backed_up();
    damage(packs(&desk).last().expect("a pack"));
    let json = desk.run(&["verify", "--json", "--depth", "2"]).exits(13).json();
    assert_eq!(json["outcome"], "damaged");
}

#[test]
fn a_missing_vault_and_a_wrong_password_are_told_apart() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["verify", "--json"]).exits(10).json()["exit_code"], 10);
    desk.run(&["init"]).exits(0);
    desk.write("password", "wrong\n");
    assert_eq!(desk.run(&["verify", "--json"]).exits(12).json()["exit_code"], 12);
}

#[test]
fn a_seal_of_another_key_is_broken_once_a_key_is_named() {
    let desk = backed_up();
    let checks = desk.run(&["doctor", "--json"]).json()["checks"].clone();
    let ours = checks.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == "seal key"));
    let ours = ours.and_then(|row| row["text"].as_str()).expect("a key").to_owned();
    desk.run(&["verify", "--seal-key", &ours]).exits(0);
    let other = "A".repeat(43) + "=";
    let done = desk.run(&["verify", "--json", "--seal-key", &other]).exits(13);
    assert_eq!(done.json()["snapshots"][0]["verdict"], "broken");
}

#[test]
fn a_snapshot_of_somebody_else_is_sound_but_not_complete() {
    let desk = Desk::with_vault();
    desk.foreign_snapshot();
    let done = desk.run(&["verify", "--json"]).exits(3);
    assert_eq!(done.json()["outcome"], "incomplete");
}
