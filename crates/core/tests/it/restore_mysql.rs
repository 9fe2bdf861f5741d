//! The ways in which a database comes back: programs of the user's, a dump marked as external, an incremental chain.

use crate::support::{bench, target};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use bench::Bench;
use ghevault_core::{
    backup::{BackupSettings, CancelToken},
    import::{self, DataListing, ImportInputs, ImportOptions, plan, recorded},
    progress::Silent,
    restore::{
        appliance::{ApplianceOptions, Dataset, Importer, Outcome, RestorePlan, Step},
        export::{self, ExportOptions},
        view::SnapshotView,
    },
    seal,
};
use ghevault_sim::{appliance::commands::mysql, build::Recipe, harness::Appliance};
use target::Case;

/// Runs a program of an appliance without a door, and returns what it wrote.
fn on(appliance: &Appliance, program: &str, args: &[&str], variables: &[(&str, &str)]) -> Vec<u8> {
    let mut command = Command::new(ghevault_sim::harness::program().unwrap());
    command.arg0(program).args(args).env("GHEVAULT_SIM_DIR", appliance.place().root());
    let out = command.envs(variables.iter().copied()).output().unwrap();
    assert!(out.status.success(), "{program}: {out:?}");
    out.stdout
}

/// An appliance whose database is elsewhere, with the password that it then needs.
fn external(appliance: &Appliance) {
    switch_on(appliance, "mysql.external.enabled");
    on(appliance, "ghe-config", &["secrets.external.mysql", "s3cret"], &[]);
}

fn switch_on(appliance: &Appliance, setting: &str) {
    on(appliance, "ghe-config", &[setting, "true"], &[]);
}

/// A program on the backup host.
fn program(folder: &Path, name: &str, script: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\nset -e\n{script}\n")).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    path
}

fn importer(plan: &RestorePlan) -> Option<Importer> {
    plan.steps.iter().find_map(|planned| match planned.step {
        Step::Mysql(importer) => Some(importer),
        _ => None,
    })
}

fn database(appliance: &Appliance) -> String {
    fs::read_to_string(appliance.place().store(mysql::STORE)).unwrap()
}

#[test]
fn an_external_database_is_backed_up_and_given_back_by_the_programs_of_the_user() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump.sql");
    let backup =
        program(folder.path(), "backup", &format!("echo the external database > {}", dump.display()));
    let settings = BackupSettings { external_mysql_script: Some(backup), ..Bench::settings() };
    let case = Case::with(&Recipe::fresh(2), &settings, external);
    assert_eq!(fs::read_to_string(&dump).unwrap(), "the external database\n");
    external(&case.target);
    case.target.set_maintenance(true).unwrap();
    let restored = folder.path().join("restored.sql");
    let restore = program(folder.path(), "restore", &format!("cp {} {}", dump.display(), restored.display()));
    let own = database(&case.target);
    let options = ApplianceOptions { external_mysql_script: Some(restore), ..case.options() };
    let (plan, report) = case.restore(&options).unwrap();
    assert_eq!(importer(&plan), Some(Importer::Script));
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(fs::read_to_string(restored).unwrap(), "the external database\n");
    assert_eq!(database(&case.target), own, "the appliance's own database is not touched");
}

#[test]
fn a_restore_program_that_fails_ends_the_restore_with_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let backup = program(folder.path(), "backup", "true");
    let settings = BackupSettings { external_mysql_script: Some(backup), ..Bench::settings() };
    let case = Case::with(&Recipe::fresh(2), &settings, external);
    external(&case.target);
    case.target.set_maintenance(true).unwrap();
    let refused = case.restore(&case.options()).unwrap_err();
    assert!(refused.to_string().contains("external"), "{refused}");
    let restore = program(folder.path(), "restore", "echo the database refuses >&2; exit 4");
    let options = ApplianceOptions { external_mysql_script: Some(restore), ..case.options() };
    let (_, report) = case.restore(&options).unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    let step = report.steps.iter().find(|step| !step.ok).unwrap();
    assert!(step.error.as_deref().unwrap().contains("the database refuses"), "{step:?}");
}

