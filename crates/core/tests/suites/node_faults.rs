//! A machine of a cluster that is lost at each step of a backup and of a restore: what is told, what is left, and the way on.

use crate::support::{cluster, cluster_target};
use std::sync::Mutex;

use cluster::Cluster;
use cluster_target::Case;
use ghevault_core::{
    backup::{BackupError, BackupReport},
    progress::{Event, Progress},
    restore::appliance::{ApplianceReport, ApplianceRestoreError, Outcome as Restored},
    seal::Outcome,
};

/// Notes the parts that begin.
#[derive(Default)]
struct Parts(Mutex<Vec<String>>);

impl Progress for Parts {
    fn event(&self, event: Event<'_>) {
        if let Event::Started { part, .. } = event {
            self.0.lock().unwrap().push(part.to_owned());
        }
    }
}

fn parts_of_a_backup(cluster: &Cluster) -> Vec<String> {
    let parts = Parts::default();
    assert_eq!(cluster.backup_with(&parts).unwrap().outcome, Outcome::Complete);
    parts.0.into_inner().unwrap()
}

fn begins(part: &str) -> impl Fn(&Event<'_>) -> bool + Send + Sync {
    move |event| matches!(event, Event::Started { part: begun, .. } if *begun == part)
}

/// What a run says of everything that went wrong.
fn told(end: &Result<BackupReport, BackupError>) -> String {
    match end {
        Ok(report) => format!("{report:?}"),
        Err(error) => error.to_string(),
    }
}

/// A dataset that is called complete has every file that some machine has.
fn assert_complete_is_complete(cluster: &Cluster, report: &BackupReport, case: &str) {
    for folder in ["repositories", "storage", "pages"] {
        let (stored, whole) = (cluster.contents(&report.snapshot, folder), cluster.union(folder));
        if cluster::row(report, folder).outcome == Outcome::Complete {
            cluster::assert_same(&stored, &whole, &format!("{case}: {folder}"));
        } else {
            assert!(stored.iter().all(|(path, hash)| whole.get(path) == Some(hash)), "{case}: {folder}");
        }
    }
}

fn heals(cluster: &Cluster, node: &str, case: &str) {
    cluster.fleet().start_node(node).unwrap();
    let report = cluster.backup().unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(report.outcome, Outcome::Complete, "{case}: {report:#?}");
    assert_complete_is_complete(cluster, &report, case);
    cluster.assert_gates_are_open();
}

#[test]
fn a_machine_that_is_lost_at_any_step_of_a_backup_is_named_and_nothing_incomplete_is_called_complete() {
    let mut cluster = Cluster::new(11);
    cluster.trust_nodes();
    let parts = parts_of_a_backup(&cluster);
    assert!(parts.len() > 8, "{parts:?}");
    let names = cluster.names();
    for (turn, part) in parts.iter().enumerate() {
        let node = &names[1 + turn % 2];
        let case = format!("{node} is lost when {part} begins");
        cluster.change_host();
        let end = cluster.backup_with(&cluster.stop_at(node, begins(part)));
        match &end {
            Ok(report) => {
                if report.outcome != Outcome::Complete {
                    assert!(told(&end).contains(node), "{case}: {}", told(&end));
                }
                assert_complete_is_complete(&cluster, report, &case);
            }
            Err(error) => assert!(error.to_string().contains(node), "{case}: {error}"),
        }
        heals(&cluster, node, &case);
    }
}

#[test]
fn the_connected_machine_that_is_lost_at_any_step_ends_the_run_and_the_next_one_is_complete() {
    let mut cluster = Cluster::new(12);
    cluster.trust_nodes();
    let parts = parts_of_a_backup(&cluster);
    let first = &cluster.names()[0];
    for part in &parts {
        let case = format!("{first} is lost when {part} begins");
        cluster.change_host();
        let end = cluster.backup_with(&cluster.stop_at(first, begins(part)));
        let complete = end.as_ref().is_ok_and(|report| report.outcome == Outcome::Complete);
        assert!(!complete, "{case}: {}", told(&end));
        heals(&cluster, first, &case);
    }
}

fn outcome(end: &Result<ApplianceReport, ApplianceRestoreError>) -> Option<Restored> {
    end.as_ref().ok().map(|report| report.outcome)
}

/// Runs a restore during which a machine is lost when `step` begins.
fn restore_and_lose(
    case: &mut Case,
    node: &str,
    step: &str,
) -> Result<ApplianceReport, ApplianceRestoreError> {
    case.reconnect();
    let again = case.again();
    let fleet = Mutex::new(std::mem::replace(&mut case.cluster, again));
    let power_cut = cluster::StopAt { fleet: &fleet, node, when: begins(step), done: std::sync::Once::new() };
    let end = case.restore_with(&power_cut, |_| {});
    case.cluster = fleet.into_inner().unwrap();
    case.cluster.start_node(node).unwrap();
    end
}

#[test]
fn a_machine_that_is_lost_at_any_step_of_a_restore_is_named_and_the_next_restore_is_whole() {
    let (mut case, _) = Case::of_an_appliance();
    let mut steps = Vec::new();
    let planned = case.restore_with(&ghevault_core::progress::Silent, |plan| {
        steps.extend(plan.steps.iter().map(|planned| planned.step.name()));
    });
    assert_eq!(outcome(&planned), Some(Restored::Complete));
    assert!(steps.len() > 15, "{steps:?}");
    for (turn, step) in steps.iter().enumerate() {
        let node = ["ghe-node-2", "ghe-node-3"][turn % 2];
        let lost = format!("{node} is lost when {step} begins");
        let end = restore_and_lose(&mut case, node, step);
        eprintln!("{lost}: {:?}", outcome(&end));
        if let Ok(report) = &end
            && report.outcome == Restored::Complete
            && report.warnings.is_empty()
        {
            // nothing was to be done there
            case.assert_equal();
        } else {
            let told = end.as_ref().map_or_else(ToString::to_string, |report| format!("{report:?}"));
            assert!(told.contains(node), "{lost}: {told}");
        }
    }
    case.reconnect();
    let report = case.restore();
    assert_eq!((report.outcome, report.warnings.len()), (Restored::Complete, 0), "{report:#?}");
    case.assert_equal();
    assert_eq!(case.statuses(), ["complete"; 3]);
}

#[test]
fn the_connected_machine_that_is_lost_at_any_step_of_a_restore_fails_it_and_the_next_one_is_whole() {
    let (mut case, _) = Case::of_an_appliance();
    let mut steps = Vec::new();
    case.restore_with(&ghevault_core::progress::Silent, |plan| {
        steps.extend(plan.steps.iter().map(|planned| planned.step.name()));
    })
    .unwrap();
    // behind `complete` only the host keys are left
    for step in steps {
        let lost = format!("the connected machine is lost when {step} begins");
        let end = restore_and_lose(&mut case, "ghe-node-1", step);
        eprintln!("{lost}: {:?}", outcome(&end));
        assert_ne!(outcome(&end), Some(Restored::Complete), "{lost}");
        if step != "ssh-host-keys" {
            assert_ne!(case.statuses()[0], "complete", "{lost}");
        }
    }
    case.reconnect();
    let report = case.restore();
    assert_eq!(report.outcome, Restored::Complete, "{report:#?}");
    case.assert_equal();
}
