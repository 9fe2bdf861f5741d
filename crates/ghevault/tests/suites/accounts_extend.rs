//! `vault extend-locks`: what it costs, who may, and `kill -9` at random moments of it.

use crate::{
    accounts::{self, vaults},
    operation_daemon::{daemon, end, until},
    support,
};
use accounts::{Guard, TestBucket, variable};
use ghevault_core::vault::Vault;
use ghevault_sim::seed::Seed;
use std::time::{Duration, Instant};
use support::Desk;

fn desk(bucket: &TestBucket, profile: &str) -> Desk {
    let vault = format!("s3:{}/{}/vault", accounts::endpoint(), bucket.name);
    Desk::in_bucket(&vault, &variable("GHEVAULT_TEST_S3_CREDENTIALS"), profile)
}

#[test]
fn locks_are_extended_by_their_own_identity_and_a_killed_run_goes_on() {
    let bucket = TestBucket::new("a", Guard::Versioned);
    let vault = Vault::init(&bucket.location("a-runner"), &vaults::password()).expect("a vault");
    for seed in 0..12 {
        vaults::store(&vault, seed, 2, 10_000).expect("stored");
    }
    let desk = desk(&bucket, "a-locks");
    desk.run(&["vault", "extend-locks"]).exits(2);
    let plan = desk.run(&["vault", "extend-locks", "--for", "1d", "--dry-run", "--json"]).exits(0).json();
    assert!(plan["files"].as_u64() > Some(40) && plan["put_requests"] == plan["files"], "{plan}");
    desk.run(&["vault", "extend-locks", "--check"]).exits(13).complains("extend-locks");
    let (rounds, mut random) = (8_u64, Seed::new(1).part("moments"));
    let mut whole = Duration::from_secs(4);
    let mut cut = 0;
    for round in 1..=rounds {
        let span = format!("{round}d");
        let arguments = ["vault", "extend-locks", "--for", &span, "--json", "--quiet"];
        let mut child = desk.start(&arguments);
        let millis = u64::try_from(whole.as_millis()).expect("short");
        std::thread::sleep(Duration::from_millis(random.between(millis / 2, millis)));
        child.kill().expect("killed");
        child.wait().expect("ended");
        let since = Instant::now();
        let done = desk.run(&arguments).exits(0).json();
        whole = since.elapsed();
        let (already, extended) = (done["already"].as_u64(), done["extended"].as_u64());
        assert_eq!(already.zip(extended).map(|(a, b)| a + b), done["files"].as_u64(), "{done}");
        cut += u64::from(already > Some(0));
        let check = format!("{}h", round * 24 - 1);
        desk.run(&["vault", "extend-locks", "--check", "--for", &check]).exits(0);
        desk.run(&["verify", "--quiet"]).exits(3);
        assert!(bucket.restic("a-runner", &["check"]).status.success());
    }
    assert!(cut > 0, "no run was killed amid its work");
}

#[test]
fn a_daemon_extends_locks_by_its_schedule() {
    let bucket = TestBucket::new("a", Guard::Versioned);
    let vault = Vault::init(&bucket.location("a-runner"), &vaults::password()).expect("a vault");
    vaults::store(&vault, 1, 2, 10_000).expect("stored");
    let mut desk = desk(&bucket, "a-locks");
    let check = ["vault", "extend-locks", "--check", "--for", "47h"];
    desk.run(&check).exits(13);
    desk.configure("[schedule]\nlocks = \"* * * * * *\"\nlocks_for = \"2d\"\n[daemon]\nlisten = \"none\"\n");
    let child = daemon(&desk);
    until(&desk, "\"result\":\"complete\"", 0, Duration::from_mins(2));
    end(child);
    desk.run(&check).exits(0);
}
