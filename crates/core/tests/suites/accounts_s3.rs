//! Vaults in buckets with Object Lock, written by an identity that may only put, get and list; stock restic is the judge.

use crate::accounts::{self, vaults};
use accounts::{
    Guard, TestBucket, endpoint,
    proxy::{Proxy, Treat},
};
use ghevault_core::vault::{S3Settings, Vault, VaultError, VaultLocation};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};
use vaults::{LEASE, assert_sound, password, random, snapshots, store};

#[test]
fn a_runner_that_may_only_put_get_and_list_makes_vaults_that_stock_restic_reads() {
    let bucket = TestBucket::new("a", Guard::Locked);
    let location = bucket.location("a-runner");
    let vault = Vault::init(&location, &password()).unwrap();
    assert!(matches!(Vault::init(&location, &password()), Err(VaultError::AlreadyExists { .. })));
    store(&vault, 1, 12, 3_000_000).unwrap();
    let vault = Vault::open(&location, &password()).unwrap();
    store(&vault, 2, 3, 1000).unwrap();
    assert_sound(&vault);
    assert_eq!(snapshots(&location).len(), 2);
    assert!(bucket.restic("a-runner", &["check", "--read-data"]).status.success());
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().to_str().unwrap();
    assert!(bucket.restic("a-runner", &["restore", "latest", "--target", target]).status.success());
    assert_eq!(std::fs::read(dir.path().join("file-2")).unwrap(), random(2002, 1000));
}

#[test]
fn stock_restic_writes_into_the_same_vault_and_we_read_it() {
    let bucket = TestBucket::new("a", Guard::Locked);
    assert!(bucket.restic("a-prune", &["init"]).status.success());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), random(1, 2_000_000)).unwrap();
    let backup = bucket.restic("a-prune", &["backup", dir.path().to_str().unwrap()]);
    assert!(backup.status.success());
    let location = bucket.location("a-runner");
    let vault = Vault::open(&location, &password()).unwrap();
    store(&vault, 3, 2, 100_000).unwrap();
    assert_eq!(snapshots(&location).len(), 2);
    assert_sound(&vault);
}

#[test]
fn only_one_writer_holds_the_lease_and_its_number_rises() {
    let bucket = TestBucket::new("a", Guard::Locked);
    let location = bucket.location("a-runner");
    let vault = Vault::init(&location, &password()).unwrap();
    let first = vault.lock_for_writing("first", LEASE).unwrap();
    let other = Vault::open(&bucket.location("a-prune"), &password()).unwrap();
    assert!(matches!(other.lock_for_writing("second", LEASE), Err(VaultError::Locked { .. })));
    assert!(location.current_writer().unwrap().unwrap().contains("first"));
    first.check().unwrap();
    let token = first.token();
    drop(first);
    assert_eq!(location.current_writer().unwrap(), None);
    assert_eq!(other.lock_for_writing("second", LEASE).unwrap().token(), token + 1);
}

#[test]
fn many_that_try_at_once_get_one_lease() {
    let bucket = TestBucket::new("a", Guard::Open);
    let location = bucket.location("a-runner");
    let vault = Vault::init(&location, &password()).unwrap();
    let leases: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..6)
            .map(|n| {
                scope.spawn({
                    let vault = &vault;
                    move || vault.lock_for_writing(&format!("writer {n}"), LEASE)
                })
            })
            .collect();
        tries.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let held = leases.iter().filter(|lease| lease.is_ok()).count();
    assert_eq!(held, 1, "{leases:?}");
    assert!(leases.iter().all(|lease| matches!(lease, Ok(_) | Err(VaultError::Locked { .. }))), "{leases:?}");
}

#[test]
fn the_other_account_sees_nothing() {
    let bucket = TestBucket::new("a", Guard::Locked);
    Vault::init(&bucket.location("a-runner"), &password()).unwrap();
    let other = bucket.location("b-runner");
    for error in [
        Vault::open(&other, &password()).unwrap_err(),
        Vault::init(&other, &password()).unwrap_err(),
        other.current_writer().unwrap_err(),
    ] {
        assert!(matches!(error, VaultError::Denied { .. }), "{error}");
    }
}

