//! Parsers of what stands in a vault, for [`crate::fuzzing`].

use rustic_core::{
    Id,
    repofile::{Node, SnapshotFile, Tree},
};

use super::{
    Snapshot,
    format::{decode_header, decompress, encode_header, pack_size},
    index::Index,
    index_file::IndexFile,
    tree_json::{disorder, encode_tree},
};

/// A pack's header, decrypted.
pub(crate) fn pack_header(bytes: &[u8]) {
    let Some(blobs) = decode_header(bytes) else { return };
    assert_eq!(encode_header(&blobs).len(), bytes.len());
    let _ = pack_size(blobs);
}

/// A compressed blob.
pub(crate) fn compressed(bytes: &[u8]) {
    assert!(decompress(bytes, 1 << 20).is_none_or(|plain| plain.len() <= 1 << 20));
}

/// An index file.
pub(crate) fn index(bytes: &[u8]) {
    let Ok(file) = serde_json::from_slice::<IndexFile>(bytes) else { return };
    let packs = file.packs.iter().chain(&file.packs_to_delete);
    let blobs: Vec<_> = packs.flat_map(|pack| pack.blobs.iter().map(|blob| (blob.kind, blob.id))).collect();
    let mut index = Index::default();
    if index.complete(file).is_ok() {
        for (kind, id) in blobs {
            let _ = index.locate(kind, &id).map(|at| at.plain_size());
        }
    }
}

/// A folder: its entries, if they are in order.
pub(crate) fn tree(bytes: &[u8]) -> Vec<Node> {
    let Ok(tree) = serde_json::from_slice::<Tree>(bytes) else { return Vec::new() };
    let _ = encode_tree(&tree);
    if disorder(&tree.nodes, true).is_some() { Vec::new() } else { tree.nodes }
}

/// A snapshot file: what its description says.
pub(crate) fn snapshot(bytes: &[u8]) -> Option<String> {
    let file = serde_json::from_slice::<SnapshotFile>(bytes).ok()?;
    Snapshot::from_file(Id::default(), &file).description
}
