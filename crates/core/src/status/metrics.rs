//! The report for Prometheus: text exposition format, names and units by its conventions, and no label that grows without bound.

use std::fmt::Write as _;

use super::{Health, RESTORE, StatusReport};
use crate::state::{RunResult, Task};

/// The metrics of a report.
#[must_use]
pub fn metrics(report: &StatusReport, version: &str) -> String {
    let mut out = Exposition(String::new());
    let vault = ("vault", report.vault.as_str());
    out.head("build_info", "gauge", "Version of the program, as a label.");
    out.line("build_info", &[("version", version)], 1.0);

    out.head("backup_runs_total", "counter", "Backups that have ended, by how they ended.");
    for result in RunResult::ALL {
        let count = report.counts.get(&Task::Backup).and_then(|counts| counts.get(&result));
        let labels = [vault, ("result", result.name())];
        out.line("backup_runs_total", &labels, count.copied().unwrap_or_default());
    }
    out.head("task_runs_total", "counter", "Runs of any task that have ended, by how they ended.");
    // All of them from the beginning: an increase is seen only where there was a number before.
    for task in Task::ALL {
        let counts = report.counts.get(&task);
        for result in RunResult::ALL {
            let count = counts.and_then(|counts| counts.get(&result)).copied().unwrap_or_default();
            out.line("task_runs_total", &[vault, ("task", task.name()), ("result", result.name())], count);
        }
    }
    out.head("task_last_success_timestamp_seconds", "gauge", "When the last complete run of a task began.");
    for task in &report.tasks {
        if let Some(at) = task.last_complete {
            let labels = [vault, ("task", task.task.name())];
            out.line("task_last_success_timestamp_seconds", &labels, at.as_second());
        }
    }
    objective(&mut out, report, vault);
    targets(&mut out, report, vault);
    last_backup(&mut out, report, vault);
    out.head("verify_last_success_timestamp_seconds", "gauge", "When a snapshot was last proven sound.");
    for (depth, at) in &report.proven {
        let labels = [vault, ("depth", if *depth == 2 { "2" } else { "1" })];
        out.line("verify_last_success_timestamp_seconds", &labels, at.as_second());
    }
    out.head("schedule_next_timestamp_seconds", "gauge", "When a task is due next.");
    for task in &report.tasks {
        if let Some(next) = task.next {
            out.line("schedule_next_timestamp_seconds", &[("task", task.task.name())], next.as_second());
        }
    }
    out.head("run_active", "gauge", "Whether a run of a task goes on.");
    for task in Task::ALL {
        let active = report.live.iter().any(|live| live.run.task == task);
        out.line("run_active", &[("task", task.name())], u8::from(active));
    }
    out.head("messages_waiting", "gauge", "Messages to people that have not reached a receiver yet.");
    for (receiver, count) in &report.waiting {
        out.line("messages_waiting", &[("receiver", receiver.as_str())], *count as u64);
    }
    out.head("history_unreadable_lines", "gauge", "Lines of the history of runs that cannot be read.");
    out.line("history_unreadable_lines", &[], report.unreadable as u64);
    out.0
}

fn objective(out: &mut Exposition, report: &StatusReport, vault: (&str, &str)) {
    let objective = &report.objective;
    if let Some(at) = objective.last_complete {
        let name = "backup_last_success_timestamp_seconds";
        out.head(name, "gauge", "When the data of the last complete snapshot was read.");
        out.line(name, &[vault], at.as_second());
    }
    if let Some(age) = objective.age_s {
        out.head("rpo_seconds", "gauge", "Age of the last complete snapshot.");
        out.line("rpo_seconds", &[vault], age);
    }
    if let Some(rpo) = objective.rpo_s {
        out.head("rpo_objective_seconds", "gauge", "How old the last complete snapshot may become.");
        out.line("rpo_objective_seconds", &[vault], rpo);
    }
    if let Some(at) = objective.breaks_at {
        let name = "rpo_breaks_timestamp_seconds";
        out.head(name, "gauge", "When the objective breaks if no backup is complete until then.");
        out.line(name, &[vault], at.as_second());
    }
    out.head("objective_state", "gauge", "1 for the state that the vault is in, 0 for the others.");
    for health in Health::ALL {
        let state = health.name().replace(' ', "_");
        let labels = [vault, ("state", state.as_str())];
        out.line("objective_state", &labels, u8::from(objective.health == health));
    }
}

