//! Two vaults of one appliance, a board between them, and what somebody does who tampers with them.

use super::{Desk, Done, appliance};
use ghevault_core::{
    seal::{self, Manifest, SealKey},
    state::StateFolder,
    vault::{Collector, Password, SnapshotDraft, Vault, VaultLocation, tree_hex},
    witness::is_origin,
};
use ghevault_sim::harness::Appliance;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Two vaults of an appliance, and a board.
pub struct Two {
    /// The first vault.
    pub a: Desk,
    /// The second one.
    pub b: Desk,
    /// The board.
    pub board: tempfile::TempDir,
    /// What both back up.
    pub appliance: Appliance,
    _folder: tempfile::TempDir,
}

impl Two {
    /// A has two snapshots, B has one; both are published, and each has cosigned the other.
    pub fn new(seed: u64) -> Self {
        let (mut appliance, folder) = appliance(seed);
        let (mut a, mut b) = (Desk::with_vault(), Desk::with_vault());
        a.trust(&mut appliance);
        // through the same door: a second one would close the first
        b.set("GHEVAULT_HOST", &a.host());
        b.set("GHEVAULT_SSH_KEY", &format!("file:{}", appliance.client_key().display()));
        b.run(&["trust", "--accept", &appliance.host_key().expect("a host key")]).exits(0);
        let board = tempfile::tempdir().expect("a folder");
        let two = Self { a, b, board, appliance, _folder: folder };
        two.backup_and_publish(&two.a);
        two.backup_and_publish(&two.a);
        two.backup_and_publish(&two.b);
        two.cosign(&two.a, &two.b).exits(0);
        two.cosign(&two.b, &two.a).exits(0);
        two
    }

    /// Where the board is, as the command line names it.
    pub fn place(&self) -> String {
        format!("dir:{}", self.board.path().display())
    }

    /// Backs up, and publishes.
    pub fn backup_and_publish(&self, desk: &Desk) {
        desk.run(&["backup", "--quiet"]).exits(0);
        self.publish(desk).exits(0);
    }

    /// Publishes.
    pub fn publish(&self, desk: &Desk) -> Done {
        desk.run(&["witness", "publish", "--json", "--board", &self.place()])
    }

    /// Compares the vault with the board.
    pub fn check(&self, desk: &Desk) -> Done {
        desk.run(&["witness", "check", "--json", "--board", &self.place()])
    }

    /// One looks at the other.
    pub fn cosign(&self, by: &Desk, of: &Desk) -> Done {
        let key = format!("{}=other", public(of));
        by.run(&["witness", "cosign", "--json", "--board", &self.place(), "--key", &key])
    }

    /// By a stranger: no vault, no state.
    pub fn verify(&self) -> Done {
        let (a, b) = (format!("{}=a", public(&self.a)), format!("{}=b", public(&self.b)));
        let stranger = Desk::new();
        let done = stranger.run(&[
            "witness",
            "verify",
            "--json",
            "--board",
            &self.place(),
            "--key",
            &a,
            "--key",
            &b,
        ]);
        assert!(!stranger.path("state").exists(), "a stranger leaves nothing behind");
        done
    }

    /// The board's files of a desk with this ending, oldest first.
    pub fn files(&self, desk: &Desk, ending: &str) -> Vec<PathBuf> {
        let origin = origin_folder(self.board.path(), desk);
        let mut files: Vec<PathBuf> = fs::read_dir(origin)
            .expect("an origin")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == ending))
            .collect();
        files.sort();
        files
    }
}

/// A desk's public seal key.
pub fn public(desk: &Desk) -> String {
    StateFolder::open(&desk.path("state")).and_then(|state| state.seal_key()).expect("a key").public()
}

/// The folder of a desk on a board.
pub fn origin_folder(board: &Path, desk: &Desk) -> PathBuf {
    let id = opened(desk).id().to_owned();
    let mut found = fs::read_dir(board).expect("a board").map(|entry| entry.expect("an entry").path());
    let is_it = |path: &PathBuf| path.to_string_lossy().contains(&id) && is_origin(&path.to_string_lossy());
    found.find(is_it).expect("an origin")
}

