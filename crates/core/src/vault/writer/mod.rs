//! Stores blobs: chunk, hash, deduplicate in the caller's thread; compress, encrypt and pack on a small pool.
//!
//! Order of writing is restic's crash-safe one: packs, then the index files that name them; the snapshot comes later and
//! elsewhere. A killed writer leaves packs without an index (found by prune) and index files without a snapshot (their
//! blobs are used again by the next run), and nothing that is wrong.
//!
//! Memory: [`QUEUE_BYTES_MAX`] of waiting blobs, one open data pack, one open tree pack, and one pack on its
//! way to the store.

mod budget;
mod pack;
mod pool;
mod sealer;
mod stats;

pub use stats::{StoredFile, WriteStats};

use super::{
    chunk::{ChunkRules, Chunks},
    crypt::Cipher,
    error::{VaultError, VaultResult},
    format::hash,
    index::Index,
    store::Store,
    tree_json::{disorder, encode_tree},
};
use pool::{Job, Pool};
use rustic_core::{
    DataId, Id, TreeId,
    repofile::{BlobType, ConfigFile, Tree},
};
use std::{
    collections::HashSet,
    io::Read,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes of blobs that wait for the pool.
pub const QUEUE_BYTES_MAX: usize = 16 << 20;
/// Number of independent parts of the set of queued blobs, so that threads seldom meet.
const SHARDS: usize = 16;

/// Takes blobs from several threads. See the module.
///
/// Dropped without [`BlobWriter::finish`], it stops at once; what was packed and not yet indexed stays behind unused.
pub struct BlobWriter {
    index: Arc<Index>,
    rules: ChunkRules,
    queued: [Mutex<HashSet<(BlobType, Id)>>; SHARDS],
    pool: Pool,
}

impl BlobWriter {
    pub(super) fn new(
        store: Arc<dyn Store>,
        cipher: Arc<Cipher>,
        index: Arc<Index>,
        config: &ConfigFile,
    ) -> VaultResult<Self> {
        Ok(Self {
            rules: ChunkRules::new(config)?,
            queued: Default::default(),
            pool: Pool::start(store, cipher, &index, config)?,
            index,
        })
    }

    /// Stores one blob of file content.
    ///
    /// # Errors
    /// Any earlier failure of this writer, too: blobs are written in the background.
    pub fn put_data(&self, data: Vec<u8>) -> VaultResult<DataId> {
        self.put(BlobType::Data, hash(&data), data).map(Into::into)
    }

    /// Stores a tree; its nodes must be in order (see [`super::sort_nodes`]).
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for names out of order, twice or with a slash; else as [`BlobWriter::put_data`].
    pub fn put_tree(&self, tree: &Tree) -> VaultResult<TreeId> {
        if let Some(why) = disorder(&tree.nodes, true) {
            return Err(VaultError::Invalid(why));
        }
        let (bytes, id) = encode_tree(tree)?;
        self.put(BlobType::Tree, id.into_inner(), bytes).map(Into::into)
    }

    /// Stores a stream, cut into chunks where restic would cut it.
    ///
    /// # Errors
    /// [`VaultError::Stream`] when reading fails (then nothing refers to what was stored of it); else as
    /// [`BlobWriter::put_data`].
    pub fn put_file(&self, from: &mut dyn Read) -> VaultResult<StoredFile> {
        let mut stored = StoredFile::default();
        let mut chunks = Chunks::new(&self.rules);
        while let Some(chunk) = chunks.next(from).map_err(|e| VaultError::Stream(Arc::new(e)))? {
            stored.size += chunk.len() as u64;
            stored.content.push(self.put_data(chunk)?);
        }
        Ok(stored)
    }

    /// Content that is held in memory already, as [`BlobWriter::put_file`] would store it.
    ///
    /// # Errors
    /// As [`BlobWriter::put_data`].
    pub fn put_bytes(&self, content: Vec<u8>) -> VaultResult<StoredFile> {
        if content.len() >= self.rules.min() {
            return self.put_file(&mut &content[..]);
        }
        let size = content.len() as u64;
        let content = if content.is_empty() { Vec::new() } else { vec![self.put_data(content)?] };
        Ok(StoredFile { content, size })
    }

    /// Stores a blob of any kind that was read elsewhere; its content must have the hash `id`.
    pub(super) fn put_raw(&self, kind: BlobType, id: Id, data: Vec<u8>) -> VaultResult<()> {
        self.put(kind, id, data).map(|_| ())
    }

    fn put(&self, kind: BlobType, id: Id, data: Vec<u8>) -> VaultResult<Id> {
        if self.index.has(kind, &id) {
            self.pool.check()?;
            return Ok(id);
        }
        if self.shard(&id).insert((kind, id)) {
            self.pool.send(Job { kind, id, data })?;
        } else {
            self.pool.check()?;
        }
        Ok(id)
    }

    /// Whether this writer was given that tree (and the vault did not hold it before).
    #[must_use]
    pub fn has_queued_tree(&self, id: &TreeId) -> bool {
        self.has_queued(BlobType::Tree, id.into_inner())
    }

    /// Whether this writer was given that data blob (and the vault did not hold it before).
    #[must_use]
    pub fn has_queued_data(&self, id: &DataId) -> bool {
        self.has_queued(BlobType::Data, id.into_inner())
    }

    fn shard(&self, id: &Id) -> MutexGuard<'_, HashSet<(BlobType, Id)>> {
        self.queued[id.as_u32() as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_queued(&self, kind: BlobType, id: Id) -> bool {
        self.shard(&id).contains(&(kind, id))
    }

    /// Waits until everything is stored and indexed.
    ///
    /// # Errors
    /// The first failure of any blob that was put; then no snapshot may be made of them.
    pub fn finish(self) -> VaultResult<WriteStats> {
        self.pool.finish()
    }
}

#[cfg(test)]
mod tests;
