//! Trees: every folder of the snapshots loads, and everything in it is in the index with a size that agrees.

use super::{
    super::{
        error::{VaultError, VaultResult},
        reader::VaultReader,
        snapshot::Snapshot,
    },
    CheckReport, DamageKind, Findings,
};
use rustic_core::{
    Id, TreeId,
    repofile::{BlobType, Node, Tree},
};
use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// What is remembered of the trees, to find the way from a damage back to the snapshots.
#[derive(Default)]
pub(super) struct SeenTrees {
    /// Folder inside, folder outside.
    pub edges: Vec<(TreeId, TreeId)>,
    /// Folders in which something is damaged.
    pub damaged: HashSet<TreeId>,
}

pub(super) fn check(
    reader: &VaultReader,
    snapshots: &[Snapshot],
    findings: &mut Findings,
    report: &mut CheckReport,
) -> SeenTrees {
    let mut seen = SeenTrees::default();
    let mut known: HashSet<TreeId> = HashSet::new();
    let mut level: Vec<TreeId> = snapshots.iter().map(|s| s.tree).filter(|t| known.insert(*t)).collect();
    // level by level, so that the threads have something to share
    while !level.is_empty() {
        report.trees += level.len() as u64;
        let mut below = Vec::new();
        for (id, tree) in load(reader, &level) {
            let tree = match tree {
                Ok(tree) => tree,
                Err(error) => {
                    lost_tree(reader, id, &error, findings);
                    seen.damaged.insert(id);
                    continue;
                }
            };
            for node in &tree.nodes {
                if let Some(inside) = node.subtree {
                    seen.edges.push((inside, id));
                    if known.insert(inside) {
                        below.push(inside);
                    }
                }
                if !check_content(reader, node, findings) {
                    seen.damaged.insert(id);
                }
            }
        }
        level = below;
    }
    seen
}

fn load(reader: &VaultReader, level: &[TreeId]) -> Vec<(TreeId, VaultResult<Tree>)> {
    let next = AtomicUsize::new(0);
    let loaded = Mutex::new(Vec::with_capacity(level.len()));
    let work = || {
        while let Some(id) = level.get(next.fetch_add(1, Ordering::Relaxed)) {
            let tree = reader.tree(id);
            loaded.lock().unwrap_or_else(PoisonError::into_inner).push((*id, tree));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8).min(level.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    loaded.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lost_tree(reader: &VaultReader, id: TreeId, error: &VaultError, findings: &mut Findings) {
    let id: Id = id.into_inner();
    if findings.of_blob(&reader.index, BlobType::Tree, &id).is_some() {
        return;
    }
    if matches!(error, VaultError::Missing { .. }) {
        findings.missing_blob(BlobType::Tree, id, error);
    } else {
        let at = findings.add(DamageKind::Tree, id.to_hex().to_string(), error);
        findings.lost_blob(BlobType::Tree, id, at);
    }
}

/// Whether a file's blobs are all held and add up to its size.
fn check_content(reader: &VaultReader, node: &Node, findings: &mut Findings) -> bool {
    let mut size = 0;
    let mut sound = true;
    for blob in node.content.iter().flatten() {
        let id: Id = blob.into_inner();
        match reader.data_size(blob) {
            Some(bytes) => size += bytes,
            None if findings.of_blob(&reader.index, BlobType::Data, &id).is_none() => {
                findings.missing_blob(BlobType::Data, id, &"a file needs it, and no index names it");
            }
            None => {}
        }
        sound &= findings.of_blob(&reader.index, BlobType::Data, &id).is_none();
    }
    if sound && node.is_file() && size != node.meta.size {
        findings.wrong_size(node, size);
        sound = false;
    }
    sound
}
