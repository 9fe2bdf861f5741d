//! Carries a prune out, in an order in which every state between is a sound vault.

use super::{
    super::{
        error::VaultResult,
        index::Index,
        index_file::{IndexFile, IndexedPack},
        lease::WriteLease,
        open::Vault,
        reader::open_in_pack,
        remove::MARGIN,
        writer::BlobWriter,
    },
    PruneProgress, PruneReport, PruneStep,
    inventory::Inventory,
    plan::{Plan, Repack},
};
use rustic_core::{Id, repofile::FileType};
use std::sync::Arc;

/// Blobs in one index file, roughly.
const INDEX_BLOBS_MAX: usize = 50_000;

/// See the module.
pub(super) struct Run<'a> {
    pub vault: &'a Vault,
    pub lease: &'a WriteLease,
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    pub progress: PruneProgress<'a>,
}

impl Run<'_> {
    pub(super) fn carry_out(&self, plan: &Plan, inventory: &Inventory) -> VaultResult<PruneReport> {
        let mut report = plan.report();
        let Some(written) = self.repack(&plan.repack)? else {
            return Ok(Self::interrupted(report));
        };
        report.rewritten_bytes = written;
        self.replace_index(plan, inventory)?;
        let going: Vec<(Id, u64)> = plan.packs_going(inventory).collect();
        let mut freed: u64 = 0;
        for (done, (id, size)) in going.iter().enumerate() {
            if (self.cancelled)() {
                report.interrupted = true;
                break;
            }
            self.lease.lasts(MARGIN)?;
            self.vault.store.remove(FileType::Pack, id)?;
            freed += size;
            (self.progress)(PruneStep::Removing, done as u64 + 1, going.len() as u64);
        }
        report.freed_bytes = freed.saturating_sub(written);
        Ok(report)
    }

    /// Nothing was removed; what was packed anew serves the next run.
    fn interrupted(report: PruneReport) -> PruneReport {
        PruneReport {
            used_bytes: report.used_bytes,
            unused_bytes: report.unused_bytes,
            interrupted: true,
            ..PruneReport::default()
        }
    }

    /// Stores what is needed of packs that go in new packs, with index files that name them; returns the bytes written,
    /// nothing when the user ended it.
    fn repack(&self, packs: &[Repack]) -> VaultResult<Option<u64>> {
        if packs.is_empty() {
            return Ok(Some(0));
        }
        // an empty index, so that nothing counts as held
        let writer = self.vault.writer_on(Arc::new(Index::default()))?;
        let total: u64 = packs.iter().map(|pack| pack.size).sum();
        let mut done = 0;
        let mut ended = false;
        for pack in packs {
            if (self.cancelled)() {
                ended = true;
                break;
            }
            self.lease.check()?;
            self.copy_blobs(pack, &writer)?;
            done += pack.size;
            (self.progress)(PruneStep::Repacking, done, total);
        }
        let stats = writer.finish()?;
        Ok((!ended).then_some(stats.bytes_stored))
    }

    fn copy_blobs(&self, pack: &Repack, writer: &BlobWriter) -> VaultResult<()> {
        let bytes = self.vault.store.read(FileType::Pack, &pack.id)?;
        for blob in &pack.needed {
            let plain = open_in_pack(&self.vault.cipher, &pack.id, &bytes, blob)?;
            writer.put_raw(blob.kind, blob.id, plain)?;
        }
        Ok(())
    }

    /// Writes index files without what goes, then removes the old ones.
    fn replace_index(&self, plan: &Plan, inventory: &Inventory) -> VaultResult<()> {
        let mut file = IndexFile::default();
        let mut blobs = 0;
        for pack in &plan.keep {
            blobs += pack.blobs.len();
            file.packs.push(IndexedPack { blobs: pack.blobs.clone(), ..*pack });
            if blobs >= INDEX_BLOBS_MAX {
                self.write_index(&std::mem::take(&mut file))?;
                blobs = 0;
            }
        }
        if !file.packs.is_empty() {
            self.write_index(&file)?;
        }
        for id in plan.replace.iter().filter(|id| inventory.index_files.iter().any(|(known, _)| known == *id))
        {
            self.lease.lasts(MARGIN)?;
            self.vault.store.remove(FileType::Index, id)?;
        }
        Ok(())
    }

    fn write_index(&self, file: &IndexFile) -> VaultResult<()> {
        self.lease.check()?;
        let (id, bytes) = file.encode(&self.vault.cipher)?;
        self.vault.store.write(FileType::Index, &id, &[bytes])
    }
}
