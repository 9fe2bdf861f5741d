//! A restored folder is what restic would have restored, also after interruptions, and never more than was asked for.

use crate::support::stock;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use ghevault_core::{
    progress::Silent,
    restore::{
        RestoreError, RestoreReport,
        folder::{self, FolderOptions},
        select::Selection,
        view::{SnapshotView, Source, SourceError},
    },
    vault::{Node, NodeType, TreeId},
};
use stock::{StockReader, StockVault, describe, nasty_tree};

struct Case {
    vault: StockVault,
    source: PathBuf,
}

impl Case {
    fn new() -> Self {
        let vault = StockVault::init();
        let source = vault.scratch.path().join("source");
        fs::create_dir(&source).expect("a folder");
        nasty_tree(&source);
        vault.backup(&source);
        Self { vault, source }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.vault.scratch.path().join(name)
    }

    fn restore(&self, target: &Path, options: &FolderOptions) -> Result<RestoreReport, RestoreError> {
        let (id, tree, reader) = self.vault.open();
        let view = SnapshotView::new(&reader, tree);
        let plan = folder::plan(view, options)?;
        folder::run(view, &plan, &id, target, options, &Silent)
    }

    fn restic_restores(&self, target: &Path, more: &[&str]) {
        let target = target.display().to_string();
        self.vault.restic(&[&["restore", "latest", "--target", &target], more].concat(), &self.source);
    }
}

fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (describe(one), describe(other));
    let missing: Vec<_> = other.iter().filter(|l| !one.contains(l)).collect();
    let extra: Vec<_> = one.iter().filter(|l| !other.contains(l)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "only here: {extra:#?}\nonly there: {missing:#?}");
}

#[test]
fn a_restored_folder_equals_what_restic_restores_and_the_source() {
    let case = Case::new();
    let (ours, theirs) = (case.path("ours"), case.path("theirs"));
    let report = case.restore(&ours, &FolderOptions::default()).expect("a restore");
    assert!(report.complete(), "{:?}", report.problems);
    case.restic_restores(&theirs, &[]);
    assert_same(&ours, &theirs);
    assert_same(&ours, &case.source);
}

#[test]
fn a_repeated_restore_completes_what_an_interrupted_one_left() {
    let case = Case::new();
    let ours = case.path("ours");
    let (id, _, _) = case.vault.open();
    // What a killed restore leaves: its mark, a scratch file, some files, a half-made folder that is closed.
    let scratch = ours.join(".ghevault-restoring");
    fs::create_dir_all(&scratch).expect("a folder");
    fs::write(scratch.join("snapshot"), &id).expect("a mark");
    fs::write(scratch.join("part-0"), b"half").expect("a scratch file");
    fs::create_dir(ours.join("empty")).expect("a folder");
    fs::write(ours.join("first"), b"something else").expect("a file");
    let first = case.restore(&ours, &FolderOptions::default()).expect("a restore");
    assert!(first.complete(), "{:?}", first.problems);
    assert_same(&ours, &case.source);
    assert!(matches!(case.restore(&ours, &FolderOptions::default()), Err(RestoreError::NotEmpty { .. })));
    let again = case
        .restore(&ours, &FolderOptions { into_existing: true, verify: true, ..FolderOptions::default() })
        .expect("a restore");
    assert_eq!((again.files, again.bytes), (0, 0), "nothing is written twice");
    assert_same(&ours, &case.source);
}

#[test]
fn content_that_differs_behind_the_same_size_and_time_is_found_when_asked() {
    let case = Case::new();
    let ours = case.path("ours");
    case.restore(&ours, &FolderOptions::default()).expect("a restore");
    let victim = ours.join("quote\"back\\slash");
    let time = fs::metadata(&victim).and_then(|m| m.modified()).expect("a time");
    fs::write(&victim, b"x").expect("a file");
    fs::File::options().write(true).open(&victim).and_then(|f| f.set_modified(time)).expect("a time");
    let options = FolderOptions { into_existing: true, verify: true, ..FolderOptions::default() };
    let report = case.restore(&ours, &options).expect("a restore");
    assert_eq!(report.files, 1);
    assert_same(&ours, &case.source);
}

#[test]
fn an_unfinished_restore_of_another_snapshot_is_refused() {
    let case = Case::new();
    let ours = case.path("ours");
    fs::create_dir_all(ours.join(".ghevault-restoring")).expect("a folder");
    fs::write(ours.join(".ghevault-restoring/snapshot"), "another").expect("a mark");
    let refused = case.restore(&ours, &FolderOptions::default());
    assert!(matches!(refused, Err(RestoreError::OtherSnapshot { .. })), "{refused:?}");
}

