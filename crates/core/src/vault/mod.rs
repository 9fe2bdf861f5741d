//! Where backups are kept: restic's format 2, in a folder or a bucket, one writer at a time.
//!
//! Keys, configuration, check and prune are `rustic_core`'s; this is the only module that knows it. Writing and reading
//! are ours, on the crates that rustic itself uses, because a backup needs what its `archive` does not give: a cost by
//! change instead of by entry, errors that end the backup instead of a log line, streams that arrive in their own order.
//! rustic and stock restic stay the judges of what is written (see `tests/vault_*.rs`).
//!
//! Several keys open a vault: see `keys`.
//!
//! Storyline: [`Vault::init`] or [`Vault::open`] → [`Vault::lock_for_writing`] → [`Vault::index`] →
//! [`Vault::writer`] → put blobs and trees → [`BlobWriter::finish`] → [`Collector::verdict`] → [`Vault::commit`].

mod ahead;
mod check;
mod chunk;
mod copy;
mod crypt;
mod error;
mod extend;
mod fan;
mod folder;
mod format;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod graft;
mod index;
mod index_file;
mod keys;
mod latch;
mod lease;
mod location;
mod locks;
#[cfg(test)]
mod memory;
mod meter;
mod open;
mod own;
mod password;
mod prune;
mod reader;
mod records;
mod remove;
mod repair;
mod restic_lock;
mod rustic;
mod s3;
mod salvage;
mod snapshot;
mod store;
mod tree_cache;
mod tree_json;
mod walk;
mod writer;

pub use check::{
    CheckDepth, CheckProgress, CheckReport, DAMAGES_MAX, Damage, DamageKind, TOUCHED_MAX, Touched,
};
pub use copy::{CopiedSnapshot, CopyProgress, CopyReport};
pub use error::{VaultError, VaultResult};
pub use extend::{ExtendProgress, ExtendReport, LapsedLock, LockCheck};
pub use graft::{DirNode, Graft};
pub use keys::{KeyEntry, KeyRing, KeySort, NewKeys, Opener};
pub use latch::{Collector, LatchOpen, PROBLEMS_KEPT_MAX, Problem};
pub use lease::WriteLease;
pub use location::VaultLocation;
pub use locks::{FileLock, FileVersion, LockMode};
pub use open::Vault;
pub use password::Password;
pub use prune::{MaxUnused, PruneOptions, PruneProgress, PruneReport, PruneStep};
pub use reader::{FileReader, VaultReader};
pub use repair::RepairReport;
pub use rustic_core::{
    DataId, TreeId,
    repofile::{Metadata, Node, NodeType, Tree},
};
pub use s3::{
    AttackOutcome, AttackReport, AttackTargets, AttackTry, Demand, DemandState, NoteBucket, PolicyFor,
    S3Location, S3Settings,
};
pub use salvage::Salvaged;
pub use snapshot::{DraftSummary, Snapshot, SnapshotDraft, SnapshotId, SnapshotList, tree_hex};
pub use walk::{Walk, WalkEntry};
pub use writer::{BlobWriter, StoredFile, WriteStats};

/// Brings siblings into restic's order: by the bytes of their unescaped names.
pub fn sort_nodes(nodes: &mut [Node]) {
    tree_json::sort_nodes(nodes);
}
