//! Tests of the lease: who gets it, who loses it.

use super::{place::FOLDER, *};
use crate::vault::folder::FolderStore;
use std::fs;

const LONG: Duration = Duration::from_mins(10);

fn forged(place: &Place, token: u64, change: impl FnOnce(&mut LeaseFile)) {
    let now = Timestamp::now();
    let mut file = LeaseFile {
        holder: "backup".into(),
        process: ProcessMark { pid: 77, ..ProcessMark::own() },
        taken: now,
        until: later(now, LONG),
        released: false,
        shared: None,
    };
    change(&mut file);
    assert!(place.write(Number { token, renewal: 0 }, &file).unwrap());
}

fn place() -> (tempfile::TempDir, Place) {
    let dir = tempfile::tempdir().unwrap();
    let own = Arc::new(FolderStore::new(dir.path()));
    (dir, Place { own })
}

fn take(place: &Place, holder: &str, ttl: Duration) -> VaultResult<WriteLease> {
    WriteLease::take(Arc::clone(&place.own), holder, None, ttl)
}

fn take_shared(place: &Place, group: &str) -> VaultResult<WriteLease> {
    WriteLease::take(Arc::clone(&place.own), "shard", Some(group), LONG)
}

/// The newest file of a lease.
fn newest(place: &Place, token: u64) -> LeaseFile {
    let last = place.numbers(token).unwrap().into_iter().rfind(|(number, _)| number.token == token).unwrap();
    place.read(last, LONG).unwrap().unwrap()
}

#[test]
fn a_second_writer_is_told_who_holds_it() {
    let (_dir, place) = place();
    let lease = take(&place, "backup of ghe-prod", LONG).unwrap();
    lease.check().unwrap();
    let error = take(&place, "prune", LONG).unwrap_err();
    assert!(
        matches!(&error, VaultError::Locked { holder, .. } if holder.contains("backup of ghe-prod")),
        "{error}"
    );
}

#[test]
fn a_released_lease_is_free_and_the_token_grows() {
    let (_dir, place) = place();
    let first = take(&place, "a", LONG).unwrap().token();
    let second = take(&place, "b", LONG).unwrap().token();
    assert!(second > first);
    let tokens: Vec<_> = place.numbers(0).unwrap().into_iter().map(|(number, _)| number.token).collect();
    assert_eq!(tokens, [second]);
}

#[test]
fn the_current_writer_is_named_without_a_password() {
    let (_dir, place) = place();
    assert_eq!(current_writer(Arc::clone(&place.own)).unwrap(), None);
    let lease = take(&place, "backup of ghe-prod", LONG).unwrap();
    assert!(
        current_writer(Arc::clone(&place.own))
            .unwrap()
            .is_some_and(|words| words.contains("backup of ghe-prod"))
    );
    drop(lease);
    assert_eq!(current_writer(Arc::clone(&place.own)).unwrap(), None);
}

#[test]
fn a_dead_process_of_this_host_blocks_nobody() {
    let (_dir, place) = place();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    forged(&place, 4, |file| file.process.pid = child.id());
    assert_eq!(take(&place, "b", LONG).unwrap().token(), 5);
}

#[test]
fn a_reused_process_number_counts_as_dead() {
    let (_dir, place) = place();
    forged(&place, 4, |file| {
        file.process.pid = std::process::id();
        file.process.started = "1".into();
    });
    take(&place, "b", LONG).unwrap();
}

#[test]
fn an_unknown_process_of_another_host_or_container_blocks_until_its_time_is_over() {
    for change in [
        (|p: &mut ProcessMark| p.boot = "other".into()) as fn(&mut ProcessMark),
        |p| p.namespace = "pid:[1]".into(),
        |p| p.started = String::new(),
    ] {
        let (_dir, place) = place();
        forged(&place, 4, |file| {
            file.process.pid = 4_194_304; // above every pid_max: no such process here
            change(&mut file.process);
        });
        assert!(matches!(take(&place, "b", LONG), Err(VaultError::Locked { .. })));
        let (_dir, place) = self::place();
        forged(&place, 4, |file| {
            change(&mut file.process);
            file.until = Timestamp::now();
        });
        take(&place, "b", LONG).unwrap();
    }
}

#[test]
fn the_loser_of_a_takeover_notices() {
    let (_dir, place) = place();
    let lease = take(&place, "a", LONG).unwrap();
    forged(&place, lease.token() + 1, |_| {});
    assert!(matches!(lease.check(), Err(VaultError::LeaseLost { .. })));
    let token = lease.token();
    drop(lease);
    // giving back does not touch the other's lease
    assert!(!newest(&place, token + 1).released);
}

