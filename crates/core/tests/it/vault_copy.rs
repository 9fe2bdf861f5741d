//! Copy from vault to vault: same trees, same seals, nothing twice, and stock restic judges both.

use crate::support::vaults;
use ghevault_core::vault::{CheckDepth, CopyReport, NewKeys, SnapshotId, TreeId, Vault, VaultError};
use std::{
    collections::HashSet,
    fs,
    sync::atomic::{AtomicU64, Ordering},
};
use vaults::*;

fn destination(scratch: &Scratch) -> Vault {
    let (place, password) = (folder(scratch.dir.path().join("second")), password());
    let keys = NewKeys { kms: None, passwords: &[(None, &password)] };
    Vault::init_like(&place, &keys, Some(&scratch.vault)).unwrap()
}

fn copy(from: &Vault, to: &Vault, wanted: Option<&[SnapshotId]>) -> Result<CopyReport, VaultError> {
    let lease = to.lock_for_writing("copy", LEASE).unwrap();
    to.copy_from(from, wanted, &lease, &|| false, &|_, _| {})
}

fn store(scratch: &Scratch, seeds: &[u64]) -> (SnapshotId, TreeId) {
    let contents: Vec<(String, Vec<u8>)> =
        seeds.iter().map(|seed| (format!("file-{seed}"), random(*seed, 3_000_000))).collect();
    let files: Vec<(&str, &[u8])> = contents.iter().map(|(n, c)| (n.as_str(), &c[..])).collect();
    let (id, tree, _) = scratch.store(|_, writer| tree_of(writer, &files));
    (id, tree)
}

#[track_caller]
fn sound(vault: &Vault) {
    let report = vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert!(
        restic(std::path::Path::new(&vault.location().to_string()), &["check", "--read-data"])
            .status
            .success()
    );
}

#[test]
fn snapshots_arrive_with_their_trees_and_only_what_is_missing_is_read() {
    let scratch = Scratch::new();
    let second = destination(&scratch);
    let (first, tree) = store(&scratch, &[1, 2]);
    let report = copy(&scratch.vault, &second, None).unwrap();
    assert!(report.same_chunker && report.bytes_read > 6_000_000, "{report:?}");
    let there = second.snapshots().unwrap().snapshots;
    assert_eq!((there.len(), there[0].tree), (1, tree));
    let (newer, _) = store(&scratch, &[1, 2, 3]);
    let report = copy(&scratch.vault, &second, None).unwrap();
    assert!((3_000_000..3_200_000).contains(&report.bytes_read), "{report:?}");
    // both drafts bear the same time, so that their order is open
    let rows: HashSet<_> = report.snapshots.iter().map(|row| (row.source, row.present)).collect();
    assert_eq!(rows, [(first, true), (newer, false)].into());
    let again = copy(&scratch.vault, &second, None).unwrap();
    assert_eq!((again.bytes_read, again.bytes_added), (0, 0));
    assert_eq!(second.snapshots().unwrap().snapshots.len(), 2);
    sound(&second);
    sound(&scratch.vault);
}

#[test]
fn the_source_is_not_written_to() {
    let scratch = Scratch::new();
    let second = destination(&scratch);
    store(&scratch, &[1]);
    let all = |kinds: [&str; 5]| kinds.map(|kind| files(&scratch, kind));
    let before = all(["data", "index", "snapshots", "keys", "ghevault"]);
    // another writer works on the source meanwhile
    let _lease = scratch.lease();
    let leases = files(&scratch, "ghevault");
    copy(&scratch.vault, &second, None).unwrap();
    assert_eq!(all(["data", "index", "snapshots", "keys", "ghevault"])[..4], before[..4]);
    assert_eq!(files(&scratch, "ghevault"), leases);
}

#[test]
fn a_later_backup_into_the_copy_adds_nothing() {
    let scratch = Scratch::new();
    let second = destination(&scratch);
    let content = random(7, 9_000_000);
    let (_, tree, _) = scratch.store(|_, w| tree_of(w, &[("a", &content)]));
    copy(&scratch.vault, &second, None).unwrap();
    let lease = second.lock_for_writing("backup", LEASE).unwrap();
    let writer = second.writer(&second.index().unwrap(), &lease).unwrap();
    assert_eq!(tree_of(&writer, &[("a", &content)]), tree);
    assert_eq!(writer.finish().unwrap().bytes_stored, 0);
    let other = Scratch::new();
    assert!(!other.vault.same_chunker(&second) && scratch.vault.same_chunker(&second));
}

#[test]
fn snapshots_of_stock_restic_are_copied_byte_for_byte() {
    let scratch = Scratch::new();
    let second = destination(&scratch);
    let source = scratch.dir.path().join("source");
    nasty_source(&source);
    assert!(scratch.restic(&["backup", source.to_str().unwrap()]).status.success());
    copy(&scratch.vault, &second, None).unwrap();
    sound(&second);
    let trees = |vault: &Vault| vault.snapshots().unwrap().snapshots[0].tree;
    assert_eq!(trees(&second), trees(&scratch.vault));
}

#[test]
fn a_copy_that_is_ended_goes_on_later() {
    let scratch = Scratch::new();
    let second = destination(&scratch);
    store(&scratch, &[1, 2, 3, 4]);
    let asked = AtomicU64::new(0);
    let lease = second.lock_for_writing("copy", LEASE).unwrap();
    let ended = || asked.fetch_add(1, Ordering::SeqCst) > 6;
    let report = second.copy_from(&scratch.vault, None, &lease, &ended, &|_, _| {}).unwrap();
    drop(lease);
    assert!(report.interrupted && report.bytes_added > 0, "{report:?}");
    assert!(second.snapshots().unwrap().snapshots.is_empty());
    let rest = copy(&scratch.vault, &second, None).unwrap();
    assert!(rest.bytes_read < 12_000_000, "{rest:?}");
    sound(&second);
}

#[test]
fn damage_at_the_source_is_named_and_not_copied() {
    let scratch = Scratch::new();
    let second = destination(&scratch);
    store(&scratch, &[1]);
    let pack =
        files(&scratch, "data").into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    bytes[1000] ^= 1;
    fs::write(&pack, bytes).unwrap();
    let error = copy(&scratch.vault, &second, None).unwrap_err();
    assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
    assert!(second.snapshots().unwrap().snapshots.is_empty());
    let same = copy(&scratch.vault, &scratch.vault, None).unwrap_err();
    assert!(same.to_string().contains("the same vault"), "{same}");
}
