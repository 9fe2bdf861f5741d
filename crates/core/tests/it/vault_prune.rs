//! Prune: what goes, what stays, who may, and that no state between is unsound; stock restic judges.

use crate::support::vaults;
use ghevault_core::vault::{
    CheckDepth, MaxUnused, PruneOptions, PruneReport, SnapshotId, TreeId, Vault, VaultError,
};
use std::{fs, io::Write as _, path::PathBuf, time::Duration};
use vaults::*;

const ALL: PruneOptions =
    PruneOptions { max_unused: MaxUnused::Bytes(0), join_small: false, allow_empty: false };

fn prune(vault: &Vault, options: &PruneOptions) -> Result<PruneReport, VaultError> {
    let lease = vault.lock_for_writing("prune", LEASE)?;
    vault.prune(options, &lease, &|| false, &|_, _, _| {})
}

fn forget(vault: &Vault, id: SnapshotId) {
    let lease = vault.lock_for_writing("forget", LEASE).unwrap();
    assert!(vault.remove_snapshot(id, &lease).unwrap());
    assert!(!vault.remove_snapshot(id, &lease).unwrap(), "gone already");
}

/// Snapshots of one file of each of these seeds; the content of seeds in common is shared.
fn store(scratch: &Scratch, seeds: &[u64]) -> (SnapshotId, TreeId) {
    let contents: Vec<(String, Vec<u8>)> =
        seeds.iter().map(|seed| (format!("file-{seed}"), random(*seed, 300_000))).collect();
    let files: Vec<(&str, &[u8])> = contents.iter().map(|(n, c)| (n.as_str(), &c[..])).collect();
    let (id, tree, _) = scratch.store(|_, writer| tree_of(writer, &files));
    (id, tree)
}

#[track_caller]
fn sound(scratch: &Scratch) {
    let report = scratch.vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert!(scratch.restic(&["check", "--read-data"]).status.success());
}