#[test]
fn a_bucket_that_does_not_exist_holds_no_vault() {
    let bucket = TestBucket::new("a", Guard::Open);
    let text = bucket.location("a-runner").to_string().replace(&bucket.name, "a-nowhere");
    let VaultLocation::S3(known) = bucket.location("a-runner") else { panic!("a bucket") };
    let location = VaultLocation::parse(&text).unwrap().with_s3(known.settings);
    let error = Vault::open(&location, &password()).unwrap_err();
    assert!(matches!(error, VaultError::NotAVault { .. }), "{error}");
    let error = Vault::init(&location, &password()).unwrap_err();
    assert!(matches!(error, VaultError::Service { .. }), "{error}");
    let error = Vault::open(&bucket.location("a-runner"), &password()).unwrap_err();
    assert!(matches!(error, VaultError::NotAVault { .. }), "{error}");
}

#[test]
fn what_an_attacker_hides_is_restored_as_of_an_earlier_moment() {
    let bucket = TestBucket::new("a", Guard::Locked);
    let location = bucket.location("a-runner");
    let vault = Vault::init(&location, &password()).unwrap();
    let tree = store(&vault, 4, 3, 500_000).unwrap();
    drop(vault);
    let moment = bucket.next_second();
    let attacker = TestBucket::client("a-prune");
    for key in bucket.keys() {
        bucket.wait(attacker.delete_object().bucket(&bucket.name).key(&key).send()).unwrap();
    }
    let garbage = attacker
        .put_object()
        .bucket(&bucket.name)
        .key("vault/config")
        .body("x".to_owned().into_bytes().into());
    bucket.wait(garbage.send()).unwrap();
    assert!(Vault::open(&location, &password()).is_err());

    let past = bucket.location("a-reader").as_of(moment).unwrap();
    let vault = Vault::open(&past, &password()).unwrap();
    let found = vault.snapshots().unwrap().snapshots;
    assert_eq!(found.iter().map(|snapshot| snapshot.tree).collect::<Vec<_>>(), [tree]);
    assert_sound(&vault);
    let refused = vault.lock_for_writing("test", LEASE).unwrap_err();
    assert!(matches!(refused, VaultError::ReadOnly { .. }), "{refused}");
    let refused = Vault::init(&past, &password()).unwrap_err();
    assert!(matches!(refused, VaultError::AlreadyExists { .. } | VaultError::ReadOnly { .. }), "{refused}");
}

/// What the server of the tests does not play: it is asked for by these words of Amazon's.
#[test]
fn a_key_of_kms_and_a_lock_are_asked_for_with_every_file() {
    let bucket = TestBucket::new("a", Guard::Locked);
    let (proxy, heads) = (Proxy::start(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&heads);
    proxy.rule(move |asked| {
        if asked.method != "PUT" {
            return Treat::Pass;
        }
        seen.lock().expect("heads").push(asked.head.clone());
        Treat::Answer(403, "AccessDenied")
    });
    let settings =
        S3Settings { kms_key: Some("alias/vault".into()), retention_days: Some(7), ..S3Settings::default() };
    let location = bucket.location_with(&proxy.endpoint, "a-runner", settings);
    let day = || (Timestamp::now() + SignedDuration::from_hours(7 * 24)).strftime("%Y-%m-%d").to_string();
    let before = day();
    assert!(matches!(Vault::init(&location, &password()), Err(VaultError::Denied { .. })));
    let heads = heads.lock().unwrap();
    assert!(!heads.is_empty());
    for head in heads.iter() {
        for line in [
            "x-amz-server-side-encryption: aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id: alias/vault",
            "x-amz-server-side-encryption-bucket-key-enabled: true",
            "x-amz-object-lock-mode: compliance",
            "if-none-match: *",
            "x-amz-checksum-sha256: ",
        ] {
            assert!(head.contains(line), "{line} in {head}");
        }
        let until = |day: &str| head.contains(&format!("x-amz-object-lock-retain-until-date: {day}"));
        assert!(until(&before) || until(&day()), "{head}");
    }
}

#[test]
fn files_are_locked_when_they_are_written_if_the_settings_say_so() {
    let bucket = TestBucket::new("a", Guard::Versioned);
    let settings = S3Settings { retention_days: Some(1), ..S3Settings::default() };
    let vault = Vault::init(&bucket.location_with(&endpoint(), "admin", settings), &password()).unwrap();
    store(&vault, 1, 2, 10_000).unwrap();
    let looked = vault.lapsed_locks(Timestamp::now(), None, &|_, _| {}).unwrap();
    assert!(looked.looked_at > 5 && looked.lapsed.is_empty(), "{looked:?}");
}
