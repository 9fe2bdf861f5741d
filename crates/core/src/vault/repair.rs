//! Repairs packs with what another vault holds of the same content.
//!
//! A blob's name is the hash of its content, so that another vault's copy is the same or no copy at all. What a damaged pack
//! still gives is taken from it; the rest from the other vault. New packs come first, then index files that name them, then
//! index files without what was repaired; only then the old index files go. Every state between is a vault that gives at
//! least what it gave before. Damaged packs stay; a prune takes them away.

use super::{
    check::{CheckDepth, CheckProgress, DamageKind},
    error::{VaultError, VaultResult},
    format::{PackedBlob, read_file},
    index::Index,
    index_file::{IndexFile, IndexedPack},
    lease::WriteLease,
    open::Vault,
    reader::{VaultReader, open_in_pack},
    remove::MARGIN,
    restic_lock,
    writer::BlobWriter,
};
use rustic_core::{
    Id,
    repofile::{BlobType, FileType},
};
use serde::Serialize;
use std::{collections::HashSet, sync::Arc};

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Packs that were missing or damaged.
    pub packs: u64,
    /// Blobs of them that are stored anew.
    pub blobs_repaired: u64,
    /// Those of them that came from the other vault.
    pub blobs_fetched: u64,
    /// Blobs that neither vault gives.
    pub blobs_lost: u64,
    /// Blobs that no index named and the other vault has.
    pub blobs_found: u64,
    /// Bytes that were stored.
    pub bytes_added: u64,
    /// Index files that were replaced.
    pub index_files_replaced: u64,
}

impl Vault {
    /// Repairs this vault with what `source` holds.
    ///
    /// # Errors
    /// [`VaultError::Locked`] beside stock restic, [`VaultError::LeaseLost`], both stores' errors.
    pub fn repair_from(
        &self,
        source: &Self,
        lease: &WriteLease,
        progress: CheckProgress<'_>,
    ) -> VaultResult<RepairReport> {
        if self.id() == source.id() {
            return Err(VaultError::Invalid("a vault cannot be repaired with itself".into()));
        }
        lease.check()?;
        restic_lock::refuse_beside_any(&*self.own, &self.cipher)?;
        let check = self.check(CheckDepth::Content, None, progress)?;
        let (mut bad, mut missing) = (HashSet::new(), Vec::new());
        for damage in &check.damages {
            let id = damage.file.rsplit('/').next().and_then(|hex| hex.parse::<Id>().ok());
            match (damage.kind, id) {
                (DamageKind::PackMissing | DamageKind::PackSize | DamageKind::PackContent, Some(id)) => {
                    bad.insert(id);
                }
                (DamageKind::BlobMissing, Some(id)) => missing.push(id),
                _ => {}
            }
        }
        let mut report = RepairReport { packs: bad.len() as u64, ..RepairReport::default() };
        if bad.is_empty() && missing.is_empty() {
            return Ok(report);
        }
        let other = source.index()?;
        let writer = self.writer_on(Arc::new(Index::default()))?;
        let files = self.index_files(&bad)?;
        let mut again: HashSet<(BlobType, Id)> = HashSet::new();
        for pack in files.iter().flat_map(|(_, file)| &file.packs).filter(|pack| bad.contains(&pack.id)) {
            self.repair_pack(pack, &other, &writer, &mut again, &mut report)?;
            lease.check()?;
        }
        for id in missing {
            for kind in [BlobType::Tree, BlobType::Data] {
                if other.index.has(kind, &id) && again.insert((kind, id)) {
                    writer.put_raw(kind, id, other.blob(kind, &id)?)?;
                    report.blobs_found += 1;
                }
            }
        }
        report.bytes_added = writer.finish()?.bytes_stored;
        for (id, file) in files {
            self.replace(&id, file, &bad, &again, lease)?;
            report.index_files_replaced += 1;
        }
        Ok(report)
    }

    /// The index files that name one of these packs.
    fn index_files(&self, bad: &HashSet<Id>) -> VaultResult<Vec<(Id, IndexFile)>> {
        let mut files = Vec::new();
        for (id, _) in self.store.list(FileType::Index)? {
            // one that cannot be read names nothing that could be repaired
            let Ok(file) = read_file::<IndexFile>(&*self.store, &self.cipher, FileType::Index, &id) else {
                continue;
            };
            if file.packs.iter().any(|pack| bad.contains(&pack.id)) {
                files.push((id, file));
            }
        }
        Ok(files)
    }

    fn repair_pack(
        &self,
        pack: &IndexedPack,
        other: &VaultReader,
        writer: &BlobWriter,
        again: &mut HashSet<(BlobType, Id)>,
        report: &mut RepairReport,
    ) -> VaultResult<()> {
        let bytes = self.store.read(FileType::Pack, &pack.id).unwrap_or_default();
        for blob in pack.blobs.iter().map(|blob| PackedBlob::from(*blob)) {
            if again.contains(&(blob.kind, blob.id)) {
                continue;
            }
            let own = open_in_pack(&self.cipher, &pack.id, &bytes, &blob).ok();
            let plain = match own {
                Some(plain) => plain,
                None if other.index.has(blob.kind, &blob.id) => {
                    report.blobs_fetched += 1;
                    other.blob(blob.kind, &blob.id)?
                }
                None => {
                    report.blobs_lost += 1;
                    continue;
                }
            };
            writer.put_raw(blob.kind, blob.id, plain)?;
            again.insert((blob.kind, blob.id));
            report.blobs_repaired += 1;
        }
        Ok(())
    }

    /// Puts an index file in another one's place that does not name what is stored anew.
    fn replace(
        &self,
        old: &Id,
        mut file: IndexFile,
        bad: &HashSet<Id>,
        again: &HashSet<(BlobType, Id)>,
        lease: &WriteLease,
    ) -> VaultResult<()> {
        for pack in file.packs.iter_mut().filter(|pack| bad.contains(&pack.id)) {
            pack.blobs.retain(|blob| !again.contains(&(blob.kind, blob.id)));
        }
        file.packs.retain(|pack| !pack.blobs.is_empty());
        lease.check()?;
        if !file.packs.is_empty() || !file.packs_to_delete.is_empty() {
            let (id, bytes) = file.encode(&self.cipher)?;
            self.store.write(FileType::Index, &id, &[bytes])?;
        }
        lease.lasts(MARGIN)?;
        self.store.remove(FileType::Index, old)
    }
}