fn bytes(scratch: &Scratch) -> u64 {
    files(scratch, "data").iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

#[test]
fn what_no_snapshot_needs_is_freed_and_the_rest_is_whole() {
    let scratch = Scratch::new();
    let (first, _) = store(&scratch, &[1, 2, 3, 4]);
    let (_, tree) = store(&scratch, &[1, 5]);
    forget(&scratch.vault, first);
    let planned = scratch.vault.prune_plan(&ALL, &|_, _, _| {}).unwrap();
    let before = bytes(&scratch);
    let report = prune(&scratch.vault, &ALL).unwrap();
    assert!(
        planned.dry_run && planned.freed_bytes.abs_diff(report.freed_bytes) < 10_000,
        "{planned:?} {report:?}"
    );
    assert!(report.packs_repacked == 1 && report.freed_bytes > 850_000, "{report:?}");
    assert!(before - bytes(&scratch) > 850_000);
    assert!(scratch.vault.index().unwrap().contains_tree(&tree));
    sound(&scratch);
    let again = prune(&scratch.vault, &ALL).unwrap();
    assert_eq!((again.freed_bytes, again.unused_bytes, again.index_files_replaced), (0, 0, 0));
}

#[test]
fn unused_data_within_the_limit_stays_and_is_reported() {
    let scratch = Scratch::new();
    let (first, _) = store(&scratch, &[1, 2]);
    store(&scratch, &[1]);
    forget(&scratch.vault, first);
    let report = prune(
        &scratch.vault,
        &PruneOptions { max_unused: MaxUnused::Percent(200.0), join_small: false, allow_empty: false },
    )
    .unwrap();
    assert!(report.packs_repacked == 0 && report.unused_kept_bytes > 299_000, "{report:?}");
    sound(&scratch);
}

#[test]
fn snapshots_of_other_programs_keep_what_they_need() {
    let scratch = Scratch::new();
    let source = scratch.dir.path().join("source");
    nasty_source(&source);
    let (first, _) = store(&scratch, &[1]);
    assert!(scratch.restic(&["backup", source.to_str().unwrap()]).status.success());
    forget(&scratch.vault, first);
    let report = prune(&scratch.vault, &ALL).unwrap();
    assert!(report.packs_removed >= 1, "{report:?}");
    sound(&scratch);
    let target = scratch.dir.path().join("target");
    assert!(scratch.restic(&["restore", "latest", "--target", target.to_str().unwrap()]).status.success());
}

#[test]
fn small_packs_are_joined() {
    let scratch = Scratch::new();
    for seed in 0..6 {
        store(&scratch, &[seed]);
    }
    let before = files(&scratch, "data").len();
    let report = prune(&scratch.vault, &PruneOptions { join_small: true, ..ALL }).unwrap();
    assert_eq!(report.packs_repacked, before as u64);
    assert_eq!(files(&scratch, "data").len(), 2, "one pack of trees, one of data");
    sound(&scratch);
}

/// A damaged file of each kind that knowledge rests on.
fn knowledge(scratch: &Scratch) -> Vec<PathBuf> {
    ["snapshots", "index", "data"].iter().map(|kind| files(scratch, kind)[0].clone()).collect()
}

#[test]
fn nothing_is_removed_on_incomplete_knowledge() {
    let scratch = Scratch::new();
    let (first, _) = store(&scratch, &[1, 2]);
    store(&scratch, &[1, 3]);
    store(&scratch, &[4]);
    forget(&scratch.vault, first);
    let (packs, index) = (files(&scratch, "data"), files(&scratch, "index"));
    for path in knowledge(&scratch) {
        let whole = fs::read(&path).unwrap();
        for damage in ["missing", "short", "changed"] {
            // a snapshot file that is gone is a snapshot that was forgotten
            let is_snapshot = path.components().any(|part| part.as_os_str() == "snapshots");
            if is_snapshot && damage == "missing" {
                continue;
            }
            match damage {
                "missing" => fs::remove_file(&path).unwrap(),
                "short" => fs::write(&path, &whole[..whole.len() / 2]).unwrap(),
                _ => {
                    let mut changed = whole.clone();
                    changed[whole.len() / 3] ^= 1;
                    fs::write(&path, changed).unwrap();
                }
            }
            let pack = path.components().any(|part| part.as_os_str() == "data");
            let pruned = prune(&scratch.vault, &ALL);
            fs::write(&path, &whole).unwrap();
            if pack && pruned.is_ok() {
                // the pack was not needed
                continue;
            }
            let error = pruned.expect_err(&format!("{damage} {}", path.display()));
            assert!(matches!(error, VaultError::Damaged { .. } | VaultError::Missing { .. }), "{error}");
            let left = files(&scratch, "data");
            assert!(packs.iter().all(|pack| left.contains(pack)), "{damage}");
            let left = files(&scratch, "index");
            assert!(index.iter().all(|file| left.contains(file)), "{damage}");
        }
    }
    prune(&scratch.vault, &ALL).unwrap();
    sound(&scratch);
}

#[test]
fn a_reader_that_runs_beside_finds_what_was_packed_anew() {
    let scratch = Scratch::new();
    let (first, _) = store(&scratch, &[1, 2, 3]);
    let (_, tree) = store(&scratch, &[1]);
    let reader = scratch.vault.index().unwrap();
    forget(&scratch.vault, first);
    assert!(prune(&scratch.vault, &ALL).unwrap().packs_repacked > 0);
    let node = reader.node_at(tree, "file-1").unwrap().unwrap();
    let mut content = Vec::new();
    reader.dump(&node, &mut content).unwrap();
    assert_eq!(content, random(1, 300_000));
}

#[test]
fn only_the_holder_of_the_lease_prunes() {
    let scratch = Scratch::new();
    let (first, _) = store(&scratch, &[1]);
    store(&scratch, &[2]);
    forget(&scratch.vault, first);
    let lease = scratch.vault.lock_for_writing("prune", LEASE).unwrap();
    let backup = scratch.vault.lock_for_writing("backup", LEASE).unwrap_err();
    assert!(matches!(&backup, VaultError::Locked { holder, .. } if holder.contains("prune")), "{backup}");
    let before = files(&scratch, "data");
    for path in files(&scratch, "ghevault/leases") {
        fs::remove_file(path).unwrap();
    }
    let pruned = scratch.vault.prune(&ALL, &lease, &|| false, &|_, _, _| {}).unwrap_err();
    assert!(matches!(pruned, VaultError::LeaseLost { .. }), "{pruned}");
    assert_eq!(files(&scratch, "data"), before);
}

#[test]
fn a_lease_that_is_taken_over_amid_a_prune_stops_it_before_the_next_removal() {
    let scratch = Scratch::new();
    let gone: Vec<SnapshotId> = (1..5).map(|seed| store(&scratch, &[seed]).0).collect();
    store(&scratch, &[9]);
    for id in gone {
        forget(&scratch.vault, id);
    }
    let lease = scratch.vault.lock_for_writing("prune", LEASE).unwrap();
    let usurp = |step, done, _| {
        if step == ghevault_core::vault::PruneStep::Removing && done == 1 {
            let number = lease.token() + 1;
            fs::write(scratch.path().join(format!("ghevault/leases/{number:010}-000000.json")), "{}")
                .unwrap();
        }
    };
    let pruned = scratch.vault.prune(&ALL, &lease, &|| false, &usurp).unwrap_err();
    assert!(matches!(pruned, VaultError::LeaseLost { .. }), "{pruned}");
    drop(lease);
    for path in files(&scratch, "ghevault/leases") {
        fs::remove_file(path).unwrap();
    }
    sound(&scratch);
    assert!(prune(&scratch.vault, &ALL).unwrap().orphans_removed > 0);
    sound(&scratch);
}

#[test]
fn a_prune_that_is_ended_goes_on_later() {
    let scratch = Scratch::new();
    let (first, _) = store(&scratch, &[1, 2, 3]);
    store(&scratch, &[1]);
    forget(&scratch.vault, first);
    for after in 0..4 {
        let left = std::sync::atomic::AtomicU32::new(after);
        let ended = || {
            left.fetch_update(std::sync::atomic::Ordering::SeqCst, std::sync::atomic::Ordering::SeqCst, |n| {
                n.checked_sub(1)
            })
            .is_err()
        };
        let lease = scratch.vault.lock_for_writing("prune", LEASE).unwrap();
        scratch.vault.prune(&ALL, &lease, &ended, &|_, _, _| {}).unwrap();
        drop(lease);
        sound(&scratch);
    }
    assert!(!prune(&scratch.vault, &ALL).unwrap().interrupted);
    assert_eq!(scratch.vault.prune_plan(&ALL, &|_, _, _| {}).unwrap().unused_bytes, 0);
}

#[test]
fn beside_stock_restic_nothing_is_removed() {
    let scratch = Scratch::new();
    let (first, _) = store(&scratch, &[1]);
    store(&scratch, &[2]);
    forget(&scratch.vault, first);
    // restic's backup from a pipe that stays open holds its lock until we are done
    let mut restic = std::process::Command::new("restic")
        .args(["--no-cache", "--repo"])
        .arg(scratch.path())
        .args(["backup", "--stdin"])
        .env("RESTIC_PASSWORD", PASSWORD)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("stock restic must be installed");
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while files(&scratch, "locks").is_empty() {
        assert!(std::time::Instant::now() < deadline, "restic takes no lock");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    // the lock file is written in place: it counts once it is whole
    let refused = loop {
        let pruned = prune(&scratch.vault, &ALL);
        if pruned.is_err() || std::time::Instant::now() > deadline {
            break pruned;
        }
    };
    restic.stdin.take().unwrap().write_all(b"the end").unwrap();
    assert!(restic.wait().unwrap().success());
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, VaultError::Locked { holder, .. } if holder.contains("restic")), "{refused}");
    sound(&scratch);
}

#[test]
fn a_vault_without_any_snapshot_is_emptied_only_when_told() {
    let scratch = Scratch::new();
    let (only, _) = store(&scratch, &[1]);
    forget(&scratch.vault, only);
    let before = files(&scratch, "data");
    let error = prune(&scratch.vault, &ALL).unwrap_err();
    assert!(matches!(error, VaultError::Invalid(_)), "{error}");
    assert_eq!(files(&scratch, "data"), before);
    prune(&scratch.vault, &PruneOptions { allow_empty: true, ..ALL }).unwrap();
    assert_eq!(files(&scratch, "data"), Vec::<PathBuf>::new());
}
