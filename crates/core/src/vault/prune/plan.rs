//! Which packs go, which are packed anew, which index files are replaced. Pure.

use super::{
    super::{
        error::{VaultError, VaultResult},
        format::{PackedBlob, pack_size},
        index_file::IndexedPack,
        reader::blob_word,
        store::file_name,
    },
    PruneOptions, PruneReport,
    inventory::Inventory,
    used::Used,
};
use rustic_core::{
    Id,
    repofile::{BlobType, FileType},
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Smaller packs than this (bytes) are joined when somebody asks for it.
const SMALL_DATA: u64 = 8 << 20;
/// See [`SMALL_DATA`].
const SMALL_TREES: u64 = 1 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Packs of the index without any use, with their sizes (0: the file is gone already).
    pub remove: Vec<(Id, u64)>,
    /// Packs that go when what is used of them is stored anew.
    pub repack: Vec<Repack>,
    /// Packs that no index names.
    pub orphans: Vec<(Id, u64)>,
    /// Index files that name something that goes.
    pub replace: Vec<Id>,
    /// What the new index files must name, new packs aside.
    pub keep: Vec<IndexedPack>,
    used_bytes: u64,
    unused_bytes: u64,
    unused_kept: u64,
}

/// A pack that is packed anew.
#[derive(Debug)]
pub(super) struct Repack {
    pub id: Id,
    /// Bytes of the file.
    pub size: u64,
    pub needed: Vec<PackedBlob>,
}

/// One pack of the index.
struct Pack<'a> {
    indexed: &'a IndexedPack,
    /// Bytes of the file; `None`: it is gone.
    size: Option<u64>,
    needed: Vec<PackedBlob>,
    used: u64,
    unused: u64,
}

impl Pack<'_> {
    fn is_small(&self) -> bool {
        let trees = self.needed.iter().any(|blob| blob.kind == BlobType::Tree);
        self.size.is_some_and(|size| size < if trees { SMALL_TREES } else { SMALL_DATA })
    }
}

pub(super) fn plan(inventory: &Inventory, used: &Used, options: &PruneOptions) -> VaultResult<Plan> {
    let mut packs = packs(inventory);
    assign(&mut packs, used)?;
    let mut plan = Plan::default();
    for pack in packs.values() {
        plan.used_bytes += pack.used;
        plan.unused_bytes += pack.unused;
    }
    let allowed = options.max_unused.bytes(plan.used_bytes);
    let mut partly: Vec<&Pack<'_>> = Vec::new();
    for pack in packs.values() {
        if pack.needed.is_empty() {
            plan.remove.push((pack.indexed.id, pack.size.unwrap_or(0)));
        } else if pack.unused > 0 || options.join_small && pack.is_small() {
            partly.push(pack);
        }
    }
    if partly.iter().filter(|pack| pack.unused == 0).count() == 1 {
        // one small pack alone has nobody to be joined with
        partly.retain(|pack| pack.unused > 0);
    }
    // the emptiest first: they give most for what is written
    partly.sort_by(|a, b| {
        let share = |of: &Pack<'_>, by: &Pack<'_>| u128::from(of.unused) * u128::from(by.used + by.unused);
        share(b, a).cmp(&share(a, b)).then(a.indexed.id.cmp(&b.indexed.id))
    });
    let mut left: u64 = partly.iter().map(|pack| pack.unused).sum();
    for pack in partly {
        if left <= allowed && !(options.join_small && pack.is_small()) {
            continue;
        }
        left -= pack.unused;
        let size = pack.size.unwrap_or(0);
        plan.repack.push(Repack { id: pack.indexed.id, size, needed: pack.needed.clone() });
    }
    plan.unused_kept = left;
    plan.orphans = inventory
        .packs
        .iter()
        .filter(|(id, _)| !packs.contains_key(id))
        .map(|(id, size)| (*id, *size))
        .collect();
    plan.orphans.sort_unstable();
    plan.replace_index(inventory);
    Ok(plan)
}

/// All packs of the index, by id.
fn packs(inventory: &Inventory) -> BTreeMap<Id, Pack<'_>> {
    let mut packs = BTreeMap::new();
    for indexed in inventory.index_files.iter().flat_map(|(_, file)| &file.packs) {
        packs.entry(indexed.id).or_insert_with(|| Pack {
            indexed,
            size: inventory.packs.get(&indexed.id).copied(),
            needed: Vec::new(),
            used: 0,
            unused: 0,
        });
    }
    packs
}

