//! Clusters: every route from one node that has it, the next one when that is lost, and nothing complete that is not.

#[path = "support/bench.rs"]
mod bench;

use std::{sync::Arc, time::Duration};

use bench::Bench;
use ghevault_core::{
    appliance::{
        channel::{Channel, ChannelError},
        facts::{self, FactsError},
        fleet::Jump,
        hostkeys::PinStore,
        target::Target,
        transport::{self, TransportKind, TransportSettings},
    },
    backup::{self, BackupError, BackupInputs, BackupReport, BackupSettings, DatasetReport},
    keys::{Secret, SshKey},
    progress::{Event, Progress, Silent},
    seal::Outcome,
};
use ghevault_sim::{
    build::fleet::{FleetRecipe, Kind},
    harness::Fleet,
};

struct Cluster {
    bench: Bench,
    fleet: Fleet,
    kind: TransportKind,
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let bench = Bench::new();
        let recipe = FleetRecipe::small(Kind::Cluster3, seed);
        let mut fleet = Fleet::build(bench.dir.path().join("fleet"), &recipe).unwrap();
        fleet.open_embedded().unwrap();
        Self { bench, fleet, kind: TransportKind::Russh }
    }

    fn first(&self) -> String {
        self.fleet.names()[0].to_owned()
    }

    fn way(&self) -> TransportSettings {
        let address = self.fleet.address(&self.first()).unwrap();
        let target = Target::parse(&format!("admin@{}:{}", address.ip(), address.port())).unwrap();
        let pins = PinStore::below(self.bench.state.path());
        let shown = ghevault_core::appliance::russh::scan(&target, Duration::from_secs(10)).unwrap();
        pins.replace(&target, &shown).unwrap();
        let key = std::fs::read(self.fleet.first().client_key()).unwrap();
        let key = SshKey::parse(&Secret::new(key), None).unwrap();
        let mut way = TransportSettings::new(target, key, pins);
        way.kind = self.kind;
        way
    }

    /// Pins the keys of all nodes, as `trust` does.
    fn trust_nodes(&self) {
        let way = self.way();
        let channel: Arc<dyn Channel> = transport::connect(way.clone()).unwrap();
        let fleet = facts::probe(&*channel, "/data/user", "cluster").unwrap().fleet.unwrap();
        let jump = Jump::through(way);
        for node in fleet.nodes.iter().filter(|node| node.name != fleet.own) {
            let shown = jump.scan(node).unwrap();
            let way = jump.way(node).unwrap();
            way.pins.replace_of(&way.pin_name(), &shown).unwrap();
        }
    }

    fn backup(&self) -> Result<BackupReport, BackupError> {
        self.backup_with(&Silent)
    }

    fn backup_with(&self, progress: &dyn Progress) -> Result<BackupReport, BackupError> {
        let way = self.way();
        let channel = transport::connect(way.clone()).unwrap();
        backup::run(&BackupInputs {
            channel: &*channel,
            nodes: &Jump::through(way),
            vault: &self.bench.vault,
            settings: &BackupSettings { idle: Duration::from_secs(20), ..Bench::settings() },
            state: &self.bench.state,
            progress,
        })
    }

    fn assert_gates_are_open(&self) {
        for name in self.fleet.names() {
            assert!(!self.fleet.node(name).unwrap().gate_exists(), "a gate was left closed on {name}");
        }
    }

    /// Names and contents of all files of a dataset in a snapshot.
    fn contents(&self, snapshot: &str, folder: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
        let restored = self.bench.restic_restore(snapshot, &format!("restored-{snapshot}"));
        let contents = files(&restored, folder);
        std::fs::remove_dir_all(restored).unwrap();
        contents
    }

    /// The union of all nodes' files of a dataset.
    fn union(&self, folder: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
        let mut all = std::collections::BTreeMap::new();
        for name in self.fleet.names() {
            all.extend(files(&self.fleet.node(name).unwrap().disk("/data/user"), folder));
        }
        all
    }
}

fn files(root: &std::path::Path, folder: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
    bench::listing(root, folder)
        .into_iter()
        .filter_map(|line| {
            // Lines of `sha256sum`: the hash, two spaces, the path.
            let (hash, path) = line.split_once("  ")?;
            (hash.len() == 64).then(|| (path.to_owned(), hash.as_bytes().to_vec()))
        })
        .collect()
}

fn row<'a>(report: &'a BackupReport, name: &str) -> &'a DatasetReport {
    report.datasets.iter().find(|row| row.name == name).unwrap()
}

#[test]
fn a_cluster_is_backed_up_whole_and_the_next_run_reads_next_to_nothing() {
    let cluster = Cluster::new(1);
    cluster.trust_nodes();
    let first = cluster.backup().unwrap();
    assert_eq!(first.outcome, Outcome::Complete, "{first:#?}");
    for folder in ["repositories", "storage", "pages"] {
        assert_eq!(cluster.contents(&first.snapshot, folder), cluster.union(folder), "{folder}");
    }
    let text = |path: &str| cluster.bench.restic(&["dump", &first.snapshot, path]).stdout;
    assert_eq!(text("/strategy"), b"cluster\n");
    assert!(String::from_utf8_lossy(&text("/cluster.conf")).contains("mysql-master"));
    assert_eq!(first.topology.as_ref().unwrap().nodes.len(), 3);
    cluster.assert_gates_are_open();
    let second = cluster.backup().unwrap();
    assert_eq!(second.outcome, Outcome::Complete, "{second:#?}");
    for name in ["repositories", "storage", "pages"] {
        assert_eq!(row(&second, name).files_changed, 0, "{second:#?}");
    }
    assert_eq!(cluster.contents(&second.snapshot, "repositories"), cluster.union("repositories"));
    cluster.bench.assert_restic_finds_no_fault();
}