/// A desk's vault.
pub fn opened(desk: &Desk) -> Vault {
    let password = Password::new("correct horse");
    Vault::open(&VaultLocation::Folder(desk.path("vault")), &password).expect("opens")
}

/// Ids of all snapshots, oldest first.
pub fn ids(desk: &Desk) -> Vec<String> {
    let list = desk.run(&["snapshots", "--json"]).exits(0).json();
    let id = |row: &serde_json::Value| row["id"].as_str().expect("an id").to_owned();
    list.as_array().expect("a list").iter().map(id).collect()
}

/// Removes a snapshot as somebody does who has the vault's folder.
pub fn remove(desk: &Desk, id: &str) {
    fs::remove_file(desk.path(&format!("vault/snapshots/{id}"))).expect("removed");
}

/// Puts a snapshot into the vault that is sealed with the host's own key: the newest one's content with another story.
pub fn forge(desk: &Desk, change: impl Fn(&mut Manifest)) {
    forge_with(desk, None, change);
}

/// The same with another key.
pub fn forge_with(desk: &Desk, key: Option<SealKey>, change: impl Fn(&mut Manifest)) {
    let vault = opened(desk);
    let list = vault.snapshots().expect("a list");
    let newest = list.snapshots.last().expect("a snapshot");
    let tree = tree_hex(&newest.tree);
    let mut manifest = seal::read(newest.description.as_deref(), &tree).expect("sealed").manifest;
    change(&mut manifest);
    let own = || StateFolder::open(&desk.path("state")).and_then(|state| state.seal_key()).expect("a key");
    let key = key.unwrap_or_else(own);
    let started = manifest.started.parse().expect("a time");
    let draft = SnapshotDraft {
        tags: vec!["ghevault".into(), "complete".into()],
        description: Some(key.seal(&manifest).expect("sealed")),
        ..SnapshotDraft::new(started, newest.tree, "ghe")
    };
    let lease = vault.lock_for_writing("test", Duration::from_mins(2)).expect("free");
    vault.commit(&draft, &Collector::new().verdict().expect("clean"), &lease).expect("committed");
}

/// Exit code 13, and a finding of that kind.
#[track_caller]
pub fn finds(done: Done, kind: &str) {
    let report = done.exits(13).complains("finding").json();
    let findings = report["findings"].as_array().expect("findings");
    assert!(findings.iter().any(|one| one["kind"] == kind), "no {kind} in {report}");
}

/// Exit code 0, and no finding.
#[track_caller]
pub fn is_clean(done: Done) {
    let report = done.exits(0).json();
    assert_eq!(report["findings"], serde_json::json!([]), "{report}");
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// What both vaults, both state folders and the board were at a moment.
pub struct Kept(tempfile::TempDir);

impl Two {
    fn parts(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("a-vault", self.a.path("vault")),
            ("a-state", self.a.path("state")),
            ("b-vault", self.b.path("vault")),
            ("b-state", self.b.path("state")),
            ("board", self.board.path().to_owned()),
        ]
    }

    /// Remembers everything.
    pub fn keep(&self) -> Kept {
        let kept = tempfile::tempdir().expect("a folder");
        for (name, folder) in self.parts() {
            copy_folder(&folder, &kept.path().join(name));
        }
        Kept(kept)
    }

    /// Makes everything as it was.
    pub fn put_back(&self, kept: &Kept) {
        for (name, folder) in self.parts() {
            for entry in fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                    .expect("removed");
            }
            copy_folder(&kept.0.path().join(name), &folder);
        }
    }

    /// Compares one vault with what the other published.
    pub fn compare(&self, by: &Desk, of: &Desk) -> Done {
        let key = format!("{}=other", public(of));
        by.run(&["compare", "--json", "--clock-slack", "0", "--board", &self.place(), "--key", &key])
    }

    /// Where a repository of the appliance is: the first of a network.
    pub fn repository(&self, network: u64) -> PathBuf {
        let route = ghevault_sim::build::layout::network(network);
        self.appliance.place().repositories().join(route).join(format!("{network}.git"))
    }
}
