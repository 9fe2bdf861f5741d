//! What a check found.

use super::super::{index::Index, snapshot::SnapshotId};
use rustic_core::{
    Id,
    repofile::{BlobType, Node},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
};

/// Damages that are listed; of more only the number is known.
pub const DAMAGES_MAX: usize = 1_000;
/// Paths that are listed for one damage.
pub const TOUCHED_MAX: usize = 100;

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DamageKind {
    /// A key file.
    Key,
    /// A snapshot file: this snapshot cannot be restored by name.
    Snapshot,
    /// An index file: what only it names cannot be found.
    Index,
    /// A pack that is named by an index and is not there.
    PackMissing,
    /// A pack of another size than the index says.
    PackSize,
    /// A pack whose bytes are not those that were written.
    PackContent,
    /// A tree or data blob that a snapshot needs and no index names.
    BlobMissing,
    /// A tree that cannot be read although its pack looked sound.
    Tree,
    /// A file whose blobs do not add up to its size.
    FileSize,
}

/// Something that a damage costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Touched {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The file or folder in it, raw bytes; empty for all of it.
    pub path: Vec<u8>,
}

/// One damage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What it is.
    pub kind: DamageKind,
    /// The file, relative to the vault; for a blob its id; for a wrong size the file's name in its folder.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
    /// What it costs, at most [`TOUCHED_MAX`] entries.
    pub touched: Vec<Touched>,
    /// How many entries it touches in all.
    pub touched_total: u64,
}

/// Result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Snapshots whose trees were checked.
    pub snapshots: u64,
    /// Different folders in them.
    pub trees: u64,
    /// Packs that an index names.
    pub packs: u64,
    /// Bytes that were read from packs (depth content), or their size in all (depth presence).
    pub bytes: u64,
    /// Blobs that were authenticated (depth content).
    pub blobs_read: u64,
    /// Packs that no index names: left by a killed writer, harmless, removed by prune.
    pub orphan_packs: u64,
    /// Their size in bytes.
    pub orphan_bytes: u64,
    /// What is damaged, at most [`DAMAGES_MAX`].
    pub damages: Vec<Damage>,
    /// How many damages there are in all.
    pub damages_total: u64,
}

impl CheckReport {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages_total == 0
    }
}

/// Number of a damage in the list; the last of it stands for all that are not listed.
pub(super) type DamageAt = usize;

/// Damages while they are being found.
#[derive(Default)]
pub(super) struct Findings {
    damages: Vec<Damage>,
    more: u64,
    packs: HashMap<Id, DamageAt>,
    blobs: HashMap<(BlobType, Id), DamageAt>,
    /// The damage that stands for everything that no index names: a damaged index file.
    index: Option<DamageAt>,
    sizes: BTreeMap<Node, DamageAt>,
}

impl Findings {
    pub(super) fn add(&mut self, kind: DamageKind, file: String, why: &dyn Display) -> DamageAt {
        if self.damages.len() < DAMAGES_MAX {
            let why = why.to_string();
            self.damages.push(Damage { kind, file, why, touched: Vec::new(), touched_total: 0 });
            self.damages.len() - 1
        } else {
            self.more += 1;
            DAMAGES_MAX
        }
    }

    /// Nothing in this pack can be relied on.
    pub(super) fn lost_pack(&mut self, pack: Id, at: DamageAt) {
        self.packs.insert(pack, at);
    }

    pub(super) fn lost_blob(&mut self, kind: BlobType, id: Id, at: DamageAt) {
        self.blobs.insert((kind, id), at);
    }

    /// An index file that cannot be read.
    pub(super) fn lost_index(&mut self, at: DamageAt) {
        self.index.get_or_insert(at);
    }

    /// A blob that no index names.
    pub(super) fn missing_blob(&mut self, kind: BlobType, id: Id, why: &dyn Display) {
        let at = match self.index {
            Some(at) => at,
            None => self.add(DamageKind::BlobMissing, id.to_hex().to_string(), why),
        };
        self.lost_blob(kind, id, at);
    }

    /// A file whose blobs do not add up.
    pub(super) fn wrong_size(&mut self, node: &Node, size: u64) {
        if !self.sizes.contains_key(node) {
            let why = format!("it should have {} bytes and has {size}", node.meta.size);
            let at = self.add(DamageKind::FileSize, node.name.clone(), &why);
            self.sizes.insert(node.clone(), at);
        }
    }

    pub(super) fn of_size(&self, node: &Node) -> Option<DamageAt> {
        self.sizes.get(node).copied()
    }

    /// Whether any damage touches snapshots through their trees.
    pub(super) fn any_in_trees(&self) -> bool {
        self.any_blob() || !self.sizes.is_empty()
    }

    fn any_blob(&self) -> bool {
        !self.blobs.is_empty() || !self.packs.is_empty()
    }

    /// The damage that costs a blob.
    pub(super) fn of_blob(&self, index: &Index, kind: BlobType, id: &Id) -> Option<DamageAt> {
        if !self.any_blob() {
            return None;
        }
        let by_pack = || self.packs.get(&index.locate(kind, id)?.pack);
        self.blobs.get(&(kind, *id)).or_else(by_pack).copied()
    }

    pub(super) fn touch(&mut self, at: DamageAt, snapshot: SnapshotId, path: Vec<u8>) {
        if let Some(damage) = self.damages.get_mut(at) {
            damage.touched_total += 1;
            if damage.touched.len() < TOUCHED_MAX {
                damage.touched.push(Touched { snapshot, path });
            }
        }
    }

    pub(super) fn into_damages(self) -> (Vec<Damage>, u64) {
        let total = self.damages.len() as u64 + self.more;
        (self.damages, total)
    }
}
