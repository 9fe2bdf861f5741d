//! What a backup run tells about itself when it has ended.

use serde::Serialize;

use crate::seal::{Outcome, SealedRun, Topology};

/// One dataset of a run.
#[derive(Clone, Debug, Serialize)]
pub struct DatasetReport {
    /// Its name.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// Files or items that it has in the snapshot.
    pub items: u64,
    /// Bytes that it has in the snapshot.
    pub bytes: u64,
    /// Bytes read from the appliance for it in this run.
    pub bytes_read: u64,
    /// Files that were new or different.
    pub files_changed: u64,
    /// Time from its start to its end, in seconds.
    pub seconds: f64,
    /// What went wrong; empty for a complete dataset.
    pub problems: Vec<String>,
}

/// What a shard has of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// The name of the run.
    pub run: String,
    /// Which shard, from 1 on.
    pub index: u32,
    /// How many shards there are.
    pub count: u32,
    /// Routes of repositories and gists that are this shard's.
    pub routes: u64,
}

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct BackupReport {
    /// Id of the snapshot, hexadecimal.
    pub snapshot: String,
    /// The machine that was backed up, as it was named.
    pub host: String,
    /// The machines behind the appliance, and what was wrong with them; `None` for a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// What it is worth.
    pub outcome: Outcome,
    /// The datasets.
    pub datasets: Vec<DatasetReport>,
    /// Bytes read from the appliance.
    pub bytes_read: u64,
    /// Bytes added to the vault, as stored.
    pub bytes_added: u64,
    /// Files that were new or different.
    pub files_changed: u64,
    /// How long Git maintenance was paused, in seconds.
    pub gate_held_seconds: f64,
    /// Snapshot that this one builds on, hexadecimal.
    pub parent: Option<String>,
    /// Duration in seconds.
    pub seconds: f64,
    /// Things to know that do not make the snapshot partial.
    pub warnings: Vec<String>,
    /// Which part of a run this is; then it is no snapshot of the appliance before the parts are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<PartReport>,
    /// The run whose parts were joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<SealedRun>,
}
