//! A bucket that misbehaves: errors, throttling, connections that break on either way, answers that are cut, listings that are
//! out of date. Either the work is done, or it fails within a bound and is done later; nothing half-written is ever referenced.

use crate::accounts::{self, vaults};
use accounts::{
    Guard, TestBucket,
    proxy::{Asked, Proxy, Treat},
};
use ghevault_core::vault::{CheckDepth, Vault, VaultError};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use vaults::{LEASE, assert_sound, password, snapshots, store};

/// A bucket, a proxy before it, and a sound vault with one snapshot in it.
fn bench() -> (TestBucket, Proxy) {
    let bucket = TestBucket::new("a", Guard::Locked);
    let vault = Vault::init(&bucket.location("a-runner"), &password()).unwrap();
    store(&vault, 1, 2, 200_000).unwrap();
    (bucket, Proxy::start())
}

/// After a fault has passed: the same work succeeds, and stock restic finds nothing wrong.
fn assert_recovers(bucket: &TestBucket, proxy: &Proxy, snapshots_now: usize) {
    proxy.rule(|_| Treat::Pass);
    let location = bucket.location_at(&proxy.endpoint, "a-runner");
    assert_eq!(snapshots(&location).len(), snapshots_now);
    let vault = Vault::open(&location, &password()).unwrap();
    store(&vault, 99, 3, 300_000).unwrap();
    assert_sound(&vault);
    assert_eq!(snapshots(&location).len(), snapshots_now + 1);
    assert!(bucket.restic("a-runner", &["check", "--read-data"]).status.success());
}

fn puts(asked: &Asked, folder: &str) -> bool {
    asked.method == "PUT" && asked.target.contains(&format!("/vault/{folder}"))
}

fn gets(asked: &Asked, folder: &str) -> bool {
    asked.method == "GET" && asked.target.contains(&format!("/vault/{folder}"))
}

#[test]
fn errors_and_throttling_now_and_then_are_outlasted() {
    let (bucket, proxy) = bench();
    proxy.rule(|asked| match asked.number % 6 {
        1 => Treat::Answer(500, "InternalError"),
        4 => Treat::Answer(503, "SlowDown"),
        _ => Treat::Pass,
    });
    let vault = Vault::open(&bucket.location_at(&proxy.endpoint, "a-runner"), &password()).unwrap();
    store(&vault, 2, 6, 500_000).unwrap();
    assert_sound(&vault);
    assert_recovers(&bucket, &proxy, 2);
}

#[test]
fn throttling_without_end_fails_within_a_bound_and_leaves_no_snapshot() {
    let (bucket, proxy) = bench();
    let vault = Vault::open(&bucket.location_at(&proxy.endpoint, "a-runner"), &password()).unwrap();
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    proxy.rule(move |asked| {
        if puts(asked, "data/") {
            count.fetch_add(1, Ordering::SeqCst);
            return Treat::Answer(503, "SlowDown");
        }
        Treat::Pass
    });
    let error = store(&vault, 3, 2, 200_000).unwrap_err();
    assert!(
        matches!(&error, VaultError::Service { source, .. } if source.code.as_deref() == Some("SlowDown")),
        "{error:?}"
    );
    let tries = refused.load(Ordering::SeqCst);
    assert!((2..=24).contains(&tries), "{tries} tries of at most two packs of each kind");
    assert_recovers(&bucket, &proxy, 1);
}

#[test]
fn an_upload_that_is_reset_begins_again() {
    let (bucket, proxy) = bench();
    let resets = AtomicUsize::new(0);
    proxy.rule(move |asked| {
        let first = puts(asked, "data/") && resets.fetch_add(1, Ordering::SeqCst) < 2;
        if first { Treat::ResetAfter(100_000) } else { Treat::Pass }
    });
    let vault = Vault::open(&bucket.location_at(&proxy.endpoint, "a-runner"), &password()).unwrap();
    store(&vault, 4, 4, 500_000).unwrap();
    assert_sound(&vault);
    assert_recovers(&bucket, &proxy, 2);
}

