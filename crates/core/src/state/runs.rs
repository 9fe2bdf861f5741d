//! What was run on this host, when, and how it ended.
//!
//! The history is one line of JSON for each run, appended under a lock of the file system, so that a run by hand and one of the daemon
//! never tear each other's lines. It is bounded: old lines become counts.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, Write},
    path::PathBuf,
};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::{StateError, StateFolder};

const HISTORY: &str = "history.jsonl";
const HISTORY_LOCK: &str = "history.lock";
/// A history that is longer is made shorter, in bytes.
const BYTES_MAX: u64 = 4 << 20;
/// What is left of it, in bytes.
const BYTES_KEPT: usize = 3 << 20;
/// Runs that are kept one by one, the newest.
const RUNS_KEPT: usize = 10_000;
/// Complete pulses among them, the newest: there may be hundreds a day, and one is like the other.
const PULSES_KEPT: usize = 500;
/// Runs that keep what is known of each dataset, the newest.
const DETAILED: usize = 200;

/// Something that is done by schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Pull the appliance into the vault.
    Backup,
    /// Prove what is stored.
    Verify,
    /// Make the locks of what snapshots need longer.
    Locks,
    /// Drop snapshots that the rules do not keep.
    Forget,
    /// Free the space of what no snapshot needs.
    Prune,
    /// Rehearse a restore.
    Drill,
    /// Tell boards of the own snapshots, and look at those of others.
    Witness,
    /// Compare with what another vault saw.
    Compare,
    /// Tell boards where references point now.
    Pulse,
}

impl Task {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 9] = [
        Self::Backup,
        Self::Locks,
        Self::Forget,
        Self::Prune,
        Self::Pulse,
        Self::Witness,
        Self::Compare,
        Self::Verify,
        Self::Drill,
    ];

    /// Its name: that of its verb, or what `vault extend-locks` makes longer.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Verify => "verify",
            Self::Locks => "locks",
            Self::Forget => "forget",
            Self::Prune => "prune",
            Self::Drill => "drill",
            Self::Witness => "witness",
            Self::Compare => "compare",
            Self::Pulse => "pulse",
        }
    }

    /// Whether it writes to the vault: two that do never run beside each other.
    #[must_use]
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Verify | Self::Drill | Self::Witness | Self::Compare | Self::Pulse)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunResult {
    /// All is there.
    Complete,
    /// The work ended, but not all is there.
    Partial,
    /// Somebody else wrote to the vault.
    Locked,
    /// A guard, a policy or the configuration said no; a person is needed.
    Refused,
    /// Something stored is damaged or not what was sealed.
    Damage,
    /// Ended from outside before its time: a signal, the daemon's end, a reboot.
    Interrupted,
    /// Anything else.
    Failed,
}

impl RunResult {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Complete,
        Self::Partial,
        Self::Locked,
        Self::Refused,
        Self::Damage,
        Self::Interrupted,
        Self::Failed,
    ];

    /// As a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Locked => "locked",
            Self::Refused => "refused",
            Self::Damage => "damage",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

/// Why a run was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// By hand or by another scheduler.
    #[default]
    Manual,
    /// Its time had come.
    Schedule,
    /// Its time had passed while nothing could be started.
    CatchUp,
    /// The try before did not succeed.
    Retry,
}

impl Trigger {
    /// As a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Schedule => "schedule",
            Self::CatchUp => "catch-up",
            Self::Retry => "retry",
        }
    }
}

/// A dataset in a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetRun {
    /// Its name.
    pub name: String,
    /// `complete`, `partial` or `failed`.
    pub outcome: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Duration in seconds.
    pub seconds: f64,
}

/// What a run did, as far as its kind has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunDetails {
    /// When the data were read, if that was before this process began: parts of a sharded run. Stands as the record's beginning.
    #[serde(skip)]
    pub read_from: Option<Timestamp>,
    /// The vault, without anything secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// Snapshot that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Why it is not complete; one line, no secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes read from the appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_read: Option<u64>,
    /// Bytes added to the vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_added: Option<u64>,
    /// Seconds that Git maintenance was paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate_held_seconds: Option<f64>,
    /// Seconds that a backup waited for its turn, or for an appliance that had much to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_seconds: Option<f64>,
    /// Bytes of all datasets in the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_source: Option<u64>,
    /// The machine that was backed up and the part that it plays: `ghe-1.example.com, primary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Depth of a verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u8>,
    /// The datasets of a backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<DatasetRun>,
}

/// One run that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub run: String,
    /// What it was.
    pub task: Task,
    /// When it began; a backup's data is not older.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub result: RunResult,
    /// Exit code; 128 and more for a signal.
    pub code: u8,
    /// Why it was started.
    #[serde(default)]
    pub trigger: Trigger,
    /// What it did.
    #[serde(flatten)]
    pub details: RunDetails,
}

