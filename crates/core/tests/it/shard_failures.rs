//! Shards that are killed, and runs that nobody finished.

use crate::support::bench::{Bench, PASSWORD, channel_of, join_run, shard};
use ghevault_core::{
    appliance::transport::TransportKind,
    backup::{self, BackupError, BackupInputs, BackupSettings, shard::run::ShardError},
    progress::Silent,
    seal::Outcome,
    state::StateFolder,
    vault::{Password, Vault, VaultLocation, tree_hex},
};
use ghevault_sim::{
    appliance::faults::{Action, Fault},
    build::Recipe,
    harness::Appliance,
};
use jiff::Timestamp;
use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const HOST: &str = "GHEVAULT_TEST_HOST";
const DOOR: &str = "GHEVAULT_TEST_DOOR";
const KEY: &str = "GHEVAULT_TEST_KEY";

/// The moment of the runs that are compared.
fn moment() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn settings(index: u32) -> BackupSettings {
    BackupSettings { moment: Some(moment()), ..shard("r", index, 3) }
}

/// What the process does that is to be killed: the second of three shards.
fn doomed(host: &Path) {
    let variable = |name| std::env::var(name).unwrap();
    let location = VaultLocation::parse(host.join("vault").to_str().unwrap()).unwrap();
    let vault = Vault::open(&location, &Password::new(PASSWORD)).unwrap();
    let state = StateFolder::open(&host.join("state")).unwrap();
    let channel =
        channel_of(&state, Path::new(&variable(KEY)), variable(DOOR).parse().unwrap(), TransportKind::Russh);
    let end = backup::run(&BackupInputs {
        channel: &*channel,
        nodes: &ghevault_core::appliance::fleet::Relay::through(&*channel),
        vault: &vault,
        settings: &settings(2),
        state: &state,
        seal_key: &state.seal_key().unwrap(),
        progress: &Silent,
    });
    panic!("it was to be killed before: {end:?}");
}

/// Runs this very test again in a process of its own, as [`doomed`].
fn start(host: &Path, appliance: &Appliance, port: u16) -> Child {
    let test = std::thread::current().name().unwrap().to_owned();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .env(HOST, host)
        .env(DOOR, format!("127.0.0.1:{port}"))
        .env(KEY, appliance.client_key())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn names(folder: &Path) -> Vec<OsString> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn a_shard_that_is_killed_half_way_is_run_again_and_the_join_is_what_one_process_makes() {
    if let Some(host) = std::env::var_os(HOST) {
        doomed(Path::new(&host));
    }
    let (bench, alone) = (Bench::new(), Bench::new());
    let mut appliance = Appliance::build(bench.dir.path().join("appliance"), &Recipe::small(41)).unwrap();
    let port = appliance.open_sshd().unwrap().port();
    let channel = bench.channel(&appliance, port, TransportKind::Russh);
    let whole = BackupSettings { moment: Some(moment()), ..Bench::settings() };
    let one = alone.backup_with(&*channel, &whole).unwrap();
    for index in [1, 3] {
        bench.backup_with(&*channel, &settings(index)).unwrap();
    }

    // References are read, and the listing of the objects never comes: maintenance is paused, and half of the part is stored.
    let marks = appliance.place().run("faults");
    let before = names(&marks).len();
    appliance.set_faults(vec![Fault::at_door("tmp_*", Action::Hang).times(1)]).unwrap();
    let mut child = start(bench.dir.path(), &appliance, port);
    let deadline = Instant::now() + Duration::from_mins(2);
    while names(&marks).len() == before {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it did not get half-way");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(appliance.gate_exists());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(bench.vault.snapshots().unwrap().snapshots.len(), 2, "it leaves no part");

    bench.backup_with(&*channel, &settings(2)).unwrap();
    assert!(!appliance.gate_exists());
    let joined = join_run(&bench, Some("r")).unwrap();
    assert_eq!((joined.report.outcome, &joined.wanting[..]), (Outcome::Complete, &[][..]), "{joined:#?}");
    let tree = |bench: &Bench, snapshot: &str| tree_hex(&bench.vault.find(snapshot).unwrap().tree);
    assert_eq!(tree(&bench, &joined.report.snapshot), tree(&alone, &one.snapshot));
    bench.assert_restic_finds_no_fault();
}

#[test]
fn a_run_that_nobody_finished_is_in_nobodys_way_and_is_named() {
    let (bench, appliance, port) = Bench::beside(42);
    let channel = bench.channel(&appliance, port, TransportKind::Russh);
    let capture = |run: &str, index| bench.backup_with(&*channel, &shard(run, index, 2)).unwrap();
    capture("eight", 1);
    capture("nine", 1);
    // Of those that are not complete the newest is meant, also when it was joined without a part of it.
    let partial = join_run(&bench, None).unwrap();
    assert_eq!(partial.report.run.as_ref().map(|run| run.name.as_str()), Some("nine"));
    assert_eq!(partial.report.outcome, Outcome::Partial);
    assert_eq!(partial.wanting.iter().map(ToString::to_string).collect::<Vec<_>>(), ["2/2"]);
    let named = |warnings: &[String]| warnings.iter().any(|text| text.contains("--join --run eight"));
    assert!(named(&partial.report.warnings), "{partial:#?}");
    let again = join_run(&bench, None).unwrap();
    assert!(again.already && named(&again.report.warnings), "{again:#?}");
    capture("nine", 2);
    assert_eq!(join_run(&bench, None).unwrap().report.outcome, Outcome::Complete);
    // The older one is the only one now.
    capture("eight", 2);
    let older = join_run(&bench, None).unwrap();
    assert_eq!((older.report.outcome, older.report.warnings.len()), (Outcome::Complete, 0), "{older:#?}");
    let none = join_run(&bench, None).unwrap_err();
    assert!(matches!(none, BackupError::Shard(ShardError::NoneWaits)), "{none}");
}
