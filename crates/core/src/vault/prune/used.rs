//! Marks what snapshots need: each tree is read once, by several threads.

use super::{
    super::{error::VaultResult, fan::fan_out, reader::VaultReader, snapshot::Snapshot},
    PruneProgress, PruneStep,
};
use rustic_core::{Id, TreeId, repofile::BlobType};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// All blobs that some snapshot needs.
#[derive(Default)]
pub(in super::super) struct Used {
    trees: HashSet<Id>,
    data: HashSet<Id>,
    /// How many snapshots there are.
    pub snapshots: u64,
}

impl Used {
    pub(super) fn contains(&self, kind: BlobType, id: &Id) -> bool {
        match kind {
            BlobType::Tree => self.trees.contains(id),
            BlobType::Data => self.data.contains(id),
        }
    }

    pub(in super::super) fn all(&self) -> impl Iterator<Item = (BlobType, &Id)> {
        let trees = self.trees.iter().map(|id| (BlobType::Tree, id));
        trees.chain(self.data.iter().map(|id| (BlobType::Data, id)))
    }

    #[cfg(test)]
    pub(super) fn of(trees: impl IntoIterator<Item = Id>, data: impl IntoIterator<Item = Id>) -> Self {
        Self { trees: trees.into_iter().collect(), data: data.into_iter().collect(), snapshots: 1 }
    }

    /// # Errors
    /// The first tree that cannot be read.
    pub(in super::super) fn mark(
        reader: &VaultReader,
        snapshots: &[Snapshot],
        progress: PruneProgress<'_>,
    ) -> VaultResult<Self> {
        let mut used = Self { snapshots: snapshots.len() as u64, ..Self::default() };
        let first: Vec<TreeId> =
            snapshots.iter().map(|s| s.tree).filter(|tree| used.trees.insert(tree.into_inner())).collect();
        let shared = Mutex::new((used, 0_u64));
        fan_out(first, |id| {
            let tree = reader.tree(&id)?;
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (used, seen) = &mut *shared;
            let mut below = Vec::new();
            for node in &tree.nodes {
                below.extend(node.subtree.filter(|inside| used.trees.insert(inside.into_inner())));
                used.data.extend(node.content.iter().flatten().map(|blob| blob.into_inner()));
            }
            *seen += 1;
            if seen.is_multiple_of(1000) {
                progress(PruneStep::Marking, *seen, 0);
            }
            Ok(below)
        })?;
        Ok(shared.into_inner().unwrap_or_else(PoisonError::into_inner).0)
    }
}
