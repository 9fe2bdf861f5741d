//! The Redis dump: Redis' own checker reads it.

use std::{ffi::OsStr, fs::File, path::Path, process::Command};

use super::{
    programs,
    report::{Proof, ProofState},
};
use crate::restore::view::SnapshotView;

/// Proves the dump.
pub(super) fn prove(view: SnapshotView<'_>, scratch: &Path, path: Option<&OsStr>) -> Proof {
    let part = "redis";
    let failed = |why: String| Proof::judged(part, 0, 1, "", vec![why]);
    let entry = match view.find(b"redis.rdb") {
        Ok(Some(entry)) => entry,
        Ok(None) => return failed("the snapshot has no dump of Redis".into()),
        Err(error) => return failed(error.to_string()),
    };
    let file = scratch.join("redis.rdb");
    let written = File::create_new(&file)
        .map_err(|e| e.to_string())
        .and_then(|mut out| view.dump(b"redis.rdb", &entry, &mut out).map_err(|e| e.to_string()));
    let size = match written {
        Ok(size) => size,
        Err(why) => return failed(why),
    };
    let Some(checker) = programs::find(&["redis-check-rdb", "valkey-check-rdb"], path) else {
        return Proof::new(part, ProofState::NotProven, "this host has no redis-check-rdb");
    };
    let result = match programs::fed(Command::new(checker).arg(&file), &[]) {
        Ok(output) if output.status.success() => {
            Proof::judged(part, 1, 1, format!("redis-check-rdb finds {size} bytes sound"), Vec::new())
        }
        Ok(output) => failed(programs::said(&output)),
        Err(why) => failed(why),
    };
    // a dump can be large, and the drill goes on
    let _ = std::fs::remove_file(&file);
    result
}
