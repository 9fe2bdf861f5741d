//! Backups of an appliance that lives on meanwhile: pushes, deletions, forks, and maintenance that runs whenever the gate is open.

use crate::support::bench;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use bench::Bench;
use ghevault_core::{appliance::transport::TransportKind, seal::Outcome};
use ghevault_sim::{build::Recipe, harness::Appliance};

fn git(repository: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(repository)
        .args(arguments)
        .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", "../network.git/objects")
        .output()
        .unwrap()
}

/// All bare repositories of a restored snapshot, relative to `repositories`.
fn repositories(root: &Path) -> Vec<PathBuf> {
    let out = Command::new("find")
        .arg(root)
        .args(["-type", "d", "-name", "*.git", "-prune", "-printf", "%P\\n"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).lines().map(PathBuf::from).collect()
}

#[test]
fn every_repository_is_whole_and_every_ref_has_a_value_that_it_really_had() {
    let bench = Bench::new();
    let mut appliance = Appliance::build(bench.dir.path().join("appliance"), &Recipe::small(7)).unwrap();
    let port = appliance.open_sshd_on(0, Some(40.0)).unwrap().port();
    let channel = bench.channel(&appliance, port, TransportKind::Russh);
    let mut changed = 0;
    for round in 0..4 {
        let report = bench.backup(&*channel).unwrap();
        assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
        if round > 0 {
            changed += report.files_changed;
        }
        let journal = appliance.journal().unwrap();
        let root = bench.restic_restore(&report.snapshot, &format!("restored-{round}")).join("repositories");
        let found = repositories(&root);
        assert!(found.len() > 10, "only {} repositories", found.len());
        for name in found {
            let repository = root.join(&name);
            let fsck = git(&repository, &["fsck", "--connectivity-only"]);
            assert!(fsck.status.success(), "{}: {}", name.display(), String::from_utf8_lossy(&fsck.stderr));
            let refs = git(&repository, &["for-each-ref", "--format=%(objectname) %(refname)"]);
            assert!(refs.status.success(), "{}: {}", name.display(), String::from_utf8_lossy(&refs.stderr));
            if name.starts_with("__purgatory__") {
                continue;
            }
            for line in refs.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                let at = line.iter().position(|b| *b == b' ').unwrap();
                let (value, reference) = (String::from_utf8_lossy(&line[..at]), &line[at + 1..]);
                let key = (
                    name.to_str().unwrap().to_owned(),
                    ghevault_sim::live::journal::reference_text(reference),
                );
                let had: BTreeSet<_> = journal
                    .get(&key)
                    .into_iter()
                    .flatten()
                    .filter_map(|entry| entry.value.as_deref())
                    .collect();
                assert!(had.contains(&*value), "{key:?} never was {value}; it was {had:?}");
            }
        }
    }
    assert!(changed > 0, "the appliance did not live");
    bench.assert_restic_finds_no_fault();
    assert!(!appliance.gate_exists());
}
