//! High-availability pairs: who is backed up, where maintenance is paused, and what happens when the roles change.

use crate::support::bench;
use std::{sync::Arc, time::Duration};

use bench::Bench;
use ghevault_core::{
    appliance::{
        channel::Channel,
        fleet::Relay,
        hostkeys::PinStore,
        target::Target,
        transport::{self, TransportSettings},
    },
    backup::{self, BackupError, BackupInputs, BackupReport, BackupSettings},
    keys::{Secret, SshKey},
    progress::{Event, Progress, Silent},
    seal::Outcome,
    state::{GateRecord, NodeGate},
};
use ghevault_sim::{
    appliance::faults::{Action, Fault},
    build::fleet::{FleetRecipe, Kind},
    harness::Fleet,
};

const PRIMARY: &str = "ghe-primary";
const REPLICA: &str = "ghe-replica";

struct Pair {
    bench: Bench,
    fleet: Fleet,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let bench = Bench::new();
        let mut fleet =
            Fleet::build(bench.dir.path().join("fleet"), &FleetRecipe::small(Kind::Ha, seed)).unwrap();
        fleet.open_embedded().unwrap();
        Self { bench, fleet }
    }

    fn channel(&self, node: &str) -> Arc<dyn Channel> {
        let address = self.fleet.address(node).unwrap();
        let target = Target::parse(&format!("admin@{}:{}", address.ip(), address.port())).unwrap();
        let pins = PinStore::below(self.bench.state.path());
        let shown = ghevault_core::appliance::russh::scan(&target, Duration::from_secs(10)).unwrap();
        pins.replace(&target, &shown).unwrap();
        let key = std::fs::read(self.fleet.node(node).unwrap().client_key()).unwrap();
        let key = SshKey::parse(&Secret::new(key), None).unwrap();
        transport::connect(TransportSettings::new(target, key, pins)).unwrap()
    }

    fn settings(node: &str) -> BackupSettings {
        BackupSettings { host: node.into(), idle: Duration::from_secs(5), ..Bench::settings() }
    }

    fn backup(&self, node: &str) -> Result<BackupReport, BackupError> {
        self.backup_with(node, &Self::settings(node), &Silent)
    }

    fn backup_with(
        &self,
        node: &str,
        settings: &BackupSettings,
        progress: &dyn Progress,
    ) -> Result<BackupReport, BackupError> {
        let channel = self.channel(node);
        backup::run(&BackupInputs {
            channel: &*channel,
            nodes: &Relay::through(&*channel),
            vault: &self.bench.vault,
            settings,
            state: &self.bench.state,
            seal_key: &self.bench.seal_key,
            progress,
        })
    }

    fn gate(&self, node: &str) -> bool {
        self.fleet.node(node).unwrap().gate_exists()
    }

    fn assert_gates_are_open(&self) {
        assert!(!self.gate(PRIMARY) && !self.gate(REPLICA), "a gate was left closed");
        assert_eq!(self.bench.state.gate().unwrap(), None);
    }

    fn leave_gate(&self, node: &str) -> NodeGate {
        let gate = self.fleet.node(node).unwrap().disk("/data/user/repositories/.sync_in_progress");
        std::fs::write(&gate, b"").unwrap();
        let meta = std::fs::metadata(&gate).unwrap();
        let mark = ghevault_core::appliance::gate::GateMark {
            inode: std::os::unix::fs::MetadataExt::ino(&meta),
            mtime: std::os::unix::fs::MetadataExt::mtime(&meta),
        };
        NodeGate { node: node.into(), mark }
    }
}

/// Acts once, when a part begins.
struct When<F: Fn() + Send + Sync> {
    part: &'static str,
    act: F,
    done: std::sync::Once,
}

impl<F: Fn() + Send + Sync> Progress for When<F> {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Started { part, .. } if part == self.part) {
            self.done.call_once(&self.act);
        }
    }
}

#[test]
fn maintenance_is_paused_on_the_replica_while_the_primary_is_read() {
    let pair = Pair::new(1);
    let seen = std::sync::Mutex::new((false, false));
    let look = When {
        part: "repositories",
        act: || *seen.lock().unwrap() = (pair.gate(PRIMARY), pair.gate(REPLICA)),
        done: std::sync::Once::new(),
    };
    let report = pair.backup_with(PRIMARY, &Pair::settings(PRIMARY), &look).unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(*seen.lock().unwrap(), (true, true), "gates on primary and replica");
    pair.assert_gates_are_open();
    let topology = report.topology.unwrap();
    assert_eq!(topology.role, "primary");
    let names: Vec<&str> = topology.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, [PRIMARY, REPLICA]);
    assert!(topology.nodes.iter().all(|node| node.trouble.is_none()), "{topology:?}");
    pair.bench.assert_restic_finds_no_fault();
}

