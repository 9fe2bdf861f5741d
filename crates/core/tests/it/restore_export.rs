//! An export is a directory that backup-utils takes, and never looks finished before it is.

use crate::support::stock;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use ghevault_core::{
    progress::Silent,
    restore::{
        RestoreError,
        export::{self, ExportOptions, ExportReport},
        view::SnapshotView,
    },
};
use stock::{StockVault, describe, nasty_tree};

struct Case {
    vault: StockVault,
    data: PathBuf,
}

impl Case {
    fn new(version: Option<&str>) -> Self {
        let vault = StockVault::init();
        let source = vault.scratch.path().join("source");
        fs::create_dir_all(source.join("audit-log")).expect("folders");
        fs::create_dir_all(source.join("ghevault/units")).expect("folders");
        fs::create_dir(source.join("files")).expect("a folder");
        nasty_tree(&source.join("files"));
        for (name, content) in [
            ("mysql.sql", "CREATE TABLE t (i INT);\n"),
            ("audit-log/audit_log-1-2026-11-1.json", "{\"a\":1}\n"),
            ("audit-log/audit_log-1-2026-11-1.size", "4711\n"),
            ("ghevault/secrets.conf", "[secrets]\n"),
            ("uuid", "0b1c2d3e\n"),
            ("manage-password", "secret\n"),
        ] {
            fs::write(source.join(name), content).expect("a file");
        }
        if let Some(version) = version {
            fs::write(source.join("version"), format!("{version}\n")).expect("a file");
        }
        vault.backup(&source);
        let data = vault.scratch.path().join("data");
        Self { vault, data }
    }

    fn export(&self, time: &str, options: &ExportOptions) -> Result<ExportReport, RestoreError> {
        let (id, tree, reader) = self.vault.open();
        let view = SnapshotView::new(&reader, tree);
        export::run(view, &id, time.parse().expect("a time"), &self.data, options, &Silent)
    }
}

const NOON: &str = "2026-11-22T12:00:00Z";

fn unzipped(path: &Path) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(path).expect("a file"))
        .read_to_string(&mut text)
        .expect("gzip");
    text
}

#[test]
fn an_export_has_the_layout_of_backup_utils() {
    let case = Case::new(Some("v3.11.0"));
    let report = case.export(NOON, &ExportOptions::default()).expect("an export");
    assert!(report.restored.complete() && report.current, "{report:?}");
    let made = case.data.join("20261122T120000");
    assert_eq!(report.path, made);
    assert_eq!(fs::read_link(case.data.join("current")).expect("a link"), Path::new("20261122T120000"));
    assert_eq!(unzipped(&made.join("mysql.sql.gz")), "CREATE TABLE t (i INT);\n");
    assert_eq!(unzipped(&made.join("audit-log/audit_log-1-2026-11-1.gz")), "{\"a\":1}\n");
    assert_eq!(
        fs::read_to_string(made.join("audit-log/audit_log-1-2026-11-1.gz.size")).expect("a file"),
        "4711\n"
    );
    assert_eq!(fs::read_to_string(made.join("version")).expect("a file"), "v3.11.0\n");
    assert_eq!(fs::read_to_string(made.join("strategy")).expect("a file"), "rsync\n");
    let mut names: Vec<_> = fs::read_dir(&made)
        .expect("readable")
        .flatten()
        .map(|e| e.file_name().into_string().expect("text"))
        .collect();
    names.sort();
    let expected = ["audit-log", "files", "manage-password", "mysql.sql.gz", "strategy", "uuid", "version"];
    assert_eq!(names, expected);
    assert_eq!(describe(&made.join("files")), describe(&case.vault.scratch.path().join("source/files")));
}

#[test]
fn a_finished_export_is_never_touched_again() {
    let case = Case::new(Some("v3.11.0"));
    case.export(NOON, &ExportOptions::default()).expect("an export");
    let refused = case.export(NOON, &ExportOptions::default());
    assert!(matches!(refused, Err(RestoreError::ExportExists { .. })), "{refused:?}");
}

#[test]
fn an_interrupted_export_is_completed() {
    let case = Case::new(Some("v3.11.0"));
    let made = case.data.join("20261122T120000");
    fs::create_dir_all(&made).expect("a folder");
    fs::write(made.join("incomplete"), "").expect("a mark");
    fs::write(made.join("mysql.sql.gz"), "half").expect("a file");
    let report = case.export(NOON, &ExportOptions::default()).expect("an export");
    assert!(report.restored.complete() && !made.join("incomplete").exists());
    assert_eq!(unzipped(&made.join("mysql.sql.gz")), "CREATE TABLE t (i INT);\n");
}

#[test]
fn current_never_moves_back_in_time() {
    let case = Case::new(Some("v3.11.0"));
    case.export(NOON, &ExportOptions::default()).expect("an export");
    let older = case.export("2026-11-21T12:00:00Z", &ExportOptions::default()).expect("an export");
    assert!(!older.current);
    assert_eq!(fs::read_link(case.data.join("current")).expect("a link"), Path::new("20261122T120000"));
}

#[test]
fn a_snapshot_without_a_version_needs_one_before_anything_is_made() {
    let case = Case::new(None);
    let refused = case.export(NOON, &ExportOptions::default());
    assert!(matches!(refused, Err(RestoreError::Missing { what: "version" })), "{refused:?}");
    assert!(!case.data.exists());
    let options = ExportOptions { version: Some("3.11.0".into()), ..ExportOptions::default() };
    let report = case.export(NOON, &options).expect("an export");
    assert_eq!(fs::read_to_string(report.path.join("version")).expect("a file"), "v3.11.0\n");
}

#[test]
fn an_export_with_missing_content_stays_incomplete() {
    let case = Case::new(Some("v3.11.0"));
    for pack in case.vault.packs() {
        let length = fs::metadata(&pack).expect("a pack").len();
        if length > 1_000_000 {
            fs::remove_file(pack).expect("a pack");
        }
    }
    let report = case.export(NOON, &ExportOptions::default()).expect("an export");
    assert!(!report.restored.complete() && !report.current);
    assert!(report.path.join("incomplete").exists());
    assert!(!case.data.join("current").exists());
}