/// Gives every blob in use to one pack that has it; the rest is unused.
fn assign(packs: &mut BTreeMap<Id, Pack<'_>>, used: &Used) -> VaultResult<()> {
    let blobs = |pack: &IndexedPack| -> Vec<PackedBlob> {
        pack.blobs.iter().map(|blob| PackedBlob::from(*blob)).collect()
    };
    // how much of each pack is in use, copies counted everywhere: the fullest pack gets what several have
    let worth: HashMap<Id, u64> = packs
        .iter()
        .map(|(id, pack)| {
            let (mut inside, mut all) = (0_u64, 1_u64);
            for blob in blobs(pack.indexed) {
                all += u64::from(blob.length);
                inside += if used.contains(blob.kind, &blob.id) { u64::from(blob.length) } else { 0 };
            }
            (*id, u64::try_from(u128::from(inside) * 1_000_000 / u128::from(all)).unwrap_or(0))
        })
        .collect();
    let mut order: Vec<Id> = packs.keys().copied().collect();
    order.sort_by_key(|id| (std::cmp::Reverse(worth[id]), *id));
    let mut given: HashSet<(bool, Id)> = HashSet::new();
    let mut unsound = None;
    for id in order {
        let Some(pack) = packs.get_mut(&id) else { continue };
        let all = blobs(pack.indexed);
        let should = pack_size(all.iter().copied());
        let sound = pack.size == Some(should);
        for blob in all {
            let wanted = used.contains(blob.kind, &blob.id);
            if sound && wanted && given.insert((blob.kind == BlobType::Tree, blob.id)) {
                pack.used += u64::from(blob.length);
                pack.needed.push(blob);
            } else {
                pack.unused += u64::from(blob.length);
            }
        }
        if !sound && unsound.is_none() {
            let why = match pack.size {
                Some(size) => format!("it has {size} bytes instead of {should}"),
                None => "it is missing".to_owned(),
            };
            unsound = Some(VaultError::damaged("pack", file_name(FileType::Pack, &id), why));
        }
    }
    for (kind, id) in used.all() {
        if !given.contains(&(kind == BlobType::Tree, *id)) {
            let missing = VaultError::Missing { what: blob_word(kind), id: id.to_hex().to_string() };
            return Err(unsound.unwrap_or(missing));
        }
    }
    Ok(())
}

impl Plan {
    /// Packs whose files go, with their sizes.
    pub(super) fn packs_going(&self, inventory: &Inventory) -> impl Iterator<Item = (Id, u64)> {
        let repacked = self.repack.iter().map(|pack| (pack.id, pack.size));
        let all = self.remove.iter().copied().chain(repacked).chain(self.orphans.iter().copied());
        all.filter(|(id, _)| inventory.packs.contains_key(id))
    }

    /// Which index files must be replaced, and what their successors name.
    fn replace_index(&mut self, inventory: &Inventory) {
        let going: HashSet<Id> =
            self.remove.iter().map(|(id, _)| *id).chain(self.repack.iter().map(|pack| pack.id)).collect();
        let touched = |file: &super::super::index_file::IndexFile| {
            !file.packs_to_delete.is_empty() || file.packs.iter().any(|pack| going.contains(&pack.id))
        };
        let mut named: HashSet<Id> = HashSet::new();
        for (_, file) in inventory.index_files.iter().filter(|(_, file)| !touched(file)) {
            named.extend(file.packs.iter().map(|pack| pack.id));
        }
        for (id, file) in inventory.index_files.iter().filter(|(_, file)| touched(file)) {
            self.replace.push(*id);
            let stays = file.packs.iter().filter(|pack| !going.contains(&pack.id));
            self.keep.extend(stays.filter(|pack| named.insert(pack.id)).cloned());
        }
    }

    /// What it comes to.
    pub(super) fn report(&self) -> PruneReport {
        let sum = |list: &[(Id, u64)]| list.iter().map(|(_, size)| size).sum::<u64>();
        let repacked: u64 = self.repack.iter().map(|pack| pack.size).sum();
        let needed = self.repack.iter().flat_map(|pack| &pack.needed);
        let rewritten: u64 = needed.map(|blob| u64::from(blob.length)).sum();
        let (removed, orphans) = (sum(&self.remove), sum(&self.orphans));
        PruneReport {
            used_bytes: self.used_bytes,
            unused_bytes: self.unused_bytes,
            packs_removed: self.remove.len() as u64,
            packs_removed_bytes: removed,
            packs_repacked: self.repack.len() as u64,
            packs_repacked_bytes: repacked,
            rewritten_bytes: rewritten,
            orphans_removed: self.orphans.len() as u64,
            orphans_removed_bytes: orphans,
            index_files_replaced: self.replace.len() as u64,
            freed_bytes: (removed + repacked + orphans).saturating_sub(rewritten),
            unused_kept_bytes: self.unused_kept,
            ..PruneReport::default()
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
