//! Vaults of earlier versions: each is opened, verified, restored from and gone on in, as docs/upgrading.md promises.
//!
//! `scripts/vault-fixture` made each of them with the program of its version.

use crate::support;
use ghevault_sim::build::git;
use serde::Deserialize;
use std::{fs, path::PathBuf, process::Command};
use support::{Desk, appliance};

/// What `expected.json` says of a vault.
#[derive(Deserialize)]
struct Expected {
    /// Seed of its appliance.
    seed: u64,
    /// Public seal key.
    seal_key: String,
    /// Ids of the snapshots, oldest first.
    snapshots: Vec<String>,
    /// The one on hold.
    held: String,
    /// The one that was forgotten: only a record of it is there.
    forgotten: String,
    /// A repository, and what `git for-each-ref` said of it when the newest snapshot was made.
    repository: String,
    refs: String,
}

/// The archives, by version.
fn archives() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vaults");
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).expect("the fixtures").map(|entry| entry.expect("an entry").path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "tar"));
    assert!(!found.is_empty(), "there are no vaults of earlier versions");
    found.sort();
    found
}

/// A desk with a copy of that vault and of the state folder of its host.
fn desk_of(archive: &std::path::Path) -> (Desk, Expected) {
    let desk = Desk::new();
    let done =
        Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(desk.path("")).status().expect("tar runs");
    assert!(done.success(), "{}", archive.display());
    let expected = fs::read_to_string(desk.path("expected.json")).expect("what is expected");
    (desk, serde_json::from_str(&expected).expect("as it was written"))
}

/// The snapshots as JSON.
fn snapshots(desk: &Desk) -> Vec<serde_json::Value> {
    desk.run(&["snapshots", "--json"]).exits(0).json().as_array().expect("a list").clone()
}

#[test]
fn vaults_of_earlier_versions_open_with_their_seals_holds_and_records() {
    for archive in archives() {
        let (desk, expected) = desk_of(&archive);
        let rows = snapshots(&desk);
        let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().expect("an id")).collect();
        assert_eq!(ids, expected.snapshots, "{}", archive.display());
        assert!(rows.iter().all(|row| row["outcome"] == "complete"), "{rows:?}");
        let held = rows.iter().find(|row| row["id"] == expected.held.as_str()).expect("the one on hold");
        assert_eq!(held["hold"]["reason"], "kept for the next version", "{held}");
        // A hold still holds, against a name, too.
        desk.run(&["forget", &expected.held]).exits(14);
        // The record of what was forgotten still closes the gap: without it the chain would be in parts.
        let plan = desk.run(&["forget", "--keep-hourly", "9", "--dry-run"]).exits(0);
        assert!(!plan.stdout.contains("gap") && !plan.stderr.contains("gap"), "{plan:?}");
        assert!(!ids.contains(&expected.forgotten.as_str()));
    }
}

#[test]
fn vaults_of_earlier_versions_are_sound_to_the_last_byte() {
    for archive in archives() {
        let (desk, expected) = desk_of(&archive);
        desk.run(&["verify", "--depth", "2", "--quiet", "--seal-key", &expected.seal_key]).exits(0);
        let restic = Command::new("restic")
            .args(["--no-cache", "--no-lock", "check", "--read-data", "--password-file"])
            .arg(desk.path("password"))
            .arg("--repo")
            .arg(desk.path("vault"))
            .output()
            .expect("restic runs");
        assert!(restic.status.success(), "{restic:?}");
    }
}

#[test]
fn a_repository_comes_back_from_vaults_of_earlier_versions() {
    for archive in archives() {
        let (desk, expected) = desk_of(&archive);
        desk.run(&["restore", "repo", &expected.repository, "--to", "./back.git", "--quiet"]).exits(0);
        let refs = git::run(&desk.path("back.git"), &["for-each-ref"], b"").expect("git runs");
        assert_eq!(String::from_utf8_lossy(&refs), expected.refs, "{}", archive.display());
        git::run(&desk.path("back.git"), &["fsck", "--strict"], b"").expect("whole");
    }
}

#[test]
fn this_version_goes_on_in_vaults_of_earlier_versions() {
    for archive in archives() {
        let (mut desk, expected) = desk_of(&archive);
        let (mut appliance, _folder) = appliance(expected.seed);
        desk.trust(&mut appliance);
        let report = desk.run(&["backup", "--json"]).exits(0).json();
        assert_eq!(report["outcome"], "complete", "{report}");
        let rows = snapshots(&desk);
        assert_eq!(rows.len(), expected.snapshots.len() + 1);
        let newest = rows.last().expect("one more");
        assert_eq!(newest["parent"], expected.snapshots.last().expect("one").as_str(), "{newest}");
        assert!(newest["manifest"]["previous"].is_string(), "the chain goes on: {newest}");
        desk.run(&["forget", "--keep-minimum", "1", "--keep-hourly", "1"]).exits(0);
        desk.run(&["prune", "--max-unused", "0"]).exits(0);
        let left: Vec<_> = snapshots(&desk).iter().map(|row| row["id"].clone()).collect();
        assert!(left.contains(&expected.held.as_str().into()), "{left:?}");
        desk.run(&["verify", "--depth", "2", "--quiet", "--seal-key", &expected.seal_key]).exits(0);
    }
}
