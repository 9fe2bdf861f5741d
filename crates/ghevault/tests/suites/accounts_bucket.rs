//! The program with a vault in a bucket: a whole backup by an identity that may only put, get and list; attacks with its
//! credentials; what was hidden; what a bucket must have.

use crate::{accounts, support};
use accounts::{
    Guard, TestBucket,
    proxy::{Proxy, Treat},
    variable,
};
use std::{fs, process::Command};
use support::{Desk, appliance};

/// A desk whose vault is in a bucket, with the credentials of an identity.
fn desk(bucket: &TestBucket, endpoint: &str, profile: &str) -> Desk {
    let vault = format!("s3:{endpoint}/{}/vault", bucket.name);
    Desk::in_bucket(&vault, &variable("GHEVAULT_TEST_S3_CREDENTIALS"), profile)
}

#[test]
fn a_runner_without_the_right_to_delete_backs_up_verifies_and_restores() {
    let bucket = TestBucket::new("a", Guard::Locked);
    let mut desk = desk(&bucket, &accounts::endpoint(), "a-runner");
    let (mut appliance, _folder) = appliance(1);
    desk.trust(&mut appliance);
    desk.run(&["init"]).exits(0).complains("ghevault vault check");
    let first = desk.run(&["backup", "--json"]).exits(0).json();
    assert_eq!(first["outcome"], "complete");
    let second = desk.run(&["backup", "--json"]).exits(0).json();
    assert_eq!(second["outcome"], "complete");
    desk.run(&["verify", "--depth", "2"]).exits(0);
    let listed = desk.run(&["snapshots", "--json"]).exits(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    desk.run(&["restore", "latest", "--to", "./ours"]).exits(0);
    assert!(bucket.restic("a-runner", &["check", "--read-data"]).status.success());
    let theirs = desk.path("theirs");
    let id = second["snapshot"].as_str().expect("an id");
    assert!(
        bucket.restic("a-runner", &["restore", id, "--target", theirs.to_str().unwrap()]).status.success()
    );
    let same = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([desk.path("ours"), theirs])
        .output()
        .expect("diff runs");
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
}

#[test]
fn shards_write_to_a_bucket_at_once_and_are_joined_without_the_right_to_delete() {
    let bucket = TestBucket::new("a", Guard::Locked);
    let mut desk = desk(&bucket, &accounts::endpoint(), "a-runner");
    let (mut appliance, _folder) = appliance(3);
    desk.trust(&mut appliance);
    desk.run(&["init"]).exits(0);
    for run in ["first", "second"] {
        let shards = ["1/3", "2/3", "3/3"];
        let children = shards.map(|shard| desk.start(&["backup", "--json", "--shard", shard, "--run", run]));
        for child in children {
            support::Done::of(&child.wait_with_output().expect("it ends")).exits(0);
        }
        let joined = desk.run(&["backup", "--join", "--json"]).exits(0).json();
        assert_eq!((&joined["outcome"], &joined["run"]["name"]), (&"complete".into(), &run.into()));
    }
    assert!(!appliance.gate_exists());
    desk.run(&["verify", "--depth", "2"]).exits(0);
    assert!(bucket.restic("a-runner", &["check", "--read-data"]).status.success());
    desk.run(&["restore", "latest", "--to", "./ours"]).exits(0);
    assert!(desk.path("ours/repositories").is_dir());
    // An ordinary backup goes on from there.
    let next = desk.run(&["backup", "--json"]).exits(0).json();
    assert_eq!(next["outcome"], "complete");
}

#[test]
fn the_other_account_is_told_what_it_lacks() {
    let bucket = TestBucket::new("a", Guard::Locked);
    desk(&bucket, &accounts::endpoint(), "a-runner").run(&["init"]).exits(0);
    let other = desk(&bucket, &accounts::endpoint(), "b-runner");
    other.run(&["snapshots"]).exits(14).complains("AccessDenied").complains("ghevault vault policy");
    let nowhere = desk(&bucket, "http://127.0.0.1:1", "a-runner");
    nowhere.run(&["snapshots"]).exits(1).complains("endpoint");
    let mut unknown = desk(&bucket, &accounts::endpoint(), "a-runner");
    unknown.unset("AWS_REGION");
    unknown.run(&["snapshots"]).exits(2).complains("aws.region");
    let mut missing = desk(&bucket, &accounts::endpoint(), "a-runner");
    missing.set("GHEVAULT_VAULT", &format!("s3:{}/a-nowhere/vault", accounts::endpoint()));
    missing.run(&["init"]).exits(10).complains("NoSuchBucket");
    missing.run(&["snapshots"]).exits(10).complains("no such bucket");
}

#[test]
fn what_was_hidden_is_listed_verified_and_restored_as_of_an_earlier_moment() {
    let bucket = TestBucket::new("a", Guard::Locked);
    let mut runner = desk(&bucket, &accounts::endpoint(), "a-runner");
    let (mut appliance, _folder) = appliance(2);
    runner.trust(&mut appliance);
    runner.run(&["init"]).exits(0);
    let made = runner.run(&["backup", "--json"]).exits(0).json();
    let moment = bucket.next_second().to_string();
    let attacker = TestBucket::client("a-prune");
    for key in bucket.keys() {
        bucket.wait(attacker.delete_object().bucket(&bucket.name).key(&key).send()).expect("hidden");
    }
    runner.set("AWS_PROFILE", "a-reader");
    runner.run(&["snapshots"]).exits(10);
    let listed = runner.run(&["--as-of", &moment, "snapshots", "--json"]).exits(0).json();
    assert_eq!(listed[0]["id"], made["snapshot"]);
    runner.run(&["--as-of", &moment, "verify", "--depth", "2"]).exits(0);
    runner.run(&["--as-of", &moment, "restore", "latest", "--to", "./back"]).exits(0);
    assert!(fs::read_dir(runner.path("back")).expect("restored").count() > 5);
    runner.run(&["--as-of", &moment, "export", "latest", "data"]).exits(0);
    assert!(runner.path("data/current").exists());
    let repository = ["--as-of", &moment, "restore", "repo", "odd/large-files", "--to", "./one.git"];
    runner.run(&repository).exits(0);
    assert!(runner.path("one.git/HEAD").exists());
    runner.run(&["--as-of", &moment, "backup"]).exits(14).complains("only read");
}

/// What Amazon denies by the policy of the bucket (`s3:if-none-match`), which the server of the tests does not know.
fn denying_overwrites() -> Proxy {
    let proxy = Proxy::start();
    proxy.rule(|asked| {
        let object = asked.target.matches('/').count() > 1 && !asked.target.contains('?');
        let sdk_put = asked.target.contains("x-id=PutObject") || asked.target.contains("x-id=CopyObject");
        if asked.method == "PUT" && (object || sdk_put) && !asked.head.contains("if-none-match") {
            Treat::Answer(403, "AccessDenied")
        } else {
            Treat::Pass
        }
    });
    proxy
}

#[test]
fn an_attack_on_a_well_kept_bucket_is_refused_in_every_point() {
    let bucket = TestBucket::new("a", Guard::Locked);
    bucket.deny_foreign_keys();
    let other = TestBucket::new("b", Guard::Locked);
    desk(&other, &accounts::endpoint(), "b-runner").run(&["init"]).exits(0);
    let proxy = denying_overwrites();
    let runner = desk(&bucket, &proxy.endpoint, "a-runner");
    runner.run(&["init"]).exits(0);
    let theirs = format!("s3:{}/{}/vault", accounts::endpoint(), other.name);
    let report = runner.run(&["doctor", "--attack", "--other", &theirs, "--json"]).exits(0).json();
    assert_eq!(report["ok"], true);
    let tries = report["tries"].as_array().expect("tries");
    assert!(tries.len() >= 18, "{report:#}");
    for one in tries {
        let outcome = one["outcome"].as_str().expect("an outcome");
        assert!(matches!(outcome, "refused" | "untried"), "{one}");
    }
    let table = runner.run(&["doctor", "--attack"]).exits(0).stdout;
    assert!(table.contains("delete a version for good") && table.contains("left behind"), "{table}");
}

#[test]
fn an_attack_on_a_badly_kept_bucket_succeeds_and_clears_up() {
    let bucket = TestBucket::new("a", Guard::Open);
    let careless = desk(&bucket, &accounts::endpoint(), "admin");
    careless.run(&["init"]).exits(0).complains("does not protect the vault").complains("versions are kept");
    let before = bucket.keys();
    let done = careless.run(&["doctor", "--attack", "--json"]).exits(14);
    let report = done.json();
    let succeeded: Vec<_> = report["tries"]
        .as_array()
        .expect("tries")
        .iter()
        .filter(|one| one["outcome"] == "succeeded")
        .filter_map(|one| one["what"].as_str())
        .collect();
    for what in ["overwrite an object", "delete an object", "keep no versions"] {
        assert!(succeeded.contains(&what), "{what} in {report:#}");
    }
    assert!(!succeeded.contains(&"create what exists already"), "{report:#}");
    assert_eq!(bucket.keys(), before, "{report:#}");
}

#[test]
fn a_bucket_is_compared_with_what_it_must_have() {
    let states = |bucket: &TestBucket, profile: &str, code| {
        let report = desk(bucket, &accounts::endpoint(), profile)
            .run(&["vault", "check", "--json"])
            .exits(code)
            .json();
        let demands = report["demands"].as_array().expect("demands").clone();
        demands.iter().map(|one| one["state"].as_str().expect("a state").to_owned()).collect::<Vec<_>>()
    };
    let open = TestBucket::new("a", Guard::Open);
    assert_eq!(states(&open, "admin", 14), ["unmet"; 6]);
    let locked = TestBucket::new("a", Guard::Locked);
    locked.deny_foreign_keys();
    assert_eq!(states(&locked, "admin", 14), ["met", "met", "met", "unmet", "met", "unmet"]);
    assert_eq!(states(&locked, "a-reader", 14), states(&locked, "admin", 14));
    assert_eq!(states(&locked, "a-runner", 1), ["unknown"; 6]);
}

#[test]
fn the_doctor_finds_files_that_no_lock_holds_and_a_dry_run_of_prune_what_locks_hold() {
    let check = |desk: &Desk, name: &str| {
        let report: serde_json::Value =
            serde_json::from_str(&desk.run(&["doctor", "--json"]).stdout).expect("JSON");
        let checks = report["checks"].as_array().expect("checks").clone();
        checks.into_iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
    };
    let open = TestBucket::new("a", Guard::Versioned);
    let runner = desk(&open, &accounts::endpoint(), "a-prune");
    runner.run(&["init"]).exits(0);
    let locks = check(&runner, "locks");
    assert_eq!(locks["status"], "warn", "{locks}");
    assert!(locks["hint"].as_str().expect("a hint").contains("extend-locks"), "{locks}");
    assert_eq!(check(&desk(&open, &accounts::endpoint(), "a-runner"), "locks")["status"], "ok");

    let locked = TestBucket::new("a", Guard::Locked);
    let mut runner = desk(&locked, &accounts::endpoint(), "a-prune");
    let (mut appliance, _folder) = appliance(3);
    runner.trust(&mut appliance);
    runner.run(&["init"]).exits(0);
    let first = runner.run(&["backup", "--json"]).exits(0).json();
    assert_eq!(check(&runner, "locks")["status"], "ok");
    assert_eq!(check(&runner, "keys")["status"], "ok");
    appliance.mutate(5, 3).expect("changed");
    runner.run(&["backup", "--quiet"]).exits(0);
    let id = first["snapshot"].as_str().expect("an id");
    runner.run(&["forget", id]).exits(0);
    let foreseen = runner.run(&["prune", "--dry-run", "--max-unused", "0", "--json"]).exits(0).json();
    let number = |report: &serde_json::Value, field: &str| report[field].as_u64().expect("a number");
    assert!(number(&foreseen, "locked_versions") > 1, "{foreseen}");
    assert_eq!(number(&foreseen, "freed_bytes"), 0, "{foreseen}");
    let done = runner.run(&["prune", "--max-unused", "0", "--json"]).exits(0).json();
    assert!(number(&done, "locked_versions") >= number(&foreseen, "locked_versions"), "{done}");
    assert_eq!(number(&done, "freed_bytes"), 0, "{done}");
}

#[test]
fn policies_are_printed_as_json() {
    let mut desk = Desk::new();
    desk.set("GHEVAULT_VAULT", "s3:eu-central-1/vault-a/prod");
    let policy = desk.run(&["vault", "policy", "runner"]).exits(0);
    let policy: serde_json::Value = serde_json::from_str(&policy.stdout).expect("JSON");
    assert_eq!(policy["Statement"][0]["Action"], serde_json::json!(["s3:PutObject", "s3:GetObject"]));
    desk.set("GHEVAULT_VAULT", "/srv/vault");
    desk.run(&["vault", "policy", "runner"]).exits(14).complains("folder");
}
