//! A store in memory for tests, with failures on demand.

use super::{
    error::{VaultError, VaultResult},
    store::{Store, file_name},
};
use bytes::Bytes;
use rustic_core::{Id, repofile::FileType};
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// See the module.
pub(super) struct MemoryStore {
    files: Mutex<BTreeMap<String, Bytes>>,
    /// Writes that still succeed; after them the store is full.
    pub writes_left: AtomicUsize,
}

impl MemoryStore {
    pub(super) fn new() -> Self {
        Self { files: Mutex::default(), writes_left: AtomicUsize::new(usize::MAX) }
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
