//! What a vault holds: its index files as two sorted lists, 48 bytes a blob.

use super::{
    crypt::Cipher,
    error::{VaultError, VaultResult},
    format::{PackedBlob, read_file},
    index_file::IndexFile,
    store::Store,
};
use rustic_core::{
    Id,
    repofile::{BlobType, FileType},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Attempts to read an index that is replaced meanwhile.
const LOADS_MAX: usize = 4;

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
    /// The index files that this was read from.
    files: HashSet<Id>,
    /// Holds packs that no index file names, so that nothing new may lean on it.
    salvaged: bool,
}

impl Index {
    /// Reads all index files of a vault, several at a time.
    ///
    /// # Errors
    /// The first index file that cannot be read.
    pub(super) fn load(store: &dyn Store, cipher: &Cipher) -> VaultResult<Self> {
        let (index, damaged) = Self::load_what_can_be(store, cipher)?;
        damaged.into_iter().next().map_or(Ok(index), |(_, error)| Err(error))
    }

    /// As [`Index::load`], but goes on after index files that cannot be read, and names them.
    pub(super) fn load_what_can_be(
        store: &dyn Store,
        cipher: &Cipher,
    ) -> VaultResult<(Self, Vec<(Id, VaultError)>)> {
        let mut loads = 0;
        loop {
            loads += 1;
            let files = store.list(FileType::Index)?.into_iter().map(|(id, _)| id).collect();
            let (index, damaged) = Self::load_files(store, cipher, files);
            // a prune beside us may have put others in the place of those that are gone
            let gone =
                |(id, _): &(Id, VaultError)| store.exists(FileType::Index, id).is_ok_and(|there| !there);
            if loads == LOADS_MAX || !damaged.iter().any(gone) {
                return Ok((index, damaged));
            }
        }
    }

    /// The index files that this was read from.
    pub(super) fn files(&self) -> &HashSet<Id> {
        &self.files
    }

    /// What index files hold that came after this was loaded.
    ///
    /// # Errors
    /// The first index file that cannot be read.
    pub(super) fn load_newer(&self, store: &dyn Store, cipher: &Cipher) -> VaultResult<Self> {
        let files = store.list(FileType::Index)?.into_iter().map(|(id, _)| id);
        let (index, damaged) =
            Self::load_files(store, cipher, files.filter(|id| !self.files.contains(id)).collect());
        damaged.into_iter().next().map_or(Ok(index), |(_, error)| Err(error))
    }

    fn load_files(store: &dyn Store, cipher: &Cipher, files: Vec<Id>) -> (Self, Vec<(Id, VaultError)>) {
        let next = AtomicUsize::new(0);
        let shared = Mutex::new((Self::default(), HashMap::new(), Vec::new()));
        let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8).min(files.len());
        let work = || {
            while let Some(id) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let read = read_file::<IndexFile>(store, cipher, FileType::Index, id);
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let (index, numbers, damaged) = &mut *shared;
                if let Err(error) = read.and_then(|file| index.add(file, numbers)) {
                    damaged.push((*id, error));
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let (mut index, _, damaged) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        index.sort();
        index.files = files.into_iter().collect();
        (index, damaged)
    }

    fn add(&mut self, file: IndexFile, numbers: &mut HashMap<Id, u32>) -> VaultResult<()> {
        for pack in file.packs {
            let next = u32::try_from(self.packs.len()).map_err(|_| VaultError::Internal("too many packs"))?;
            let number = *numbers.entry(pack.id).or_insert(next);
            // a pack may be named by several index files
            if number == next {
                let size = super::format::pack_size(pack.blobs.iter().map(|b| PackedBlob::from(*b)));
                self.packs.push((pack.id, size));
                let is_tree = pack.blobs.first().is_some_and(|b| b.kind == BlobType::Tree);
                *(if is_tree { &mut self.tree_pack_bytes } else { &mut self.data_pack_bytes }) += size;
            }
            for b in pack.blobs {
                let entry = Entry {
                    id: b.id,
                    pack: number,
                    offset: b.offset,
                    length: b.length,
                    plain_length: b.uncompressed_length,
                };
                self.of_mut(b.kind).push(entry);
            }
        }
        Ok(())
    }

    /// Adds packs that were found in another way.
    pub(super) fn complete(&mut self, found: IndexFile) -> VaultResult<()> {
        let number = |(at, (id, _)): (usize, &(Id, u64))| Some((*id, u32::try_from(at).ok()?));
        let mut numbers = self.packs.iter().enumerate().filter_map(number).collect();
        self.salvaged = true;
        self.add(found, &mut numbers)?;
        self.sort();
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

    /// Whether it holds packs that no index file names.
    pub(super) fn is_salvaged(&self) -> bool {
        self.salvaged
    }

    /// All packs with the size in bytes that they must have.
    pub(super) fn packs(&self) -> &[(Id, u64)] {
        &self.packs
    }

    /// All blobs, each once, with the number of their pack in [`Index::packs`].
    pub(super) fn blobs(&self) -> impl Iterator<Item = (usize, PackedBlob)> {
        let of = |kind| {
            self.of(kind).iter().map(move |e| {
                let blob = PackedBlob {
                    kind,
                    id: e.id,
                    offset: e.offset,
                    length: e.length,
                    plain_length: e.plain_length,
                };
                (e.pack as usize, blob)
            })
        };
        of(BlobType::Tree).chain(of(BlobType::Data))
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
