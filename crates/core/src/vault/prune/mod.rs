//! Frees the space of what no snapshot needs any more.
//!
//! Storyline: everything that any snapshot needs, also one of another program, is marked ([`used`]) → a plan says which packs
//! go as they are and which are packed anew ([`plan`]) → the plan is carried out in an order in which every state between is
//! a sound vault ([`run`]): new packs, index files that name them, index files for what stays, then the old index files go,
//! then the packs that no index names any more.
//!
//! Only the holder of the lease may; it is asked before each removal. Nothing is remembered between runs: what a killed one
//! left is found by the next one as packs without an index, or as blobs that are there twice. Where something is
//! damaged or missing nothing is removed at all. Readers that run beside find what was packed anew by reading the
//! index again (see [`super::reader`]).

mod inventory;
mod plan;
mod run;
mod sweep;
mod used;

use super::{
    error::{VaultError, VaultResult},
    lease::WriteLease,
    open::Vault,
    restic_lock,
};
use inventory::Inventory;
use serde::Serialize;
use std::sync::Arc;
pub(super) use used::Used;

/// How much unused data may stay in packs that are partly in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxUnused {
    /// A share of what is used, in percent.
    Percent(f64),
    /// Bytes.
    Bytes(u64),
}

impl MaxUnused {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of bytes need not be exact"
    )]
    fn bytes(self, used: u64) -> u64 {
        match self {
            Self::Percent(percent) => (used as f64 * percent / 100.0) as u64,
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// How to prune.
#[derive(Clone, Copy, Debug)]
pub struct PruneOptions {
    /// See [`MaxUnused`].
    pub max_unused: MaxUnused,
    /// Whether small packs are joined to larger ones.
    pub join_small: bool,
    /// Whether a vault without any snapshot may be emptied.
    pub allow_empty: bool,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self { max_unused: MaxUnused::Percent(5.0), join_small: false, allow_empty: false }
    }
}

/// What a prune does, or did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Snapshots that were looked at.
    pub snapshots: u64,
    /// Bytes of blobs that snapshots need, as stored.
    pub used_bytes: u64,
    /// Bytes of blobs that no snapshot needs (or that are there twice), before.
    pub unused_bytes: u64,
    /// Packs without any use that go.
    pub packs_removed: u64,
    /// Their bytes.
    pub packs_removed_bytes: u64,
    /// Packs partly in use that are packed anew and go.
    pub packs_repacked: u64,
    /// Their bytes.
    pub packs_repacked_bytes: u64,
    /// Bytes that were written for them (in a dry run: will be, roughly).
    pub rewritten_bytes: u64,
    /// Packs that no index names, left by writers that died.
    pub orphans_removed: u64,
    /// Their bytes.
    pub orphans_removed_bytes: u64,
    /// Index files that are replaced.
    pub index_files_replaced: u64,
    /// Bytes that the vault is smaller by.
    pub freed_bytes: u64,
    /// Unused bytes that stay in packs partly in use, because `max_unused` allows them.
    pub unused_kept_bytes: u64,
    /// Versions of removed files that were freed; in a bucket with versions.
    pub versions_removed: u64,
    /// Their bytes.
    pub versions_removed_bytes: u64,
    /// Versions of removed files that a lock holds.
    pub locked_versions: u64,
    /// Their bytes, which stay until then.
    pub locked_bytes: u64,
    /// When the first of these locks ends ...
    pub locked_from: Option<jiff::Timestamp>,
    /// ... and when the last one does.
    pub locked_until: Option<jiff::Timestamp>,
    /// Whether the user ended it; the next run goes on.
    pub interrupted: bool,
}

/// Told how far a prune is: what it does, done, of how much.
pub type PruneProgress<'a> = &'a (dyn Fn(PruneStep, u64, u64) + Sync);

/// What a prune is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneStep {
    /// Reading trees; counts trees, with an unknown end (0).
    Marking,
    /// Packing anew; counts bytes.
    Repacking,
    /// Removing; counts packs.
    Removing,
}

impl Vault {
    /// Says what [`Vault::prune`] would do, and in a bucket what locks would hold back (as far as this identity may read
    /// them); changes nothing and needs no lease.
    ///
    /// # Errors
    /// As [`Vault::prune`].
    pub fn prune_plan(
        &self,
        options: &PruneOptions,
        progress: PruneProgress<'_>,
    ) -> VaultResult<PruneReport> {
        let (inventory, used) = self.look_around(options, progress)?;
        let plan = plan::plan(&inventory, &used, options)?;
        let mut report = PruneReport { dry_run: true, snapshots: used.snapshots, ..plan.report() };
        if let Some(locks) = self.location().locks()? {
            sweep::foresee(&*locks, &plan, &inventory, &mut report)?;
        }
        Ok(report)
    }

    /// Removes what no snapshot needs. `cancelled` is asked now and then; what was done until then counts.
    ///
    /// # Errors
    /// [`super::VaultError::Damaged`] and [`super::VaultError::Missing`] when a snapshot, an index file, a tree or a pack in
    /// use is not as it was written: nothing is removed then. [`super::VaultError::Locked`] beside stock restic,
    /// [`super::VaultError::LeaseLost`], [`super::VaultError::Denied`], the store's errors.
    pub fn prune(
        &self,
        options: &PruneOptions,
        lease: &WriteLease,
        cancelled: &(dyn Fn() -> bool + Sync),
        progress: PruneProgress<'_>,
    ) -> VaultResult<PruneReport> {
        lease.check()?;
        restic_lock::refuse_beside_any(&*self.own, &self.cipher)?;
        let (inventory, used) = self.look_around(options, progress)?;
        let plan = plan::plan(&inventory, &used, options)?;
        let run = run::Run { vault: self, lease, cancelled, progress };
        let mut report = run.carry_out(&plan, &inventory)?;
        if !report.interrupted {
            run.sweep(&mut report)?;
        }
        Ok(PruneReport { snapshots: used.snapshots, ..report })
    }

    fn look_around(
        &self,
        options: &PruneOptions,
        progress: PruneProgress<'_>,
    ) -> VaultResult<(Inventory, Used)> {
        // snapshots first: one that a writer adds meanwhile (in a dry run) needs only what is newer
        let list = self.snapshots()?;
        if let Some((_, error)) = list.damaged.into_iter().next() {
            return Err(error);
        }
        let inventory = Inventory::load(&*self.store, &self.cipher)?;
        if list.snapshots.is_empty() && !inventory.index_files.is_empty() && !options.allow_empty {
            return Err(VaultError::Invalid(
                "the vault has data and no snapshot: somebody removed them all, or hid them".into(),
            ));
        }
        let reader = self.reader(Arc::new(super::index::Index::load(&*self.store, &self.cipher)?));
        let used = Used::mark(&reader, &list.snapshots, progress)?;
        Ok((inventory, used))
    }
}