#[test]
fn uploads_that_are_always_reset_leave_nothing() {
    let (bucket, proxy) = bench();
    let before = bucket.keys();
    let vault = Vault::open(&bucket.location_at(&proxy.endpoint, "a-runner"), &password()).unwrap();
    proxy.rule(|asked| if puts(asked, "data/") { Treat::ResetAfter(100_000) } else { Treat::Pass });
    let error = store(&vault, 5, 2, 500_000).unwrap_err();
    assert!(matches!(error, VaultError::Service { .. }), "{error:?}");
    let new: Vec<_> = bucket.keys().into_iter().filter(|key| !before.contains(key)).collect();
    assert!(new.iter().all(|key| key.contains("/ghevault/leases/")), "{new:?}");
    assert_recovers(&bucket, &proxy, 1);
}

#[test]
fn what_was_stored_although_the_answer_was_lost_counts_as_stored() {
    let bucket = TestBucket::new("a", Guard::Locked);
    let proxy = Proxy::start();
    let lost = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    proxy.rule(move |asked| {
        let fresh = asked.method == "PUT" && lost.lock().unwrap().insert(asked.target.clone());
        if fresh { Treat::LoseAnswer } else { Treat::Pass }
    });
    let location = bucket.location_at(&proxy.endpoint, "a-runner");
    let vault = Vault::init(&location, &password()).unwrap();
    store(&vault, 6, 3, 300_000).unwrap();
    let lease = vault.lock_for_writing("again", LEASE).unwrap();
    assert!(matches!(vault.lock_for_writing("other", LEASE), Err(VaultError::Locked { .. })));
    drop(lease);
    assert!(matches!(Vault::init(&location, &password()), Err(VaultError::AlreadyExists { .. })));
    assert_recovers(&bucket, &proxy, 1);
}

#[test]
fn answers_that_are_cut_are_asked_for_again() {
    let (bucket, proxy) = bench();
    let seen = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    proxy.rule(move |asked| {
        let range = asked.head.lines().find(|line| line.starts_with("range:")).unwrap_or_default().to_owned();
        let fresh = gets(asked, "") && seen.lock().unwrap().insert((asked.target.clone(), range));
        if fresh { Treat::CutAnswer(100) } else { Treat::Pass }
    });
    let location = bucket.location_at(&proxy.endpoint, "a-runner");
    let vault = Vault::open(&location, &password()).unwrap();
    assert_eq!(vault.snapshots().unwrap().snapshots.len(), 1);
    assert_sound(&vault);
    assert_recovers(&bucket, &proxy, 1);
}

#[test]
fn answers_that_are_always_cut_are_an_error_and_no_damage() {
    let (bucket, proxy) = bench();
    let vault = Vault::open(&bucket.location_at(&proxy.endpoint, "a-runner"), &password()).unwrap();
    proxy.rule(|asked| if gets(asked, "index/") { Treat::CutAnswer(50) } else { Treat::Pass });
    let error = vault.index().err().unwrap();
    assert!(matches!(error, VaultError::Service { .. }), "{error:?}");
    let error = vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap_err();
    assert!(matches!(error, VaultError::Service { .. }), "{error:?}");
    proxy.rule(|asked| if gets(asked, "data/") { Treat::CutAnswer(50) } else { Treat::Pass });
    let error = vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap_err();
    assert!(matches!(error, VaultError::Service { .. }), "{error:?}");
    assert_recovers(&bucket, &proxy, 1);
}

#[test]
fn listings_without_the_newest_file_cost_space_but_no_snapshot() {
    let (bucket, proxy) = bench();
    for folder in ["index", "snapshots", "ghevault"] {
        let part = format!("prefix=vault%2F{folder}%2F");
        proxy.rule(move |asked| {
            let stale = asked.method == "GET" && asked.target.contains(&part);
            if stale { Treat::StaleListing } else { Treat::Pass }
        });
        let location = bucket.location_at(&proxy.endpoint, "a-runner");
        let vault = Vault::open(&location, &password()).unwrap();
        let before = snapshots(&bucket.location("a-runner")).len();
        // either it is stored, or it fails cleanly: a listing that lacks the own index or lease cannot be believed
        let stored = store(&vault, 7, 2, 200_000).is_ok();
        let after = snapshots(&bucket.location("a-runner")).len();
        assert_eq!(after, before + usize::from(stored), "{folder}");
        assert_sound(&Vault::open(&bucket.location("a-runner"), &password()).unwrap());
    }
    let now = snapshots(&bucket.location("a-runner")).len();
    // a lease that could not be given back ends by itself; here it belongs to this very process
    assert_eq!(bucket.location("a-runner").current_writer().unwrap(), None);
    assert_recovers(&bucket, &proxy, now);
}
