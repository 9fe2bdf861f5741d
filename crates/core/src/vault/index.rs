//! What a vault holds: its index files as two sorted lists, 48 bytes a blob.

use super::{
    crypt::Cipher,
    error::{VaultError, VaultResult},
    format::{PackedBlob, encode_file, read_file},
    store::Store,
};
use bytes::Bytes;
use rustic_core::{
    Id,
    repofile::{BlobType, FileType},
};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;

/// An index file as it is written in JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct IndexFile {
    /// Packs in use.
    #[serde(default)]
    pub packs: Vec<IndexedPack>,
    /// Packs that rustic's prune marked for deletion: what is in them does not count as held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs_to_delete: Vec<IndexedPack>,
}

/// A pack in an index file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IndexedPack {
    pub id: Id,
    /// When it was written (rustic's prune keeps young packs).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<jiff::Timestamp>,
    /// Pack size in bytes, where it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    pub blobs: Vec<IndexedBlob>,
}

/// A blob in an index file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct IndexedBlob {
    pub id: Id,
    #[serde(rename = "type")]
    pub kind: BlobType,
    pub offset: u32,
    pub length: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uncompressed_length: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl From<PackedBlob> for IndexedBlob {
    fn from(b: PackedBlob) -> Self {
        Self {
            id: b.id,
            kind: b.kind,
            offset: b.offset,
            length: b.length,
            uncompressed_length: b.plain_length,
        }
    }
}

impl From<IndexedBlob> for PackedBlob {
    fn from(b: IndexedBlob) -> Self {
        Self {
            kind: b.kind,
            id: b.id,
            offset: b.offset,
            length: b.length,
            plain_length: b.uncompressed_length,
        }
    }
}

impl IndexFile {
    /// The file, ready to be written.
    pub(super) fn encode(&self, cipher: &Cipher) -> VaultResult<(Id, Bytes)> {
        encode_file(cipher, self)
    }
}

/// Where a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub pack: Id,
    pub offset: u32,
    pub length: u32,
    /// 0: stored as it is.
    pub plain_length: u32,
}

impl Location {
    /// Bytes of the blob itself.
    pub(super) fn plain_size(&self) -> u64 {
        let stored = u64::from(self.length).saturating_sub(super::crypt::OVERHEAD as u64);
        if self.plain_length > 0 { self.plain_length.into() } else { stored }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: Id,
    pack: u32,
    offset: u32,
    length: u32,
    plain_length: u32,
}

/// All that is held, in memory.
#[derive(Debug, Default)]
pub(super) struct Index {
    packs: Vec<(Id, u64)>,
    trees: Vec<Entry>,
    data: Vec<Entry>,
    tree_pack_bytes: u64,
    data_pack_bytes: u64,
}

impl Index {
    /// Reads all index files of a vault, several at a time.
    pub(super) fn load(store: &dyn Store, cipher: &Cipher) -> VaultResult<Self> {
        let files = Mutex::new(store.list(FileType::Index)?.into_iter());
        let index = Mutex::new(Self::default());
        let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
        let work = || -> VaultResult<()> {
            loop {
                let next = files.lock().map_err(|_| VaultError::Internal("index loader"))?.next();
                let Some((id, _)) = next else { return Ok(()) };
                let file: IndexFile = read_file(store, cipher, FileType::Index, &id)?;
                index.lock().map_err(|_| VaultError::Internal("index loader"))?.add(file)?;
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .map(|w| w.join().unwrap_or(Err(VaultError::Internal("index loader"))))
                .collect::<VaultResult<()>>()
        })?;
        let mut index = index.into_inner().map_err(|_| VaultError::Internal("index loader"))?;
        index.sort();
        Ok(index)
    }

    fn add(&mut self, file: IndexFile) -> VaultResult<()> {
        for pack in file.packs {
            let at = u32::try_from(self.packs.len()).map_err(|_| VaultError::Internal("too many packs"))?;
            let size = super::format::pack_size(pack.blobs.iter().map(|b| PackedBlob::from(*b)));
            self.packs.push((pack.id, size));
            let is_tree = pack.blobs.first().is_some_and(|b| b.kind == BlobType::Tree);
            *(if is_tree { &mut self.tree_pack_bytes } else { &mut self.data_pack_bytes }) += size;
            for b in pack.blobs {
                let entry = Entry {
                    id: b.id,
                    pack: at,
                    offset: b.offset,
                    length: b.length,
                    plain_length: b.uncompressed_length,
                };
                self.of_mut(b.kind).push(entry);
            }
        }
        Ok(())
    }

    fn sort(&mut self) {
        for list in [&mut self.trees, &mut self.data] {
            list.sort_unstable_by_key(|e| e.id);
            list.dedup_by_key(|e| e.id);
            list.shrink_to_fit();
        }
    }

    fn of(&self, kind: BlobType) -> &Vec<Entry> {
        match kind {
            BlobType::Tree => &self.trees,
            BlobType::Data => &self.data,
        }
    }

    fn of_mut(&mut self, kind: BlobType) -> &mut Vec<Entry> {
        match kind {
            BlobType::Tree => &mut self.trees,
            BlobType::Data => &mut self.data,
        }
    }

    fn find(&self, kind: BlobType, id: &Id) -> Option<&Entry> {
        let list = self.of(kind);
        list.binary_search_by_key(id, |e| e.id).ok().map(|at| &list[at])
    }

    /// Whether a blob is held.
    pub(super) fn has(&self, kind: BlobType, id: &Id) -> bool {
        self.find(kind, id).is_some()
    }

    /// Where a blob is.
    pub(super) fn locate(&self, kind: BlobType, id: &Id) -> Option<Location> {
        let e = self.find(kind, id)?;
        let (pack, _) = self.packs.get(e.pack as usize)?;
        Some(Location { pack: *pack, offset: e.offset, length: e.length, plain_length: e.plain_length })
    }

    /// Number of blobs of a kind.
    pub(super) fn count(&self, kind: BlobType) -> usize {
        self.of(kind).len()
    }

    /// Bytes of all packs of a kind.
    pub(super) fn pack_bytes(&self, kind: BlobType) -> u64 {
        match kind {
            BlobType::Tree => self.tree_pack_bytes,
            BlobType::Data => self.data_pack_bytes,
        }
    }
}
