//! An index for bad days: what sound index files say, completed from the packs themselves.
//!
//! Every pack names its blobs in a header at its end. When index files are damaged or gone, those headers say the same;
//! reading them costs one small read a pack.

use super::{
    crypt::Cipher,
    error::{VaultError, VaultResult},
    format::decode_header,
    index::Index,
    index_file::{IndexFile, IndexedPack},
    open::Vault,
    reader::VaultReader,
    store::{Store, file_name},
};
use rustic_core::{Id, repofile::FileType};
use std::{collections::HashSet, sync::Arc};

/// Bytes of the header's length at the end of a pack.
const LENGTH_BYTES: u64 = 4;

/// A reader made on a bad day, and what was bad.
pub struct Salvaged {
    /// Reads everything that can still be found.
    pub reader: VaultReader,
    /// Index files and packs that could not be used.
    pub damages: Vec<VaultError>,
    /// Packs whose blobs were found by their own headers.
    pub packs_found: usize,
}

impl Vault {
    /// As [`Vault::index`], but goes on without damaged index files, and looks into the packs that no sound one names.
    ///
    /// For reading only: [`Vault::writer`] refuses it, because what no index file names would not be stored again.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub fn salvage(&self) -> VaultResult<Salvaged> {
        let (mut index, unread) = Index::load_what_can_be(&*self.store, &self.cipher)?;
        let mut damages: Vec<_> = unread.into_iter().map(|(_, error)| error).collect();
        let known: HashSet<Id> = index.packs().iter().map(|(id, _)| *id).collect();
        let mut found = IndexFile::default();
        for (id, size) in self.store.list(FileType::Pack)? {
            if !known.contains(&id) {
                match read_header(&*self.store, &self.cipher, &id, size) {
                    Ok(pack) => found.packs.push(pack),
                    Err(error) => damages.push(error),
                }
            }
        }
        let packs_found = found.packs.len();
        index.complete(found)?;
        Ok(Salvaged { reader: self.reader(Arc::new(index)), damages, packs_found })
    }
}

fn read_header(store: &dyn Store, cipher: &Cipher, id: &Id, size: u64) -> VaultResult<IndexedPack> {
    let damaged = |why: &str| VaultError::damaged("pack", file_name(FileType::Pack, id), why);
    let end = size.checked_sub(LENGTH_BYTES).ok_or_else(|| damaged("it is too short for a header"))?;
    let length = store.read_part(FileType::Pack, id, end, 4)?;
    let length = <[u8; 4]>::try_from(&length[..]).map(u32::from_le_bytes).unwrap_or_default();
    let start = end.checked_sub(length.into()).ok_or_else(|| damaged("its header is longer than it"))?;
    let sealed = store.read_part(FileType::Pack, id, start, length as usize)?;
    let header = cipher.open(&sealed).ok_or_else(|| damaged("its header fails authentication"))?;
    let blobs = decode_header(&header).ok_or_else(|| damaged("its header is malformed"))?;
    let blobs = blobs.into_iter().map(Into::into).collect();
    Ok(IndexedPack { id: *id, time: None, size: Some(size), blobs })
}
