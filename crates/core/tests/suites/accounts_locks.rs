//! Locks of seconds in a bucket with versions: what is locked stays and is reported, what has run out is freed, what snapshots
//! need is locked again.

use crate::accounts::{self, vaults};
use accounts::{Guard, TestBucket};
use ghevault_core::vault::{MaxUnused, PruneOptions, PruneReport, SnapshotId, Vault, VaultError};
use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};
use vaults::{LEASE, assert_sound, password, snapshots, store};

const ALL: PruneOptions =
    PruneOptions { max_unused: MaxUnused::Bytes(0), join_small: false, allow_empty: false };
const SOON: Duration = Duration::from_mins(2);

fn open(bucket: &TestBucket, profile: &str) -> Vault {
    Vault::open(&bucket.location(profile), &password()).unwrap()
}

fn prune(bucket: &TestBucket) -> PruneReport {
    let vault = open(bucket, "a-prune");
    let lease = vault.lock_for_writing("prune", LEASE).unwrap();
    vault.prune(&ALL, &lease, &|| false, &|_, _, _| {}).unwrap()
}

fn forget(vault: &Vault, id: SnapshotId) -> Result<bool, VaultError> {
    let lease = vault.lock_for_writing("forget", LEASE)?;
    vault.remove_snapshot(id, &lease)
}

fn extend(bucket: &TestBucket, by: SignedDuration) -> ghevault_core::vault::ExtendReport {
    let vault = open(bucket, "a-locks");
    let lease = vault.lock_for_writing("extend-locks", LEASE).unwrap();
    let until = Timestamp::now().checked_add(by).unwrap();
    vault.extend_locks(until, SignedDuration::ZERO, &lease, &|| false, &|_, _| {}).unwrap()
}

/// Bytes of all versions of packs, hidden ones included.
fn stored(bucket: &TestBucket) -> i64 {
    let admin = TestBucket::client("admin");
    let answer = bucket.wait(admin.list_object_versions().bucket(&bucket.name).prefix("vault/data/").send());
    answer.expect("versions").versions().iter().filter_map(|version| version.size).sum()
}

#[test]
fn what_is_locked_stays_with_its_date_and_is_freed_when_the_lock_has_run_out() {
    let bucket = TestBucket::new("a", Guard::Versioned);
    let runner = Vault::init(&bucket.location("a-runner"), &password()).unwrap();
    store(&runner, 1, 4, 500_000).unwrap();
    let first = snapshots(&bucket.location("a-runner"))[0].id;
    store(&runner, 2, 2, 500_000).unwrap();
    let extended = extend(&bucket, SignedDuration::from_secs(20));
    assert_eq!(extended.extended, extended.files, "{extended:?}");
    let denied = forget(&runner, first).unwrap_err();
    assert!(matches!(denied, VaultError::Denied { action: "remove", .. }), "{denied}");
    assert!(forget(&open(&bucket, "a-prune"), first).unwrap());
    let before = stored(&bucket);
    let held = prune(&bucket);
    assert!(held.locked_versions > 0 && held.locked_bytes > 1_900_000, "{held:?}");
    let until = held.locked_until.unwrap();
    assert_eq!(until.as_second(), extended.until.as_second());
    assert!(held.freed_bytes < 1_000_000, "{held:?}");
    assert!(stored(&bucket) >= before, "nothing that is locked is gone");
    assert_sound(&open(&bucket, "a-runner"));
    assert!(bucket.restic("a-runner", &["check", "--read-data"]).status.success());
    let deadline = Instant::now() + SOON;
    let freed = loop {
        let report = prune(&bucket);
        if report.locked_versions == 0 {
            break report;
        }
        assert!(Timestamp::now() < until || Instant::now() < deadline, "{report:?}");
    };
    assert!(freed.versions_removed > 0, "{freed:?}");
    assert!(stored(&bucket) < before - 1_900_000);
    assert_sound(&open(&bucket, "a-runner"));
    assert!(bucket.restic("a-runner", &["check", "--read-data"]).status.success());
}

#[test]
fn a_snapshot_that_leans_on_packs_without_a_lock_is_found_and_cured() {
    let bucket = TestBucket::new("a", Guard::Versioned);
    let runner = Vault::init(&bucket.location("a-runner"), &password()).unwrap();
    store(&runner, 1, 2, 100_000).unwrap();
    extend(&bucket, SignedDuration::from_secs(5));
    // a new snapshot on the old packs
    store(&runner, 1, 2, 100_000).unwrap();
    let ids: Vec<SnapshotId> = snapshots(&bucket.location("a-runner")).iter().map(|one| one.id).collect();
    let locks = open(&bucket, "a-locks");
    let deadline = Instant::now() + SOON;
    let lapsed = loop {
        let lapsed = locks.lapsed_locks(Timestamp::now(), None, &|_, _| {}).unwrap().lapsed;
        if lapsed.iter().any(|row| row.file.starts_with("data/") && row.ended.is_some()) {
            break lapsed;
        }
        assert!(Instant::now() < deadline, "{lapsed:?}");
    };
    let pack = lapsed.iter().find(|row| row.file.starts_with("data/")).unwrap();
    assert!(ids.iter().all(|id| pack.snapshots.contains(id)), "{pack:?}");
    let cured = extend(&bucket, SignedDuration::from_hours(1));
    assert!(cured.extended > 0 && cured.already == 0, "{cured:?}");
    assert_eq!(locks.lapsed_locks(Timestamp::now(), None, &|_, _| {}).unwrap().lapsed, []);
    let again = extend(&bucket, SignedDuration::from_mins(30));
    assert_eq!((again.extended, again.already), (0, again.files), "a shorter time shortens nothing");
}

#[test]
fn packs_without_use_are_not_locked_longer() {
    let bucket = TestBucket::new("a", Guard::Versioned);
    let runner = Vault::init(&bucket.location("a-runner"), &password()).unwrap();
    store(&runner, 1, 2, 100_000).unwrap();
    let first = snapshots(&bucket.location("a-runner"))[0].id;
    let all = extend(&bucket, SignedDuration::from_mins(1)).files;
    store(&runner, 2, 2, 100_000).unwrap();
    forget(&open(&bucket, "a-prune"), first).unwrap();
    // the second snapshot has as many files; both index files count
    assert_eq!(extend(&bucket, SignedDuration::from_hours(1)).files, all + 1);
}

#[test]
fn a_folder_has_no_locks_to_extend() {
    let dir = tempfile::tempdir().unwrap();
    let place = ghevault_core::vault::VaultLocation::Folder(dir.path().join("vault"));
    let vault = Vault::init(&place, &password()).unwrap();
    let error = vault.extend_plan(Timestamp::now()).unwrap_err();
    assert!(matches!(error, VaultError::Unsupported { .. }), "{error}");
}
