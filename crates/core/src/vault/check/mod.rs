//! Reads a vault back and says what is damaged, and what that means for which snapshots.
//!
//! Two depths. *Presence*: every file that an index names is there with the right size; the trees of the snapshots load and
//! everything in them is in the index, with sizes that agree. *Content*: besides, every byte of every pack is read,
//! authenticated, decompressed and hashed, by the code that restore reads with.
//!
//! Damage is data, not an error: the check goes on and reports all of it.

mod damage;
mod packs;
mod touched;
mod trees;

pub use damage::{CheckReport, DAMAGES_MAX, Damage, DamageKind, TOUCHED_MAX, Touched};

use super::{
    error::VaultResult,
    index::Index,
    open::Vault,
    snapshot::{Snapshot, SnapshotId},
    store::{Store, file_name},
};
use damage::Findings;
use rustic_core::{Id, repofile::FileType};
use std::{collections::HashSet, sync::Arc};

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckDepth {
    /// Files and their sizes, trees and what they refer to.
    Presence,
    /// Besides, every byte of one in `of` packs: those whose turn it is.
    Share {
        /// From 0.
        turn: u32,
        /// At least 1.
        of: u32,
    },
    /// Every byte, too.
    Content,
}

impl CheckDepth {
    /// Whether a pack is read.
    fn reads(self, pack: &Id) -> bool {
        match self {
            Self::Presence => false,
            Self::Content => true,
            Self::Share { turn, of } => {
                let hex = pack.to_hex();
                u32::from_str_radix(&hex[..8], 16).unwrap_or_default() % of.max(1) == turn
            }
        }
    }
}

/// Told from several threads how far a check is: bytes read, bytes to read.
pub type CheckProgress<'a> = &'a (dyn Fn(u64, u64) + Sync);

impl Vault {
    /// Checks the vault: everything in it, and the trees of `snapshots` (all of them when `None`).
    ///
    /// # Errors
    /// Only when the store cannot be listed, or its service fails; all damage is in the report.
    pub fn check(
        &self,
        depth: CheckDepth,
        snapshots: Option<&[SnapshotId]>,
        progress: CheckProgress<'_>,
    ) -> VaultResult<CheckReport> {
        let (report, files) = self.check_once(depth, snapshots, progress)?;
        // a prune beside us takes packs away that the index named when we read it
        if !report.is_sound() && self.store.list(FileType::Index)?.iter().any(|(id, _)| !files.contains(id)) {
            return Ok(self.check_once(depth, snapshots, progress)?.0);
        }
        Ok(report)
    }

    /// The report, and the index files that it leans on.
    fn check_once(
        &self,
        depth: CheckDepth,
        snapshots: Option<&[SnapshotId]>,
        progress: CheckProgress<'_>,
    ) -> VaultResult<(CheckReport, HashSet<Id>)> {
        let mut findings = Findings::default();
        self.outage.take();
        let (index, damaged_index_files) = Index::load_what_can_be(&*self.store, &self.cipher)?;
        let reader = self.reader(Arc::new(index));
        for (id, error) in damaged_index_files {
            let at = findings.add(DamageKind::Index, file_name(FileType::Index, &id), &error);
            findings.lost_index(at);
        }
        check_keys(&*self.store, &mut findings)?;
        let chosen = self.snapshots_to_check(snapshots, &mut findings)?;
        let mut report = packs::check(&reader, depth, progress, &mut findings)?;
        let seen = trees::check(&reader, &chosen, &mut findings, &mut report);
        if findings.any_in_trees() {
            touched::find(&reader, &chosen, &seen, &mut findings);
        }
        if let Some(outage) = self.outage.take() {
            return Err(outage); // what was not delivered looks like damage, and need not be
        }
        report.snapshots = chosen.len() as u64;
        (report.damages, report.damages_total) = findings.into_damages();
        let files = reader.index.files().clone();
        Ok((report, files))
    }

    fn snapshots_to_check(
        &self,
        wanted: Option<&[SnapshotId]>,
        findings: &mut Findings,
    ) -> VaultResult<Vec<Snapshot>> {
        let list = self.snapshots()?;
        let is_wanted = |id: &SnapshotId| wanted.is_none_or(|w| w.contains(id));
        for (id, error) in list.damaged.iter().filter(|(id, _)| is_wanted(id)) {
            let file = file_name(FileType::Snapshot, &id.0);
            let at = findings.add(DamageKind::Snapshot, file, error);
            findings.touch(at, *id, Vec::new());
        }
        for id in wanted.unwrap_or_default() {
            if !list.snapshots.iter().any(|s| s.id == *id) && !list.damaged.iter().any(|(d, _)| d == id) {
                let at = findings.add(
                    DamageKind::Snapshot,
                    file_name(FileType::Snapshot, &id.0),
                    &"it is missing",
                );
                findings.touch(at, *id, Vec::new());
            }
        }
        Ok(list.snapshots.into_iter().filter(|s| is_wanted(&s.id)).collect())
    }
}

fn check_keys(store: &dyn Store, findings: &mut Findings) -> VaultResult<()> {
    let keys = store.list(FileType::Key)?;
    if keys.is_empty() {
        findings.add(
            DamageKind::Key,
            "keys".into(),
            &"there is no key file: no password opens the vault again",
        );
    }
    for (id, _) in keys {
        match store.read(FileType::Key, &id) {
            Ok(bytes) if super::format::hash(&bytes) == id => {}
            Ok(_) => {
                findings.add(DamageKind::Key, file_name(FileType::Key, &id), &OTHER_HASH);
            }
            Err(error) => {
                findings.add(DamageKind::Key, file_name(FileType::Key, &id), &error);
            }
        }
    }
    Ok(())
}

const OTHER_HASH: &str = "its content does not have the hash that is its name";
