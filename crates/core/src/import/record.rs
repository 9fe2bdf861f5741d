//! `ghevault/import.json`: inside a snapshot that was taken over, where it came from; by it nothing is taken over twice.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    seal::{self, Outcome, Source},
    vault::{SnapshotId, SnapshotList, TreeId, VaultError, VaultReader, tree_hex},
};

/// Where the record stands in a snapshot.
pub const FILE: &str = "ghevault/import.json";

/// Where a snapshot was taken over from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRecord {
    /// Version of this form.
    pub format: u32,
    /// Kind of the source.
    pub source: Source,
    /// Name of the snapshot directory, without the mark of a previous MySQL cycle.
    pub name: String,
    /// UUID of the appliance; empty for clusters.
    pub uuid: String,
    /// Digest over names, sizes and times of the files in the directory's root, hexadecimal.
    pub fingerprint: String,
}

/// A snapshot of the vault that was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Its tree.
    pub tree: TreeId,
    /// What it is worth.
    pub outcome: Outcome,
    /// Where it came from.
    pub record: ImportRecord,
}

/// The digest that tells a snapshot directory from another one of the same name: over its root's files, which every run writes anew.
#[must_use]
pub fn fingerprint(files: impl IntoIterator<Item = (Vec<u8>, u64, jiff::Timestamp)>) -> String {
    let mut lines: Vec<Vec<u8>> = files
        .into_iter()
        .filter(|(name, ..)| name != b"incomplete" && !name.ends_with(b"+"))
        .map(|(name, size, mtime)| {
            [&name[..], format!(" {size} {}\n", mtime.as_nanosecond()).as_bytes()].concat()
        })
        .collect();
    lines.sort();
    hex::encode(Sha256::digest(lines.concat()))
}

/// The sealed snapshots of a vault that were taken over, oldest first.
///
/// # Errors
/// The vault cannot be read. A record that cannot be understood counts as none.
pub fn recorded(list: &SnapshotList, reader: &VaultReader) -> Result<Vec<Recorded>, VaultError> {
    let mut all = Vec::new();
    for snapshot in &list.snapshots {
        let Ok(seal) = seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree)) else {
            continue;
        };
        if seal.manifest.source == Source::Datasets {
            continue;
        }
        let Some(node) = reader.node_at(snapshot.tree, FILE)? else { continue };
        let mut bytes = Vec::new();
        reader.dump(&node, &mut bytes)?;
        if let Ok(record) = serde_json::from_slice(&bytes) {
            let (snapshot, tree, outcome) = (snapshot.id, snapshot.tree, seal.manifest.outcome);
            all.push(Recorded { snapshot, tree, outcome, record });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_depends_on_the_files_and_not_on_their_order_or_on_left_overs() {
        let time = |n: i64| jiff::Timestamp::from_second(n).expect("a time");
        let (a, b) = ((b"a".to_vec(), 1, time(1)), (b"b".to_vec(), 2, time(2)));
        let left = (b"secret+".to_vec(), 0, time(9));
        let one = fingerprint([a.clone(), b.clone()]);
        assert_eq!(one, fingerprint([b.clone(), left, a.clone()]));
        assert_ne!(one, fingerprint([a, (b"b".to_vec(), 2, time(3))]));
    }
}
