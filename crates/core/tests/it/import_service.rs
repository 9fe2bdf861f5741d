//! The newest finished snapshot of the appliance's own Backup Service becomes a snapshot, and never an unfinished one.

use crate::support::bench;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use bench::{Bench, listing};
use ghevault_core::{
    appliance::{
        channel::{Channel, ChannelError, RemoteCommand, Running},
        fleet::Relay,
        transport::TransportKind,
    },
    backup::{BackupInputs, BackupReport},
    import::service::{self, ServiceError, ServiceOutcome, ServiceSettings},
    progress::Silent,
    restore::{
        export::{self, ExportOptions},
        view::SnapshotView,
    },
    seal::{self, Outcome, Source},
    vault::tree_hex,
};
use ghevault_sim::{build::Recipe, harness::Appliance};

const FIRST: &str = "20260101T000000";
const SECOND: &str = "20260101T010000";

/// A channel that lets something happen on the appliance right before one of its commands.
struct Interposed<'a> {
    inner: Arc<dyn Channel>,
    label: &'static str,
    before: &'a Mutex<dyn FnMut() + Send + 'a>,
}

impl Channel for Interposed<'_> {
    fn start(&self, command: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
        if command.label == self.label {
            (self.before.lock().unwrap())();
        }
        self.inner.start(command)
    }

    fn host_key(&self) -> Option<String> {
        self.inner.host_key()
    }
}

struct Case {
    bench: Bench,
    appliance: Appliance,
    channel: Arc<dyn Channel>,
    data: PathBuf,
    /// Makes the service's snapshots.
    maker: Bench,
}

impl Case {
    fn new(seed: u64) -> Self {
        let (bench, maker) = (Bench::new(), Bench::new());
        let mut appliance =
            Appliance::build(bench.dir.path().join("appliance"), &Recipe::small(seed)).unwrap();
        let port = appliance.open_sshd().unwrap().port();
        let channel = bench.channel(&appliance, port, TransportKind::Russh);
        let making = maker.channel(&appliance, port, TransportKind::Russh);
        assert_eq!(maker.backup(&*making).unwrap().outcome, Outcome::Complete);
        let data = appliance.disk("/data/backup/data");
        let case = Self { bench, appliance, channel, data, maker };
        case.serve(FIRST);
        case
    }

    /// Lets the service have a finished snapshot of this name, and point to it.
    fn serve(&self, name: &str) {
        let snapshot = self.maker.vault.find("latest").unwrap();
        let reader = self.maker.vault.index().unwrap();
        let options = ExportOptions { name: Some(name.into()), ..ExportOptions::default() };
        let view = SnapshotView::new(&reader, snapshot.tree);
        let id = snapshot.id.to_string();
        let report = export::run(view, &id, snapshot.time, &self.data, &options, &Silent).unwrap();
        assert!(report.restored.complete() && report.current);
        fs::write(self.data.join(name).join("strategy"), "rsync\n").unwrap();
    }

    fn run(&self) -> Result<ServiceOutcome, ServiceError> {
        self.run_through(&*self.channel, Duration::ZERO)
    }

    fn run_through(&self, channel: &dyn Channel, wait: Duration) -> Result<ServiceOutcome, ServiceError> {
        let settings = Bench::settings();
        let inputs = BackupInputs {
            channel,
            nodes: &Relay::through(channel),
            vault: &self.bench.vault,
            settings: &settings,
            state: &self.bench.state,
            seal_key: &self.bench.seal_key,
            progress: &Silent,
        };
        let poll = Duration::from_millis(20);
        service::run(&inputs, &ServiceSettings { wait, poll, ..ServiceSettings::default() })
    }

    fn mark(&self) -> PathBuf {
        self.appliance.disk("/data/user/common/backup_utils_in_progress")
    }

    fn count(&self) -> usize {
        self.bench.vault.snapshots().unwrap().snapshots.len()
    }
}

fn captured(outcome: ServiceOutcome) -> BackupReport {
    match outcome {
        ServiceOutcome::Captured(report) => *report,
        ServiceOutcome::Present { .. } => panic!("{outcome:?}"),
    }
}

fn remove(folder: &Path) {
    // As backup-utils does: marked first.
    fs::write(folder.join("incomplete"), "").unwrap();
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_newest_snapshot_comes_over_whole_and_only_once() {
    let case = Case::new(1);
    let report = captured(case.run().unwrap());
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    let snapshot = case.bench.vault.find("latest").unwrap();
    let seal = seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree)).unwrap();
    assert_eq!(seal.manifest.source, Source::BackupService);
    let restored = case.bench.restic_restore("latest", "restored");
    for folder in ["repositories", "pages", "storage", "elasticsearch"] {
        assert_eq!(listing(&case.data.join(FIRST), folder), listing(&restored, folder), "{folder}");
    }
    assert!(!case.appliance.gate_exists());
    match case.run().unwrap() {
        ServiceOutcome::Present { snapshot, name } => {
            assert_eq!((snapshot, &*name), (report.snapshot, FIRST));
        }
        ServiceOutcome::Captured(again) => panic!("{again:#?}"),
    }
    assert_eq!(case.count(), 1);
}

