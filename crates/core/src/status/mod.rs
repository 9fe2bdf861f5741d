//! From records to one report that every face shows: is the vault inside its objective, what ran, what comes next. Pure.

mod growth;
mod health;
mod metrics;
mod targets;

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;

pub use growth::Size;
pub use health::{Health, Objective, words};
pub use metrics::metrics;
#[cfg(feature = "otlp")]
pub use metrics::{Rejected, Sender, rejected, request};
pub use targets::{RESTORE, Target};

use crate::{
    schedule::decide::Plan,
    state::{
        Counts, DatasetRun, Drilled, History, Ledger, LiveRun, OddSnapshot, OddState, RestoreRecord,
        RunRecord, RunResult, Task, VerifyRecord, Witnessed,
    },
};

/// Runs that a report shows.
const RUNS_SHOWN: usize = 50;
/// Days of the calendar of runs.
const DAYS_SHOWN: i64 = 26 * 7;
/// Activations that a report shows.
const NEXT_SHOWN: usize = 12;

/// What a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Now.
    pub now: Timestamp,
    /// Days are counted by this clock.
    pub zone: &'a TimeZone,
    /// The appliance as it is named.
    pub host: &'a str,
    /// The vault, without anything secret.
    pub vault: &'a str,
    /// What ran.
    pub history: &'a History,
    /// What the schedule remembers.
    pub ledger: &'a Ledger,
    /// The schedule.
    pub plans: &'a [Plan],
    /// What is proven.
    pub verified: &'a [VerifyRecord],
    /// What runs now.
    pub live: &'a [Live],
    /// The objective.
    pub rpo: Option<Duration>,
    /// Objectives of single datasets.
    pub dataset_rpo: &'a BTreeMap<String, Duration>,
    /// How long a restore may take.
    pub rto: Option<Duration>,
    /// The last large restore to an appliance.
    pub restored: Option<&'a RestoreRecord>,
    /// Messages that wait for each receiver.
    pub waiting: &'a BTreeMap<String, usize>,
    /// Snapshots that look odd.
    pub odd: &'a [OddSnapshot],
    /// The vaults on notice boards.
    pub witnessed: &'a [Witnessed],
    /// The last drills.
    pub drilled: &'a [Drilled],
}

/// A run that goes on, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Live {
    /// The run.
    #[serde(flatten)]
    pub run: LiveRun,
    /// The last that it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
}

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct StatusReport {
    /// When it was made.
    pub at: Timestamp,
    /// The appliance.
    pub host: String,
    /// The vault.
    pub vault: String,
    /// Whether the vault is what it should be.
    pub objective: Objective,
    /// The other objectives.
    pub targets: Vec<Target>,
    /// The tasks that are scheduled or have run.
    pub tasks: Vec<TaskStatus>,
    /// What comes next.
    pub next: Vec<Next>,
    /// What runs now.
    pub live: Vec<Live>,
    /// The last runs, newest first.
    pub runs: Vec<RunRecord>,
    /// The datasets of the last backup that made a snapshot.
    pub datasets: Vec<DatasetRun>,
    /// Backups by day, oldest first.
    pub days: Vec<Day>,
    /// How source and vault have grown, oldest first.
    pub growth: Vec<Size>,
    /// The machine of the last backup and the part that it plays.
    pub machine: Option<String>,
    /// How many runs ended how.
    pub counts: Counts,
    /// When each depth was last proven of the newest complete snapshot known here.
    pub proven: BTreeMap<u8, Timestamp>,
    /// Lines of the history that cannot be read.
    pub unreadable: usize,
    /// Messages that wait for each receiver.
    pub waiting: BTreeMap<String, usize>,
    /// Snapshots that look odd, newest first; all that are in quarantine.
    pub odd: Vec<OddSnapshot>,
    /// The vaults on notice boards as this host saw them last, its own first.
    pub witnessed: Vec<Witnessed>,
    /// The last drills, newest first.
    pub drilled: Vec<Drilled>,
}

/// One task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskStatus {
    /// The task.
    pub task: Task,
    /// Its last run.
    pub last: Option<RunRecord>,
    /// When the last complete one began.
    pub last_complete: Option<Timestamp>,
    /// When it is due next.
    pub next: Option<Timestamp>,
    /// When the last one is tried again.
    pub retry: Option<Timestamp>,
}

/// One activation ahead.
#[derive(Clone, Debug, Serialize)]
pub struct Next {
    /// The task.
    pub task: Task,
    /// When.
    pub at: Timestamp,
    /// Words of the schedule.
    pub because: String,
}

/// Backups of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day.
    pub date: Date,
    /// Complete ones.
    pub complete: u32,
    /// Partial ones.
    pub partial: u32,
    /// All others.
    pub failed: u32,
    /// Snapshots of that day that are in quarantine; their runs are counted above, too.
    pub quarantined: u32,
}

