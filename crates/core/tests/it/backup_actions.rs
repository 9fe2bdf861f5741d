//! GitHub Actions is captured with a chain that brings its databases back, and restored from that; secrets that are needed and unset are told.

use crate::support::bench;
use std::{os::unix::process::CommandExt, process::Command, sync::Arc};

use bench::Bench;
use ghevault_core::{
    appliance::{channel::Channel, facts, transport::TransportKind},
    backup::{BackupReport, BackupSettings, mssql::Cadence},
    progress::Silent,
    restore::{
        appliance::{self, ApplianceOptions, Outcome as Restored, Trust, content::SnapshotContent},
        view::SnapshotView,
    },
    seal::Outcome,
};
use ghevault_sim::{
    appliance::{
        faults::{Action, Fault},
        mssql,
    },
    build::Recipe,
    compare::{Aspects, compare},
    harness::Appliance,
};

/// An appliance with Actions, and its vault.
struct Day {
    bench: Bench,
    appliance: Appliance,
    channel: Arc<dyn Channel>,
}

impl Day {
    fn new() -> Self {
        let bench = Bench::new();
        let recipe = Recipe { actions: true, ..Recipe::small(1) };
        let mut appliance = Appliance::build(bench.dir.path().join("appliance"), &recipe).unwrap();
        let port = appliance.open_sshd().unwrap().port();
        let channel = bench.channel(&appliance, port, TransportKind::Russh);
        Self { bench, appliance, channel }
    }

    /// A backup in which a log backup is always due, and nothing else.
    fn backup(&self) -> BackupReport {
        let mssql_cadence = Cadence { full_min: 10_080, diff_min: 1_440, log_min: 0 };
        let settings = BackupSettings { mssql_cadence, ..Bench::settings() };
        self.bench.backup_with(&*self.channel, &settings).unwrap()
    }

    /// What people do, and the second that tells two backup files apart.
    fn work(&self, text: &str) {
        mssql::write(self.appliance.place(), mssql::NAMES[0], text).unwrap();
        let second = || jiff::Timestamp::now().as_second();
        let before = second();
        while second() == before {
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }

    /// Files of the newest snapshot by their endings.
    fn files(&self, ending: &str) -> usize {
        let snapshot = self.bench.vault.snapshots().unwrap().snapshots.pop().unwrap();
        let reader = self.bench.vault.index().unwrap();
        let view = SnapshotView::new(&reader, snapshot.tree);
        let folder = view.find(b"mssql").unwrap().expect("a folder of databases");
        let (entries, _) = view.children(b"mssql", &folder.kind).unwrap();
        entries.iter().filter(|entry| entry.name.ends_with(ending.as_bytes())).count()
    }

    /// Another client takes a log backup.
    fn somebody_else_exports(&self) {
        let mut command = Command::new(ghevault_sim::harness::program().unwrap());
        command.arg0("ghe-export-mssql").arg("-t").env("GHEVAULT_SIM_DIR", self.appliance.place().root());
        assert!(command.status().unwrap().success());
    }
}

fn row<'a>(report: &'a BackupReport, name: &str) -> &'a ghevault_core::backup::DatasetReport {
    report.datasets.iter().find(|row| row.name == name).expect("a dataset")
}