#[test]
fn an_unfinished_snapshot_is_never_taken() {
    let case = Case::new(2);
    fs::write(case.data.join(FIRST).join("incomplete"), "").unwrap();
    let error = case.run().unwrap_err();
    assert!(matches!(&error, ServiceError::NoSnapshot { .. }), "{error}");
    assert!(error.to_string().contains("marked `incomplete`"), "{error}");
    fs::remove_dir_all(case.data.join(FIRST)).unwrap();
    assert!(case.run().unwrap_err().to_string().contains("which is not there"));
    assert_eq!(case.count(), 0);
}

#[test]
fn a_snapshot_that_is_pruned_while_it_is_read_is_followed_by_the_new_one() {
    let case = Case::new(3);
    let mut calls = 0;
    let before = Mutex::new(|| {
        calls += 1;
        if calls == 1 {
            case.serve(SECOND);
            remove(&case.data.join(FIRST));
        }
    });
    let channel = Interposed { inner: Arc::clone(&case.channel), label: "read files", before: &before };
    let report = captured(case.run_through(&channel, Duration::ZERO).unwrap());
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert!(
        report.warnings.iter().any(|text| text.contains(FIRST) && text.contains("deleted")),
        "{report:#?}"
    );
    assert_eq!(case.count(), 1);
}

#[test]
fn a_link_that_moves_on_while_its_snapshot_stays_changes_nothing() {
    let case = Case::new(4);
    let mut calls = 0;
    let before = Mutex::new(|| {
        calls += 1;
        if calls == 1 {
            case.serve(SECOND);
        }
    });
    let channel = Interposed { inner: Arc::clone(&case.channel), label: "read files", before: &before };
    let report = captured(case.run_through(&channel, Duration::ZERO).unwrap());
    assert!(report.warnings.iter().all(|text| !text.contains("deleted")), "{report:#?}");
    let time = case.bench.vault.find("latest").unwrap().time;
    assert_eq!(time.strftime("%Y%m%dT%H%M%S").to_string(), FIRST);
}

#[test]
fn a_running_service_is_waited_for_and_a_mark_of_yesterday_is_named() {
    let case = Case::new(5);
    fs::write(case.mark(), "").unwrap();
    let error = case.run().unwrap_err();
    assert!(matches!(error, ServiceError::Running { .. }), "{error}");
    let mut looks = 0;
    let before = Mutex::new(|| {
        looks += 1;
        if looks == 3 {
            fs::remove_file(case.mark()).unwrap();
        }
    });
    let channel =
        Interposed { inner: Arc::clone(&case.channel), label: "look at the Backup Service", before: &before };
    captured(case.run_through(&channel, Duration::from_mins(5)).unwrap());
    fs::write(case.mark(), "").unwrap();
    let yesterday = std::time::SystemTime::now() - Duration::from_hours(48);
    fs::File::options().write(true).open(case.mark()).unwrap().set_modified(yesterday).unwrap();
    let error = case.run().unwrap_err();
    assert!(matches!(error, ServiceError::StaleMark { .. }), "{error}");
}

#[test]
fn what_the_appliances_own_command_makes_is_taken_and_what_it_leaves_when_it_dies_is_not() {
    let bench = Bench::new();
    let mut appliance = Appliance::build(bench.dir.path().join("appliance"), &Recipe::small(6)).unwrap();
    let port = appliance.open_embedded().unwrap().port();
    let channel = bench.channel(&appliance, port, TransportKind::Russh);
    let data = appliance.disk("/data/backup/data");
    let maker = Bench::new();
    let case = Case { bench, appliance, channel, data, maker };
    let command = |name: &str| {
        case.channel.run(&RemoteCommand::new("ghe-backup", format!("ghe-backup {name}")), &[]).unwrap().exit
    };
    assert!(command(FIRST).status.success());
    let first = captured(case.run().unwrap());
    assert_eq!(first.outcome, Outcome::Complete, "{first:#?}");
    case.appliance.mutate(6, 6).unwrap();
    assert!(command(SECOND).status.success());
    let second = captured(case.run().unwrap());
    assert_eq!(
        (second.outcome, second.parent.as_ref()),
        (Outcome::Complete, Some(&first.snapshot)),
        "{second:#?}"
    );
    assert!(second.bytes_read < first.bytes_read, "{second:#?}");
    case.appliance.change_state(|state| state.knobs.backup_service_dies = true).unwrap();
    assert!(!command("20260101T020000").status.success());
    assert!(matches!(case.run().unwrap_err(), ServiceError::Running { .. }));
    fs::remove_file(case.mark()).unwrap();
    assert!(matches!(case.run().unwrap(), ServiceOutcome::Present { name, .. } if name == SECOND));
    assert_eq!(case.count(), 2);
}
