//! Locks of single files and their versions: what retention looks at and what extends or ends it.
//!
//! Only a bucket has them. In a bucket with versions, removing a file only hides it behind a delete marker; space comes back
//! when the version itself is removed, which a lock forbids until it has run out.

use super::error::VaultResult;
use jiff::Timestamp;

/// How a lock may be lifted before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// By nobody.
    Compliance,
    /// By who holds a special right.
    Governance,
}

/// A lock of one version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLock {
    /// Who could lift it.
    pub mode: LockMode,
    /// Its end.
    pub until: Timestamp,
}

/// A version of a file, or a delete marker that hides the versions before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersion {
    /// The file's name below the vault, e.g. `data/ab/ab…`.
    pub name: String,
    /// The store's name for the version.
    pub version: String,
    /// Bytes; 0 for a marker.
    pub size: u64,
    /// When it was written, by the store's clock.
    pub modified: Timestamp,
    /// Whether it is what a reader sees now.
    pub latest: bool,
    /// Whether it is a delete marker.
    pub marker: bool,
}

/// A store whose files have versions and locks.
pub(crate) trait LockStore: Send + Sync + 'static {
    /// The lock of a file's current version, or of a named one; `None` when it has none.
    fn lock_of(&self, name: &str, version: Option<&str>) -> VaultResult<Option<FileLock>>;
    /// Locks a file's current version in compliance mode until a moment; fails when that would shorten its lock.
    fn lock_until(&self, name: &str, until: Timestamp) -> VaultResult<()>;
    /// All versions and markers of files whose names begin with `prefix`; newest first within a file.
    fn versions(&self, prefix: &str) -> VaultResult<Vec<FileVersion>>;
    /// Removes a version or a marker for good; one that is gone already is fine. Denied while it is locked.
    fn remove_version(&self, name: &str, version: &str) -> VaultResult<()>;
}
