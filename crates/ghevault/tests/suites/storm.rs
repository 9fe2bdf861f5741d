//! `kill -9` at seeded random moments of forget, prune and copy, wherever the vaults are.
//!
//! `CRASH_ROUNDS` and `CRASH_SEED` (1) choose how often and when; a failure names the seed and the round.

use crate::support::{Desk, run::number};
use ghevault_core::{
    seal::{FORMAT, Manifest, Outcome, SealKey, SealedDataset, Source},
    vault::{Collector, Metadata, Node, NodeType, SnapshotDraft, Tree, Vault, sort_nodes, tree_hex},
};
use ghevault_sim::seed::Seed;
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    time::{Duration, Instant},
};

const LEASE: Duration = Duration::from_mins(2);

/// Makes sealed snapshots that share part of their data with each other, an hour apart.
struct Maker {
    key: SealKey,
    previous: Option<String>,
    hour: i64,
    random: Seed,
}

impl Maker {
    fn new(seed: u64) -> Self {
        Self { key: SealKey::generate(), previous: None, hour: 0, random: Seed::new(seed).part("content") }
    }

    /// Files 0 to 11; each snapshot changes a few of them.
    fn add(&mut self, vault: &Vault, files: &mut BTreeMap<u64, Vec<u8>>) {
        for _ in 0..4 {
            let which = self.random.below(12);
            let content = self.random.bytes(256 * 1024);
            files.insert(which, content);
        }
        self.hour += 1;
        let lease = vault.lock_for_writing("test", LEASE).expect("free");
        let writer = vault.writer(&vault.index().expect("an index"), &lease).expect("a writer");
        let mut nodes: Vec<Node> = files
            .iter()
            .map(|(name, content)| {
                let stored = writer.put_bytes(content.clone()).expect("stored");
                let mut node =
                    Node::new_node(OsStr::new(&format!("file-{name}")), NodeType::File, Metadata::default());
                (node.meta.size, node.content) = (stored.size, Some(stored.content));
                node
            })
            .collect();
        sort_nodes(&mut nodes);
        let tree = writer.put_tree(&Tree { nodes }).expect("stored");
        writer.finish().expect("flushed");
        let time = Timestamp::from_second(1_700_000_000 + self.hour * 3600).expect("a time");
        let dataset = SealedDataset { outcome: Outcome::Complete, items: 12, bytes: 1, problems: Vec::new() };
        let manifest = Manifest {
            format: FORMAT,
            outcome: Outcome::Complete,
            started: time.to_string(),
            seconds: 1.0,
            host: "ghe".into(),
            uuid: "u".into(),
            version: "3.11.0".into(),
            host_key: String::new(),
            tree: tree_hex(&tree),
            gate_held_seconds: 0.0,
            datasets: BTreeMap::from([("settings".into(), dataset)]),
            previous: self.previous.clone(),
            program: "ghevault".into(),
            source: Source::Datasets,
            topology: None,
            run: None,
        };
        let description = self.key.seal(&manifest).expect("sealed");
        let seal = ghevault_core::seal::read(Some(&description), &tree_hex(&tree)).expect("good");
        self.previous = Some(seal.hash);
        let draft = SnapshotDraft {
            tags: vec!["complete".into()],
            description: Some(description),
            ..SnapshotDraft::new(time, tree, "ghe")
        };
        vault.commit(&draft, &Collector::new().verdict().expect("clean"), &lease).expect("committed");
    }
}

/// Starts the program, kills it between `from` and `to` after its start; returns whether it still ran.
fn kill_amid(desk: &Desk, arguments: &[&str], from: Duration, to: Duration, random: &mut Seed) -> bool {
    let span = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or_default().max(1);
    let mut child = desk.start(arguments);
    std::thread::sleep(from + Duration::from_micros(random.below(span)));
    let ran = child.try_wait().expect("a child").is_none();
    child.kill().expect("killed");
    child.wait().expect("ended");
    ran
}

fn timed(desk: &Desk, arguments: &[&str], when: &str) -> Duration {
    let since = Instant::now();
    let done = desk.run(arguments);
    assert_eq!(done.code, 0, "{when}: {arguments:?}: {done:?}");
    since.elapsed()
}

fn ids(desk: &Desk) -> Vec<String> {
    let list = desk.run(&["snapshots", "--json"]).exits(0).json();
    let id = |row: &serde_json::Value| row["id"].as_str().expect("an id").to_owned();
    list.as_array().expect("a list").iter().map(id).collect()
}

/// Two vaults, and who works on them.
pub struct Scene<'a> {
    /// Works on the first vault; may remove files there.
    pub desk: &'a Desk,
    /// The first vault, opened.
    pub vault: &'a Vault,
    /// The place of the second one, which exists.
    pub second: &'a str,
    /// Fails unless the vault at this place (none: the first) is sound.
    pub sound: &'a dyn Fn(Option<&str>, &str),
}

/// Kills runs for a while; every vault is sound at once, and the next run finishes.
pub fn storm(scene: &Scene<'_>, rounds: u64) {
    let Scene { desk, vault, second, sound } = scene;
    let (rounds, seed) = (number("CRASH_ROUNDS", rounds), number("CRASH_SEED", 1));
    let (mut maker, mut files) = (Maker::new(seed), BTreeMap::new());
    let mut random = Seed::new(seed).part("moments");
    maker.add(vault, &mut files);
    let held = ids(desk).remove(0);
    desk.run(&["hold", &held, "--reason", "for ever"]).exits(0);
    let verbs: [&[&str]; 3] = [
        &["forget", "--keep-minimum", "2"],
        &["prune", "--max-unused", "0", "--join-small"],
        &["copy", "--all", "--to", second],
    ];
    let mut whole = [Duration::from_secs(3); 3];
    let mut hit = 0;
    for round in 0..rounds {
        let which = usize::try_from(round % 3).expect("small");
        let when = format!("CRASH_SEED={seed}, round {round}, {}", verbs[which][0]);
        for _ in 0..3 {
            maker.add(vault, &mut files);
        }
        if which == 1 {
            timed(desk, verbs[0], &when);
        }
        // reading the vault's list takes as long as opening it: before that nothing happens that matters
        let opened = timed(desk, &["snapshots", "--json"], &when);
        let before = ids(desk);
        let newest = before.last().expect("a snapshot").clone();
        let judged = (which == 2).then_some(*second);
        hit += u64::from(kill_amid(desk, verbs[which], opened.mul_f32(0.7), whole[which], &mut random));
        sound(judged, &when);
        let left = ids(desk);
        assert!(left.contains(&held) && left.contains(&newest), "{when}: {left:?}");
        whole[which] = timed(desk, verbs[which], &when);
        sound(judged, &when);
    }
    assert!(hit * 2 >= rounds, "only {hit} of {rounds} runs were still going when they were killed");
    for verb in verbs {
        timed(desk, verb, "at the end");
    }
    sound(None, "at the end");
    sound(Some(second), "at the end");
    let unused = desk.run(&["prune", "--dry-run", "--max-unused", "0", "--json"]).exits(0).json();
    assert_eq!(unused["unused_bytes"], 0, "{unused}");
}