#[test]
fn a_dump_of_an_external_database_is_imported_as_one() {
    let case = Case::with(&Recipe::fresh(2), &Bench::settings(), external);
    external(&case.target);
    case.target.set_maintenance(true).unwrap();
    let (plan, report) = case.restore(&case.options()).unwrap();
    assert_eq!(importer(&plan), Some(Importer::Logical));
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(database(&case.target), database(&case.source));
}

/// Puts the appliance's stream into a snapshot of a data directory, as backup-utils' incremental backups do.
fn stream(appliance: &Appliance, snapshot: &Path, from: &str) -> String {
    let bytes = on(appliance, "ghe-export-mysql", &[], &[("INC_BACKUP", from)]);
    fs::write(snapshot.join("mysql.sql.gz"), bytes).unwrap();
    let points = appliance.place().root().join("tmp/lsndir/xtrabackup_checkpoints");
    let text = fs::read_to_string(points).unwrap();
    fs::write(snapshot.join("xtrabackup_checkpoints"), &text).unwrap();
    text.lines().find_map(|line| line.strip_prefix("to_lsn = ")).unwrap().to_owned()
}

#[test]
fn an_imported_chain_of_incremental_dumps_brings_the_newest_database_back() {
    let mut case = Case::with(&Recipe::fresh(2), &Bench::settings(), |source| {
        switch_on(source, "mysql.backup.binary");
    });
    let data = tempfile::tempdir().unwrap();
    let snapshot = case.bench.vault.find("latest").unwrap();
    let reader = case.bench.vault.index().unwrap();
    let mut reached = "0".to_owned();
    let names = ["20260101T000000", "20260101T010000", "20260101T020000"];
    for (number, name) in names.into_iter().enumerate() {
        let options = ExportOptions { name: Some(name.into()), ..ExportOptions::default() };
        let view = SnapshotView::new(&reader, snapshot.tree);
        export::run(view, &snapshot.id.to_string(), snapshot.time, data.path(), &options, &Silent).unwrap();
        mysql::append(case.source.place(), &format!("INSERT INTO `later` VALUES ({number});")).unwrap();
        reached = stream(&case.source, &data.path().join(name), &reached);
    }
    let path = |name: &str| data.path().join(name).display().to_string();
    fs::write(data.path().join("inc_full_backup"), path(names[0])).unwrap();
    fs::write(data.path().join("inc_snapshot_data"), format!("{}\n{}\n", path(names[1]), path(names[2])))
        .unwrap();

    drop(reader);
    let _appliances = std::mem::replace(&mut case.bench, Bench::new());
    let known = recorded(&case.bench.vault.snapshots().unwrap(), &case.bench.vault.index().unwrap()).unwrap();
    let listing = DataListing::read(data.path()).unwrap();
    let plan = plan::plan(&listing, &known, None, &ImportOptions::default()).unwrap();
    let inputs = ImportInputs {
        vault: &case.bench.vault,
        seal_key: &case.bench.seal_key,
        host: None,
        cancel: &CancelToken::new(),
        progress: &Silent,
    };
    let report = import::run(&inputs, &plan).unwrap();
    assert_eq!(report.outcome, seal::Outcome::Complete, "{report:#?}");

    switch_on(&case.target, "mysql.backup.binary");
    case.target.set_maintenance(true).unwrap();
    case.trust_again();
    let only = [Dataset::Mysql].into_iter().collect();
    let (plan, report) = case.restore(&ApplianceOptions { only, ..case.options() }).unwrap();
    assert_eq!(importer(&plan), Some(Importer::Binary { wrapped: false }));
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert!(database(&case.source).contains("VALUES (2)"));
    assert_eq!(database(&case.target), database(&case.source));
    assert!(!case.target.place().root().join("tmp/incremental-backup-files.txt").exists());
}