impl RunRecord {
    /// Duration in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.ended.duration_since(self.began).as_secs_f64().max(0.0)
    }
}

/// How many runs ended how.
pub type Counts = BTreeMap<Task, BTreeMap<RunResult, u64>>;

/// All that is known of runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Oldest first.
    pub runs: Vec<RunRecord>,
    /// Runs that are older than those.
    pub older: Counts,
    /// Lines that could not be read.
    pub unreadable: usize,
}

impl History {
    /// How many runs ended how, from the beginning.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = self.older.clone();
        for run in &self.runs {
            *counts.entry(run.task).or_default().entry(run.result).or_default() += 1;
        }
        counts
    }

    /// The newest run of a task that `wanted` accepts.
    pub fn last(&self, task: Task, wanted: impl Fn(&RunRecord) -> bool) -> Option<&RunRecord> {
        self.runs.iter().rev().find(|run| run.task == task && wanted(run))
    }

    fn parse(text: &str) -> Self {
        let mut history = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Line>(line) {
                Ok(Line::Older { older }) => history.older = older,
                Ok(Line::Run(run)) => history.runs.push(*run),
                Err(_) => history.unreadable += 1,
            }
        }
        history
    }

    /// Complete pulses leave their place to runs of which each says something.
    fn count_old_pulses(&mut self) {
        let is_plain = |run: &RunRecord| run.task == Task::Pulse && run.result == RunResult::Complete;
        let mut surplus = self.runs.iter().filter(|run| is_plain(run)).count().saturating_sub(PULSES_KEPT);
        let older = &mut self.older;
        self.runs.retain(|run| {
            let goes = surplus > 0 && is_plain(run);
            if goes {
                surplus -= 1;
                *older.entry(run.task).or_default().entry(run.result).or_default() += 1;
            }
            !goes
        });
    }

    /// As lines, the oldest dropped and counted where there are too many.
    fn compacted(mut self) -> String {
        let detailed = self.runs.len().saturating_sub(DETAILED);
        for run in &mut self.runs[..detailed] {
            run.details.datasets.clear();
        }
        self.count_old_pulses();
        let (mut lines, mut size) = (Vec::new(), 0);
        for run in self.runs.iter().rev() {
            let line = serde_json::to_string(run).unwrap_or_default();
            size += line.len() + 1;
            if size > BYTES_KEPT || lines.len() == RUNS_KEPT {
                break;
            }
            lines.push(line);
        }
        let dropped = self.runs.len() - lines.len();
        for run in self.runs.drain(..dropped) {
            *self.older.entry(run.task).or_default().entry(run.result).or_default() += 1;
        }
        let mut text = serde_json::json!({ "older": self.older }).to_string();
        for line in lines.iter().rev() {
            text.push('\n');
            text.push_str(line);
        }
        text.push('\n');
        text
    }
}

/// One line of the history.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Older { older: Counts },
    Run(Box<RunRecord>),
}

impl StateFolder {
    /// All runs.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn history(&self) -> Result<History, StateError> {
        Ok(self.read(HISTORY)?.map(|text| History::parse(&text)).unwrap_or_default())
    }

    /// Where the history stands; it changes with every run.
    #[must_use]
    pub fn history_path(&self) -> PathBuf {
        self.root.join(HISTORY)
    }

    /// Adds a run that has ended, unless it stands there already.
    ///
    /// # Errors
    /// The history cannot be read or written.
    pub fn record_run(&self, record: &RunRecord) -> Result<(), StateError> {
        let path = self.root.join(HISTORY);
        let fail = |source: io::Error| StateError::Io { action: "write", path: path.clone(), source };
        let lock = self.private_file(HISTORY_LOCK).map_err(fail)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|e| fail(e.into()))?;
        if self.history()?.runs.iter().rev().take(DETAILED).any(|old| old.run == record.run) {
            return Ok(());
        }
        let mut file = self.private_file(HISTORY).map_err(fail)?;
        let line = serde_json::to_string(record).map_err(|e| fail(io::Error::other(e)))?;
        // Whoever died in the middle of a line must not spoil the next one.
        let torn = file.seek(io::SeekFrom::End(0)).map_err(fail)? > 0 && {
            let mut last = [0];
            file.seek(io::SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(fail)?;
            last != *b"\n"
        };
        let text = format!("{}{line}\n", if torn { "\n" } else { "" });
        file.seek(io::SeekFrom::End(0)).map_err(fail)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(fail)?;
        if file.metadata().map_err(fail)?.len() > BYTES_MAX {
            self.write(HISTORY, self.history()?.compacted().as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
