//! Plans of prune over made-up index files.

use super::{
    super::{super::index_file::IndexFile, MaxUnused},
    *,
};
use proptest::prelude::*;

fn id(number: u8) -> Id {
    Id::new([number; 32])
}

fn blob(number: u8, offset: u32, length: u32) -> PackedBlob {
    PackedBlob { kind: BlobType::Data, id: id(number), offset, length, plain_length: 0 }
}

/// A vault whose packs hold these blobs, each of 1000 bytes; one index file a pack.
fn vault(packs: &[(u8, &[u8])]) -> Inventory {
    let mut inventory = Inventory { index_files: Vec::new(), packs: HashMap::new() };
    for (number, (name, blobs)) in packs.iter().enumerate() {
        let blobs: Vec<PackedBlob> =
            blobs.iter().zip(0_u32..).map(|(one, at)| blob(*one, at * 1000, 1000)).collect();
        inventory.packs.insert(id(*name), pack_size(blobs.iter().copied()));
        let blobs = blobs.into_iter().map(Into::into).collect();
        let pack = IndexedPack { id: id(*name), time: None, size: None, blobs };
        let file = IndexFile { packs: vec![pack], ..IndexFile::default() };
        inventory.index_files.push((id(200 + u8::try_from(number).unwrap()), file));
    }
    inventory
}

fn used(blobs: &[u8]) -> Used {
    Used::of([], blobs.iter().map(|one| id(*one)))
}

fn options(max: u64) -> PruneOptions {
    PruneOptions { max_unused: MaxUnused::Bytes(max), join_small: false, allow_empty: false }
}

fn names(list: &[(Id, u64)]) -> Vec<Id> {
    list.iter().map(|(id, _)| *id).collect()
}

#[test]
fn packs_without_use_go_and_the_emptiest_are_packed_anew() {
    let vault = vault(&[(101, &[1, 2]), (102, &[3, 4, 5, 6]), (103, &[7, 8])]);
    let plan = plan(&vault, &used(&[3, 4, 5, 7]), &options(1000)).unwrap();
    assert_eq!(names(&plan.remove), [id(101)]);
    // of 103 half is unused, of 102 a quarter
    assert_eq!(plan.repack.iter().map(|pack| pack.id).collect::<Vec<_>>(), [id(103)]);
    assert_eq!(plan.report().unused_kept_bytes, 1000);
    assert_eq!(plan.replace, [id(200), id(202)]);
    assert!(plan.keep.is_empty());
}

#[test]
fn nothing_is_repacked_when_the_unused_part_is_allowed() {
    let vault = vault(&[(101, &[1, 2]), (102, &[3])]);
    let plan = plan(&vault, &used(&[1, 3]), &options(1000)).unwrap();
    assert!(plan.repack.is_empty() && plan.remove.is_empty() && plan.replace.is_empty());
}

#[test]
fn of_a_blob_that_is_there_twice_one_stays_in_the_fuller_pack() {
    let vault = vault(&[(101, &[1, 9, 8]), (102, &[1, 2])]);
    let plan = plan(&vault, &used(&[1, 2]), &options(0)).unwrap();
    assert_eq!((names(&plan.remove), plan.repack.len()), (vec![id(101)], 0));
}

#[test]
fn packs_that_no_index_names_go() {
    let mut vault = vault(&[(101, &[1])]);
    vault.packs.insert(id(150), 77);
    let plan = plan(&vault, &used(&[1]), &options(0)).unwrap();
    assert_eq!(plan.orphans, [(id(150), 77)]);
    assert_eq!(plan.report().freed_bytes, 77);
}

#[test]
fn a_missing_or_short_pack_stops_everything_if_it_is_needed_and_goes_from_the_index_if_not() {
    let mut one = vault(&[(101, &[1]), (102, &[2])]);
    one.packs.remove(&id(101));
    let error = plan(&one, &used(&[1, 2]), &options(0)).unwrap_err();
    assert!(error.to_string().contains("it is missing"), "{error}");
    assert_eq!(names(&plan(&one, &used(&[2]), &options(0)).unwrap().remove), [id(101)]);
    one.packs.insert(id(101), 5);
    let error = plan(&one, &used(&[1, 2]), &options(0)).unwrap_err();
    assert!(error.to_string().contains("it has 5 bytes"), "{error}");
    let error = plan(&one, &used(&[2, 3]), &options(0)).unwrap_err();
    assert!(matches!(error, VaultError::Missing { .. } | VaultError::Damaged { .. }), "{error}");
}

#[test]
fn what_a_replaced_index_file_names_besides_is_named_anew() {
    let mut vault = vault(&[(101, &[1]), (102, &[2]), (103, &[3])]);
    let moved = vault.index_files.remove(1).1;
    vault.index_files[0].1.packs.extend(moved.packs);
    let plan = plan(&vault, &used(&[2, 3]), &options(0)).unwrap();
    assert_eq!(plan.replace, [id(200)]);
    assert_eq!(plan.keep.iter().map(|pack| pack.id).collect::<Vec<_>>(), [id(102)]);
}

#[test]
fn small_packs_are_joined_only_when_asked_and_not_alone() {
    let two = vault(&[(101, &[1]), (102, &[2])]);
    let join = PruneOptions { join_small: true, ..options(0) };
    assert_eq!(plan(&two, &used(&[1, 2]), &join).unwrap().repack.len(), 2);
    assert_eq!(plan(&two, &used(&[1, 2]), &options(0)).unwrap().repack.len(), 0);
    let one = vault(&[(101, &[1])]);
    assert_eq!(plan(&one, &used(&[1]), &join).unwrap().repack.len(), 0);
}

proptest! {
    #[test]
    fn every_blob_in_use_survives_and_every_other_pack_is_accounted_for(
        packs in proptest::collection::vec(proptest::collection::vec(0_u8..40, 1..6), 1..12),
        wanted in proptest::collection::btree_set(0_u8..40, 0..20),
        max in 0_u64..8000,
    ) {
        let packs: Vec<(u8, Vec<u8>)> = packs
            .into_iter()
            .enumerate()
            .map(|(number, mut blobs)| {
                blobs.sort_unstable();
                blobs.dedup();
                (100 + u8::try_from(number).unwrap(), blobs)
            })
            .collect();
        let there: HashSet<u8> = packs.iter().flat_map(|(_, blobs)| blobs.clone()).collect();
        let wanted: Vec<u8> = wanted.into_iter().filter(|one| there.contains(one)).collect();
        let borrowed: Vec<(u8, &[u8])> = packs.iter().map(|(name, blobs)| (*name, &blobs[..])).collect();
        let vault = vault(&borrowed);
        let plan = plan(&vault, &used(&wanted), &options(max)).unwrap();
        let going: HashSet<Id> =
            plan.remove.iter().map(|(id, _)| *id).chain(plan.repack.iter().map(|pack| pack.id)).collect();
        let stays = packs.iter().filter(|(name, _)| !going.contains(&id(*name)));
        let mut left: HashSet<Id> = stays.flat_map(|(_, blobs)| blobs).map(|one| id(*one)).collect();
        left.extend(plan.repack.iter().flat_map(|pack| &pack.needed).map(|blob| blob.id));
        prop_assert!(wanted.iter().all(|one| left.contains(&id(*one))));
        prop_assert!(plan.report().unused_kept_bytes <= max);
    }
}
