//! Bad days: streams that break, commands that fail or hang, somebody else's gate, a full disk. Each time: the right outcome, an open
//! gate, no harm to earlier snapshots, and a complete snapshot afterwards.

use crate::support::bench;
use std::time::Duration;

use bench::Bench;
use ghevault_core::{
    appliance::{fleet::Relay, gate::GateError, transport::TransportKind},
    backup::{self, BackupError, BackupInputs, BackupReport, BackupSettings},
    progress::Silent,
    seal::Outcome,
    vault::{Password, Vault, VaultError, VaultLocation},
};
use ghevault_sim::{
    appliance::faults::{Action, Fault},
    build::{Recipe, databases::Databases},
    harness::Appliance,
};

struct Day {
    bench: Bench,
    appliance: Appliance,
    port: u16,
}

impl Day {
    fn new(seed: u64) -> Self {
        Self::of(&Recipe::small(seed))
    }

    fn of(recipe: &Recipe) -> Self {
        let bench = Bench::new();
        let mut appliance = Appliance::build(bench.dir.path().join("appliance"), recipe).unwrap();
        let port = appliance.open_sshd().unwrap().port();
        Self { bench, appliance, port }
    }

    fn settings() -> BackupSettings {
        BackupSettings { idle: Duration::from_secs(5), ..Bench::settings() }
    }

    fn backup(&self) -> Result<BackupReport, BackupError> {
        let channel = self.bench.channel(&self.appliance, self.port, TransportKind::Russh);
        self.bench.backup_with(&*channel, &Self::settings())
    }

    /// The next run, with the faults gone, is complete, and stock restic finds no fault.
    fn assert_recovers(&mut self) {
        self.appliance.set_faults(Vec::new()).unwrap();
        assert!(!self.appliance.gate_exists(), "the gate was left closed");
        let report = self.backup().unwrap();
        assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
        self.bench.assert_restic_finds_no_fault();
    }
}

fn row<'a>(report: &'a BackupReport, name: &str) -> &'a ghevault_core::backup::DatasetReport {
    report.datasets.iter().find(|row| row.name == name).unwrap()
}

fn after(bytes: u64, fault: Fault) -> Fault {
    Fault { after_bytes: Some(bytes), ..fault }
}

