//! A data directory of backup-utils becomes snapshots that verify, export and restore, and the next backup builds on them.

use crate::support::bench;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use bench::{Bench, listing};
use ghevault_core::{
    appliance::{channel::Channel, transport::TransportKind},
    backup::CancelToken,
    import::{
        self, DataListing, ImportInputs, ImportOptions, ImportReport, Step, plan, recorded, report::Fate,
    },
    progress::Silent,
    restore::{
        export::{self, ExportOptions},
        view::SnapshotView,
    },
    seal::{self, Outcome, Source},
    vault::{Snapshot, tree_hex},
};
use ghevault_sim::harness::Appliance;

/// An appliance, and a data directory with two snapshots of it whose files share inodes as backup-utils' do.
struct Case {
    bench: Bench,
    appliance: Appliance,
    channel: std::sync::Arc<dyn Channel>,
    data: PathBuf,
}

const FIRST: &str = "20260101T000000";
const SECOND: &str = "20260101T010000";

impl Case {
    fn new(seed: u64) -> Self {
        let (bench, appliance, port) = Bench::beside(seed);
        let channel = bench.channel(&appliance, port, TransportKind::Russh);
        let data = bench.dir.path().join("data");
        let case = Self { bench, appliance, channel, data };
        let maker = Bench::new();
        let channel = maker.channel(&case.appliance, port, TransportKind::Russh);
        for (name, life) in [(FIRST, seed), (SECOND, seed + 100)] {
            assert_eq!(maker.backup(&*channel).unwrap().outcome, Outcome::Complete);
            export_latest(&maker, &case.data, name);
            case.appliance.mutate(6, life).unwrap();
        }
        share_inodes(&case.data.join(FIRST), &case.data.join(SECOND));
        case
    }

    fn import(&self) -> ImportReport {
        self.import_with(&ImportOptions::default())
    }

    fn import_with(&self, options: &ImportOptions) -> ImportReport {
        let vault = &self.bench.vault;
        let known = recorded(&vault.snapshots().unwrap(), &vault.index().unwrap()).unwrap();
        let plan = plan::plan(&DataListing::read(&self.data).unwrap(), &known, None, options).unwrap();
        import::run(&self.inputs(&CancelToken::new()), &plan).unwrap()
    }

    fn inputs<'a>(&'a self, cancel: &'a CancelToken) -> ImportInputs<'a> {
        ImportInputs {
            vault: &self.bench.vault,
            seal_key: &self.bench.seal_key,
            host: None,
            cancel,
            progress: &Silent,
        }
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        self.bench.vault.snapshots().unwrap().snapshots
    }
}

fn export_latest(bench: &Bench, data: &Path, name: &str) {
    let snapshot = bench.vault.find("latest").unwrap();
    let reader = bench.vault.index().unwrap();
    let options = ExportOptions { name: Some(name.into()), ..ExportOptions::default() };
    let view = SnapshotView::new(&reader, snapshot.tree);
    let report = export::run(view, &snapshot.id.to_string(), snapshot.time, data, &options, &Silent).unwrap();
    assert!(report.restored.complete());
}

/// What `rsync --link-dest` does: files of the second that are as in the first become links to them.
fn share_inodes(first: &Path, second: &Path) {
    let script = r#"cd "$1" && find repositories pages storage git-hooks elasticsearch -type f | while read -r f; do
        if [ -f "$2/$f" ] && [ ! "$f" -nt "$2/$f" ] && [ ! "$f" -ot "$2/$f" ] && cmp -s "$f" "$2/$f"; then ln -f "$f" "$2/$f"; fi; done"#;
    let status = Command::new("bash").args(["-c", script, "bash"]).arg(first).arg(second).status().unwrap();
    assert!(status.success());
}

#[test]
fn snapshots_come_over_whole_and_shared_files_are_read_once_and_nothing_twice() {
    let case = Case::new(1);
    let report = case.import();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(report.snapshots.len(), 2);
    let (first, second) = (&report.snapshots[0], &report.snapshots[1]);
    assert!(second.bytes_read < first.bytes_read / 2, "{} of {}", second.bytes_read, first.bytes_read);
    case.bench.assert_restic_finds_no_fault();
    for (name, snapshot) in [FIRST, SECOND].into_iter().zip(case.snapshots()) {
        assert_eq!(snapshot.time.strftime("%Y%m%dT%H%M%S").to_string(), name);
        let seal = seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree)).unwrap();
        assert_eq!((seal.manifest.source, seal.manifest.outcome), (Source::Import, Outcome::Complete));
        let restored = case.bench.restic_restore(&snapshot.id.to_string(), name);
        for folder in ["repositories", "pages", "storage", "git-hooks", "elasticsearch"] {
            assert_eq!(
                listing(&case.data.join(name), folder),
                listing(&restored, folder),
                "{folder} of {name}"
            );
        }
        assert!(restored.join("mysql.sql").exists() && !restored.join("mysql.sql.gz").exists());
    }
    let again = case.import();
    assert!(again.snapshots.iter().all(|one| one.fate == Fate::Present), "{again:#?}");
    assert_eq!(case.snapshots().len(), 2);
}

