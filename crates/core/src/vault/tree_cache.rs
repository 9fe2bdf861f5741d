//! Trees that were read lately, for the many look-ups that share the upper folders of a snapshot.
//!
//! Two generations: when the young one is full it becomes the old one, and the old one is forgotten. What is used stays.

use rustic_core::{TreeId, repofile::Tree};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Entries (files and folders) in one generation at most, all its trees together: some 20 MB.
const ENTRIES_MAX: usize = 40_000;

#[derive(Default)]
struct Generations {
    young: HashMap<TreeId, Arc<Tree>>,
    old: HashMap<TreeId, Arc<Tree>>,
    young_entries: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct TreeCache(Mutex<Generations>);

impl TreeCache {
    /// The tree, from memory or by `read`.
    pub(super) fn get<E>(&self, id: &TreeId, read: impl FnOnce() -> Result<Tree, E>) -> Result<Arc<Tree>, E> {
        let known = {
            let mut generations = self.generations();
            let young = generations.young.get(id).cloned();
            young.or_else(|| generations.old.remove(id).inspect(|tree| generations.add(*id, tree)))
        };
        if let Some(tree) = known {
            return Ok(tree);
        }
        let tree = Arc::new(read()?);
        self.generations().add(*id, &tree);
        Ok(tree)
    }

    fn generations(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn add(&mut self, id: TreeId, tree: &Arc<Tree>) {
        if self.young_entries >= ENTRIES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.young_entries = 0;
        }
        if self.young.insert(id, Arc::clone(tree)).is_none() {
            self.young_entries += tree.nodes.len() + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustic_core::Id;

    fn get(cache: &TreeCache, number: usize, reads: &mut usize) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let read = || {
            *reads += 1;
            Ok::<_, ()>(Tree::default())
        };
        cache.get(&Id::new(bytes).into(), read).unwrap();
    }

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let cache = TreeCache::default();
        let mut reads = 0;
        for number in 0..3 * ENTRIES_MAX {
            get(&cache, number, &mut reads);
            get(&cache, 0, &mut reads);
        }
        assert_eq!(reads, 3 * ENTRIES_MAX, "the one in use was read once");
        get(&cache, 1, &mut reads);
        assert_eq!(reads, 3 * ENTRIES_MAX + 1, "one of the others was forgotten");
        let kept = cache.generations();
        assert!(kept.young.len() + kept.old.len() <= 2 * ENTRIES_MAX + 2);
    }
}
