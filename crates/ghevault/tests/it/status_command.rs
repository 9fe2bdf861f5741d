//! `status`: what runs have written down, whoever started them.

use crate::support;
use support::{Desk, appliance};

#[test]
fn a_new_host_knows_nothing_and_says_so() {
    let desk = Desk::new();
    let status = desk.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["objective"]["health"], "unknown");
    desk.run(&["status", "--check"]).exits(1);
}

#[test]
fn runs_by_hand_are_written_down_with_their_datasets_and_their_end() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    let metrics = desk.path("ghevault.prom");
    desk.configure(&format!("[objective]\nrpo = \"2h\"\n[metrics]\ntextfile = \"{}\"\n", metrics.display()));
    desk.reach(&mut appliance);
    desk.run(&["backup"]).exits(14);
    let refused = desk.run(&["status", "--json"]).exits(0).json();
    assert_eq!(refused["objective"]["health"], "broken");
    assert_eq!(refused["runs"][0]["result"], "refused");
    desk.trust(&mut appliance);
    let report = desk.run(&["backup", "--json"]).exits(0).json();
    desk.run(&["verify"]).exits(0);
    let status = desk.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["objective"]["health"], "good", "{status}");
    assert_eq!(status["runs"][1]["snapshot"], report["snapshot"]);
    assert_eq!(status["runs"][0]["task"], "verify");
    assert!(status["datasets"].as_array().is_some_and(|rows| rows.len() > 5), "{status}");
    assert!(status["proven"]["1"].is_string(), "{status}");
    let text = desk.run(&["status", "--check"]).exits(0).stdout;
    assert!(text.contains("objective: inside") && text.contains("complete"), "{text}");
    let written = std::fs::read_to_string(metrics).expect("metrics");
    assert!(
        written.contains("result=\"refused\"} 1") && written.contains("result=\"complete\"} 1"),
        "{written}"
    );
    assert!(desk.run(&["status", "--metrics"]).exits(0).stdout.contains("ghevault_rpo_seconds"));
    let page = desk.path("page.html");
    desk.run(&["status", "--html", &page.display().to_string()]).exits(0);
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.starts_with("<!doctype html>") && page.len() < 100_000, "{page}");
    assert!(!page.contains("correct horse"));
}
