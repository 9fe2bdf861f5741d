//! `trust`: nothing is pinned that nobody accepted, and a changed key is never taken silently.

use crate::support;
use support::{Desk, appliance};

#[test]
fn nothing_is_pinned_when_nobody_is_there_to_accept() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::new();
    desk.reach(&mut appliance);
    let key = appliance.host_key().expect("a host key");
    let done = desk.run(&["trust"]).exits(1).complains(&format!("--accept {key}"));
    assert!(done.stdout.contains(&key), "{done:?}");
    assert!(!desk.path("state/known_hosts").exists());
    let done = desk.run(&["trust", "--json"]).exits(1);
    assert_eq!(done.json()["exit_code"], 1);
}

#[test]
fn an_accepted_key_is_pinned_and_asked_for_no_more() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::new();
    desk.reach(&mut appliance);
    let key = appliance.host_key().expect("a host key");
    let done = desk.run(&["trust", "--accept", &key, "--json"]).exits(0);
    assert_eq!(done.json()["keys"][0]["fingerprint"], key);
    assert_eq!(done.json()["keys"][0]["pinned"], true);
    let pinned = std::fs::read_to_string(desk.path("state/known_hosts")).expect("pinned");
    assert!(pinned.starts_with("[127.0.0.1]:"), "{pinned}");
    desk.run(&["trust"]).exits(0);
}

#[test]
fn another_fingerprint_is_refused_and_nothing_is_pinned() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::new();
    desk.reach(&mut appliance);
    let other = format!("SHA256:{}", "A".repeat(43));
    let done = desk.run(&["trust", "--json", "--accept", &other]).exits(14);
    assert!(done.json()["hint"].as_str().is_some_and(|hint| hint.contains("console")), "{done:?}");
    assert!(!desk.path("state/known_hosts").exists());
    desk.run(&["trust", "--accept", "MD5:00"]).exits(2);
}

#[test]
fn a_changed_key_is_refused_until_it_is_accepted_by_name() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let before = desk.host();
    let old = appliance.host_key().expect("a host key");
    appliance.close();
    appliance.change_host_keys().expect("changed");
    desk.reach(&mut appliance);
    let new = appliance.host_key().expect("a host key");
    assert_ne!(old, new);
    // The door has another port now; the pin is moved to it, as if the appliance had kept its address.
    let store = desk.path("state/known_hosts");
    let text = std::fs::read_to_string(&store).expect("pinned");
    let (_, old_port) = before.rsplit_once(':').expect("a port");
    let now = desk.host();
    let (_, new_port) = now.rsplit_once(':').expect("a port");
    std::fs::write(&store, text.replace(old_port, new_port)).expect("moved");

    let done = desk.run(&["backup", "--json"]).exits(14).complains("has changed").complains("hint: ");
    assert_eq!(done.json()["exit_code"], 14);
    let done = desk.run(&["trust"]).exits(1).complains("are not pinned");
    assert!(done.stdout.contains("no longer shown"), "{done:?}");
    desk.run(&["backup"]).exits(14);
    desk.run(&["trust", "--accept", &new]).exits(0);
    let text = std::fs::read_to_string(&store).expect("pinned");
    assert_eq!(text.lines().count(), 1, "the old key is gone: {text}");
    desk.run(&["doctor"]).exits(0);
}

#[test]
fn a_host_that_does_not_answer_is_an_error_with_a_hint() {
    let mut desk = Desk::new();
    desk.set("GHEVAULT_HOST", "127.0.0.1:1");
    desk.run(&["trust"]).exits(1).complains("cannot connect").complains("hint: ");
}

#[test]
fn a_name_that_makes_no_sense_is_a_usage_error() {
    let mut desk = Desk::new();
    desk.run(&["trust"]).exits(2).complains("GHEVAULT_HOST");
    desk.set("GHEVAULT_HOST", "-oProxyCommand=x");
    desk.run(&["trust"]).exits(2).complains("GHEVAULT_HOST");
}
