//! `restore`: into folders and onto appliances; plans, guards, and what stands in between.

use crate::support;
use ghevault_sim::build::{Recipe, databases::Databases};
use std::fs;
use support::{Desk, appliance, appliance_of};

/// A desk whose vault holds one complete snapshot of the appliance with this seed.
fn backed_up(seed: u64) -> Desk {
    let (mut appliance, _folder) = appliance(seed);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--quiet"]).exits(0);
    desk
}

#[test]
fn a_folder_gets_what_stock_restic_restores() {
    let desk = backed_up(1);
    let report = desk.run(&["restore", "latest", "--to", "./ours", "--json"]).exits(0).json();
    assert_eq!(report["outcome"], "complete");
    let restic = std::process::Command::new("restic")
        .args(["--no-cache", "--quiet", "-r"])
        .arg(desk.path("vault"))
        .arg("--password-file")
        .arg(desk.path("password"))
        .args(["restore", report["snapshot"].as_str().expect("an id"), "--target"])
        .arg(desk.path("theirs"))
        .output()
        .expect("restic runs");
    assert!(restic.status.success(), "{restic:?}");
    let same = std::process::Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([desk.path("ours"), desk.path("theirs")])
        .output()
        .expect("diff runs");
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
}

#[test]
fn a_part_can_be_restored_and_a_part_that_is_not_there_is_an_error() {
    let desk = backed_up(1);
    desk.run(&["restore", "latest", "--to", "./out", "--include", "/settings.json", "--json"]).exits(0);
    let files: Vec<_> = fs::read_dir(desk.path("out")).expect("restored").collect();
    assert_eq!(files.len(), 1, "{files:?}");
    desk.run(&["restore", "latest", "--to", "./other", "--include", "/nonsense"])
        .exits(1)
        .complains("nonsense");
}

#[test]
fn a_folder_with_something_else_is_refused_unless_it_is_allowed() {
    let desk = backed_up(1);
    desk.write("out/mine", "x");
    desk.run(&["restore", "latest", "--to", "./out"])
        .exits(14)
        .complains("not empty")
        .complains("--into-existing");
    desk.run(&["restore", "latest", "--to", "./out", "--into-existing", "--quiet"]).exits(0);
    assert!(desk.path("out/mine").exists() && desk.path("out/settings.json").exists());
}

#[test]
fn a_snapshot_that_does_not_exist_is_an_error_with_a_hint() {
    let desk = backed_up(1);
    let done = desk
        .run(&["restore", "ffffffff", "--to", "./out", "--json"])
        .exits(1)
        .complains("ghevault snapshots");
    assert_eq!(done.json()["exit_code"], 1);
    desk.run(&["restore", "latest"]).exits(2).complains("--to");
}

#[test]
fn a_damaged_vault_is_told_and_nothing_is_taken_for_whole() {
    let desk = backed_up(1);
    // The largest pack holds the contents of files.
    let mut packs: Vec<_> = walk(&desk.path("vault/data"));
    packs.sort_by_key(|path| fs::metadata(path).map(|facts| facts.len()).unwrap_or_default());
    support::damage(packs.last().expect("a pack"));
    let done = desk.run(&["restore", "latest", "--to", "./out", "--json"]);
    assert!([3, 13].contains(&done.code), "{done:?}");
    assert!(!done.stderr.is_empty());
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn the_plan_for_an_appliance_is_shown_and_nothing_is_done() {
    let mut desk = backed_up(1);
    let (mut target, _folder) = appliance_of(&Recipe { configured: false, ..Recipe::fresh(2) });
    desk.trust(&mut target);
    let host = desk.host();
    let done = desk.run(&["restore", "latest", "--to", &format!("host:{host}"), "--dry-run"]).exits(0);
    assert!(done.stdout.contains("import MySQL"), "{done:?}");
    let json = desk.run(&["restore", "latest", "--to", &host, "--dry-run", "--json"]).exits(0).json();
    assert!(json["plan"]["steps"].as_array().is_some_and(|steps| steps.len() > 10), "{json}");
    assert!(!target.disk("/data/user/common/ghe-restore-status").exists());
}

#[test]
fn a_configured_appliance_is_overwritten_only_when_it_is_named_twice_and_in_maintenance() {
    let mut desk = backed_up(1);
    let (mut target, _folder) = appliance_of(&Recipe { databases: Databases::Stored, ..Recipe::fresh(2) });
    desk.trust(&mut target);
    let host = desk.host();
    desk.run(&["restore", "latest", "--to", &host]).exits(14).complains("--confirm");
    desk.run(&["restore", "latest", "--to", &host, "--confirm", "ghe-prod"]).exits(14).complains("ghe-prod");
    desk.run(&["restore", "latest", "--to", &host, "--confirm", &host])
        .exits(14)
        .complains("ghe-maintenance -s");
    assert!(!target.disk("/data/user/common/ghe-restore-status").exists(), "nothing was touched");
    target.set_maintenance(true).expect("maintenance");
    let report =
        desk.run(&["restore", "latest", "--to", &host, "--confirm", &host, "--json"]).exits(0).json();
    assert_eq!(report["outcome"], "complete", "{report}");
}

#[test]
fn an_appliance_that_nobody_trusted_gets_nothing() {
    let mut desk = backed_up(1);
    let (mut target, _folder) = appliance_of(&Recipe::fresh(2));
    desk.reach(&mut target);
    let host = desk.host();
    desk.run(&["restore", "latest", "--to", &host, "--confirm", &host]).exits(14).complains("ghevault trust");
}

#[test]
fn a_target_with_replication_or_of_an_older_release_is_refused() {
    let mut desk = backed_up(1);
    let (mut old, _old_folder) = appliance_of(&Recipe { version: "3.10.5".to_owned(), ..Recipe::fresh(2) });
    desk.trust(&mut old);
    let host = desk.host();
    desk.run(&["restore", "latest", "--to", &host, "--confirm", &host]).exits(14).complains("older release");
    let (mut pair, _pair_folder) = appliance_of(&Recipe::fresh(3));
    fs::write(pair.disk("/etc/github/repl-state"), "primary\n").expect("written");
    desk.trust(&mut pair);
    let host = desk.host();
    desk.run(&["restore", "latest", "--to", &host, "--confirm", &host])
        .exits(14)
        .complains("ghe-repl-teardown");
}

#[test]
fn flags_for_folders_and_appliances_are_not_mixed() {
    let desk = backed_up(1);
    desk.run(&["restore", "latest", "--to", "ghe.example.com", "--include", "/x"])
        .exits(2)
        .complains("--only");
    desk.run(&["restore", "latest", "--to", "ghe.example.com", "--only", "nonsense"])
        .exits(2)
        .complains("repositories");
}

#[test]
fn flags_for_appliances_are_not_ignored_for_folders() {
    let desk = Desk::with_vault();
    desk.run(&["restore", "latest", "--to", "./out", "--isolated"])
        .exits(2)
        .complains("--isolated is for appliances")
        .complains("--include");
}
