//! The report as metrics: names and units by Prometheus' conventions, and no label that grows without bound. How they are written down is
//! the matter of [`prometheus`] and of OTLP.

#[cfg(feature = "otlp")]
mod otlp;
mod prometheus;

#[cfg(feature = "otlp")]
pub use otlp::{Rejected, Sender, rejected, request};

use super::{Health, RESTORE, StatusReport};
use crate::state::{RunResult, Task};

/// The metrics of a report in Prometheus' text format.
#[must_use]
pub fn metrics(report: &StatusReport, version: &str) -> String {
    prometheus::text(&families(report, version))
}

/// Metrics of one name.
#[derive(Clone, Debug, PartialEq)]
struct Family {
    /// Without the prefix that they all have.
    name: &'static str,
    kind: Kind,
    help: &'static str,
    points: Vec<Point>,
}

/// What may be done with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only goes up.
    Counter,
}

/// A number and what it is the number of.
#[derive(Clone, Debug, PartialEq)]
struct Point {
    labels: Vec<(&'static str, String)>,
    value: Number,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Whole(value)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

/// The metrics of a report.
fn families(report: &StatusReport, version: &str) -> Vec<Family> {
    let mut out = Families(Vec::new());
    let vault = ("vault", report.vault.as_str());
    out.head("build_info", Kind::Gauge, "Version of the program, as a label.");
    out.line("build_info", &[("version", version)], true);

    out.head("backup_runs_total", Kind::Counter, "Backups that have ended, by how they ended.");
    for result in RunResult::ALL {
        let count = report.counts.get(&Task::Backup).and_then(|counts| counts.get(&result));
        let labels = [vault, ("result", result.name())];
        out.line("backup_runs_total", &labels, count.copied().unwrap_or_default());
    }
    out.head("task_runs_total", Kind::Counter, "Runs of any task that have ended, by how they ended.");
    // All of them from the beginning: an increase is seen only where there was a number before.
    for task in Task::ALL {
        let counts = report.counts.get(&task);
        for result in RunResult::ALL {
            let count = counts.and_then(|counts| counts.get(&result)).copied().unwrap_or_default();
            out.line("task_runs_total", &[vault, ("task", task.name()), ("result", result.name())], count);
        }
    }
    out.head(
        "task_last_success_timestamp_seconds",
        Kind::Gauge,
        "When the last complete run of a task began.",
    );
    for task in &report.tasks {
        if let Some(at) = task.last_complete {
            let labels = [vault, ("task", task.task.name())];
            out.line("task_last_success_timestamp_seconds", &labels, at.as_second());
        }
    }
    objective(&mut out, report, vault);
    targets(&mut out, report, vault);
    last_backup(&mut out, report, vault);
    out.head("verify_last_success_timestamp_seconds", Kind::Gauge, "When a snapshot was last proven sound.");
    for (depth, at) in &report.proven {
        let labels = [vault, ("depth", if *depth == 2 { "2" } else { "1" })];
        out.line("verify_last_success_timestamp_seconds", &labels, at.as_second());
    }
    out.head("schedule_next_timestamp_seconds", Kind::Gauge, "When a task is due next.");
    for task in &report.tasks {
        if let Some(next) = task.next {
            out.line("schedule_next_timestamp_seconds", &[("task", task.task.name())], next.as_second());
        }
    }
    out.head("run_active", Kind::Gauge, "Whether a run of a task goes on.");
    for task in Task::ALL {
        let active = report.live.iter().any(|live| live.run.task == task);
        out.line("run_active", &[("task", task.name())], active);
    }
    out.head("messages_waiting", Kind::Gauge, "Messages to people that have not reached a receiver yet.");
    for (receiver, count) in &report.waiting {
        out.line("messages_waiting", &[("receiver", receiver.as_str())], *count as u64);
    }
    out.head("history_unreadable_lines", Kind::Gauge, "Lines of the history of runs that cannot be read.");
    out.line("history_unreadable_lines", &[], report.unreadable as u64);
    out.0
}

fn objective(out: &mut Families, report: &StatusReport, vault: (&'static str, &str)) {
    let objective = &report.objective;
    if let Some(at) = objective.last_complete {
        let name = "backup_last_success_timestamp_seconds";
        out.head(name, Kind::Gauge, "When the data of the last complete snapshot was read.");
        out.line(name, &[vault], at.as_second());
    }
    if let Some(age) = objective.age_s {
        out.head("rpo_seconds", Kind::Gauge, "Age of the last complete snapshot.");
        out.line("rpo_seconds", &[vault], age);
    }
    if let Some(rpo) = objective.rpo_s {
        out.head("rpo_objective_seconds", Kind::Gauge, "How old the last complete snapshot may become.");
        out.line("rpo_objective_seconds", &[vault], rpo);
    }
    if let Some(at) = objective.breaks_at {
        let name = "rpo_breaks_timestamp_seconds";
        out.head(name, Kind::Gauge, "When the objective breaks if no backup is complete until then.");
        out.line(name, &[vault], at.as_second());
    }
    out.head("objective_state", Kind::Gauge, "1 for the state that the vault is in, 0 for the others.");
    for health in Health::ALL {
        let state = health.name().replace(' ', "_");
        let labels = [vault, ("state", state.as_str())];
        out.line("objective_state", &labels, objective.health == health);
    }
}

fn targets(out: &mut Families, report: &StatusReport, vault: (&'static str, &str)) {
    let datasets = || report.targets.iter().filter(|target| target.name != RESTORE);
    let name = "dataset_last_success_timestamp_seconds";
    out.head(name, Kind::Gauge, "When the data of a dataset with an objective was read last.");
    for target in datasets() {
        if let Some(at) = target.at {
            out.line(name, &[vault, ("component", target.name.as_str())], at.as_second());
        }
    }
    let name = "dataset_rpo_objective_seconds";
    out.head(name, Kind::Gauge, "How old the data of a dataset may become.");
    for target in datasets() {
        out.line(name, &[vault, ("component", target.name.as_str())], target.limit_s);
    }
    out.head("rto_seconds", Kind::Gauge, "How long a restore would take, by what was last measured.");
    out.head("rto_objective_seconds", Kind::Gauge, "How long a restore may take.");
    if let Some(target) = report.targets.iter().find(|target| target.name == RESTORE) {
        if let Some(seconds) = target.seconds {
            out.line("rto_seconds", &[vault], seconds);
        }
        out.line("rto_objective_seconds", &[vault], target.limit_s);
    }
    let name = "target_state";
    out.head(name, Kind::Gauge, "1 for the state that a further objective is in, 0 for the others.");
    for target in &report.targets {
        for health in Health::ALL {
            let state = health.name().replace(' ', "_");
            let labels = [vault, ("target", target.name.as_str()), ("state", state.as_str())];
            out.line(name, &labels, target.health == health);
        }
    }
    let drill = report.tasks.iter().find(|task| task.task == Task::Drill);
    let name = "drill_last_success_timestamp_seconds";
    out.head(name, Kind::Gauge, "When the last drill began in which everything was proven.");
    if let Some(at) = drill.and_then(|task| task.last_complete) {
        out.line(name, &[vault], at.as_second());
    }
    let name = "drill_duration_seconds";
    out.head(name, Kind::Gauge, "How long the last drill took, however it ended.");
    if let Some(last) = drill.and_then(|task| task.last.as_ref()) {
        out.line(name, &[vault], last.seconds());
    }
}

fn last_backup(out: &mut Families, report: &StatusReport, vault: (&'static str, &str)) {
    let backup =
        report.tasks.iter().find(|task| task.task == Task::Backup).and_then(|task| task.last.as_ref());
    if let Some(last) = backup {
        let name = "backup_last_run_timestamp_seconds";
        out.head(name, Kind::Gauge, "When the last backup ended, however it ended.");
        out.line(name, &[vault], last.ended.as_second());
        let name = "backup_last_run_duration_seconds";
        out.head(name, Kind::Gauge, "How long the last backup took.");
        out.line(name, &[vault], last.seconds());
        let details = &last.details;
        if let Some(held) = details.gate_held_seconds {
            let name = "backup_gate_held_seconds";
            out.head(name, Kind::Gauge, "How long the last backup paused Git maintenance.");
            out.line(name, &[vault], held);
        }
        if let Some(waited) = details.waited_seconds {
            let name = "backup_waited_seconds";
            out.head(name, Kind::Gauge, "How long the last backup waited for its turn or a busy appliance.");
            out.line(name, &[vault], waited);
        }
        out.head(
            "backup_bytes",
            Kind::Gauge,
            "Bytes that the last backup read and added, and that its snapshot has.",
        );
        for (kind, bytes) in
            [("read", details.bytes_read), ("added", details.bytes_added), ("source", details.bytes_source)]
        {
            if let Some(bytes) = bytes {
                out.line("backup_bytes", &[vault, ("kind", kind)], bytes);
            }
        }
    }
    if !report.datasets.is_empty() {
        out.head("backup_duration_seconds", Kind::Gauge, "How long each dataset of the last snapshot took.");
        for dataset in &report.datasets {
            let labels = [vault, ("component", dataset.name.as_str())];
            out.line("backup_duration_seconds", &labels, dataset.seconds);
        }
        out.head("backup_dataset_bytes", Kind::Gauge, "Size of each dataset of the last snapshot.");
        for dataset in &report.datasets {
            let labels = [vault, ("component", dataset.name.as_str())];
            out.line("backup_dataset_bytes", &labels, dataset.bytes);
        }
    }
}

/// Metrics that become more.
struct Families(Vec<Family>);

impl Families {
    fn head(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        self.0.push(Family { name, kind, help, points: Vec::new() });
    }

    /// A number of the family `name`, whose head has been written.
    fn line(&mut self, name: &str, labels: &[(&'static str, &str)], value: impl Into<Number>) {
        let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        if let Some(family) = self.0.iter_mut().rev().find(|family| family.name == name) {
            family.points.push(Point { labels, value: value.into() });
        }
    }
}