#[test]
fn a_replica_that_cannot_be_reached_is_told_and_costs_nothing() {
    let mut pair = Pair::new(2);
    pair.fleet.stop_node(REPLICA).unwrap();
    let report = pair.backup(PRIMARY).unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert!(report.warnings.iter().any(|text| text.contains(REPLICA)), "{report:#?}");
    let topology = report.topology.unwrap();
    let trouble = topology.nodes.iter().find(|node| node.name == REPLICA).unwrap().trouble.clone();
    assert!(trouble.is_some(), "{topology:?}");
    pair.assert_gates_are_open();
}

#[test]
fn a_replica_is_refused_by_name_of_its_primary_unless_it_is_allowed() {
    let pair = Pair::new(3);
    let end = pair.backup(REPLICA).unwrap_err();
    assert!(end.to_string().contains(&format!("`{PRIMARY}`")), "{end}");
    let settings = BackupSettings { allow_replica: true, ..Pair::settings(REPLICA) };
    let report = pair.backup_with(REPLICA, &settings, &Silent).unwrap();
    assert!(report.warnings.iter().any(|text| text.contains("replica")), "{report:#?}");
    assert_eq!(report.topology.unwrap().role, "replica");
}

#[test]
fn after_a_promotion_the_vault_goes_on_with_the_new_primary_and_reads_no_objects_again() {
    let mut pair = Pair::new(4);
    let first = pair.backup(PRIMARY).unwrap();
    pair.fleet.stop_node(PRIMARY).unwrap();
    pair.fleet.promote(REPLICA).unwrap();
    let second = pair.backup(REPLICA).unwrap();
    assert_eq!(second.outcome, Outcome::Complete, "{second:#?}");
    assert!(second.warnings.iter().any(|text| text.contains("promoted")), "{second:#?}");
    assert_eq!(second.parent.as_deref(), Some(first.snapshot.as_str()));
    let objects = |report: &BackupReport| {
        let row = report.datasets.iter().find(|row| row.name == "repositories").unwrap();
        row.files_changed
    };
    assert!(objects(&second) > 0 && objects(&second) < objects(&first), "{second:#?}");
    let restored = pair.bench.restic_restore(&second.snapshot, "restored");
    let disk = pair.fleet.node(REPLICA).unwrap().disk("/data/user");
    assert_eq!(bench::listing(&restored, "repositories"), bench::listing(&disk, "repositories"));
    pair.bench.assert_restic_finds_no_fault();
}

#[test]
fn a_former_primary_beside_the_promoted_one_is_refused() {
    let pair = Pair::new(5);
    pair.fleet.promote(REPLICA).unwrap();
    let end = pair.backup(PRIMARY).unwrap_err();
    assert!(end.to_string().contains(REPLICA), "{end}");
    assert_eq!(pair.backup(REPLICA).unwrap().outcome, Outcome::Complete);
}

#[test]
fn a_promotion_during_a_run_ends_it_without_a_snapshot_and_the_next_run_follows() {
    let pair = Pair::new(6);
    let promote =
        When { part: "storage", act: || pair.fleet.promote(REPLICA).unwrap(), done: std::sync::Once::new() };
    let end = pair.backup_with(PRIMARY, &Pair::settings(PRIMARY), &promote).unwrap_err();
    assert!(matches!(end, BackupError::Changed { .. }), "{end:?}");
    assert!(end.to_string().contains(REPLICA), "{end}");
    assert!(pair.bench.vault.snapshots().unwrap().snapshots.is_empty());
    pair.assert_gates_are_open();
    assert_eq!(pair.backup(REPLICA).unwrap().outcome, Outcome::Complete);
    pair.bench.assert_restic_finds_no_fault();
}

#[test]
fn a_gate_that_a_dead_run_left_on_the_promoted_machine_is_removed_and_one_of_a_stranger_is_not() {
    let mut pair = Pair::new(7);
    let (first, other) = (pair.leave_gate(PRIMARY), pair.leave_gate(REPLICA));
    let record = GateRecord {
        node: PRIMARY.into(),
        others: vec![other],
        ..GateRecord::single(PRIMARY, first.mark, dead_process())
    };
    pair.bench.state.record_gate(&record).unwrap();
    pair.fleet.stop_node(PRIMARY).unwrap();
    pair.fleet.promote(REPLICA).unwrap();
    let report = pair.backup(REPLICA).unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert!(
        report.warnings.iter().any(|text| text.contains("gate") && text.contains(REPLICA)),
        "{report:#?}"
    );
    assert!(!pair.gate(REPLICA));
    pair.leave_gate(REPLICA);
    let end = pair.backup(REPLICA).unwrap_err();
    assert!(end.to_string().contains("another client"), "{end}");
    assert!(pair.gate(REPLICA), "somebody else's gate was removed");
}

#[test]
fn a_primary_that_is_lost_during_a_run_is_named() {
    let mut pair = Pair::new(8);
    let cut = Fault::at_door("! -f /etc/github/cluster", Action::Cut);
    pair.fleet.node_mut(PRIMARY).unwrap().set_faults(vec![cut]).unwrap();
    let end = pair.backup(PRIMARY).unwrap_err();
    assert!(matches!(end, BackupError::LostPrimary { .. }), "{end:?}");
}

fn dead_process() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}
