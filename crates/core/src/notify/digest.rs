//! One message a day that says how everything stands: silence alone does not say that all is well.

use jiff::{SignedDuration, Timestamp};

use super::{Message, Severity};
use crate::{
    state::{RunRecord, RunResult, Task},
    status::{Health, StatusReport, words},
};

/// Runs that are named one by one.
const NAMED: usize = 10;

/// The digest of the runs that ended since `since`.
#[must_use]
pub fn digest(report: &StatusReport, runs: &[RunRecord], since: Timestamp) -> Message {
    let fresh: Vec<&RunRecord> =
        runs.iter().filter(|run| run.ended > since && run.ended <= report.at).collect();
    let mut lines =
        vec![format!("objective: {}; {}", report.objective.health.name(), report.objective.because)];
    for target in &report.targets {
        lines.push(format!("{}: {}; {}", target.name, target.health.name(), target.because));
    }
    for task in Task::ALL {
        let of_task: Vec<&&RunRecord> = fresh.iter().filter(|run| run.task == task).collect();
        if of_task.is_empty() {
            continue;
        }
        let counts: Vec<String> = RunResult::ALL
            .into_iter()
            .filter_map(|result| {
                let count = of_task.iter().filter(|run| run.result == result).count();
                (count > 0).then(|| format!("{count} {}", result.name()))
            })
            .collect();
        lines.push(format!("{}: {}", task.name(), counts.join(", ")));
    }
    let bad = |run: &&&RunRecord| {
        !matches!(run.result, RunResult::Complete | RunResult::Locked | RunResult::Interrupted)
    };
    let troubles: Vec<&&RunRecord> = fresh.iter().filter(bad).collect();
    for run in troubles.iter().rev().take(NAMED) {
        let why = run.details.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        lines.push(format!("{} {} is {}{why}", run.ended, run.task.name(), run.result.name()));
    }
    if troubles.len() > NAMED {
        lines.push(format!("and {} more", troubles.len() - NAMED));
    }
    for (depth, at) in &report.proven {
        let age = report.at.duration_since(*at).max(SignedDuration::ZERO).unsigned_abs();
        lines.push(format!("proven at depth {depth}: {} ago", words(age)));
    }
    if let Some(next) = report.next.first() {
        lines.push(format!("next: {} at {}", next.task.name(), next.at));
    }
    let backups = fresh.iter().filter(|run| run.task == Task::Backup);
    let complete = backups.filter(|run| run.result == RunResult::Complete).count();
    let severity = match report.worst() {
        Health::Good | Health::Unset if troubles.is_empty() => Severity::Info,
        _ => Severity::Warning,
    };
    let title = format!(
        "digest: {}, {complete} complete backup(s), {} run(s) that were not",
        report.worst().name(),
        troubles.len()
    );
    let mut message = Message::new(report.at, severity, "digest", title, (&report.host, &report.vault));
    message.lines = lines;
    message
}
