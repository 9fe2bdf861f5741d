//! Whether the vault is inside its objective: told when it is at risk, not only when it is broken.
//!
//! The age of the last complete snapshot counts from the beginning of its run, because its data may be as old as that. A pause that
//! the schedule plans (a night, a Sunday) breaks nothing by itself: then the first activation after it has to succeed soon.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Sources, complete};
use crate::state::{RunResult, Task};

/// How long a backup may take before its lateness counts, at least.
const GRACE: SignedDuration = SignedDuration::from_mins(15);

/// How the vault stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// All is as it should be.
    Good,
    /// Nobody set an objective, and the last backup was complete.
    Unset,
    /// It still holds, but the last backup was not complete, or most of the time is used up.
    AtRisk,
    /// No complete snapshot is known here yet.
    Unknown,
    /// It does not hold.
    Broken,
}

impl Health {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Good, Self::Unset, Self::AtRisk, Self::Unknown, Self::Broken];

    /// As a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "inside",
            Self::Unset => "no objective",
            Self::AtRisk => "at risk",
            Self::Unknown => "unknown",
            Self::Broken => "broken",
        }
    }

    /// Whether a person should look.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::AtRisk | Self::Broken)
    }
}

/// The objective and how the vault stands to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Objective {
    /// The verdict.
    pub health: Health,
    /// Why, in one sentence without full stop.
    pub because: String,
    /// When the data of the last complete snapshot was read.
    pub last_complete: Option<Timestamp>,
    /// Its age in seconds.
    pub age_s: Option<i64>,
    /// The objective in seconds.
    pub rpo_s: Option<u64>,
    /// When it breaks if nothing happens.
    pub breaks_at: Option<Timestamp>,
}

/// Judges.
pub(super) fn judge(sources: &Sources<'_>) -> Objective {
    let last = sources.history.last(Task::Backup, complete);
    let age = last.map(|run| sources.now.duration_since(run.began).max(SignedDuration::ZERO));
    let breaks_at = last.and_then(|run| Some(breaks_at(run.began, sources.rpo?, sources)));
    // Locked and interrupted runs say nothing about what can be backed up, and they are tried again.
    let says_something = |result| !matches!(result, RunResult::Locked | RunResult::Interrupted);
    let newest = sources.history.last(Task::Backup, |run| says_something(run.result));
    let failing = newest.filter(|run| run.result != RunResult::Complete);
    let limit = sources.rpo.map(|rpo| format!(" (objective {})", words(rpo))).unwrap_or_default();
    let (health, because) = match (last, age, breaks_at) {
        (Some(_), Some(age), Some(at)) if sources.now > at => {
            (Health::Broken, format!("no complete snapshot for {}{limit}", words(age.unsigned_abs())))
        }
        (Some(run), Some(age), breaks_at) => match (failing, breaks_at) {
            (Some(failed), _) => {
                let why = failed.details.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                (Health::AtRisk, format!("the last backup {}{why}{limit}", phrase(failed.result)))
            }
            (None, Some(at)) if mostly_over(run.began, at, sources.now) => {
                (Health::AtRisk, format!("no complete snapshot for {}{limit}", words(age.unsigned_abs())))
            }
            (None, breaks_at) => {
                let health = if breaks_at.is_some() { Health::Good } else { Health::Unset };
                (health, format!("the last complete snapshot is {} old{limit}", words(age.unsigned_abs())))
            }
        },
        _ => match failing {
            Some(failed) => (
                Health::Broken,
                format!("there is no complete snapshot, and the last backup {}", phrase(failed.result)),
            ),
            None => (Health::Unknown, "no complete snapshot is known to this host".to_owned()),
        },
    };
    Objective {
        health,
        because,
        last_complete: last.map(|run| run.began),
        age_s: age.map(|age| age.as_secs()),
        rpo_s: sources.rpo.map(|rpo| rpo.as_secs()),
        breaks_at,
    }
}

/// How a run ended, as the end of a sentence: `the last backup …`.
const fn phrase(result: RunResult) -> &'static str {
    match result {
        RunResult::Complete => "is complete",
        RunResult::Partial => "is partial",
        RunResult::Locked => "was locked out",
        RunResult::Refused => "was refused",
        RunResult::Damage => "found damage",
        RunResult::Interrupted => "was interrupted",
        RunResult::Failed => "failed",
    }
}

/// When the objective breaks: its time after the last complete snapshot, or a little after the first activation that the schedule
/// has since, if that comes later.
pub(super) fn breaks_at(last: Timestamp, rpo: Duration, sources: &Sources<'_>) -> Timestamp {
    let rpo = SignedDuration::try_from(rpo).unwrap_or(SignedDuration::MAX);
    let limit = last.saturating_add(rpo).unwrap_or(Timestamp::MAX);
    let plan = sources.plans.iter().find(|plan| plan.task == Task::Backup);
    let Some(due) = plan.and_then(|plan| plan.calendar.next_after(last)) else { return limit };
    // Twice the time of the last good run: once is usual.
    let usual = sources.history.last(Task::Backup, complete).map_or(GRACE, |run| {
        SignedDuration::try_from_secs_f64(2.0 * run.seconds()).unwrap_or(GRACE).max(GRACE)
    });
    limit.max(due.at.saturating_add(usual).unwrap_or(Timestamp::MAX))
}

/// Whether more than three quarters of the time have passed.
fn mostly_over(from: Timestamp, until: Timestamp, now: Timestamp) -> bool {
    now.duration_since(from).as_secs_f64() > 0.75 * until.duration_since(from).as_secs_f64()
        && until.duration_since(now) < SignedDuration::from_hours(1)
}

/// `45 min`, `3 h`, `2 h 30 min`, `4 d`.
#[must_use]
pub fn words(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match (minutes / 1_440, minutes / 60, minutes % 60) {
        (0, 0, 0) => format!("{} s", time.as_secs()),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) if hours % 24 == 0 => format!("{days} d"),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}
