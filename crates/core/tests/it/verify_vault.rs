//! A verification names what damage costs, and never calls a vault sound that it could not look at.

use crate::support::bench;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bench::Bench;
use ghevault_core::{
    appliance::{channel::Channel, transport::TransportKind},
    progress::Silent,
    vault::CheckDepth,
    verify::{self, Verdict, VerifyOptions, VerifyOutcome, VerifyReport},
};
use ghevault_sim::{build::Recipe, harness::Appliance};

fn sealed() -> Bench {
    sealed_from().0
}

fn sealed_from() -> (Bench, Appliance, std::sync::Arc<dyn Channel>) {
    let bench = Bench::new();
    let mut source = Appliance::build(bench.dir.path().join("source"), &Recipe::small(7)).unwrap();
    let port = source.open_sshd().unwrap().port();
    let channel = bench.channel(&source, port, TransportKind::Russh);
    bench.backup(&*channel).unwrap();
    (bench, source, channel)
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
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

#[test]
fn a_fresh_vault_is_sound_at_both_depths_and_one_flipped_byte_is_found() {
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

    fs::write(largest, &whole).unwrap();
    assert_eq!(verify(&bench, CheckDepth::Content).outcome, VerifyOutcome::Sound);
}

#[test]
fn a_missing_pack_names_the_snapshots_and_repositories_that_need_it() {
    let (bench, source, channel) = sealed_from();
    let before = files(&bench.vault_path().join("data"));
    let all = files(&source.disk("/data/user/repositories"));
    let nwo = all.iter().find(|p| p.ends_with("info/nwo")).unwrap();
    let repository = nwo.parent().unwrap().parent().unwrap();
    fs::write(repository.join("description"), "written after the first backup").unwrap();
    bench.backup(&*channel).unwrap();
    let mut damaged = Vec::new();
    for pack in files(&bench.vault_path().join("data")).iter().filter(|p| !before.contains(p)) {
        let aside = bench.dir.path().join("aside");
        fs::rename(pack, &aside).unwrap();
        let report = verify(&bench, CheckDepth::Presence);
        assert_eq!(report.outcome, VerifyOutcome::Damaged);
        assert!(report.snapshots[0].sound && !report.snapshots[1].sound, "{report:#?}");
        damaged.extend(report.snapshots[1].damaged_repositories.clone());
        fs::rename(&aside, pack).unwrap();
    }
    let name = fs::read_to_string(nwo).unwrap();
    let path = repository.strip_prefix(source.disk("/data/user")).unwrap().display().to_string();
    assert!(
        damaged.iter().any(|r| r.path == path && r.name.as_deref() == Some(name.trim()) && r.files == 1),
        "{damaged:#?}"
    );
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