fn targets(out: &mut Exposition, report: &StatusReport, vault: (&str, &str)) {
    let datasets = || report.targets.iter().filter(|target| target.name != RESTORE);
    let name = "dataset_last_success_timestamp_seconds";
    out.head(name, "gauge", "When the data of a dataset with an objective was read last.");
    for target in datasets() {
        if let Some(at) = target.at {
            out.line(name, &[vault, ("component", target.name.as_str())], at.as_second());
        }
    }
    let name = "dataset_rpo_objective_seconds";
    out.head(name, "gauge", "How old the data of a dataset may become.");
    for target in datasets() {
        out.line(name, &[vault, ("component", target.name.as_str())], target.limit_s);
    }
    out.head("rto_seconds", "gauge", "How long a restore would take, by what was last measured.");
    out.head("rto_objective_seconds", "gauge", "How long a restore may take.");
    if let Some(target) = report.targets.iter().find(|target| target.name == RESTORE) {
        if let Some(seconds) = target.seconds {
            out.line("rto_seconds", &[vault], seconds);
        }
        out.line("rto_objective_seconds", &[vault], target.limit_s);
    }
    let name = "target_state";
    out.head(name, "gauge", "1 for the state that a further objective is in, 0 for the others.");
    for target in &report.targets {
        for health in Health::ALL {
            let state = health.name().replace(' ', "_");
            let labels = [vault, ("target", target.name.as_str()), ("state", state.as_str())];
            out.line(name, &labels, u8::from(target.health == health));
        }
    }
    let drill = report.tasks.iter().find(|task| task.task == Task::Drill);
    let name = "drill_last_success_timestamp_seconds";
    out.head(name, "gauge", "When the last drill began in which everything was proven.");
    if let Some(at) = drill.and_then(|task| task.last_complete) {
        out.line(name, &[vault], at.as_second());
    }
    let name = "drill_duration_seconds";
    out.head(name, "gauge", "How long the last drill took, however it ended.");
    if let Some(last) = drill.and_then(|task| task.last.as_ref()) {
        out.line(name, &[vault], last.seconds());
    }
}

fn last_backup(out: &mut Exposition, report: &StatusReport, vault: (&str, &str)) {
    let backup =
        report.tasks.iter().find(|task| task.task == Task::Backup).and_then(|task| task.last.as_ref());
    if let Some(last) = backup {
        let name = "backup_last_run_timestamp_seconds";
        out.head(name, "gauge", "When the last backup ended, however it ended.");
        out.line(name, &[vault], last.ended.as_second());
        let name = "backup_last_run_duration_seconds";
        out.head(name, "gauge", "How long the last backup took.");
        out.line(name, &[vault], last.seconds());
        let details = &last.details;
        if let Some(held) = details.gate_held_seconds {
            let name = "backup_gate_held_seconds";
            out.head(name, "gauge", "How long the last backup paused Git maintenance.");
            out.line(name, &[vault], held);
        }
        if let Some(waited) = details.waited_seconds {
            let name = "backup_waited_seconds";
            out.head(name, "gauge", "How long the last backup waited for its turn or a busy appliance.");
            out.line(name, &[vault], waited);
        }
        out.head(
            "backup_bytes",
            "gauge",
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
        out.head("backup_duration_seconds", "gauge", "How long each dataset of the last snapshot took.");
        for dataset in &report.datasets {
            let labels = [vault, ("component", dataset.name.as_str())];
            out.line("backup_duration_seconds", &labels, dataset.seconds);
        }
        out.head("backup_dataset_bytes", "gauge", "Size of each dataset of the last snapshot.");
        for dataset in &report.datasets {
            let labels = [vault, ("component", dataset.name.as_str())];
            out.line("backup_dataset_bytes", &labels, dataset.bytes);
        }
    }
}

/// Text that grows.
struct Exposition(String);

impl Exposition {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP ghevault_{name} {help}\n# TYPE ghevault_{name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "ghevault_{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
