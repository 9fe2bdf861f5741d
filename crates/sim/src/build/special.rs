//! What lies about on a real disk: layout marks, deleted repositories, caches.

use std::fs;

use super::{
    git::{self, Format},
    history::History,
};
use crate::{
    appliance::Place,
    error::{OnFile, SimError},
    seed::Seed,
};

/// The layout marks of the repositories' tree.
pub(super) fn layout_marks(place: &Place) -> Result<(), SimError> {
    for (name, text) in [("nw-layout", "2\n"), ("svn-v4-upgraded", "")] {
        let path = place.repositories().join("info").join(name);
        fs::write(&path, text).on("write", path)?;
    }
    Ok(())
}

/// A deleted repository in the purgatory, caches that no backup wants, leftovers of maintenance.
pub(super) fn leftovers(place: &Place, seed: &Seed) -> Result<(), SimError> {
    let mut seed = seed.part("leftovers");
    let deleted = place.repositories().join("__purgatory__/4711.git");
    git::skeleton(&deleted, "gone/repo4711", Format::Sha1)?;
    let mut history = History::new(seed.part("deleted"));
    history.commits("refs/heads/main", None, 2);
    git::import(&deleted, &history.finish(), false)?;
    for (folder, file) in [
        ("__nodeload_archives__", "a.tar.gz"),
        ("__gitmon__", "socket.log"),
        ("__render__", "cache"),
        ("info/lost+found", "x"),
    ] {
        let folder = place.repositories().join(folder);
        fs::create_dir_all(&folder).on("create", &folder)?;
        fs::write(folder.join(file), seed.bytes(500)).on("write", &folder)?;
    }
    let done = place.disk("/data/user/common/es-scan-complete");
    fs::write(&done, "").on("write", done)?;
    let raft = place.disk("/data/user/consul/raft");
    fs::create_dir_all(&raft).on("create", &raft)?;
    fs::write(raft.join("raft.db"), seed.bytes(1000)).on("write", raft)
}
