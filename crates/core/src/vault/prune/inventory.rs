//! Everything that a vault's index files and its store say about packs, nothing merged away.

use super::super::{
    crypt::Cipher, error::VaultResult, format::read_file, index_file::IndexFile, store::Store,
};
use rustic_core::{Id, repofile::FileType};
use std::collections::HashMap;

/// See the module.
pub(super) struct Inventory {
    /// Index files with their content.
    pub index_files: Vec<(Id, IndexFile)>,
    /// Packs in the store with their sizes in bytes.
    pub packs: HashMap<Id, u64>,
}

impl Inventory {
    /// # Errors
    /// The first index file that cannot be read: what it names would be taken for unused.
    pub(super) fn load(store: &dyn Store, cipher: &Cipher) -> VaultResult<Self> {
        let mut ids: Vec<Id> = store.list(FileType::Index)?.into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        let read = |id: Id| Ok((id, read_file::<IndexFile>(store, cipher, FileType::Index, &id)?));
        let index_files = ids.into_iter().map(read).collect::<VaultResult<_>>()?;
        Ok(Self { index_files, packs: store.list(FileType::Pack)?.into_iter().collect() })
    }
}
