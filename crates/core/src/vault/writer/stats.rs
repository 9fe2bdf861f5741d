//! What a writer did.

use rustic_core::DataId;

/// A stored stream: what goes into a file's node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredFile {
    /// Its blobs in order; none for an empty stream.
    pub content: Vec<DataId>,
    /// Bytes that were read.
    pub size: u64,
}

/// What one writer added to a vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteStats {
    /// New blobs of file content.
    pub data_blobs: u64,
    /// New trees.
    pub tree_blobs: u64,
    /// Their plain size in bytes, content and trees.
    pub bytes_added_raw: u64,
    /// Their stored size in bytes, pack headers excluded.
    pub bytes_stored: u64,
    /// Of `bytes_added_raw`: file content.
    pub data_bytes_raw: u64,
    /// Of `bytes_stored`: file content.
    pub data_bytes_stored: u64,
    /// Pack files written.
    pub packs: u64,
    /// Index files written.
    pub index_files: u64,
}
