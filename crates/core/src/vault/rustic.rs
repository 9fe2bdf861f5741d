//! Our store as rustic's backend, and rustic's repository on it: for keys and configuration, and for check and prune.

use super::{
    error::{VaultError, VaultResult},
    password::Password,
    store::Store,
};
use bytes::Bytes;
use rustic_core::{
    BytesList, Credentials, ErrorKind, FileType, Id, ReadBackend, Repository, RepositoryBackends,
    RepositoryOptions, RusticError, RusticResult, WriteBackend, repofile::MasterKey,
};
use std::{ops::Deref, sync::Arc};
use zeroize::Zeroize;

/// A store as rustic wants to see it.
struct Backend {
    store: Arc<dyn Store>,
    /// The only key files that rustic may see: it gives up at the first one that it cannot read.
    keys: Option<Vec<Id>>,
}

fn wrapped(error: VaultError) -> Box<RusticError> {
    RusticError::with_source(ErrorKind::Backend, "the store failed", error)
}

impl ReadBackend for Backend {
    fn location(&self) -> String {
        self.store.location()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let mut files = self.store.list(kind).map_err(wrapped)?;
        if kind == FileType::Key
            && let Some(keys) = &self.keys
        {
            files.retain(|(id, _)| keys.contains(id));
        }
        // no file of the format reaches 4 GiB; one that does is damaged, and its size will not fit the index either
        Ok(files.into_iter().map(|(id, size)| (id, u32::try_from(size).unwrap_or(u32::MAX))).collect())
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        self.store.read(kind, id).map_err(wrapped)
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        _: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        self.store.read_part(kind, id, offset.into(), length as usize).map_err(wrapped)
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        super::store::file_name(kind, id)
    }
}

impl WriteBackend for Backend {
    fn create(&self) -> RusticResult<()> {
        self.store.create().map_err(wrapped)
    }

    fn write_bytes(&self, kind: FileType, id: &Id, _: bool, content: BytesList) -> RusticResult<()> {
        self.store.write(kind, id, content.slice()).map_err(wrapped)
    }

    fn remove(&self, kind: FileType, id: &Id, _: bool) -> RusticResult<()> {
        self.store.remove(kind, id).map_err(wrapped)
    }
}

/// rustic's repository on `store`, without its cache on the host's disk.
pub(super) fn repository(store: Arc<dyn Store>, keys: Option<Vec<Id>>) -> VaultResult<Repository<()>> {
    let backends = RepositoryBackends::new(Arc::new(Backend { store, keys }), None);
    Repository::new(&RepositoryOptions::default().no_cache(true), &backends)
        .map_err(|e| VaultError::rustic("opening the store", &e))
}

/// rustic's copy of a password or master key, wiped when dropped.
pub(super) struct WipedCredentials(Credentials);

impl WipedCredentials {
    pub(super) fn new(password: &Password) -> Self {
        Self(Credentials::password(password.reveal()))
    }

    pub(super) const fn master(key: MasterKey) -> Self {
        Self(Credentials::Masterkey(key))
    }
}

impl Deref for WipedCredentials {
    type Target = Credentials;
    fn deref(&self) -> &Credentials {
        &self.0
    }
}

impl Drop for WipedCredentials {
    fn drop(&mut self) {
        match &mut self.0 {
            Credentials::Password(text) => text.zeroize(),
            Credentials::Masterkey(key) => wipe(key),
        }
    }
}

/// A master key, wiped when dropped.
pub(super) struct WipedMaster(pub(super) MasterKey);

impl Drop for WipedMaster {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(key: &mut MasterKey) {
    key.encrypt.zeroize();
    key.mac.k.zeroize();
    key.mac.r.zeroize();
}
