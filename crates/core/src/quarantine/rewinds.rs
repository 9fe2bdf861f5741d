//! Default branches that moved: a sample of small repositories is asked of the commits.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{
    history::RefTable,
    progress::Silent,
    restore::{
        entry::show,
        repository::{ObjectStore, find::Named, plan},
        view::SnapshotView,
    },
};

/// Repositories that are asked at most.
const ASKED_MAX: u64 = 24;
/// Larger ones are left out, in bytes.
const BYTES_MAX: u64 = 64 << 20;
/// All of them together, in bytes.
const BYTES_ALL_MAX: u64 = 256 << 20;

/// A default branch that moved.
pub(super) struct Moved {
    pub(super) path: Vec<u8>,
    pub(super) from: String,
    pub(super) to: String,
}

/// Where the default branch of a table points.
pub(super) fn default_branch(table: &RefTable) -> Option<(&[u8], &[u8])> {
    let name = table.head.strip_prefix(b"ref: ")?.trim_ascii();
    Some((name, table.refs.get(name)?))
}

/// How a default branch moved between two tables; none when it did not.
pub(super) fn moved(path: &[u8], before: &RefTable, after: &RefTable) -> Option<Moved> {
    let (name, from) = default_branch(before)?;
    let to = after.refs.get(name)?;
    let text =
        |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok().filter(|text| matches!(text.len(), 40 | 64));
    (from != to).then_some(())?;
    Some(Moved { path: path.to_vec(), from: text(from)?, to: text(to)? })
}

/// How many were asked, and the paths of those that were rewritten.
pub(super) fn ask(
    view: SnapshotView<'_>,
    salt: &str,
    mut moved: Vec<Moved>,
    scratch: &Path,
) -> (u64, Vec<Vec<u8>>) {
    moved.sort_by_cached_key(|one| {
        <[u8; 32]>::from(Sha256::new().chain_update(salt).chain_update(&one.path).finalize())
    });
    let (mut asked, mut read, mut rewound) = (0, 0, Vec::new());
    for one in moved {
        if asked >= ASKED_MAX {
            break;
        }
        let named = Named { name: show(&one.path), path: one.path.clone() };
        let Ok(plan) = plan(view, &named) else { continue };
        let bytes = plan.bytes();
        if bytes > BYTES_MAX || read + bytes > BYTES_ALL_MAX {
            continue;
        }
        read += bytes;
        let store = match ObjectStore::gather(view, &plan, scratch, &Silent) {
            Ok(store) => store,
            Err(error) => {
                tracing::debug!(%error, "the commits of {} cannot be asked", named.name);
                continue;
            }
        };
        match store.follows(&one.from, &one.to) {
            Ok(Some(true)) => asked += 1,
            Ok(Some(false)) => {
                asked += 1;
                rewound.push(one.path);
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the commits of {} cannot be asked", named.name),
        }
    }
    (asked, rewound)
}
