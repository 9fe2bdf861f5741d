//! A store in memory for tests, with failures on demand.

use super::{
    crypt::Cipher,
    error::{VaultError, VaultResult},
    index::Index,
    reader::VaultReader,
    store::{Store, file_name},
    writer::BlobWriter,
};
use bytes::Bytes;
use rustic_core::{
    Id,
    repofile::{ConfigFile, FileType, MasterKey},
};
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// See the module.
pub(super) struct MemoryStore {
    files: Mutex<BTreeMap<String, Bytes>>,
    /// Writes that still succeed; after them the store is full.
    pub writes_left: AtomicUsize,
    /// The next write panics.
    pub panics: AtomicBool,
}

impl MemoryStore {
    pub(super) fn new() -> Self {
        Self {
            files: Mutex::default(),
            writes_left: AtomicUsize::new(usize::MAX),
            panics: AtomicBool::new(false),
        }
    }

    fn get(&self, kind: FileType, id: &Id) -> VaultResult<Bytes> {
        let name = file_name(kind, id);
        self.files
            .lock()
            .unwrap()
            .get(&name)
            .cloned()
            .ok_or_else(|| VaultError::damaged("file", name, "missing"))
    }
}

impl Store for MemoryStore {
    fn location(&self) -> String {
        "memory".into()
    }
    fn create(&self) -> VaultResult<()> {
        Ok(())
    }
    fn exists(&self, kind: FileType, id: &Id) -> VaultResult<bool> {
        Ok(self.files.lock().unwrap().contains_key(&file_name(kind, id)))
    }
    fn list(&self, kind: FileType) -> VaultResult<Vec<(Id, u64)>> {
        let files = self.files.lock().unwrap();
        let of_kind = files.iter().filter(|(name, _)| name.starts_with(kind.dirname()));
        Ok(of_kind
            .map(|(name, c)| (name.rsplit('/').next().unwrap().parse().unwrap(), c.len() as u64))
            .collect())
    }
    fn read(&self, kind: FileType, id: &Id) -> VaultResult<Bytes> {
        self.get(kind, id)
    }
    fn read_part(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> VaultResult<Bytes> {
        let start = usize::try_from(offset).unwrap();
        Ok(self.get(kind, id)?.slice(start..start + length))
    }
    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> VaultResult<()> {
        assert!(!self.panics.load(Ordering::SeqCst), "the store was told to panic");
        let left = self.writes_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_err() {
            return Err(VaultError::io("write", file_name(kind, id), io::ErrorKind::StorageFull.into()));
        }
        self.files.lock().unwrap().insert(file_name(kind, id), content.concat().into());
        Ok(())
    }
    fn remove(&self, kind: FileType, id: &Id) -> VaultResult<()> {
        self.files.lock().unwrap().remove(&file_name(kind, id));
        Ok(())
    }
}

/// What a writer and a reader need, without a vault around it.
pub(super) struct Bench {
    pub store: Arc<MemoryStore>,
    pub cipher: Arc<Cipher>,
    pub config: ConfigFile,
}

impl Bench {
    pub(super) fn new() -> Self {
        let config =
            ConfigFile { version: 2, chunker_polynomial: "3DA3358B4DC173".into(), ..ConfigFile::default() };
        let cipher = Cipher::new(MasterKey::new()).unwrap();
        Self { store: Arc::new(MemoryStore::new()), cipher: Arc::new(cipher), config }
    }

    pub(super) fn reader(&self) -> VaultReader {
        let index = Arc::new(Index::load(&*self.store, &self.cipher).unwrap());
        VaultReader::new(self.store.clone(), Arc::clone(&self.cipher), index)
    }

    pub(super) fn writer(&self, reader: &VaultReader) -> BlobWriter {
        BlobWriter::new(self.store.clone(), Arc::clone(&self.cipher), Arc::clone(&reader.index), &self.config)
            .unwrap()
    }
}
