//! A store that counts what is read from it: what a small restore out of a large vault costs is a promise that must be measurable.

use super::{error::VaultResult, store::Store};
use bytes::Bytes;
use rustic_core::{Id, repofile::FileType};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Another store, with a count of the bytes that were read.
pub(super) struct Metered {
    inner: Arc<dyn Store>,
    read: Arc<AtomicU64>,
}

impl Metered {
    /// Counts what is read from `inner` in `read`.
    pub(super) fn new(inner: Arc<dyn Store>, read: Arc<AtomicU64>) -> Self {
        Self { inner, read }
    }

    fn counted(&self, bytes: Bytes) -> Bytes {
        self.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        bytes
    }
}

impl Store for Metered {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn create(&self) -> VaultResult<()> {
        self.inner.create()
    }

    fn exists(&self, kind: FileType, id: &Id) -> VaultResult<bool> {
        self.inner.exists(kind, id)
    }

    fn list(&self, kind: FileType) -> VaultResult<Vec<(Id, u64)>> {
        self.inner.list(kind)
    }

    fn read(&self, kind: FileType, id: &Id) -> VaultResult<Bytes> {
        self.inner.read(kind, id).map(|bytes| self.counted(bytes))
    }

    fn read_part(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> VaultResult<Bytes> {
        self.inner.read_part(kind, id, offset, length).map(|bytes| self.counted(bytes))
    }

    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> VaultResult<()> {
        self.inner.write(kind, id, content)
    }

    fn remove(&self, kind: FileType, id: &Id) -> VaultResult<()> {
        self.inner.remove(kind, id)
    }
}
