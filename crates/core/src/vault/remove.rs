//! Takes snapshots out of a vault. What they needed stays until prune.

use super::{error::VaultResult, lease::WriteLease, open::Vault, snapshot::SnapshotId};
use rustic_core::repofile::FileType;
use std::time::Duration;

/// What a lease must still have before something is removed: a removal that takes longer is one that hangs.
pub(super) const MARGIN: Duration = Duration::from_secs(20);

impl Vault {
    /// Removes one snapshot; `false` when it was gone already.
    ///
    /// # Errors
    /// [`super::VaultError::LeaseLost`], [`super::VaultError::Denied`], the store's errors.
    pub fn remove_snapshot(&self, id: SnapshotId, lease: &WriteLease) -> VaultResult<bool> {
        lease.lasts(MARGIN)?;
        if !self.store.exists(FileType::Snapshot, &id.0)? {
            return Ok(false);
        }
        self.store.remove(FileType::Snapshot, &id.0).map(|()| true)
    }
}