#[test]
fn renewing_extends_the_lease_on_disk() {
    let (_dir, place) = place();
    let lease = take(&place, "a", Duration::from_millis(300)).unwrap();
    let first = newest(&place, lease.token()).until;
    let deadline = Instant::now() + Duration::from_secs(20);
    while newest(&place, lease.token()).until <= first {
        assert!(Instant::now() < deadline, "never renewed");
        std::thread::yield_now();
    }
}

#[test]
fn a_garbled_lease_blocks_for_one_lease_time_only() {
    let (dir, place) = place();
    fs::create_dir_all(dir.path().join("ghevault/leases")).unwrap();
    fs::write(dir.path().join("ghevault/leases/0000000009-000000.json"), "{").unwrap();
    assert!(matches!(take(&place, "b", LONG), Err(VaultError::Locked { .. })));
    assert_eq!(take(&place, "b", Duration::ZERO).unwrap().token(), 10);
}

#[test]
fn of_many_that_try_at_once_exactly_one_gets_it() {
    let (_dir, place) = place();
    let barrier = std::sync::Barrier::new(8);
    let leases: Vec<_> = std::thread::scope(|scope| {
        let one = || {
            barrier.wait();
            take(&place, "one of many", LONG)
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(leases.iter().filter(|l| l.is_ok()).count(), 1);
}

#[test]
fn the_last_of_very_many_leases_is_found_without_listing_all() {
    let (dir, place) = place();
    forged(&place, 1, |_| {});
    let folder = dir.path().join("ghevault").join(FOLDER);
    // with gaps, as after a cleaning
    for token in (2..=1300).filter(|token| token % 7 != 3) {
        fs::write(folder.join(Number { token, renewal: 0 }.name()), "{}").unwrap();
    }
    forged(&place, 1302, |file| file.released = true);
    let found: Vec<_> = place.newest().unwrap().into_iter().map(|(number, _)| number.token).collect();
    assert_eq!(found, [1302]);
    assert_eq!(take(&place, "after many", LONG).unwrap().token(), 1303);
}

#[test]
fn shards_of_one_run_write_beside_each_other_and_keep_everybody_else_out() {
    let (_dir, place) = place();
    let first = take_shared(&place, "nightly").unwrap();
    let second = take_shared(&place, "nightly").unwrap();
    assert!(second.token() > first.token());
    for _ in 0..2 {
        first.check().unwrap();
        second.check().unwrap();
        let error = take(&place, "prune", LONG).unwrap_err();
        assert!(matches!(&error, VaultError::Locked { holder, .. } if holder.contains("shard")), "{error}");
        assert!(matches!(take_shared(&place, "weekly"), Err(VaultError::Locked { .. })));
    }
    drop(first);
    assert!(
        matches!(take(&place, "prune", LONG), Err(VaultError::Locked { .. })),
        "the second holds it still"
    );
    let third = take_shared(&place, "nightly").unwrap();
    drop(second);
    third.check().unwrap();
    assert!(
        matches!(take(&place, "prune", LONG), Err(VaultError::Locked { .. })),
        "the third holds it still"
    );
    drop(third);
    let prune = take(&place, "prune", LONG).unwrap();
    assert!(matches!(take_shared(&place, "nightly"), Err(VaultError::Locked { .. })));
    assert_eq!(place.numbers(0).unwrap().len(), 1, "what counts no more is cleared away");
    drop(prune);
}

#[test]
fn a_shard_that_slept_through_an_exclusive_lease_is_out_although_its_run_goes_on() {
    let (_dir, place) = place();
    let slept = take_shared(&place, "nightly").unwrap();
    let shared = slept.shared();
    // As if its time had ended: somebody else comes, and goes, and the run goes on.
    forged(&place, slept.token() + 1, |file| file.released = true);
    let later = take_shared(&place, "nightly").unwrap();
    later.check().unwrap();
    assert_ne!(later.shared(), shared);
    assert!(matches!(slept.check(), Err(VaultError::LeaseLost { .. })));
}

#[test]
fn of_many_shards_that_come_at_once_each_gets_its_lease() {
    let (_dir, place) = place();
    let barrier = std::sync::Barrier::new(16);
    let leases: Vec<WriteLease> = std::thread::scope(|scope| {
        let one = || {
            barrier.wait();
            take_shared(&place, "nightly").unwrap()
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let tokens: std::collections::BTreeSet<u64> = leases.iter().map(WriteLease::token).collect();
    assert_eq!(tokens.len(), 16);
    for lease in &leases {
        lease.check().unwrap();
    }
    let firsts: std::collections::BTreeSet<_> =
        leases.iter().map(|lease| lease.shared().unwrap().first).collect();
    assert_eq!(firsts.len(), 1, "one unbroken time");
}
