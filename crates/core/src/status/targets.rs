//! Objectives beside the one for whole snapshots: how old the data of one dataset may become, and how long a restore may take.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    Health, Sources, complete,
    health::{breaks_at, words},
};
use crate::state::{RunRecord, Task};

/// Name of the objective for restores.
pub const RESTORE: &str = "restore";

/// One objective and how the vault stands to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// What it is for: a dataset, or `restore`.
    pub name: String,
    /// The verdict.
    pub health: Health,
    /// Why, in one sentence without full stop.
    pub because: String,
    /// What was measured in seconds: the age of the dataset's data, the time that a restore would take.
    pub seconds: Option<f64>,
    /// What it may be.
    pub limit_s: u64,
    /// When the data was read, or the time of a restore measured.
    pub at: Option<Timestamp>,
}

/// Judges all of them.
pub(super) fn judge(sources: &Sources<'_>) -> Vec<Target> {
    let datasets = sources.dataset_rpo.iter().map(|(name, limit)| dataset(name, *limit, sources));
    datasets.chain(sources.rto.map(|limit| restore(limit, sources))).collect()
}

/// The age of a dataset's data. A partial snapshot counts, if the dataset is complete in it.
fn dataset(name: &str, limit: Duration, sources: &Sources<'_>) -> Target {
    let has = |run: &RunRecord| {
        run.details.datasets.iter().any(|one| one.name == name && one.outcome == "complete")
    };
    let objective = words(limit);
    let target = |health, because, last: Option<&RunRecord>| Target {
        name: name.to_owned(),
        health,
        because,
        seconds: last.map(|run| sources.now.duration_since(run.began).as_secs_f64().max(0.0)),
        limit_s: limit.as_secs(),
        at: last.map(|run| run.began),
    };
    let Some(last) = sources.history.last(Task::Backup, has) else {
        // Runs of long ago have no datasets any more: with none in what is left the data is too old, or there never was any.
        let any = sources.history.last(Task::Backup, |run| !run.details.datasets.is_empty()).is_some();
        let health = if any { Health::Broken } else { Health::Unknown };
        return target(health, format!("no snapshot with {name} is known (objective {objective})"), None);
    };
    let age = sources.now.duration_since(last.began).max(SignedDuration::ZERO).unsigned_abs();
    let breaks = breaks_at(last.began, limit, sources);
    let newest = sources.history.last(Task::Backup, |run| !run.details.datasets.is_empty());
    let missed = newest.is_some_and(|run| run.run != last.run);
    let health = match (sources.now > breaks, missed) {
        (true, _) => Health::Broken,
        (false, true) => Health::AtRisk,
        (false, false) => Health::Good,
    };
    let because = match health {
        Health::Good => format!("{name} is {} old (objective {objective})", words(age)),
        Health::AtRisk => {
            format!(
                "{name} is not complete in the last snapshot and {} old (objective {objective})",
                words(age)
            )
        }
        _ => format!("no complete {name} for {} (objective {objective})", words(age)),
    };
    target(health, because, Some(last))
}

/// How long a restore would take: by the speed of the last one to an appliance, else of the last drill that was complete.
fn restore(limit: Duration, sources: &Sources<'_>) -> Target {
    let size =
        sources.history.last(Task::Backup, |run| complete(run) && size_of(run).is_some()).and_then(size_of);
    let drill = sources.history.last(Task::Drill, complete);
    let measured = match (sources.restored, drill) {
        (Some(last), _) => Some(("the last restore", last.seconds, Some(last.bytes), last.at)),
        (None, Some(run)) => Some(("the last drill", run.seconds(), run.details.bytes_read, run.began)),
        (None, None) => None,
    };
    let objective = words(limit);
    let Some((what, seconds, bytes, at)) = measured else {
        return Target {
            name: RESTORE.to_owned(),
            health: Health::Unknown,
            because: format!("no restore and no drill has shown how long it takes (objective {objective})"),
            seconds: None,
            limit_s: limit.as_secs(),
            at: None,
        };
    };
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    let scale = match (size, bytes) {
        (Some(size), Some(bytes)) if bytes > 0 => (size as f64 / bytes as f64).max(1.0),
        _ => 1.0,
    };
    let estimate = seconds * scale;
    let allowed = limit.as_secs_f64();
    let health = match estimate {
        time if time > allowed => Health::Broken,
        time if time > 0.75 * allowed => Health::AtRisk,
        _ => Health::Good,
    };
    let time = Duration::try_from_secs_f64(estimate).unwrap_or(Duration::MAX);
    Target {
        name: RESTORE.to_owned(),
        health,
        because: format!(
            "a restore would take {} by the speed of {what} (objective {objective})",
            words(time)
        ),
        seconds: Some(estimate),
        limit_s: limit.as_secs(),
        at: Some(at),
    }
}

/// Bytes of a run's snapshot.
pub(super) fn size_of(run: &RunRecord) -> Option<u64> {
    let listed = || {
        let datasets = &run.details.datasets;
        (!datasets.is_empty()).then(|| datasets.iter().map(|one| one.bytes).sum())
    };
    run.details.bytes_source.or_else(listed)
}
