//! `gate`: what is somebody else's is not touched without force.

use crate::support;
use support::{Desk, appliance};

#[test]
fn an_open_gate_is_told_and_left_alone() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::new();
    desk.trust(&mut appliance);
    assert_eq!(desk.run(&["gate", "status", "--json"]).exits(0).json()["paused"], false);
    assert_eq!(desk.run(&["gate", "release", "--json"]).exits(0).json()["paused"], false);
}

#[test]
fn a_gate_of_somebody_else_is_removed_by_force_only() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::new();
    desk.trust(&mut appliance);
    std::fs::write(appliance.place().gate(), "").expect("a gate");
    let json = desk.run(&["gate", "status", "--json"]).exits(0).json();
    assert_eq!((&json["paused"], &json["ours"]), (&true.into(), &false.into()));
    desk.run(&["gate", "release"]).exits(14).complains("--force");
    assert!(appliance.gate_exists());
    desk.run(&["gate", "release", "--force"]).exits(0);
    assert!(!appliance.gate_exists());
}
