//! From damaged blobs back to the paths and snapshots that need them.

use super::{
    super::{reader::VaultReader, snapshot::Snapshot},
    Findings,
    trees::SeenTrees,
};
use rustic_core::{TreeId, repofile::BlobType};
use std::collections::{HashMap, HashSet};

/// Lists, for each damage, what it costs. Goes only where something is damaged.
pub(super) fn find(reader: &VaultReader, snapshots: &[Snapshot], seen: &SeenTrees, findings: &mut Findings) {
    let affected = affected(seen);
    for snapshot in snapshots.iter().filter(|s| affected.contains(&s.tree)) {
        if let Some(at) = findings.of_blob(&reader.index, BlobType::Tree, &snapshot.tree.into_inner()) {
            findings.touch(at, snapshot.id, Vec::new());
            continue;
        }
        let mut walk = reader.walk(snapshot.tree);
        while let Some(entry) = walk.next() {
            // folders that cannot be read are not entered, see below
            let Ok((path, node)) = entry else { continue };
            if let Some(inside) = node.subtree {
                let lost = findings.of_blob(&reader.index, BlobType::Tree, &inside.into_inner());
                if lost.is_some() || !affected.contains(&inside) {
                    walk.skip_folder();
                }
                if let Some(at) = lost {
                    findings.touch(at, snapshot.id, path.clone());
                }
            }
            let of = |blob: &rustic_core::DataId| findings.of_blob(&reader.index, BlobType::Data, blob);
            let mut lost: Vec<_> =
                node.content.iter().flatten().filter_map(of).chain(findings.of_size(&node)).collect();
            lost.sort_unstable();
            lost.dedup();
            for at in lost {
                findings.touch(at, snapshot.id, path.clone());
            }
        }
    }
}

/// Damaged folders and all folders around them.
fn affected(seen: &SeenTrees) -> HashSet<TreeId> {
    let mut around: HashMap<TreeId, Vec<TreeId>> = HashMap::new();
    for (inside, outside) in &seen.edges {
        around.entry(*inside).or_default().push(*outside);
    }
    let mut affected = seen.damaged.clone();
    let mut todo: Vec<TreeId> = affected.iter().copied().collect();
    while let Some(tree) = todo.pop() {
        for outside in around.get(&tree).into_iter().flatten() {
            if affected.insert(*outside) {
                todo.push(*outside);
            }
        }
    }
    affected
}
