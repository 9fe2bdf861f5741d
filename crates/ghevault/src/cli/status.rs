//! `ghevault status`: how the vault stands, from what this host has written down.

mod alive;

use super::{Invocation, operate};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{
        human,
        table::{self, Align},
    },
    web,
};
use clap::Args;
use ghevault_core::{
    state::{OddState, RunRecord, StateFolder},
    status::{Health, StatusReport},
};
use jiff::{Timestamp, tz::TimeZone};
use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

/// Show how the vault stands: its objective, the last runs, what runs now, and what comes next.
///
/// Nothing is connected to and no secret is needed: it is what this host has written down of its runs, those of the daemon and those
/// by hand. Exit code 0 whatever it shows; with --check 1 when the objective is at risk or broken.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Exit with 1 when the objective is at risk or broken
    #[arg(long)]
    check: bool,
    /// Write the status page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print metrics for Prometheus
    #[arg(long, conflicts_with = "html")]
    metrics: bool,
    /// Only ask the daemon at `daemon.listen` whether it works: exit code 0 if it does, else 1 (the health check of a container)
    #[arg(long, conflicts_with_all = ["html", "metrics", "check"])]
    daemon: bool,
}

/// Shows.
///
/// # Errors
/// The state folder cannot be read; with `--check` that the objective does not hold.
pub fn run(arguments: &StatusArgs, invocation: &Invocation) -> CommandResult {
    let settings = &invocation.settings;
    if arguments.daemon {
        let address = alive::ask(settings.operation.listen)?;
        invocation
            .screen
            .result(&serde_json::json!({ "daemon": address }), || format!("the daemon at {address} works"));
        return Ok(());
    }
    let state = StateFolder::open(&settings.state)?;
    let report = operate::report(settings, &state, &BTreeMap::new(), &state.history()?)?;
    if arguments.metrics {
        invocation.screen.result(&report, || ghevault_core::status::metrics(&report, operate::VERSION));
    } else if let Some(path) = &arguments.html {
        let page = web::page(&report, &settings.operation.zone, operate::VERSION);
        operate::replace(path, page.as_bytes(), 0o644).map_err(|error| {
            CommandError::failure(format!("cannot write the status page to {}", path.display()))
                .because_of(Some(&error))
                .hint("Name a file in a folder that this user may write to.")
        })?;
        invocation.screen.result(&report, || format!("the status page is in {}", path.display()));
    } else {
        invocation.screen.result(&report, || text(&report, &settings.operation.zone));
    }
    if arguments.check && (report.worst().is_trouble() || report.objective.health == Health::Unknown) {
        return Err(CommandError::already_reported(Kind::Failure));
    }
    Ok(())
}

/// The report for people.
fn text(report: &StatusReport, zone: &TimeZone) -> String {
    let local = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    let objective = &report.objective;
    let mut text = format!("objective: {}; {}\n", objective.health.name(), objective.because);
    if let Some(at) = objective.breaks_at {
        let _ = writeln!(text, "it holds until {} without another complete backup", local(at));
    }
    for target in &report.targets {
        let _ = writeln!(text, "objective {}: {}; {}", target.name, target.health.name(), target.because);
    }
    for (name, value) in [("appliance", &report.host), ("vault", &report.vault)] {
        if !value.is_empty() {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    for (receiver, count) in &report.waiting {
        let _ = writeln!(text, "{count} message(s) have not reached {receiver} yet");
    }
    for one in report.odd.iter().filter(|one| one.state == OddState::Quarantined) {
        let id: String = one.snapshot.chars().take(8).collect();
        let _ = writeln!(text, "snapshot {id} looks like an attack: {}", one.findings.join("; "));
    }
    for live in &report.live {
        let since = report.at.duration_since(live.run.began).unsigned_abs();
        let said = live.progress.as_deref().map(|said| format!(": {said}")).unwrap_or_default();
        let _ = writeln!(text, "running: {} for {}{said}", live.run.task.name(), human::duration(since));
    }
    for (depth, at) in &report.proven {
        let _ = writeln!(text, "proven at depth {depth}: {}", local(*at));
    }
    if report.unreadable > 0 {
        let _ = writeln!(text, "{} line(s) of the history cannot be read", report.unreadable);
    }
    if !report.runs.is_empty() {
        let rows: Vec<[String; 6]> = report.runs.iter().take(10).map(|run| row(run, &local)).collect();
        let columns = [
            ("began", Align::Left),
            ("task", Align::Left),
            ("result", Align::Left),
            ("took", Align::Right),
            ("added", Align::Right),
            ("why", Align::Left),
        ];
        let _ = write!(text, "\n{}", table::render(columns, &rows));
    }
    if !report.datasets.is_empty() {
        let rows: Vec<[String; 4]> = report
            .datasets
            .iter()
            .map(|one| {
                [one.name.clone(), one.outcome.clone(), human::bytes(one.bytes), human::seconds(one.seconds)]
            })
            .collect();
        let columns = [
            ("dataset", Align::Left),
            ("outcome", Align::Left),
            ("size", Align::Right),
            ("took", Align::Right),
        ];
        let _ = write!(text, "\n{}", table::render(columns, &rows));
    }
    if !report.next.is_empty() {
        text.push('\n');
        for next in report.next.iter().take(5) {
            let _ = writeln!(text, "next {}: {} ({})", next.task.name(), local(next.at), next.because);
        }
    }
    text
}

/// One run as a row.
fn row(run: &RunRecord, local: &impl Fn(Timestamp) -> String) -> [String; 6] {
    [
        local(run.began),
        run.task.name().to_owned(),
        run.result.name().to_owned(),
        human::seconds(run.seconds()),
        run.details.bytes_added.map(human::bytes).unwrap_or_default(),
        run.details.reason.clone().unwrap_or_else(|| run.trigger.name().to_owned()),
    ]
}
