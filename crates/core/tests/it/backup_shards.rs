//! One snapshot by several shards: what they have together is what one process would have made.

use crate::support::bench;
use bench::{Bench, listing, shard as settings};
use ghevault_core::{
    appliance::{
        channel::Channel,
        gate::{Gate, GateError, GateSettings},
        transport::TransportKind,
    },
    backup::{
        BackupError, BackupReport, BackupSettings,
        shard::{join::JoinReport, run::ShardError},
    },
    progress::Silent,
    retention::{self, Policy},
    seal::{Outcome, SealKey},
    vault::{VaultError, tree_hex},
};
use ghevault_sim::{build::Recipe, harness::Appliance};
use jiff::Timestamp;
use std::{fs, sync::Arc, time::Duration};

fn join(bench: &Bench, run: &str) -> Result<JoinReport, BackupError> {
    bench::join_run(bench, Some(run))
}

/// All shards of a run at once.
fn shards(
    bench: &Bench,
    channel: &dyn Channel,
    run: &str,
    count: u32,
    moment: Option<Timestamp>,
) -> Vec<BackupReport> {
    std::thread::scope(|scope| {
        let one = |index| {
            let settings = BackupSettings { moment, ..settings(run, index, count) };
            scope.spawn(move || bench.backup_with(channel, &settings).unwrap())
        };
        let threads: Vec<_> = (1..=count).map(one).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

struct Scene {
    bench: Bench,
    appliance: Appliance,
    channel: Arc<dyn Channel>,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let (bench, appliance, port) = Bench::beside(seed);
        let channel = bench.channel(&appliance, port, TransportKind::Russh);
        Self { bench, appliance, channel }
    }

    fn shard(&self, run: &str, index: u32, count: u32) -> Result<BackupReport, BackupError> {
        self.bench.backup_with(&*self.channel, &settings(run, index, count))
    }
}

/// Makes a branch, another one's copy, in the first repository that has one.
fn push(appliance: &Appliance, name: &str) {
    let script = format!(
        "f=$(find repositories/*/nw -path '*.git/refs/heads/*' -type f | sort | head -n 1) && cp \"$f\" \"${{f%/*}}/{name}\" && echo \"$f\""
    );
    let out = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(appliance.disk("/data/user"))
        .output()
        .unwrap();
    assert!(out.status.success() && !out.stdout.is_empty(), "{out:?}");
}

#[test]
fn shards_of_a_still_appliance_join_to_the_very_tree_of_one_process() {
    let Scene { bench, appliance, channel } = Scene::new(31);
    let alone = Bench::new();
    for round in 0..2_i64 {
        let moment = Some(Timestamp::from_second(1_800_000_000 + round).unwrap());
        let one = alone.backup_with(&*channel, &BackupSettings { moment, ..Bench::settings() }).unwrap();
        assert_eq!(one.outcome, Outcome::Complete, "{one:#?}");
        let run = format!("round-{round}");
        let parts = shards(&bench, &*channel, &run, 3, moment);
        assert!(parts.iter().all(|part| part.outcome == Outcome::Complete), "{parts:#?}");
        assert!(!appliance.gate_exists());
        let joined = join(&bench, &run).unwrap().report;
        assert_eq!(joined.outcome, Outcome::Complete, "{joined:#?}");
        let (ours, theirs) =
            (bench.vault.find(&joined.snapshot).unwrap(), alone.vault.find(&one.snapshot).unwrap());
        if ours.tree != theirs.tree {
            let (a, b) =
                (bench.restic_restore(&joined.snapshot, "a"), alone.restic_restore(&one.snapshot, "b"));
            let (a, b) = (listing(&a, "."), listing(&b, "."));
            let odd: Vec<_> =
                a.iter().filter(|l| !b.contains(l)).chain(b.iter().filter(|l| !a.contains(l))).collect();
            panic!("round {round}: {} and {} differ: {odd:#?}", tree_hex(&ours.tree), tree_hex(&theirs.tree));
        }
        let items = |report: &BackupReport| -> Vec<(String, u64, u64)> {
            report.datasets.iter().map(|row| (row.name.clone(), row.items, row.bytes)).collect()
        };
        assert_eq!(items(&joined), items(&one));
        if round > 0 {
            assert!(joined.files_changed < 20, "the parent of the run was used: {joined:#?}");
            assert_eq!(joined.parent.as_deref().map(str::len), Some(64));
        }
        push(&appliance, &format!("by-shards-{round}"));
    }
    bench.assert_restic_finds_no_fault();
    let restored = bench.restic_restore("latest", "restored");
    assert!(listing(&restored, "repositories").len() > 100);
}

#[test]
fn parts_are_no_snapshots_until_they_are_joined_and_joining_twice_does_nothing() {
    let scene = Scene::new(32);
    let first = scene.bench.backup(&*scene.channel).unwrap();
    for index in 1..=2 {
        let part = scene.shard("r", index, 2).unwrap();
        assert_eq!(part.part.as_ref().map(|part| (part.index, part.count)), Some((index, 2)));
        assert_eq!(part.parent.as_ref(), Some(&first.snapshot));
    }
    // An ordinary backup sees no parent in them, nor a link of the chain.
    let list = scene.bench.vault.snapshots().unwrap();
    assert_eq!(retention::chain(&scene.bench.vault, &list).unwrap().len(), 1);
    let joined = join(&scene.bench, "r").unwrap();
    assert!(!joined.already);
    assert_eq!(joined.report.outcome, Outcome::Complete);
    let again = join(&scene.bench, "r").unwrap();
    assert!(again.already);
    assert_eq!(
        (again.report.snapshot, again.report.run),
        (joined.report.snapshot.clone(), joined.report.run)
    );
    let list = scene.bench.vault.snapshots().unwrap();
    assert_eq!(retention::chain(&scene.bench.vault, &list).unwrap().len(), 2);
    let late = scene.shard("r", 1, 2).unwrap_err();
    assert!(matches!(late, BackupError::Shard(ShardError::Joined { .. })), "{late}");

    let gathered = retention::gather(&scene.bench.vault, Timestamp::now()).unwrap();
    let policy = Policy { daily: 5, minimum: 1, ..Policy::default() };
    let plan =
        retention::plan(&policy, &gathered.candidates, &gathered.ghosts, &gathered.holds, Timestamp::now());
    let parts: Vec<_> = plan.decisions.iter().filter(|decision| decision.worth == "part").collect();
    assert_eq!(parts.len(), 2);
    assert!(parts.iter().all(|part| !part.keep && part.reasons[0].contains("was joined as")), "{parts:#?}");
    let lease = scene.bench.vault.lock_for_writing("forget", Duration::from_mins(1)).unwrap();
    retention::carry_out(&scene.bench.vault, plan, &gathered, false, &lease, &|| false, &Silent).unwrap();
    drop(lease);
    assert!(join(&scene.bench, "r").is_err_and(|error| error.to_string().contains("no run `r`")));
    scene.bench.assert_restic_finds_no_fault();
}

#[test]
fn an_open_run_keeps_its_parts_and_the_snapshot_that_it_builds_on() {
    let scene = Scene::new(33);
    let first = scene.bench.backup(&*scene.channel).unwrap();
    scene.shard("r", 2, 2).unwrap();
    let second = scene.bench.backup(&*scene.channel).unwrap();
    let gathered = retention::gather(&scene.bench.vault, Timestamp::now()).unwrap();
    let policy = Policy { hourly: 1, minimum: 1, ..Policy::default() };
    let decide = |now| retention::plan(&policy, &gathered.candidates, &gathered.ghosts, &gathered.holds, now);
    assert!(decide(Timestamp::now()).going().next().is_none());
    let later = Timestamp::now() + jiff::SignedDuration::from_hours(100);
    let gathered = retention::gather(&scene.bench.vault, later).unwrap();
    let plan = retention::plan(&policy, &gathered.candidates, &gathered.ghosts, &gathered.holds, later);
    let going: Vec<String> =
        plan.going().map(|decision| format!("{} {}", decision.worth, decision.snapshot)).collect();
    assert!(going.contains(&format!("complete {}", first.snapshot)), "{going:?}");
    assert!(going.iter().any(|one| one.starts_with("part ")) && going.len() == 2, "{going:?}");
    // What came between is no hindrance: the run is joined on what it began with.
    scene.shard("r", 1, 2).unwrap();
    let joined = join(&scene.bench, "r").unwrap().report;
    assert_eq!((joined.outcome, joined.parent.as_ref()), (Outcome::Complete, Some(&first.snapshot)));
    let list = scene.bench.vault.snapshots().unwrap();
    let chain = retention::chain(&scene.bench.vault, &list).unwrap();
    assert_eq!(chain.len(), 3, "it follows {}", second.snapshot);
}

#[test]
fn a_missing_part_makes_a_partial_snapshot_that_names_what_lacks_and_can_be_completed() {
    let scene = Scene::new(34);
    scene.shard("r", 1, 3).unwrap();
    scene.shard("r", 3, 3).unwrap();
    let partial = join(&scene.bench, "r").unwrap().report;
    assert_eq!(partial.outcome, Outcome::Partial);
    let problems = |name: &str| {
        let row = partial.datasets.iter().find(|row| row.name == name).unwrap();
        row.problems.join("; ")
    };
    assert!(
        problems("repositories").contains("shard 2/3: its part is missing"),
        "{}",
        problems("repositories")
    );
    assert!(problems("repositories").contains("/nw/"), "{}", problems("repositories"));
    assert_eq!(problems("mysql"), "");
    assert!(join(&scene.bench, "r").unwrap().already);
    scene.shard("r", 2, 3).unwrap();
    let whole = join(&scene.bench, "r").unwrap();
    assert_eq!((whole.already, whole.report.outcome), (false, Outcome::Complete), "{whole:#?}");
    let restored = scene.bench.restic_restore(&whole.report.snapshot, "restored");
    let data = scene.appliance.disk("/data/user");
    assert_eq!(listing(&data, "repositories"), listing(&restored, "repositories"));
    assert_eq!(listing(&data, "storage"), listing(&restored, "storage"));

    let first_lacks = Bench::new();
    first_lacks.backup_with(&*scene.channel, &settings("r", 2, 2)).unwrap();
    let partial = join(&first_lacks, "r").unwrap().report;
    let mysql = partial.datasets.iter().find(|row| row.name == "mysql").unwrap();
    assert_eq!((mysql.outcome, partial.outcome), (Outcome::Failed, Outcome::Partial));
    assert!(mysql.problems[0].contains("shard 1/2: its part is missing"), "{mysql:#?}");
}

#[test]
fn a_shard_that_ended_early_is_repeated_and_of_two_whole_ones_the_newer_counts() {
    let scene = Scene::new(35);
    let cancelled = settings("r", 2, 2);
    cancelled.cancel.cancel();
    let ended = scene.bench.backup_with(&*scene.channel, &cancelled).unwrap_err();
    assert!(matches!(ended, BackupError::Cancelled | BackupError::Dataset { .. }), "{ended}");
    assert!(join(&scene.bench, "r").is_err_and(|error| error.to_string().contains("has no part yet")));
    scene.shard("r", 1, 2).unwrap();
    scene.shard("r", 2, 2).unwrap();
    let newer = scene.shard("r", 2, 2).unwrap();
    let joined = join(&scene.bench, "r").unwrap().report;
    assert_eq!(joined.outcome, Outcome::Complete);
    assert_eq!(joined.run.unwrap().parts[&2], newer.snapshot);
    assert!(!scene.appliance.gate_exists());
}

#[test]
fn shards_that_do_not_fit_their_run_are_refused() {
    let mut scene = Scene::new(36);
    scene.shard("r", 1, 2).unwrap();
    let refused = scene.shard("r", 1, 3).unwrap_err().to_string();
    assert!(refused.contains("begun with 2 shard(s), and shard 1/3 says 3"), "{refused}");
    let mut other = settings("r", 2, 2);
    other.skip.insert("storage".into());
    let refused = scene.bench.backup_with(&*scene.channel, &other).unwrap_err().to_string();
    assert!(refused.contains("leave out storage"), "{refused}");
    let other = Bench::new();
    let stranger = BackupError::Shard(ShardError::NoRun { run: "r".into() }).to_string();
    assert_eq!(join(&other, "r").unwrap_err().to_string(), stranger);
    // Signed with another host's key.
    scene.bench.seal_key = SealKey::generate();
    let refused = join(&scene.bench, "r").unwrap_err();
    assert!(matches!(refused, BackupError::Shard(ShardError::Stranger { .. })), "{refused}");
}

#[test]
fn nobody_else_writes_while_a_shard_does_but_the_shards_of_its_run() {
    let scene = Scene::new(37);
    let ttl = Duration::from_mins(1);
    let lease = scene.bench.vault.lock_for_part("shard 1/2", "r", ttl).unwrap();
    for refused in [
        scene.bench.vault.lock_for_writing("prune", ttl).map(drop).unwrap_err(),
        scene.bench.vault.lock_for_part("shard 1/2", "other", ttl).map(drop).unwrap_err(),
    ] {
        assert!(matches!(refused, VaultError::Locked { .. }), "{refused}");
    }
    assert!(matches!(
        scene.bench.backup(&*scene.channel),
        Err(BackupError::Vault(VaultError::Locked { .. }))
    ));
    assert!(matches!(join(&scene.bench, "r"), Err(BackupError::Vault(VaultError::Locked { .. }))));
    scene.shard("r", 2, 2).unwrap();
    lease.check().unwrap();
}

#[test]
fn maintenance_stays_paused_until_the_last_shard_has_ended() {
    let scene = Scene::new(38);
    let repositories = "/data/user/repositories".to_owned();
    let gate = |group: &str| {
        let settings = GateSettings {
            repositories: repositories.clone(),
            drain_s: 5,
            wait: Duration::ZERO,
            owner: None,
            group: Some(group.into()),
        };
        Gate::take(&*scene.channel, &settings)
    };
    let first = gate("v/r").unwrap();
    let second = gate("v/r").unwrap();
    assert_eq!(first.mark(), second.mark());
    assert!(matches!(gate("v/other"), Err(GateError::Busy { .. })));
    first.release().unwrap();
    assert!(scene.appliance.gate_exists());
    let third = gate("v/r").unwrap();
    second.release().unwrap();
    assert!(scene.appliance.gate_exists());
    third.release().unwrap();
    assert!(!scene.appliance.gate_exists());
}

#[test]
fn a_gate_that_dead_shards_left_is_opened_by_whoever_writes_next() {
    let scene = Scene::new(39);
    let gate = scene.appliance.disk("/data/user/repositories").join(".sync_in_progress");
    let vault = &scene.bench.vault.id()[..16];
    for (content, healed) in
        [(format!("ghevault-run {vault}/dead"), true), ("ghevault-run 0000/dead".into(), false)]
    {
        fs::write(&gate, content).unwrap();
        let report = scene.bench.backup(&*scene.channel);
        assert_eq!(report.is_ok(), healed, "{report:?}");
        assert_eq!(gate.exists(), !healed);
    }
    fs::write(&gate, format!("ghevault-run {vault}/r")).unwrap();
    scene.shard("r", 1, 2).unwrap();
    assert!(!gate.exists(), "its own run's gate is taken over, and opened");
}

#[test]
fn shards_of_a_living_appliance_join_to_whole_repositories() {
    let bench = Bench::new();
    let mut appliance = Appliance::build(bench.dir.path().join("appliance"), &Recipe::small(40)).unwrap();
    let port = appliance.open_sshd_on(0, Some(40.0)).unwrap().port();
    let channel = bench.channel(&appliance, port, TransportKind::Russh);
    for round in 0..2 {
        let run = format!("live-{round}");
        shards(&bench, &*channel, &run, 3, None);
        let joined = join(&bench, &run).unwrap().report;
        assert_eq!(joined.outcome, Outcome::Complete, "{joined:#?}");
        let root = bench.restic_restore(&joined.snapshot, &run).join("repositories");
        let script = "cd \"$1\" && find . -type d -name '*.git' -prune | while read -r r; do \
                      GIT_ALTERNATE_OBJECT_DIRECTORIES=../network.git/objects git -c safe.directory='*' -C \"$r\" fsck --connectivity-only \
                      >/dev/null 2>&1 || echo \"$r\"; echo .; done";
        let out =
            std::process::Command::new("bash").args(["-c", script, "bash"]).arg(&root).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(said.lines().filter(|line| *line == ".").count() > 10, "{said}");
        let broken: Vec<_> = said.lines().filter(|line| *line != ".").collect();
        assert!(broken.is_empty(), "{broken:?}");
    }
    bench.assert_restic_finds_no_fault();
    assert!(!appliance.gate_exists());
}