#[test]
fn a_node_whose_key_nobody_has_pinned_ends_the_run() {
    let cluster = Cluster::new(2);
    let end = cluster.backup().unwrap_err();
    assert!(
        matches!(&end, BackupError::Facts(FactsError::Channel(ChannelError::HostKeyUnknown { .. }))),
        "{end:?}"
    );
    assert!(end.to_string().contains("through"), "{end}");
    cluster.assert_gates_are_open();
}

#[test]
fn a_node_that_is_down_makes_the_snapshot_partial_with_its_name_and_its_routes_come_from_others() {
    let mut cluster = Cluster::new(3);
    cluster.trust_nodes();
    let last = cluster.fleet.names()[2].to_owned();
    cluster.fleet.stop_node(&last).unwrap();
    let report = cluster.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Partial, "{report:#?}");
    let told = row(&report, "repositories");
    assert!(told.problems.iter().any(|problem| problem.contains(&last)), "{told:#?}");
    let topology = report.topology.as_ref().unwrap();
    let node = topology.nodes.iter().find(|node| node.name == last).unwrap();
    assert!(node.trouble.is_some(), "{topology:?}");
    let (stored, mut whole) = (cluster.contents(&report.snapshot, "storage"), cluster.union("storage"));
    whole.retain(|path, _| stored.contains_key(path));
    assert_eq!(stored, whole);
    assert!(!stored.is_empty());
    cluster.assert_gates_are_open();
    cluster.fleet.start_node(&last).unwrap();
    let report = cluster.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(cluster.contents(&report.snapshot, "repositories"), cluster.union("repositories"));
    cluster.bench.assert_restic_finds_no_fault();
}

/// Stops a node when a part begins.
struct StopAt {
    fleet: std::sync::Mutex<Fleet>,
    node: String,
    done: std::sync::Once,
}

impl Progress for StopAt {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Expected { part: "repositories", .. }) {
            self.done.call_once(|| self.fleet.lock().unwrap().stop_node(&self.node).unwrap());
        }
    }
}

#[test]
fn a_node_that_dies_while_it_is_read_gives_its_routes_to_the_next() {
    let mut cluster = Cluster::new(4);
    cluster.trust_nodes();
    let node = cluster.fleet.names()[1].to_owned();
    let spare = Fleet::open(cluster.fleet.folder()).unwrap();
    let fleet = std::mem::replace(&mut cluster.fleet, spare);
    let way_keeper =
        StopAt { fleet: std::sync::Mutex::new(fleet), node: node.clone(), done: std::sync::Once::new() };
    let way = {
        let fleet = way_keeper.fleet.lock().unwrap();
        let address = fleet.address(fleet.names()[0]).unwrap();
        let target = Target::parse(&format!("admin@{}:{}", address.ip(), address.port())).unwrap();
        let key =
            SshKey::parse(&Secret::new(std::fs::read(fleet.first().client_key()).unwrap()), None).unwrap();
        TransportSettings::new(target, key, PinStore::below(cluster.bench.state.path()))
    };
    let channel = transport::connect(way.clone()).unwrap();
    let report = backup::run(&BackupInputs {
        channel: &*channel,
        nodes: &Jump::through(way),
        vault: &cluster.bench.vault,
        settings: &BackupSettings { idle: Duration::from_secs(20), ..Bench::settings() },
        state: &cluster.bench.state,
        progress: &way_keeper,
    })
    .unwrap();
    let told = row(&report, "repositories");
    assert_eq!(told.outcome, Outcome::Partial, "{report:#?}");
    assert!(told.problems.iter().any(|problem| problem.contains(&node)), "{told:#?}");
    let (stored, whole) = (cluster.contents(&report.snapshot, "repositories"), cluster.union("repositories"));
    let missing: Vec<&String> = whole.keys().filter(|path| !stored.contains_key(*path)).collect();
    // Only what no other node has may be missing, and each such route is named.
    for path in missing {
        assert!(
            told.problems
                .iter()
                .any(|problem| { problem.split('`').nth(1).is_some_and(|route| path.starts_with(route)) }),
            "{path} is missing and not named: {told:#?}"
        );
    }
    cluster.bench.assert_restic_finds_no_fault();
}

#[test]
fn where_nothing_is_forwarded_netcat_does_the_same() {
    let cluster = Cluster::new(5);
    cluster.trust_nodes();
    for name in cluster.fleet.names() {
        let node = cluster.fleet.node(name).unwrap();
        node.change_state(|state| state.knobs.no_forwarding = true).unwrap();
    }
    let report = cluster.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
}

#[test]
fn the_ssh_program_reaches_the_nodes_as_well() {
    let mut cluster = Cluster::new(6);
    cluster.trust_nodes();
    cluster.kind = TransportKind::OpenSsh;
    let report = cluster.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
}
