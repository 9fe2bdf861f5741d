//! `kill -9` at seeded random moments of forget, prune and copy of vaults in a bucket; `CRASH_ROUNDS` (9) and `CRASH_SEED`.

use crate::{
    accounts::{self, vaults},
    storm, support,
};
use accounts::{Guard, TestBucket, endpoint, variable};
use ghevault_core::vault::Vault;
use storm::Scene;
use support::Desk;

#[test]
fn killed_runs_of_forget_prune_and_copy_leave_sound_vaults_in_a_bucket() {
    let bucket = TestBucket::new("a", Guard::Versioned);
    let vault = Vault::init(&bucket.location("a-prune"), &vaults::password()).expect("a vault");
    let first = format!("s3:{}/{}/vault", endpoint(), bucket.name);
    let second = format!("s3:{}/{}/second", endpoint(), bucket.name);
    let desk = Desk::in_bucket(&first, &variable("GHEVAULT_TEST_S3_CREDENTIALS"), "a-prune");
    desk.run(&["init", "--vault", &second, "--like", &first]).exits(0);
    let sound = |place: Option<&str>, when: &str| {
        let place = place.unwrap_or(&first);
        let out = bucket.restic("a-runner", &["check", "--read-data", "--repo", place]);
        assert!(out.status.success(), "{when}: {out:?}");
        let done = desk.run(&["verify", "--depth", "2", "--json", "--vault", place]);
        assert_eq!(done.code, 0, "{when}: {done:?}");
    };
    storm::storm(&Scene { desk: &desk, vault: &vault, second: &second, sound: &sound }, 9);
}
