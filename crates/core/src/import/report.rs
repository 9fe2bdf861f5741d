//! What an import tells about itself when it has ended.

use jiff::Timestamp;
use serde::Serialize;

use crate::{backup::DatasetReport, seal::Outcome};

/// What became of one snapshot directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is a sealed snapshot now.
    Imported,
    /// The vault had it already.
    Present,
    /// It was left out, for a reason that the plan names.
    Skipped,
    /// It could not be taken.
    Failed,
}

/// One snapshot directory.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    /// The directory's name.
    pub name: String,
    /// The moment that it shows.
    pub time: Option<Timestamp>,
    /// What became of it.
    pub fate: Fate,
    /// Why it was left out or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Id of the snapshot in the vault, hexadecimal.
    pub snapshot: Option<String>,
    /// What it is worth.
    pub outcome: Option<Outcome>,
    /// Its datasets; empty unless it was imported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<DatasetReport>,
    /// Files in the snapshot.
    pub files: u64,
    /// Bytes that the directory shows.
    pub bytes: u64,
    /// Bytes that were read for it.
    pub bytes_read: u64,
    /// Bytes added to the vault, as stored.
    pub bytes_added: u64,
    /// Duration in seconds.
    pub seconds: f64,
    /// Things to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Imported {
    /// A directory of which nothing was read.
    #[must_use]
    pub fn untouched(name: &str, time: Option<Timestamp>, fate: Fate, reason: Option<String>) -> Self {
        Self {
            name: name.into(),
            time,
            fate,
            reason,
            snapshot: None,
            outcome: None,
            datasets: Vec::new(),
            files: 0,
            bytes: 0,
            bytes_read: 0,
            bytes_added: 0,
            seconds: 0.0,
            warnings: Vec::new(),
        }
    }
}

/// A whole import.
#[derive(Clone, Debug, Serialize)]
pub struct ImportReport {
    /// The data directory.
    pub data: String,
    /// `complete` if every directory that was to be taken is a complete snapshot now.
    pub outcome: Outcome,
    /// The directories, oldest first.
    pub snapshots: Vec<Imported>,
    /// Bytes that all directories together show, hard links counted as often as they are named.
    pub bytes: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Bytes added to the vault, as stored.
    pub bytes_added: u64,
    /// Duration in seconds.
    pub seconds: f64,
    /// Things to know.
    pub warnings: Vec<String>,
}

impl ImportReport {
    /// The report over these directories.
    #[must_use]
    pub fn new(data: String, snapshots: Vec<Imported>, seconds: f64, warnings: Vec<String>) -> Self {
        let sum = |field: fn(&Imported) -> u64| snapshots.iter().map(field).sum();
        Self {
            data,
            outcome: outcome(&snapshots),
            bytes: sum(|one| one.bytes),
            bytes_read: sum(|one| one.bytes_read),
            bytes_added: sum(|one| one.bytes_added),
            snapshots,
            seconds,
            warnings,
        }
    }
}

/// What an import is worth: partial as soon as one snapshot is, or one failed; failed when nothing but failures came of it.
fn outcome(snapshots: &[Imported]) -> Outcome {
    let failed = snapshots.iter().filter(|one| one.fate == Fate::Failed).count();
    let useful = snapshots.iter().any(|one| matches!(one.fate, Fate::Imported | Fate::Present));
    let partial = |one: &Imported| one.fate == Fate::Imported && one.outcome != Some(Outcome::Complete);
    if failed > 0 && !useful {
        Outcome::Failed
    } else if failed > 0 || snapshots.iter().any(partial) {
        Outcome::Partial
    } else {
        Outcome::Complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(fate: Fate, outcome: Option<Outcome>) -> Imported {
        Imported { outcome, ..Imported::untouched("1", None, fate, None) }
    }

    #[test]
    fn one_partial_snapshot_makes_the_import_partial_and_one_that_is_left_out_does_not() {
        let complete = one(Fate::Imported, Some(Outcome::Complete));
        let partial = one(Fate::Imported, Some(Outcome::Partial));
        let (failed, skipped) = (one(Fate::Failed, None), one(Fate::Skipped, None));
        assert_eq!(outcome(&[complete.clone(), skipped.clone()]), Outcome::Complete);
        assert_eq!(outcome(&[complete.clone(), partial]), Outcome::Partial);
        assert_eq!(outcome(&[complete, failed.clone()]), Outcome::Partial);
        assert_eq!(outcome(&[failed, skipped]), Outcome::Failed);
    }
}