#[test]
fn a_full_backup_and_logs_bring_actions_back_on_another_appliance() {
    let day = Day::new();
    let first = day.backup();
    assert_eq!(first.outcome, Outcome::Complete, "{first:#?}");
    assert!(row(&first, "actions").items > 0 && row(&first, "minio").items > 0);
    let (full, logs) = (day.files(".bak"), day.files(".log"));
    assert_eq!((full, logs), (mssql::NAMES.len(), mssql::NAMES.len()));
    day.work("a run");
    let second = day.backup();
    assert_eq!(second.outcome, Outcome::Complete, "{second:#?}");
    assert_eq!((day.files(".bak"), day.files(".log")), (full, logs * 2));

    let recipe = Recipe { actions: true, ..Recipe::fresh(2) };
    let mut target = Appliance::build(day.bench.dir.path().join("target"), &recipe).unwrap();
    let port = target.open_sshd().unwrap().port();
    let channel = day.bench.channel(&target, port, TransportKind::Russh);
    target.set_maintenance(true).unwrap();
    let options =
        ApplianceOptions { confirmation: Some("ghe".into()), settings: true, ..ApplianceOptions::new("ghe") };
    let snapshot = day.bench.vault.find("latest").unwrap();
    let reader = day.bench.vault.index().unwrap();
    let view = SnapshotView::new(&reader, snapshot.tree);
    let facts = facts::probe(&*channel, &options.data_root, "ghe").unwrap();
    let content = SnapshotContent::read(view).unwrap();
    appliance::check(&facts, &content, &Trust::Sealed, &options).unwrap();
    let plan = appliance::plan(&facts, &content, &options);
    let report = appliance::run(&*channel, view, "id", &facts, &content, &plan, &options, &Silent).unwrap();
    assert_eq!(report.outcome, Restored::Complete, "{report:#?}");
    let all = compare(day.appliance.place(), target.place(), &Aspects::default()).unwrap().datasets;
    let different: Vec<String> = all
        .into_iter()
        .filter(|row| ["mssql", "actions", "minio", "secrets"].contains(&row.dataset.as_str()))
        .flat_map(|row| row.differences)
        .collect();
    assert_eq!(different, Vec::<String>::new());
}

#[test]
fn a_log_backup_of_somebody_else_makes_the_next_one_a_full_one_with_a_warning() {
    let day = Day::new();
    assert_eq!(day.backup().outcome, Outcome::Complete);
    day.work("first");
    day.somebody_else_exports();
    day.work("second");
    let report = day.backup();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert!(report.warnings.iter().any(|text| text.contains("gap")), "{:?}", report.warnings);
    assert_eq!(day.files(".log"), mssql::NAMES.len(), "a full backup keeps no older logs");
}

#[test]
fn an_export_that_fails_makes_the_dataset_partial_and_keeps_the_last_chain() {
    let mut day = Day::new();
    assert_eq!(day.backup().outcome, Outcome::Complete);
    let before = (day.files(".bak"), day.files(".log"));
    day.work("more");
    let action = Action::Fail { code: 3, stderr: "no space for backups".into() };
    day.appliance.set_faults(vec![Fault::in_command("ghe-export-mssql", action)]).unwrap();
    let report = day.backup();
    assert_eq!(report.outcome, Outcome::Partial);
    let problems = row(&report, "mssql").problems.join("; ");
    assert!(problems.contains("no space for backups"), "{problems}");
    assert!((day.files(".bak"), day.files(".log")) >= before);
    day.appliance.set_faults(Vec::new()).unwrap();
    assert_eq!(day.backup().outcome, Outcome::Complete);
}

#[test]
fn a_secret_that_the_release_needs_and_one_that_nobody_knows_are_named() {
    let day = Day::new();
    let secrets = day.appliance.disk("/data/user/common/secrets.conf");
    let config = |words: &[&str]| {
        let mut command = Command::new("git");
        command.args(["config", "-f"]).arg(&secrets).args(words);
        assert!(command.status().unwrap().success());
    };
    config(&["--unset", "secrets.github.user-password-secrets"]);
    config(&["secrets.newthing.root-key", "hush"]);
    let report = day.backup();
    assert_eq!(report.outcome, Outcome::Partial);
    let problems = row(&report, "secrets").problems.join("; ");
    assert!(problems.contains("secrets.github.user-password-secrets"), "{problems}");
    let warning = report.warnings.iter().find(|text| text.contains("secrets.newthing.root-key"));
    assert!(warning.is_some_and(|text| !text.contains("hush")), "{:?}", report.warnings);
    let unset_secrets = ["secrets.github.user-password-secrets".to_owned()].into();
    let settings = BackupSettings { unset_secrets, ..Bench::settings() };
    let accepted = day.bench.backup_with(&*day.channel, &settings).unwrap();
    assert_eq!(row(&accepted, "secrets").outcome, Outcome::Complete, "{accepted:#?}");
}
