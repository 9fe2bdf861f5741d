//! The main job through real parts: a simulated appliance behind a real sshd, a vault judged by stock restic.

use crate::support::bench;
use bench::{Bench, listing};
use ghevault_core::{appliance::transport::TransportKind, backup::pages, seal::Outcome};
use ghevault_sim::{build::Recipe, harness::Appliance};

/// The ref digest of a restored repository, made by git: the form that is documented with it.
fn digest_by_git(repository: &std::path::Path) -> String {
    let script = r#"cd "$1" && { printf 'HEAD %s\n' "$(cat HEAD)"; git -c safe.directory='*' for-each-ref \
        --sort=refname --format='%(objectname) %(refname)'; } | sha256sum | cut -d ' ' -f 1"#;
    let out = std::process::Command::new("bash")
        .args(["-c", script, "bash"])
        .arg(repository)
        .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", "../network.git/objects")
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Compares every ref digest of the latest snapshot with git's; returns how many there are.
fn assert_ref_digests(bench: &Bench, restored: &std::path::Path) -> usize {
    let snapshot = bench.vault.find("latest").unwrap();
    let reader = bench.vault.index().unwrap();
    let digests = pages::read_all::<Vec<u8>>(&reader, snapshot.tree, pages::REFS).unwrap();
    for (path, digest) in &digests {
        let path = std::path::PathBuf::from(String::from_utf8(path.clone()).unwrap());
        assert_eq!(hex::encode(digest), digest_by_git(&restored.join(&path)), "{}", path.display());
    }
    digests.len()
}

fn appliance(bench: &Bench, seed: u64) -> (Appliance, u16) {
    let mut appliance = Appliance::build(bench.dir.path().join("appliance"), &Recipe::small(seed)).unwrap();
    let port = appliance.open_sshd().unwrap().port();
    (appliance, port)
}

#[test]
fn a_snapshot_equals_the_appliance_and_the_next_one_costs_nothing() {
    let bench = Bench::new();
    let (appliance, port) = appliance(&bench, 1);
    let channel = bench.channel(&appliance, port, TransportKind::Russh);
    let first = bench.backup(&*channel).unwrap();
    assert_eq!(first.outcome, Outcome::Complete, "{first:#?}");
    bench.assert_restic_finds_no_fault();
    let restored = bench.restic_restore("latest", "restored");
    let data = appliance.disk("/data/user");
    for folder in [
        "repositories",
        "pages",
        "storage",
        "git-hooks/repos",
        "git-hooks/environments/tarballs",
        "elasticsearch",
    ] {
        let (there, here) = (listing(&data, folder), listing(&restored, folder));
        for (a, b) in there.iter().zip(&here) {
            assert_eq!(a, b, "{folder} differs");
        }
        assert_eq!(there.len(), here.len(), "{folder} differs");
    }
    assert!(!appliance.gate_exists());
    let repositories = assert_ref_digests(&bench, &restored);
    assert!(repositories > 10, "only {repositories} ref digests");

    let second = bench.backup(&*channel).unwrap();
    assert_eq!(second.outcome, Outcome::Complete, "{second:#?}");
    let files: Vec<_> = second.datasets.iter().filter(|row| row.files_changed > 0).collect();
    assert!(second.datasets.iter().all(|row| row.name == "redis" || row.files_changed == 0), "{files:#?}");
    bench.assert_restic_finds_no_fault();
    assert_eq!(assert_ref_digests(&bench, &restored), repositories);
}
