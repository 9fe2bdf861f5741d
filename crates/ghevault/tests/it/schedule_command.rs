//! `schedule`: the next activations and why.

use crate::support;
use support::Desk;

#[test]
fn twenty_activations_are_shown_with_their_reasons() {
    let mut desk = Desk::new();
    desk.configure("[schedule]\nbackup = \"business-hours\"\nverify = \"sun 03:30\"\ntime_zone = \"Europe/Berlin\"\njitter_s = 600\n[objective]\nrpo = \"2h\"\n");
    let plan = desk.run(&["schedule", "--json"]).exits(0).json();
    let rows = plan["activations"].as_array().expect("rows");
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|row| !row["because"].as_str().unwrap_or_default().is_empty()), "{plan}");
    assert!(rows.windows(2).all(|pair| pair[0]["at"].as_str() <= pair[1]["at"].as_str()), "{plan}");
    assert!(plan["remark"].as_str().is_some_and(|remark| remark.contains("objective of 2 h")), "{plan}");
    // The jitter of a host is its own and stays.
    assert_eq!(desk.run(&["schedule", "--json"]).exits(0).json()["jitter"], plan["jitter"]);
    let text = desk.run(&["schedule", "--count", "3"]).exits(0).stdout;
    assert!(text.contains("because of") && text.contains("CE"), "{text}");
}

#[test]
fn a_schedule_that_is_not_understood_is_named_with_its_place() {
    let mut desk = Desk::new();
    desk.run(&["schedule"]).exits(2).complains("nothing is scheduled");
    desk.configure("[schedule]\nbackup = \"mon-fri 20:00-07:00 hourly\"\n");
    desk.run(&["schedule"]).exits(2).complains("g.toml:2").complains("over midnight");
    desk.write("g.toml", "[schedule]\nbackup = \"hourly\"\ntime_zone = \"Europe/Atlantis\"\n");
    desk.run(&["schedule"]).exits(2).complains("g.toml:3").complains("Atlantis");
}