#[test]
fn links_in_the_target_are_replaced_and_never_followed() {
    let case = Case::new();
    let (ours, outside) = (case.path("ours"), case.path("outside"));
    fs::create_dir_all(&ours).expect("a folder");
    fs::create_dir_all(&outside).expect("a folder");
    fs::write(outside.join("first"), b"precious").expect("a file");
    symlink(&outside, ours.join("repositories")).expect("a link");
    symlink(outside.join("first"), ours.join("first")).expect("a link");
    let options = FolderOptions { into_existing: true, ..FolderOptions::default() };
    let report = case.restore(&ours, &options).expect("a restore");
    assert!(report.complete(), "{:?}", report.problems);
    assert_eq!(fs::read(outside.join("first")).expect("still there"), b"precious");
    assert_eq!(fs::read_dir(&outside).expect("readable").count(), 1);
    assert_same(&ours, &case.source);
}

/// restic 0.14 writes only readable link targets; newer ones add the raw bytes, as this reader does.
struct RawTargets(StockReader);

impl Source for RawTargets {
    fn tree(&self, id: &TreeId) -> Result<Vec<Node>, SourceError> {
        let mut nodes = self.0.tree(id)?;
        for node in &mut nodes {
            if let NodeType::Symlink { linktarget_raw, .. } = &mut node.node_type {
                *linktarget_raw = Some(b"../\xff\xfe\nx".to_vec());
            }
        }
        Ok(nodes)
    }

    fn dump(&self, node: &Node, out: &mut dyn std::io::Write) -> Result<(), SourceError> {
        self.0.dump(node, out)
    }
}

#[test]
fn link_targets_come_back_as_raw_bytes() {
    let case = Case::new();
    let (id, tree, reader) = case.vault.open();
    let reader = RawTargets(reader);
    let view = SnapshotView::new(&reader, tree);
    let options = FolderOptions::default();
    let plan = folder::plan(view, &options).expect("a plan");
    let ours = case.path("ours");
    folder::run(view, &plan, &id, &ours, &options, &Silent).expect("a restore");
    let target = fs::read_link(ours.join("odd-link")).expect("a link");
    assert_eq!(std::os::unix::ffi::OsStrExt::as_bytes(target.as_os_str()), b"../\xff\xfe\nx");
}

#[test]
fn a_selection_restores_only_what_is_below_its_paths() {
    let case = Case::new();
    let (ours, theirs) = (case.path("ours"), case.path("theirs"));
    let selection = Selection::new([b"/repositories/a/nw/a8".to_vec(), b"empty".to_vec()]);
    let options = FolderOptions { selection, ..FolderOptions::default() };
    case.restore(&ours, &options).expect("a restore");
    assert!(ours.join("repositories/a/nw/a8/3f/02/100/1.git/objects/pack/pack-1.pack").is_file());
    assert!(ours.join("empty/inner").is_dir() && !ours.join("zero").exists());
    case.restic_restores(&theirs, &["--include", "/repositories/a/nw/a8", "--include", "/empty"]);
    let names = |root: &Path| -> Vec<String> {
        describe(root).iter().filter_map(|l| l.split(' ').next().map(str::to_owned)).collect()
    };
    assert_eq!(names(&ours), names(&theirs));
    let missing =
        FolderOptions { selection: Selection::new([b"nothing".to_vec()]), ..FolderOptions::default() };
    let refused = case.restore(&case.path("more"), &missing);
    assert!(matches!(refused, Err(RestoreError::NotInSnapshot { .. })), "{refused:?}");
}

#[test]
fn a_directory_in_the_place_of_a_file_is_named_and_the_rest_restored() {
    let case = Case::new();
    let ours = case.path("ours");
    fs::create_dir_all(ours.join("zero/inner")).expect("folders");
    let options = FolderOptions { into_existing: true, ..FolderOptions::default() };
    let report = case.restore(&ours, &options).expect("a restore");
    assert_eq!(report.problem_count, 1);
    assert_eq!(report.problems[0].path, "zero");
    assert_eq!(fs::read(ours.join("first")).expect("restored"), b"one file, three names");
}

#[test]
fn a_damaged_pack_costs_the_files_in_it_and_each_is_named() {
    let case = Case::new();
    let packs = case.vault.packs();
    let largest = packs.iter().max_by_key(|p| fs::metadata(p).map_or(0, |m| m.len())).expect("packs");
    let mut bytes = fs::read(largest).expect("a pack");
    for at in (1000..bytes.len()).step_by(50_000) {
        bytes[at] ^= 0xff;
    }
    fs::set_permissions(largest, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
    fs::write(largest, &bytes).expect("a damaged pack");
    let report = case.restore(&case.path("ours"), &FolderOptions::default()).expect("a restore");
    assert!(!report.complete());
    let big = "repositories/a/nw/a8/3f/02/100/1.git/objects/pack/pack-1.pack";
    assert!(report.problems.iter().any(|p| p.path == big), "{:?}", report.problems);
    assert!(!case.path("ours").join(big).exists(), "no half file is left");
}
