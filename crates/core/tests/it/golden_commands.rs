//! Every command line that a first backup sends, for each topology, as text under `golden/`: a changed command is seen in review.
//!
//! `GHEVAULT_GOLDEN=write` writes the files anew.

use crate::support::bench;
use std::{collections::BTreeSet, path::Path, sync::Mutex, time::Duration};

use bench::Bench;
use ghevault_core::{
    appliance::{
        channel::{Channel, ChannelError, RemoteCommand, Running},
        fleet::{Jump, Node, Nodes},
        hostkeys::PinStore,
        target::Target,
        transport::{self, TransportSettings},
    },
    backup::{self, BackupInputs},
    keys::{Secret, SshKey},
    progress::Silent,
    seal::Outcome,
};
use ghevault_sim::{
    build::{
        Recipe,
        fleet::{FleetRecipe, Kind},
    },
    harness::{Appliance, Fleet},
};

/// What was sent, each command once: datasets run beside each other, so their order says nothing.
type Sent = Mutex<BTreeSet<String>>;

struct Recorded<'a> {
    machine: String,
    inner: Box<dyn Channel + 'a>,
    sent: &'a Sent,
}

impl Channel for Recorded<'_> {
    fn start(&self, command: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
        let text = format!("## {}: {}\n{}\n", self.machine, command.label, command.script.trim_end());
        self.sent.lock().unwrap().insert(normal(&text));
        self.inner.start(command)
    }

    fn host_key(&self) -> Option<String> {
        self.inner.host_key()
    }
}

struct RecordedNodes<'a> {
    inner: &'a dyn Nodes,
    sent: &'a Sent,
}

impl Nodes for RecordedNodes<'_> {
    fn channel<'s>(&'s self, node: &Node) -> Result<Box<dyn Channel + 's>, ChannelError> {
        let inner = self.inner.channel(node)?;
        Ok(Box::new(Recorded { machine: node.name.clone(), inner, sent: self.sent }))
    }
}

/// Long numbers are sizes, times or identities: they differ from run to run.
fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        out.push_str(if digits.len() > 4 { "N" } else { &digits });
        digits.clear();
        out.push(c);
    }
    out
}

fn way(bench: &Bench, address: std::net::SocketAddr, key: &Path) -> TransportSettings {
    let target = Target::parse(&format!("admin@{}:{}", address.ip(), address.port())).unwrap();
    let pins = PinStore::below(bench.state.path());
    let shown = ghevault_core::appliance::russh::scan(&target, Duration::from_secs(10)).unwrap();
    pins.replace(&target, &shown).unwrap();
    let key = SshKey::parse(&Secret::new(std::fs::read(key).unwrap()), None).unwrap();
    TransportSettings::new(target, key, pins)
}

fn check(name: &str, bench: &Bench, way: &TransportSettings) {
    let sent = Sent::default();
    let jump = Jump::through(way.clone());
    let channel = transport::connect(way.clone()).unwrap();
    let fleet = ghevault_core::appliance::facts::probe(&*channel, "/data/user", name).unwrap().fleet;
    if let Some(fleet) = fleet.filter(|fleet| !fleet.ha) {
        for node in fleet.nodes.iter().filter(|node| node.name != fleet.own) {
            let keys = jump.scan(node).unwrap();
            way.pins.replace_of(&jump.way(node).unwrap().pin_name(), &keys).unwrap();
        }
    }
    let connected = Recorded { machine: "connected".into(), inner: Box::new(channel), sent: &sent };
    let report = backup::run(&BackupInputs {
        channel: &connected,
        nodes: &RecordedNodes { inner: &jump, sent: &sent },
        vault: &bench.vault,
        settings: &Bench::settings(),
        state: &bench.state,
        seal_key: &bench.seal_key,
        progress: &Silent,
    })
    .unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    let commands: Vec<String> = sent.lock().unwrap().iter().cloned().collect();
    let owner = format!("{} {}", bench.state.host_id().unwrap(), std::process::id());
    let text = commands.join("\n").replace(normal(&owner).trim_end(), "HOST PID");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/golden/{name}.txt"));
    if std::env::var_os("GHEVAULT_GOLDEN").is_some_and(|how| how == "write") {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let (new, old) = (lines(&text), lines(&known));
    let first = new.iter().zip(&old).position(|(a, b)| a != b).unwrap_or(new.len().min(old.len()));
    assert!(
        new == old,
        "the commands of `{name}` changed at line {}: `{}` was `{}`; GHEVAULT_GOLDEN=write writes {}",
        first + 1,
        new.get(first).map_or("", String::as_str),
        old.get(first).map_or("", String::as_str),
        path.display()
    );
}

#[test]
fn commands_to_a_standalone_appliance_are_the_known_ones() {
    let bench = Bench::new();
    let mut appliance = Appliance::build(bench.dir.path().join("appliance"), &Recipe::small(1)).unwrap();
    let address = appliance.open_embedded().unwrap();
    let way = way(&bench, address, &appliance.client_key());
    check("standalone", &bench, &way);
}

#[test]
fn commands_to_a_pair_and_a_cluster_are_the_known_ones() {
    for (name, kind) in [("pair", Kind::Ha), ("cluster", Kind::Cluster3)] {
        let bench = Bench::new();
        let mut fleet = Fleet::build(bench.dir.path().join("fleet"), &FleetRecipe::small(kind, 1)).unwrap();
        fleet.open_embedded().unwrap();
        let address = fleet.address(fleet.names()[0]).unwrap();
        let way = way(&bench, address, &fleet.first().client_key());
        check(name, &bench, &way);
    }
}