#[test]
fn a_dump_that_breaks_makes_the_snapshot_partial_and_keeps_the_last_good_dump() {
    let mut day = Day::new(21);
    day.backup().unwrap();
    let good = day.bench.restic(&["dump", "latest", "/mysql.sql"]).stdout;
    assert!(!good.is_empty());
    day.appliance
        .set_faults(vec![after(500, Fault::at_door("ghe-export-mysql | gzip", Action::Cut))])
        .unwrap();
    let report = day.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(row(&report, "mysql").outcome, Outcome::Failed, "{report:#?}");
    assert_eq!(row(&report, "repositories").outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(day.bench.restic(&["dump", "latest", "/mysql.sql"]).stdout, good);
    day.assert_recovers();
}

#[test]
fn a_passing_fault_costs_nothing() {
    let mut day = Day::new(22);
    let fault = Fault { times: Some(1), ..after(3000, Fault::at_door("--create --format=gnu", Action::Cut)) };
    day.appliance.set_faults(vec![fault]).unwrap();
    let report = day.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    day.assert_recovers();
}

#[test]
fn a_file_stream_that_always_breaks_never_counts_as_complete() {
    let mut day = Day::new(23);
    day.appliance
        .set_faults(vec![after(3000, Fault::at_door("--create --format=gnu", Action::Cut))])
        .unwrap();
    let report = day.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(row(&report, "repositories").outcome, Outcome::Failed, "{report:#?}");
    day.assert_recovers();
}

#[test]
fn a_listing_that_ends_early_with_exit_code_0_is_noticed() {
    let mut day = Day::new(24);
    day.backup().unwrap();
    day.appliance
        .set_faults(vec![after(200, Fault::at_door("sudo find repositories", Action::Truncate))])
        .unwrap();
    let report = day.backup().unwrap();
    assert_eq!(row(&report, "repositories").outcome, Outcome::Failed, "{report:#?}");
    day.assert_recovers();
}

#[test]
fn an_export_that_ends_early_with_exit_code_0_is_noticed() {
    // A dump of a real server says at its end that it is complete.
    let mut day = Day::of(&Recipe { databases: Databases::Auto, ..Recipe::small(25) });
    day.appliance
        .set_faults(vec![after(300, Fault::in_command("ghe-export-mysql", Action::Truncate))])
        .unwrap();
    let report = day.backup().unwrap();
    assert_eq!(row(&report, "mysql").outcome, Outcome::Failed, "{report:#?}");
    day.assert_recovers();
}

#[test]
fn a_question_for_secrets_that_fails_is_not_taken_for_unset_secrets() {
    let mut day = Day::new(26);
    let fail = Action::Fail { code: 255, stderr: "ssh failure".into() };
    day.appliance.set_faults(vec![Fault::in_command("ghe-config secrets", fail)]).unwrap();
    let report = day.backup().unwrap();
    assert_eq!(row(&report, "secrets").outcome, Outcome::Partial, "{report:#?}");
    day.assert_recovers();
}

#[test]
fn a_command_that_hangs_is_given_up() {
    let mut day = Day::new(27);
    day.appliance.set_faults(vec![Fault::at_door("ghe-es-dump-json http", Action::Hang)]).unwrap();
    let report = day.backup().unwrap();
    assert_eq!(row(&report, "audit-log").outcome, Outcome::Partial, "{report:#?}");
    day.assert_recovers();
}

#[test]
fn a_redis_save_that_never_ends_is_given_up_and_costs_only_redis() {
    let mut day = Day::new(33);
    day.appliance.change_state(|state| state.knobs.redis_stuck = true).unwrap();
    let report = day.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    let redis = row(&report, "redis");
    assert_eq!(redis.outcome, Outcome::Failed);
    assert!(redis.problems[0].contains("`save Redis` stalled"), "{:?}", redis.problems);
    assert_eq!(row(&report, "repositories").outcome, Outcome::Complete);
    day.appliance.change_state(|state| state.knobs.redis_stuck = false).unwrap();
    day.assert_recovers();
}

#[test]
fn the_gate_of_another_client_is_respected() {
    let mut day = Day::new(28);
    let gate = day.appliance.disk("/data/user/repositories/.sync_in_progress");
    std::fs::write(&gate, b"").unwrap();
    let end = day.backup();
    assert!(matches!(end, Err(BackupError::Gate(GateError::Busy { .. }))), "{end:?}");
    assert!(gate.exists(), "somebody else's gate was removed");
    std::fs::remove_file(gate).unwrap();
    day.assert_recovers();
}

#[test]
fn a_gate_that_a_dead_run_of_this_host_left_is_removed() {
    let mut day = Day::new(29);
    let gate = day.appliance.disk("/data/user/repositories/.sync_in_progress");
    std::fs::write(&gate, b"").unwrap();
    let meta = std::fs::metadata(&gate).unwrap();
    let mark = ghevault_core::appliance::gate::GateMark {
        inode: std::os::unix::fs::MetadataExt::ino(&meta),
        mtime: std::os::unix::fs::MetadataExt::mtime(&meta),
    };
    let record = ghevault_core::state::GateRecord::single(Day::settings().host, mark, dead_process());
    day.bench.state.record_gate(&record).unwrap();
    let report = day.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert!(report.warnings.iter().any(|text| text.contains("gate")), "{report:#?}");
    day.assert_recovers();
}

#[test]
fn the_vault_of_another_appliance_is_refused() {
    let day = Day::new(30);
    day.backup().unwrap();
    let mut other = Appliance::build(day.bench.dir.path().join("other"), &Recipe::small(31)).unwrap();
    let port = other.open_sshd().unwrap().port();
    let channel = day.bench.channel(&other, port, TransportKind::Russh);
    let end = day.bench.backup(&*channel);
    assert!(matches!(end, Err(BackupError::Refused { .. })), "{end:?}");
    assert!(!other.gate_exists());
}

#[test]
fn a_second_backup_at_the_same_time_is_refused() {
    let day = Day::new(32);
    let _lease = day.bench.vault.lock_for_writing("another run", Duration::from_mins(1)).unwrap();
    let end = day.backup();
    assert!(matches!(end, Err(BackupError::Vault(VaultError::Locked { .. }))), "{end:?}");
}

/// A small file system of its own; unmounted with the test.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn new(at: std::path::PathBuf, size: &str) -> Self {
        std::fs::create_dir(&at).unwrap();
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&at)
            .status()
            .unwrap();
        assert!(status.success(), "cannot mount a tmpfs");
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_vault_disk_ends_the_run_and_opens_the_gate() {
    let day = Day::new(33);
    let disk = SmallDisk::new(day.bench.dir.path().join("small"), "1m");
    let location = VaultLocation::parse(disk.0.join("vault").to_str().unwrap()).unwrap();
    let vault = Vault::init(&location, &Password::new(bench::PASSWORD)).unwrap();
    let channel = day.bench.channel(&day.appliance, day.port, TransportKind::Russh);
    let end = backup::run(&BackupInputs {
        channel: &*channel,
        nodes: &Relay::through(&*channel),
        vault: &vault,
        settings: &Bench::settings(),
        state: &day.bench.state,
        seal_key: &day.bench.seal_key,
        progress: &Silent,
    });
    assert!(matches!(end, Err(BackupError::Vault(VaultError::Full { .. }))), "{end:?}");
    assert!(!day.appliance.gate_exists());
    assert!(vault.snapshots().unwrap().snapshots.is_empty());
}

/// The number of a process that has ended.
fn dead_process() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn a_fresh_appliance_is_complete_when_no_repositories_are_allowed_and_partial_otherwise() {
    let day = Day::of(&Recipe::fresh(34));
    let report = day.backup().unwrap();
    assert_eq!(row(&report, "repositories").outcome, Outcome::Failed, "{report:#?}");
    let channel = day.bench.channel(&day.appliance, day.port, TransportKind::Russh);
    let settings = BackupSettings { allow_no_repositories: true, ..Day::settings() };
    let report = day.bench.backup_with(&*channel, &settings).unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
}
