//! The storage under a vault: whole files under content-addressed names.
//!
//! Promises that every store keeps: a file that [`Store::list`] shows is complete; [`Store::write`] returns only when the
//! file would survive a power cut; an interrupted write leaves nothing that `list` shows; `list` fails rather than leave
//! something out.

use super::error::VaultResult;
use bytes::Bytes;
use rustic_core::{Id, repofile::FileType};

/// A place that keeps the files of one vault.
pub(crate) trait Store: Send + Sync + 'static {
    /// The place in words.
    fn location(&self) -> String;
    /// Writes that should be under way at once to use the place well.
    fn writes_at_once(&self) -> usize {
        1
    }
    /// Makes the folders of an empty vault; existing ones are kept.
    fn create(&self) -> VaultResult<()>;
    /// Whether a file exists; for the configuration the id is ignored.
    fn exists(&self, kind: FileType, id: &Id) -> VaultResult<bool>;
    /// Ids and sizes (bytes) of all files of a kind, in no particular order; names that are no ids are left out.
    fn list(&self, kind: FileType) -> VaultResult<Vec<(Id, u64)>>;
    /// A whole file.
    fn read(&self, kind: FileType, id: &Id) -> VaultResult<Bytes>;
    /// Exactly `length` bytes of a file from `offset`.
    fn read_part(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> VaultResult<Bytes>;
    /// Writes a whole file, durably and atomically.
    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> VaultResult<()>;
    /// Removes a file.
    fn remove(&self, kind: FileType, id: &Id) -> VaultResult<()>;
}

/// Name of a file relative to the vault, as restic lays it out.
pub(crate) fn file_name(kind: FileType, id: &Id) -> String {
    let hex = id.to_hex();
    match kind {
        FileType::Config => "config".into(),
        FileType::Pack => format!("data/{}/{}", &hex[..2], &*hex),
        _ => format!("{}/{}", kind.dirname(), &*hex),
    }
}

/// Word for a kind of file in messages.
pub(crate) fn kind_word(kind: FileType) -> &'static str {
    match kind {
        FileType::Config => "configuration",
        FileType::Index => "index",
        FileType::Key => "key file",
        FileType::Snapshot => "snapshot",
        FileType::Pack => "pack",
    }
}