/// Makes the report.
#[must_use]
pub fn report(sources: &Sources<'_>) -> StatusReport {
    let history = sources.history;
    let known = |task: &Task| {
        sources.plans.iter().any(|plan| plan.task == *task) || history.last(*task, |_| true).is_some()
    };
    let tasks = Task::ALL.into_iter().filter(known).map(|task| task_status(task, sources)).collect();
    let made = |run: &RunRecord| !run.details.datasets.is_empty();
    let datasets = history.last(Task::Backup, made).map(|run| run.details.datasets.clone());
    StatusReport {
        at: sources.now,
        host: sources.host.to_owned(),
        vault: sources.vault.to_owned(),
        objective: health::judge(sources),
        targets: targets::judge(sources),
        tasks,
        next: next(sources),
        live: sources.live.to_vec(),
        runs: history.runs.iter().rev().filter(|run| tells(run)).take(RUNS_SHOWN).cloned().collect(),
        datasets: datasets.unwrap_or_default(),
        days: days(sources),
        growth: growth::growth(sources),
        machine: history
            .last(Task::Backup, |run| run.details.machine.is_some())
            .and_then(|run| run.details.machine.clone()),
        counts: history.counts(),
        proven: proven(sources),
        unreadable: history.unreadable,
        waiting: sources.waiting.clone(),
        odd: sources.odd.iter().rev().cloned().collect(),
        witnessed: sources.witnessed.to_vec(),
        drilled: sources.drilled.to_vec(),
    }
}

impl StatusReport {
    /// The worst that holds of all objectives.
    #[must_use]
    pub fn worst(&self) -> Health {
        let others = self.targets.iter().map(|target| target.health);
        // What nobody can know yet of a single dataset or a restore is no trouble by itself.
        let known = others.filter(|health| *health != Health::Unknown);
        known.chain([self.objective.health]).max().unwrap_or(Health::Unknown)
    }
}

/// Whether a run is worth a line: pulses come every few minutes, and a good one is like the other.
fn tells(run: &RunRecord) -> bool {
    run.task != Task::Pulse || run.result != RunResult::Complete
}

fn complete(run: &RunRecord) -> bool {
    run.result == RunResult::Complete
}

fn task_status(task: Task, sources: &Sources<'_>) -> TaskStatus {
    let plan = sources.plans.iter().find(|plan| plan.task == task);
    TaskStatus {
        task,
        last: sources.history.last(task, |_| true).cloned(),
        last_complete: sources.history.last(task, complete).map(|run| run.began),
        next: plan.and_then(|plan| plan.calendar.next_after(sources.now)).map(|next| next.at),
        retry: sources.ledger.tasks.get(&task).and_then(|known| known.retry.as_ref()).map(|retry| retry.at),
    }
}

fn next(sources: &Sources<'_>) -> Vec<Next> {
    let mut all: Vec<Next> = sources
        .plans
        .iter()
        .flat_map(|plan| {
            let of_task = |next: crate::schedule::Activation| Next {
                task: plan.task,
                at: next.at,
                because: next.because,
            };
            plan.calendar.upcoming(sources.now).take(NEXT_SHOWN).map(of_task)
        })
        .collect();
    all.sort_by_key(|next| (next.at, next.task));
    all.truncate(NEXT_SHOWN);
    all
}

fn days(sources: &Sources<'_>) -> Vec<Day> {
    let today = sources.zone.to_datetime(sources.now).date();
    let first = today.checked_sub(SignedDuration::from_hours(24 * (DAYS_SHOWN - 1))).unwrap_or(today);
    let mut days: BTreeMap<Date, Day> = first
        .series(jiff::Span::new().days(1))
        .take_while(|date| *date <= today)
        .map(|date| (date, Day { date, complete: 0, partial: 0, failed: 0, quarantined: 0 }))
        .collect();
    for run in sources.history.runs.iter().filter(|run| run.task == Task::Backup) {
        let date = sources.zone.to_datetime(run.began).date();
        if let Some(day) = days.get_mut(&date) {
            match run.result {
                RunResult::Complete => day.complete += 1,
                RunResult::Partial => day.partial += 1,
                _ => day.failed += 1,
            }
        }
    }
    for one in sources.odd.iter().filter(|one| one.state == OddState::Quarantined) {
        if let Some(day) = days.get_mut(&sources.zone.to_datetime(one.time).date()) {
            day.quarantined += 1;
        }
    }
    days.into_values().collect()
}

/// The newest proof of each depth.
fn proven(sources: &Sources<'_>) -> BTreeMap<u8, Timestamp> {
    let mut proven = BTreeMap::new();
    for proof in sources.verified {
        let newest = proven.entry(proof.depth).or_insert(proof.at);
        *newest = proof.at.max(*newest);
    }
    proven
}

#[cfg(test)]
mod tests;
