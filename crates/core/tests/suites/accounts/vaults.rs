//! Small vaults for tests: something random in, everything checked.

use ghevault_core::vault::{
    CheckDepth, Collector, Metadata, Node, NodeType, Password, Snapshot, SnapshotDraft, Tree, TreeId, Vault,
    VaultError, VaultLocation, sort_nodes,
};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::{ffi::OsStr, time::Duration};

pub const LEASE: Duration = Duration::from_mins(2);

pub fn password() -> Password {
    Password::new(crate::accounts::PASSWORD)
}

pub fn random(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

pub fn draft(tree: TreeId) -> SnapshotDraft {
    SnapshotDraft {
        tags: vec!["complete".into()],
        ..SnapshotDraft::new(jiff::Timestamp::now(), tree, "ghe-prod")
    }
}

/// Stores one snapshot with files of random content; gives the tree.
pub fn store(vault: &Vault, seed: u64, files: usize, size: usize) -> Result<TreeId, VaultError> {
    let lease = vault.lock_for_writing("test", LEASE)?;
    let reader = vault.index()?;
    let writer = vault.writer(&reader, &lease)?;
    let mut nodes = Vec::new();
    for number in 0..files {
        let stored = writer.put_bytes(random(seed * 1000 + number as u64, size))?;
        let mut node =
            Node::new_node(OsStr::new(&format!("file-{number}")), NodeType::File, Metadata::default());
        (node.meta.size, node.meta.mode, node.content) = (stored.size, Some(0o644), Some(stored.content));
        nodes.push(node);
    }
    sort_nodes(&mut nodes);
    let tree = writer.put_tree(&Tree { nodes })?;
    writer.finish()?;
    vault.commit(&draft(tree), &Collector::new().verdict()?, &lease)?;
    Ok(tree)
}

/// All snapshots; none may be damaged.
pub fn snapshots(location: &VaultLocation) -> Vec<Snapshot> {
    let list = Vault::open(location, &password()).unwrap().snapshots().unwrap();
    assert!(list.damaged.is_empty(), "{:?}", list.damaged);
    list.snapshots
}

/// Reads everything back.
pub fn assert_sound(vault: &Vault) {
    let report = vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap();
    assert!(report.damages.is_empty(), "{:?}", report.damages);
}
