//! `drill`: what holds is proven by real programs, what does not is found, and what cannot be looked at is not passed.

use crate::support;
use ghevault_sim::{
    build::{Recipe, databases::Databases, git, layout},
    harness::Appliance,
};
use serde_json::{Value, json};
use std::fs;
use support::{Desk, appliance_of};

/// A desk with one complete snapshot of an appliance whose dumps come from real servers.
fn backed_up(seed: u64) -> (Desk, Appliance, tempfile::TempDir) {
    let recipe = Recipe { databases: Databases::Auto, ..Recipe::small(seed) };
    let (mut appliance, folder) = appliance_of(&recipe);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--quiet"]).exits(0);
    (desk, appliance, folder)
}

fn state(report: &Value, part: &str) -> String {
    let proofs = report["proofs"].as_array().expect("proofs");
    let proof = proofs.iter().find(|proof| proof["part"] == part).expect(part);
    proof["state"].as_str().expect("a state").to_owned()
}

#[test]
fn a_sound_snapshot_is_proven_by_real_programs_and_the_signed_report_is_kept() {
    let (mut desk, _appliance, _folder) = backed_up(1);
    let of_another_server = desk.write("tmp/#sql-temptable-1-1-1.MAI", "a temporary table");
    desk.set("TMPDIR", &desk.path("tmp").display().to_string());
    let report =
        desk.run(&["drill", "--depth", "full", "--html", "report.html", "--json", "--quiet"]).exits(0).json();
    assert_eq!(report["verdict"], "proven", "{report}");
    assert!(of_another_server.exists(), "the server of a drill clears away what is not its own");
    for part in ["repositories", "mysql", "redis", "storage", "archives", "certificates", "secrets"] {
        assert_eq!(state(&report, part), "proven", "{part}: {report}");
    }
    let proofs = report["proofs"].as_array().expect("proofs");
    assert!(proofs[1]["detail"].as_str().expect("words").contains("users"), "{report}");
    let shown = desk.run(&["status", "--json"]).exits(0).json()["drilled"][0].clone();
    assert_eq!(
        (&shown["verdict"], &shown["depth"], &shown["open"]),
        (&"proven".into(), &"full".into(), &json!([]))
    );
    assert!(shown["proven"].as_array().is_some_and(|parts| parts.len() > 5), "{shown}");
    assert_eq!(shown["report"], report["kept_as"]);
    let kept = desk.run(&["drill", "--list", "--json"]).exits(0).json();
    assert_eq!(kept[0]["report"]["snapshot"], report["snapshot"], "{kept}");
    assert!(kept[0]["signed_by"].is_string(), "{kept}");
    assert!(fs::read_to_string(desk.path("report.html")).expect("a page").contains("proven"));
}

#[test]
fn what_this_host_cannot_prove_is_not_passed() {
    let (mut desk, _appliance, _folder) = backed_up(2);
    let empty = desk.path("empty");
    fs::create_dir(&empty).expect("a folder");
    // git alone
    let git = std::env::split_paths(&std::env::var_os("PATH").expect("a path"))
        .map(|folder| folder.join("git"))
        .find(|path| path.is_file())
        .expect("git");
    std::os::unix::fs::symlink(git, empty.join("git")).expect("linked");
    desk.set("PATH", &empty.display().to_string());
    let report = desk.run(&["drill", "--json", "--quiet"]).exits(3).json();
    assert_eq!(report["verdict"], "incomplete", "{report}");
    assert_eq!(state(&report, "repositories"), "proven");
    assert_eq!(state(&report, "archives"), "not-proven", "{report}");
}

#[test]
fn a_repository_that_was_broken_on_the_appliance_fails_the_drill_by_name() {
    let (desk, appliance, _folder) = backed_up(3);
    let repository = appliance.place().repositories().join(layout::network(1)).join("1.git");
    let tip = git::run(&repository, &["hash-object", "-w", "--stdin"], b"lost").expect("a blob");
    let tip = String::from_utf8_lossy(&tip).trim().to_owned();
    git::run(&repository, &["update-ref", "refs/tags/hollow", &tip], b"").expect("a reference");
    fs::remove_file(repository.join("objects").join(&tip[..2]).join(&tip[2..])).expect("lost");
    desk.run(&["backup", "--quiet"]);
    let list = desk.run(&["snapshots", "--json"]).json();
    let newest = list.as_array().expect("a list").last().expect("a snapshot")["short_id"].clone();
    let done = desk
        .run(&["drill", newest.as_str().expect("an id"), "--depth", "full", "--json", "--quiet"])
        .exits(13);
    let report = done.json();
    assert_eq!(state(&report, "repositories"), "failed", "{report}");
    let problems = report["proofs"][0]["problems"].to_string();
    assert!(problems.contains("1.git"), "{problems}");
    let shown = desk.run(&["status", "--json"]).exits(0).json()["drilled"][0].clone();
    assert_eq!(shown["verdict"], "failed");
    assert!(shown["open"][0].as_str().is_some_and(|part| part.starts_with("repositories: ")), "{shown}");
}
