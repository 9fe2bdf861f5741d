//! A cluster of three machines and a backup host with an empty vault.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, Once},
    time::Duration,
};

use ghevault_core::{
    appliance::{
        channel::Channel,
        facts,
        fleet::Jump,
        hostkeys::PinStore,
        target::Target,
        transport::{self, TransportKind, TransportSettings},
    },
    backup::{self, BackupError, BackupInputs, BackupReport, BackupSettings, DatasetReport},
    keys::{Secret, SshKey},
    progress::{Event, Progress, Silent},
};
use ghevault_sim::{
    appliance::roster,
    build::fleet::{FleetRecipe, Kind},
    harness::Fleet,
};

use super::bench::{self, Bench};

pub struct Cluster {
    pub bench: Bench,
    home: tempfile::TempDir,
    fleet: Mutex<Fleet>,
    pub kind: TransportKind,
}

impl Cluster {
    /// Behind the embedded doors.
    pub fn new(seed: u64) -> Self {
        Self::of(&FleetRecipe::small(Kind::Cluster3, seed))
    }

    /// Made after this recipe.
    pub fn of(recipe: &FleetRecipe) -> Self {
        Self::open(recipe, |fleet| fleet.open_embedded().map(drop))
    }

    /// Behind real sshds.
    pub fn behind_sshd(seed: u64) -> Self {
        Self::open(&FleetRecipe::small(Kind::Cluster3, seed), |fleet| fleet.open_sshd().map(drop))
    }

    fn open(
        recipe: &FleetRecipe,
        open: impl FnOnce(&mut Fleet) -> Result<(), ghevault_sim::error::SimError>,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut fleet = Fleet::build(home.path().join("fleet"), recipe).unwrap();
        open(&mut fleet).unwrap();
        Self { bench: Bench::new(), home, fleet: Mutex::new(fleet), kind: TransportKind::Russh }
    }

    /// Another backup host with an empty vault, which trusts the machines.
    pub fn change_host(&mut self) {
        self.bench = Bench::new();
        self.trust_nodes();
    }

    /// Closes the doors; returns the backup host, the folder of the cluster and what keeps it there.
    pub fn close(self) -> (Bench, std::path::PathBuf, tempfile::TempDir) {
        self.fleet().close();
        let folder = self.fleet().folder().to_owned();
        (self.bench, folder, self.home)
    }

    pub fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        self.fleet().names().into_iter().map(str::to_owned).collect()
    }

    pub fn way(&self) -> TransportSettings {
        let fleet = self.fleet();
        let address = fleet.address(fleet.names()[0]).unwrap();
        let target = Target::parse(&format!("admin@{}:{}", address.ip(), address.port())).unwrap();
        let pins = PinStore::below(self.bench.state.path());
        let key = std::fs::read(fleet.first().client_key()).unwrap();
        let key = SshKey::parse(&Secret::new(key), None).unwrap();
        let mut way = TransportSettings::new(target, key, pins);
        way.kind = self.kind;
        way
    }

    /// Pins the key of the first machine.
    pub fn trust_first(&self) {
        let way = self.way();
        let shown = ghevault_core::appliance::russh::scan(&way.target, Duration::from_secs(10)).unwrap();
        way.pins.replace(&way.target, &shown).unwrap();
    }

    /// Pins the keys of all nodes, as `trust` does.
    pub fn trust_nodes(&self) {
        self.trust_first();
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

    pub fn backup(&self) -> Result<BackupReport, BackupError> {
        self.backup_with(&Silent)
    }

    pub fn backup_with(&self, progress: &dyn Progress) -> Result<BackupReport, BackupError> {
        self.backup_as(Bench::settings(), progress)
    }

    pub fn backup_as(
        &self,
        settings: BackupSettings,
        progress: &dyn Progress,
    ) -> Result<BackupReport, BackupError> {
        let way = self.way();
        let channel = transport::connect(way.clone()).unwrap();
        backup::run(&BackupInputs {
            channel: &*channel,
            nodes: &Jump::through(way),
            vault: &self.bench.vault,
            settings: &BackupSettings { idle: Duration::from_secs(20), ..settings },
            state: &self.bench.state,
            seal_key: &self.bench.seal_key,
            progress,
        })
    }

    pub fn assert_gates_are_open(&self) {
        let fleet = self.fleet();
        for name in fleet.names() {
            assert!(!fleet.node(name).unwrap().gate_exists(), "a gate was left closed on {name}");
        }
    }

    /// Names and contents of all files of a dataset in a snapshot.
    pub fn contents(&self, snapshot: &str, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let restored = self.bench.restic_restore(snapshot, &format!("restored-{snapshot}"));
        let contents = files(&restored, folder);
        std::fs::remove_dir_all(restored).unwrap();
        contents
    }

    /// The union of all nodes' files of a dataset.
    pub fn union(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let fleet = self.fleet();
        let disk = |name| fleet.node(name).unwrap().disk("/data/user");
        fleet.names().into_iter().flat_map(|name| files(&disk(name), folder)).collect()
    }
}

/// Every machine's `cluster.conf` says so from now on.
pub fn configure(fleet: &Fleet, key: &str, value: &str) {
    for name in fleet.names() {
        let conf = roster::conf(fleet.node(name).unwrap().place());
        let status =
            std::process::Command::new("git").arg("config").arg("-f").arg(conf).args([key, value]).status();
        assert!(status.unwrap().success());
    }
}

fn files(root: &std::path::Path, folder: &str) -> BTreeMap<String, Vec<u8>> {
    bench::listing(root, folder)
        .into_iter()
        .filter_map(|line| {
            // Lines of `sha256sum`: the hash, two spaces, the path.
            let (hash, path) = line.split_once("  ")?;
            (hash.len() == 64).then(|| (path.to_owned(), hash.as_bytes().to_vec()))
        })
        .collect()
}

/// The same names with the same contents; only what differs is shown.
#[track_caller]
pub fn assert_same(stored: &BTreeMap<String, Vec<u8>>, whole: &BTreeMap<String, Vec<u8>>, case: &str) {
    let missing: Vec<_> = whole.keys().filter(|path| !stored.contains_key(*path)).collect();
    let other: Vec<_> =
        stored.iter().filter(|(path, hash)| whole.get(*path) != Some(hash)).map(|(path, _)| path).collect();
    assert!(
        missing.is_empty() && other.is_empty(),
        "{case}: missing {missing:?}, not as on a machine {other:?}"
    );
}

pub fn row<'a>(report: &'a BackupReport, name: &str) -> &'a DatasetReport {
    report.datasets.iter().find(|row| row.name == name).unwrap()
}

/// Stops a machine the first time that an event is told which `when` asks for.
pub struct StopAt<'a, F> {
    pub fleet: &'a Mutex<Fleet>,
    pub node: &'a str,
    pub when: F,
    pub done: Once,
}

impl Cluster {
    pub fn stop_at<'a, F: Fn(&Event<'_>) -> bool>(&'a self, node: &'a str, when: F) -> StopAt<'a, F> {
        StopAt { fleet: &self.fleet, node, when, done: Once::new() }
    }
}

impl<F: Fn(&Event<'_>) -> bool + Send + Sync> Progress for StopAt<'_, F> {
    fn event(&self, event: Event<'_>) {
        if (self.when)(&event) {
            self.done.call_once(|| self.fleet.lock().unwrap().stop_node(self.node).unwrap());
        }
    }
}
