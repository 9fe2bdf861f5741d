//! Holds the configuration of a new vault back until its keys are stored: a vault never exists without a key that opens it.

use crate::vault::{
    error::{VaultError, VaultResult},
    store::Store,
};
use bytes::Bytes;
use rustic_core::{Id, repofile::FileType};
use std::sync::{Arc, Mutex, PoisonError};

/// See the module.
pub(in crate::vault) struct Deferred {
    store: Arc<dyn Store>,
    config: Mutex<Option<Vec<Bytes>>>,
}

impl Deferred {
    pub(in crate::vault) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, config: Mutex::default() }
    }

    /// Writes the configuration now; the vault exists from here on.
    pub(in crate::vault) fn release(&self) -> VaultResult<()> {
        let held = self.config.lock().unwrap_or_else(PoisonError::into_inner).take();
        let content = held.ok_or(VaultError::Internal("no configuration was made"))?;
        self.store.write(FileType::Config, &Id::default(), &content)
    }
}

impl Store for Deferred {
    fn location(&self) -> String {
        self.store.location()
    }
    fn writes_at_once(&self) -> usize {
        self.store.writes_at_once()
    }
    fn create(&self) -> VaultResult<()> {
        self.store.create()
    }
    fn exists(&self, kind: FileType, id: &Id) -> VaultResult<bool> {
        self.store.exists(kind, id)
    }
    fn list(&self, kind: FileType) -> VaultResult<Vec<(Id, u64)>> {
        self.store.list(kind)
    }
    fn read(&self, kind: FileType, id: &Id) -> VaultResult<Bytes> {
        self.store.read(kind, id)
    }
    fn read_part(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> VaultResult<Bytes> {
        self.store.read_part(kind, id, offset, length)
    }
    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> VaultResult<()> {
        if kind == FileType::Config {
            *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(content.to_vec());
            return Ok(());
        }
        self.store.write(kind, id, content)
    }
    fn remove(&self, kind: FileType, id: &Id) -> VaultResult<()> {
        self.store.remove(kind, id)
    }
}
