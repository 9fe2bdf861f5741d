//! `doctor`: everything that a backup needs, each missing piece by its name.

use crate::support;
use ghevault_sim::appliance::faults::{Action, Fault};
use support::{Desk, appliance};

/// The status of a check in the result.
fn status(json: &serde_json::Value, name: &str) -> String {
    let checks = json["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["name"] == name);
    check.and_then(|check| check["status"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn a_healthy_set_up_passes() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let json = desk.run(&["doctor", "--json"]).exits(0).json();
    assert_eq!(json["ok"], true);
    for name in ["connection", "release", "role", "commands", "clock", "gate", "vault"] {
        assert_eq!(status(&json, name), "ok", "{name} in {json}");
    }
    assert_eq!(status(&json, "latest"), "warn");
    assert!(!appliance.gate_exists());
}

#[test]
fn every_part_is_looked_at_although_one_fails() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::new();
    desk.trust(&mut appliance);
    let json = desk.run(&["doctor", "--json"]).exits(10).json();
    assert_eq!((status(&json, "connection"), status(&json, "vault")), ("ok".into(), "fail".into()));
    desk.run(&["init"]).exits(0);
    desk.set("GHEVAULT_STATE", &desk.path("empty").display().to_string());
    let json = desk.run(&["doctor", "--json"]).exits(14).json();
    assert_eq!((status(&json, "connection"), status(&json, "vault")), ("fail".into(), "ok".into()));
}

#[test]
fn a_missing_command_is_named() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let version = Action::Fail { code: 1, stderr: String::new() };
    appliance.set_faults(vec![Fault::in_command("ghe-version", version)]).expect("a fault");
    // The release is then asked in the other way.
    assert_eq!(status(&desk.run(&["doctor", "--json"]).exits(0).json(), "release"), "ok");
}

#[test]
fn a_paused_maintenance_is_told() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    std::fs::write(appliance.place().gate(), "").expect("a gate");
    assert_eq!(status(&desk.run(&["doctor", "--json"]).exits(0).json(), "gate"), "warn");
}
