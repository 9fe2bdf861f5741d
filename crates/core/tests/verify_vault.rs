//! A verification names what damage costs, and never calls a vault sound that it could not look at.

#[path = "support/bench.rs"]
mod bench;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bench::Bench;
use ghevault_core::{
    appliance::transport::TransportKind,
    progress::Silent,
    vault::CheckDepth,
    verify::{self, Verdict, VerifyOptions, VerifyOutcome, VerifyReport},
};
use ghevault_sim::{build::Recipe, harness::Appliance};

fn sealed() -> Bench {
    let bench = Bench::new();
    let mut source = Appliance::build(bench.dir.path().join("source"), &Recipe::small(7)).unwrap();
    let port = source.open_sshd().unwrap().port();
    bench.backup(&*bench.channel(&source, port, TransportKind::Russh)).unwrap();
    bench
}

fn verify_with(bench: &Bench, depth: CheckDepth, trusted_keys: Vec<String>) -> VerifyReport {
    verify::run(&bench.vault, &VerifyOptions { depth, snapshots: None, trusted_keys }, &Silent).unwrap()
}

fn verify(bench: &Bench, depth: CheckDepth) -> VerifyReport {
    verify_with(bench, depth, Vec::new())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            files.extend(self::files(&entry.path()))
        } else {
            files.push(entry.path())
        }
    }
    files
}

#[test]
fn a_fresh_vault_is_sound_at_both_depths_and_one_flipped_byte_is_found_with_its_repositories() {
    let bench = sealed();
    for depth in [CheckDepth::Presence, CheckDepth::Content] {
        let report = verify(&bench, depth);
        assert_eq!(report.outcome, VerifyOutcome::Sound, "{report:#?}");
        assert_eq!(report.snapshots[0].verdict, Verdict::Sealed);
    }
    let foreign = verify_with(&bench, CheckDepth::Presence, vec!["another key".into()]);
    assert_eq!((foreign.outcome, foreign.snapshots[0].verdict), (VerifyOutcome::Damaged, Verdict::Broken));

    let packs = files(&bench.vault_path().join("data"));
    let largest = packs.iter().max_by_key(|p| fs::metadata(p).unwrap().len()).unwrap();
    let whole = fs::read(largest).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::set_permissions(largest, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(largest, &flipped).unwrap();
    let shallow = verify(&bench, CheckDepth::Presence);
    assert_eq!(shallow.outcome, VerifyOutcome::Sound, "presence looks at sizes only");
    let deep = verify(&bench, CheckDepth::Content);
    assert_eq!(deep.outcome, VerifyOutcome::Damaged);
    assert!(!deep.snapshots[0].sound && !deep.snapshots[0].damaged.is_empty(), "{:#?}", deep.snapshots);

    fs::remove_file(largest).unwrap();
    let missing = verify(&bench, CheckDepth::Presence);
    assert_eq!(missing.outcome, VerifyOutcome::Damaged);
    let named = &missing.snapshots[0].damaged_repositories;
    assert!(
        named.iter().any(|r| r.path.contains("/nw/") && r.path.ends_with(".git") && r.files > 0),
        "{named:#?}"
    );
    fs::write(largest, &whole).unwrap();
    assert_eq!(verify(&bench, CheckDepth::Content).outcome, VerifyOutcome::Sound);
}

#[test]
fn snapshots_without_a_seal_or_that_cannot_be_read_are_never_sound() {
    let bench = sealed();
    let more = bench.dir.path().join("more");
    fs::create_dir(&more).unwrap();
    fs::write(more.join("file"), "x").unwrap();
    let out = bench.restic(&["backup", more.to_str().unwrap()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let report = verify(&bench, CheckDepth::Presence);
    assert_eq!(report.outcome, VerifyOutcome::Incomplete);
    assert_eq!(
        report.snapshots.iter().map(|s| s.verdict).collect::<Vec<_>>(),
        [Verdict::Sealed, Verdict::Unsealed]
    );
    let snapshot = files(&bench.vault_path().join("snapshots")).pop().unwrap();
    fs::set_permissions(&snapshot, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&snapshot, "noise").unwrap();
    let report = verify(&bench, CheckDepth::Presence);
    assert_eq!(report.outcome, VerifyOutcome::Damaged);
    assert!(report.snapshots.iter().any(|s| s.verdict == Verdict::Broken && s.time.is_none()));
}
