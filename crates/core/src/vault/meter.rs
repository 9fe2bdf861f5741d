//! A store that counts what is read from it, and remembers that it was not served.
//!
//! What a small restore out of a large vault costs is a promise that must be measurable. And a file that a service did not
//! deliver is no damaged file: whoever collects damages asks afterwards whether the store was there all the time.

use super::{
    error::{VaultError, VaultResult},
    store::Store,
};
use bytes::Bytes;
use rustic_core::{Id, repofile::FileType};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// The first failure of the service under a store since it was last asked for.
#[derive(Clone, Default)]
pub(super) struct Outage(Arc<Mutex<Option<VaultError>>>);

impl Outage {
    /// Takes it.
    pub(super) fn take(&self) -> Option<VaultError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note<T>(&self, result: VaultResult<T>) -> VaultResult<T> {
        if let Err(error @ VaultError::Service { .. }) = &result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
        result
    }
}

/// Another store, with a count of the bytes that were read.
pub(super) struct Metered {
    inner: Arc<dyn Store>,
    read: Arc<AtomicU64>,
    outage: Outage,
}

impl Metered {
    /// Counts what is read from `inner` in `read`, and notes in `outage` when it is not served.
    pub(super) fn new(inner: Arc<dyn Store>, read: Arc<AtomicU64>, outage: Outage) -> Self {
        Self { inner, read, outage }
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

    fn writes_at_once(&self) -> usize {
        self.inner.writes_at_once()
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
        self.outage.note(self.inner.read(kind, id)).map(|bytes| self.counted(bytes))
    }

    fn read_part(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> VaultResult<Bytes> {
        self.outage.note(self.inner.read_part(kind, id, offset, length)).map(|bytes| self.counted(bytes))
    }

    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> VaultResult<()> {
        self.inner.write(kind, id, content)
    }

    fn remove(&self, kind: FileType, id: &Id) -> VaultResult<()> {
        self.inner.remove(kind, id)
    }
}
