//! GitHub Actions is given back with its databases, files and buckets; what was stopped runs again, also after a failure.

use crate::support::bench;
use std::{fs, path::Path, process::Command, sync::Arc};

use bench::Bench;
use ghevault_core::{
    appliance::{channel::Channel, facts, transport::TransportKind},
    progress::Silent,
    restore::{
        appliance::{
            self, ApplianceOptions, ApplianceReport, ApplianceRestoreError, Dataset, Outcome, Step, Trust,
            content::SnapshotContent, guard::Refusal,
        },
        view::SnapshotView,
    },
};
use ghevault_sim::{
    appliance::{State, mssql, state::ActionsService},
    build::Recipe,
    compare::{Aspects, compare},
    harness::Appliance,
};

const HOST: &str = "ghe-target";

/// A snapshot as backup-utils lays it out, of a source with Actions, and another appliance with Actions.
struct Case {
    bench: Bench,
    source: Appliance,
    target: Appliance,
    channel: Arc<dyn Channel>,
}

/// Runs a program of an appliance without a door.
fn on(appliance: &Appliance, program: &str, args: &[&str]) {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(ghevault_sim::harness::program().unwrap());
    command.arg0(program).args(args).env("GHEVAULT_SIM_DIR", appliance.place().root());
    assert!(command.status().unwrap().success(), "{program}");
}

fn copy(from: &Path, to: &Path, without: &[&str]) {
    fs::create_dir_all(to).unwrap();
    let mut tar = Command::new("cp");
    assert!(tar.args(["-a", "--"]).arg(from.join(".")).arg(to).status().unwrap().success());
    for name in without {
        let mut find = Command::new("find");
        find.arg(to).args(["-name", name, "-prune", "-exec", "rm", "-rf", "{}", "+"]);
        assert!(find.status().unwrap().success());
    }
}

impl Case {
    /// The snapshot has a full backup, a differential one and a log; `change` may spoil it.
    fn new(change: impl FnOnce(&Path)) -> Self {
        let bench = Bench::new();
        let build =
            |name: &str, recipe: Recipe| Appliance::build(bench.dir.path().join(name), &recipe).unwrap();
        let source = build("source", Recipe { actions: true, ..Recipe::small(1) });
        let mut target = build("target", Recipe { actions: true, ..Recipe::fresh(2) });
        let snapshot = bench.dir.path().join("snapshot");
        for args in [&[][..], &["-d"], &["-t"]] {
            mssql::write(source.place(), mssql::NAMES[1], &format!("before {args:?}")).unwrap();
            on(&source, "ghe-export-mssql", args);
            copy(&source.disk(mssql::BACKUPS), &snapshot.join("mssql"), &[]);
        }
        copy(&source.disk("/data/user/actions"), &snapshot.join("actions"), &["mutexes", "dumps", "tmp"]);
        copy(&source.disk("/data/user/minio"), &snapshot.join("minio"), &[".minio.sys"]);
        fs::write(snapshot.join("version"), "3.11.0\n").unwrap();
        fs::write(snapshot.join("strategy"), "rsync\n").unwrap();
        fs::write(snapshot.join("settings.json"), "[app \"actions\"]\n\tenabled = true\n").unwrap();
        change(&snapshot);
        let mut restic = Command::new("restic");
        restic.arg("-r").arg(bench.vault_path()).args(["backup", "--quiet", "--no-cache", "."]);
        restic.current_dir(&snapshot).env("RESTIC_PASSWORD", bench::PASSWORD);
        assert!(restic.status().unwrap().success());
        let port = target.open_sshd().unwrap().port();
        let channel = bench.channel(&target, port, TransportKind::Russh);
        target.set_maintenance(true).unwrap();
        Self { bench, source, target, channel }
    }

    fn restore(&self) -> Result<ApplianceReport, ApplianceRestoreError> {
        let only = [Dataset::Mssql, Dataset::Actions, Dataset::Minio].into_iter().collect();
        let options =
            ApplianceOptions { confirmation: Some(HOST.into()), only, ..ApplianceOptions::new(HOST) };
        let snapshot = self.bench.vault.find("latest").unwrap();
        let reader = self.bench.vault.index().unwrap();
        let view = SnapshotView::new(&reader, snapshot.tree);
        let target = facts::probe(&*self.channel, &options.data_root, HOST).unwrap();
        let content = SnapshotContent::read(view)?;
        appliance::check(&target, &content, &Trust::Sealed, &options)?;
        let plan = appliance::plan(&target, &content, &options);
        appliance::run(&*self.channel, view, "id", &target, &content, &plan, &options, &Silent)
    }

    fn different(&self) -> Vec<String> {
        let all = compare(self.source.place(), self.target.place(), &Aspects::default()).unwrap().datasets;
        let ours =
            all.into_iter().filter(|row| ["mssql", "actions", "minio"].contains(&row.dataset.as_str()));
        ours.flat_map(|row| row.differences).collect()
    }

    fn state(&self) -> State {
        State::load(self.target.place()).unwrap()
    }
}

#[test]
fn databases_files_and_buckets_become_the_sources() {
    let case = Case::new(|_| {});
    assert!(!case.different().is_empty());
    let report = case.restore().unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(case.different(), Vec::<String>::new());
    assert!(report.warnings.iter().any(|warning| warning.contains("runners")), "{:?}", report.warnings);
    let state = case.state();
    assert_eq!(state.actions, ActionsService::Started);
    for service in ["mps", "token", "actions", "artifactcache"] {
        let call = format!("ghe-actions-console -s {service} -c Repair-DatabaseLogins");
        assert!(state.recorded.contains(&call), "{call}: {:?}", state.recorded);
    }
    let place = |name: &str| state.recorded.iter().position(|call| call == name).unwrap();
    assert!(place("ghe-actions-stop") < place("ghe-actions-start"));
}

#[test]
fn a_gap_in_the_logs_fails_the_restore_and_actions_runs_again() {
    let case = Case::new(|snapshot| {
        let ending = |name: &str| name.rsplit_once('.').unwrap().1.to_owned();
        let folder = snapshot.join("mssql");
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        // Without the differential backups and the logs before the last one.
        let last =
            names.iter().filter(|name| ending(name) == "log").map(|name| name.split_once('@').unwrap().1);
        let last = last.max().unwrap().to_owned();
        for name in names {
            if ending(&name) != "bak" && !name.ends_with(&last) {
                fs::remove_file(folder.join(name)).unwrap();
            }
        }
    });
    let rows = case.state().mssql[mssql::NAMES[1]].rows.clone();
    let report = case.restore().unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    let step = report.steps.last().unwrap();
    assert_eq!(step.step, Step::Mssql);
    assert!(step.error.as_deref().unwrap().contains("too recent"), "{step:?}");
    let state = case.state();
    assert_eq!(state.actions, ActionsService::Started);
    assert_eq!(state.mssql[mssql::NAMES[1]].rows, rows);
    let status = fs::read_to_string(case.target.disk("/data/user/common/ghe-restore-status")).unwrap();
    assert_eq!(status.trim(), "failed");
}

#[test]
fn a_cache_that_the_snapshot_lacks_is_refused_before_anything_is_changed() {
    let case = Case::new(|snapshot| {
        for entry in fs::read_dir(snapshot.join("mssql")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with(mssql::CACHE) {
                fs::remove_file(path).unwrap();
            }
        }
    });
    let refused = case.restore().unwrap_err();
    assert!(matches!(refused, ApplianceRestoreError::Refused(Refusal::ActionsCacheOnTarget(_))), "{refused}");
    assert_eq!(case.state().recorded, Vec::<String>::new());
}
