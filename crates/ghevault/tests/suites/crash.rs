//! `kill -9` at seeded random moments of a backup: the gate opens by itself, the next backup is complete, nothing earlier is harmed.
//!
//! `CRASH_ROUNDS` (30) and `CRASH_SEED` (1) choose how often and when; a failure names the seed and the round.

use crate::support;
use ghevault_sim::{
    harness::{Appliance, program},
    live::life::Life,
    seed::Seed,
};
use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};
use support::{Desk, appliance, run::number};

/// After the death of a client its gate is open again within this time.
const GATE_OPEN_WITHIN: Duration = Duration::from_secs(10);

/// What restic says to the vault of a desk.
pub fn restic(desk: &Desk, arguments: &[&str]) -> String {
    let out = Command::new("restic")
        .args(["--no-cache", "-r"])
        .arg(desk.path("vault"))
        .arg("--password-file")
        .arg(desk.path("password"))
        .args(arguments)
        .output()
        .expect("restic runs");
    assert!(out.status.success(), "restic {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// All snapshots, as restic lists them.
pub fn listed(desk: &Desk) -> Vec<serde_json::Value> {
    serde_json::from_str(&restic(desk, &["snapshots", "--json"])).expect("restic prints a list")
}

fn snapshots(desk: &Desk) -> BTreeSet<String> {
    listed(desk).iter().filter_map(|snapshot| snapshot["id"].as_str().map(str::to_owned)).collect()
}

/// Waits until nothing pauses maintenance any more.
pub fn wait_until_the_gate_is_open(appliance: &Appliance, when: &str) {
    let since = Instant::now();
    while appliance.gate_exists() {
        assert!(since.elapsed() < GATE_OPEN_WITHIN, "{when}: the gate is still closed");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_killed_backup_leaves_an_open_gate_a_sound_vault_and_a_way_on() {
    let (rounds, seed) = (number("CRASH_ROUNDS", 30), number("CRASH_SEED", 1));
    let (mut appliance, _folder) = appliance(seed);
    let port = appliance.open_sshd().expect("a door").port();
    let mut desk = Desk::with_vault();
    desk.set("GHEVAULT_HOST", &format!("127.0.0.1:{port}"));
    desk.set("GHEVAULT_SSH_KEY", &format!("file:{}", appliance.client_key().display()));
    desk.run(&["trust", "--accept", &appliance.host_key().expect("a host key")]).exits(0);
    let mut life = Life::new(appliance.place(), &program().expect("the simulator"), seed);
    let mut random = Seed::new(seed).part("moments");
    let mut whole = Duration::from_secs(3);
    let mut killed = 0;
    for round in 0..rounds {
        let when = format!("CRASH_SEED={seed}, round {round}");
        for _ in 0..4 {
            life.step().expect("the appliance lives");
        }
        let before = if round == 0 { BTreeSet::new() } else { snapshots(&desk) };
        let mut child = desk.start(&["backup", "--json"]);
        let span = u64::try_from(whole.as_millis()).unwrap_or(3000);
        std::thread::sleep(Duration::from_millis(random.below(span)));
        if child.try_wait().expect("a child").is_none() {
            killed += 1;
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        wait_until_the_gate_is_open(&appliance, &when);
        let since = Instant::now();
        let next = desk.run(&["backup", "--json"]);
        assert_eq!(next.code, 0, "{when}: {next:?}");
        assert_eq!(next.json()["outcome"], "complete", "{when}");
        whole = since.elapsed();
        let after = snapshots(&desk);
        assert!(before.is_subset(&after), "{when}: a snapshot is gone");
        restic(&desk, &["check"]);
    }
    assert!(
        killed * 2 > rounds,
        "only {killed} of {rounds} backups were still running when they were killed"
    );
    restic(&desk, &["check", "--read-data"]);
    desk.run(&["verify", "--depth", "2"]).exits(0);
}
