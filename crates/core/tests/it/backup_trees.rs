//! What an incremental backup joins together is the tree that a backup from nothing writes, over the history of a living appliance.

use crate::support::bench;
use std::collections::BTreeMap;

use bench::Bench;
use ghevault_core::{
    appliance::{channel::Channel, transport::TransportKind},
    backup::pages,
    seal::Outcome,
    vault::tree_hex,
};
use ghevault_sim::{
    build::Recipe,
    harness::{Appliance, program},
    live::life::Life,
};

/// Ids of the file datasets' trees, and of the pages of unit digests.
fn trees(bench: &Bench) -> BTreeMap<&'static str, String> {
    let snapshot = bench.vault.find("latest").unwrap();
    let reader = bench.vault.index().unwrap();
    ["repositories", "pages", "storage", "git-hooks", "elasticsearch"]
        .into_iter()
        .filter_map(|name| {
            let node = reader.node_at(snapshot.tree, name).unwrap()?;
            Some((name, tree_hex(&node.subtree.unwrap())))
        })
        .collect()
}

/// Unit digests, but that of the top folder: each run makes and removes its gate there.
fn units(bench: &Bench) -> BTreeMap<String, String> {
    let snapshot = bench.vault.find("latest").unwrap();
    let reader = bench.vault.index().unwrap();
    let read = pages::read_all::<Vec<u8>>(&reader, snapshot.tree, pages::UNITS).unwrap();
    let text = |(path, digest): (Vec<u8>, Vec<u8>)| {
        (String::from_utf8_lossy(&path).into_owned(), hex::encode(digest))
    };
    let mut units: BTreeMap<String, String> = read.into_iter().map(text).collect();
    units.remove("repositories");
    units
}

fn complete(bench: &Bench, channel: &dyn Channel) {
    let report = bench.backup(channel).unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
}

#[test]
fn an_incremental_snapshot_has_the_tree_of_one_from_nothing() {
    let incremental = Bench::new();
    let mut appliance =
        Appliance::build(incremental.dir.path().join("appliance"), &Recipe::small(41)).unwrap();
    let port = appliance.open_sshd().unwrap().port();
    let channel = incremental.channel(&appliance, port, TransportKind::Russh);
    let mut life = Life::new(appliance.place(), &program().unwrap(), 41);
    let mut seen = Vec::new();
    for round in 0..6 {
        complete(&incremental, &*channel);
        let fresh = Bench::new();
        complete(&fresh, &*channel);
        assert_eq!(trees(&incremental), trees(&fresh), "round {round}");
        let (here, there) = (units(&incremental), units(&fresh));
        let differ: Vec<_> = here.iter().filter(|(path, digest)| there.get(*path) != Some(digest)).collect();
        assert!(differ.is_empty() && here.len() == there.len(), "round {round}: {differ:?}");
        seen.push(trees(&incremental)["repositories"].clone());
        for _ in 0..if round < 4 { 12 } else { 0 } {
            life.step().unwrap();
        }
        // At the end a whole network and a gist vanish, and a page is moved: units that are removed and renamed.
        if round == 4 {
            for folder in ["nw", "gist"] {
                let out = std::process::Command::new("find")
                    .arg(appliance.disk("/data/user/repositories"))
                    .args(["-type", "d", "-name", folder, "-print", "-quit"])
                    .output()
                    .unwrap();
                let path = String::from_utf8(out.stdout).unwrap();
                std::fs::remove_dir_all(path.trim()).unwrap();
            }
            let pages = appliance.disk("/data/user/pages");
            let first = std::fs::read_dir(&pages).unwrap().next().unwrap().unwrap().path();
            std::fs::rename(&first, pages.join("moved")).unwrap();
        }
    }
    seen.dedup();
    assert!(seen.len() > 3, "the appliance did not change");
    incremental.assert_restic_finds_no_fault();
}