#[test]
fn an_export_of_an_import_equals_the_directory_that_was_imported() {
    let case = Case::new(2);
    case.import();
    let out = case.bench.dir.path().join("out");
    export_latest(&case.bench, &out, SECOND);
    let script = r#"cd "$1" && find . -path ./benchmarks -prune -o ! -name '*.gz' -printf '%y %m %s %T@ %l %p\n' | grep -v '^d' | sort; \
        find . -path ./benchmarks -prune -o -type f ! -name '*.gz' -print0 | sort -z | xargs -0 sha256sum; \
        for f in mysql.sql.gz audit-log/*.gz; do echo "$f"; zcat "$f" | sha256sum; done"#;
    let facts = |folder: &Path| {
        let out = Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(folder)
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let (there, here) = (facts(&case.data.join(SECOND)), facts(&out.join(SECOND)));
    for (a, b) in there.lines().zip(here.lines()) {
        assert_eq!(a, b);
    }
    assert_eq!(there.lines().count(), here.lines().count());
}

#[test]
fn the_first_backup_after_an_import_is_complete_and_adds_little() {
    let case = Case::new(3);
    let imported = case.import();
    let report = case.bench.backup(&*case.channel).unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(report.parent, imported.snapshots[1].snapshot);
    // What is new on the appliance, and once the facts of all files: inodes and ctimes are others than the client's.
    assert!(
        report.bytes_added * 2 < imported.bytes_added,
        "{} of {}",
        report.bytes_added,
        imported.bytes_added
    );
    case.bench.assert_restic_finds_no_fault();
    let restored = case.bench.restic_restore("latest", "restored");
    let disk = case.appliance.disk("/data/user");
    for folder in ["repositories", "pages", "storage", "elasticsearch"] {
        assert_eq!(listing(&disk, folder), listing(&restored, folder), "{folder}");
    }
    assert!(!restored.join("ghevault/import.json").exists());
    // And the one after that compares with it as ever.
    let next = case.bench.backup(&*case.channel).unwrap();
    assert!(next.datasets.iter().all(|row| row.name == "redis" || row.files_changed == 0), "{next:#?}");
}

#[test]
fn an_unreadable_and_a_cut_file_make_a_snapshot_partial_by_name_until_they_can_be_read() {
    let case = Case::new(4);
    let dump = case.data.join(SECOND).join("mysql.sql.gz");
    let whole = fs::read(&dump).unwrap();
    let time = fs::metadata(&dump).unwrap().modified().unwrap();
    let put = |bytes: &[u8]| {
        fs::write(&dump, bytes).unwrap();
        fs::File::options().write(true).open(&dump).unwrap().set_modified(time).unwrap();
    };
    put(&whole[..whole.len() / 2]);
    fs::remove_file(case.data.join(SECOND).join("manage-password")).unwrap();
    let report = case.import();
    assert_eq!(report.outcome, Outcome::Partial);
    let second = &report.snapshots[1];
    let problem = |name: &str| {
        let row = second.datasets.iter().find(|row| row.name == name).unwrap();
        row.problems.join("; ")
    };
    assert!(problem("mysql").contains("`mysql.sql.gz` is no whole gzip file"), "{second:#?}");
    assert!(problem("secrets").contains("manage-password"), "{second:#?}");
    assert_eq!(report.snapshots[0].outcome, Some(Outcome::Complete));
    let same = case.import();
    assert_eq!(same.snapshots[1].fate, Fate::Present, "nothing turned up: {same:#?}");
    assert_eq!(case.snapshots().len(), 2);
    put(&whole);
    fs::write(case.data.join(SECOND).join("manage-password"), "x\n").unwrap();
    let whole_now = case.import();
    assert_eq!((whole_now.outcome, case.snapshots().len()), (Outcome::Complete, 3), "{whole_now:#?}");
}

#[test]
fn a_directory_that_is_deleted_after_the_plan_is_named_and_the_others_are_taken() {
    let case = Case::new(5);
    let plan =
        plan::plan(&DataListing::read(&case.data).unwrap(), &[], None, &ImportOptions::default()).unwrap();
    // backup-utils marks a snapshot before it deletes it.
    fs::write(case.data.join(FIRST).join("incomplete"), "").unwrap();
    let cancel = CancelToken::new();
    let report = import::run(&case.inputs(&cancel), &plan).unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(report.snapshots[0].fate, Fate::Failed);
    assert!(report.snapshots[0].reason.as_ref().unwrap().contains("backup-utils is deleting it"));
    assert_eq!((report.snapshots[1].fate, case.snapshots().len()), (Fate::Imported, 1));
    fs::remove_dir_all(case.data.join(SECOND)).unwrap();
    let gone = import::run(&case.inputs(&cancel), &plan).unwrap();
    assert_eq!(gone.outcome, Outcome::Failed, "{gone:#?}");
    assert!(gone.snapshots[1].reason.as_ref().unwrap().contains("deleted while it was read"));
    assert_eq!(case.snapshots().len(), 1);
}

#[test]
fn a_cancelled_import_leaves_what_was_finished_and_goes_on_there() {
    let case = Case::new(6);
    let options = ImportOptions { only: vec![FIRST.into()], ..ImportOptions::default() };
    assert_eq!(case.import_with(&options).outcome, Outcome::Complete);
    let cancel = CancelToken::new();
    cancel.cancel();
    let plan =
        plan::plan(&DataListing::read(&case.data).unwrap(), &[], None, &ImportOptions::default()).unwrap();
    assert!(matches!(import::run(&case.inputs(&cancel), &plan), Err(import::ImportError::Cancelled)));
    let rest = case.import();
    let fates: Vec<_> = rest.snapshots.iter().map(|one| one.fate).collect();
    assert_eq!(fates, [Fate::Present, Fate::Imported]);
}

#[test]
fn an_incremental_chain_keeps_all_its_streams_and_a_broken_one_is_partial() {
    let case = Case::new(7);
    let points = |from: u64, to: u64| {
        let kind = if from == 0 { "full-backuped" } else { "incremental" };
        format!("backup_type = {kind}\nfrom_lsn = {from}\nto_lsn = {to}\n")
    };
    for (name, from, to) in [(FIRST, 0, 10), (SECOND, 10, 20)] {
        let folder = case.data.join(name);
        fs::write(folder.join("mysql.sql.gz"), format!("stream to {to}")).unwrap();
        fs::write(folder.join("mysql-binary-backup-sentinel"), "NO_ADDITIONAL_COMPRESSION\n").unwrap();
        fs::write(folder.join("xtrabackup_checkpoints"), points(from, to)).unwrap();
    }
    fs::write(case.data.join("inc_full_backup"), format!("/elsewhere/{FIRST}\n")).unwrap();
    fs::write(case.data.join("inc_snapshot_data"), format!("/elsewhere/{SECOND}\n")).unwrap();
    let report = case.import();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    let restored = case.bench.restic_restore(report.snapshots[1].snapshot.as_ref().unwrap(), "restored");
    let chain: serde_json::Value =
        serde_json::from_slice(&fs::read(restored.join("ghevault/mysql-chain.json")).unwrap()).unwrap();
    let streams: Vec<String> = chain["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| fs::read_to_string(restored.join(member["mysql"].as_str().unwrap())).unwrap())
        .collect();
    assert_eq!(streams, ["stream to 10", "stream to 20"]);
    fs::remove_file(case.data.join("inc_full_backup")).unwrap();
    fs::write(case.data.join(SECOND).join("xtrabackup_checkpoints"), points(11, 20)).unwrap();
    let broken = case.import();
    assert_eq!(broken.snapshots[1].outcome, Some(Outcome::Partial));
    assert!(format!("{broken:?}").contains("incremental MySQL stream cannot be restored"), "{broken:#?}");
}

#[test]
fn an_unfinished_snapshot_is_taken_only_when_forced_and_is_partial_then() {
    let case = Case::new(8);
    fs::write(case.data.join(SECOND).join("incomplete"), "").unwrap();
    let listing = DataListing::read(&case.data).unwrap();
    let plan = plan::plan(&listing, &[], None, &ImportOptions::default()).unwrap();
    assert!(matches!(plan.snapshots[1].step, Step::Skip { .. }));
    let report = case.import_with(&ImportOptions { force_incomplete: true, ..ImportOptions::default() });
    assert_eq!(report.snapshots[1].outcome, Some(Outcome::Partial), "{report:#?}");
    let restored = case.bench.restic_restore(report.snapshots[1].snapshot.as_ref().unwrap(), "restored");
    assert!(!restored.join("incomplete").exists());
}
