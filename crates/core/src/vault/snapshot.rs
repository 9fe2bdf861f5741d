//! Snapshots: what they say, how they are named, how a new one is made.

use super::error::{VaultError, VaultResult};
use jiff::{Timestamp, tz::TimeZone};
use rustic_core::{
    Id,
    repofile::{SnapshotFile, SnapshotSummary},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

pub use rustic_core::TreeId;

/// Names a snapshot: the SHA-256 of its file, 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub(super) Id);

impl SnapshotId {
    /// The first eight digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.to_hex()[..8].to_owned()
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl FromStr for SnapshotId {
    type Err = VaultError;
    fn from_str(text: &str) -> VaultResult<Self> {
        let wrong = |_| VaultError::Invalid(format!("\"{text}\" is not a snapshot id (64 hex digits)"));
        text.parse().map(Self).map_err(wrong)
    }
}

/// All 64 hex digits of a tree's id (its own `Display` shows eight).
#[must_use]
pub fn tree_hex(id: &TreeId) -> String {
    id.to_hex().to_string()
}

/// A snapshot in a vault.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// The moment that it shows.
    pub time: Timestamp,
    /// Its root folder.
    pub tree: TreeId,
    /// The snapshot before it, as its maker said.
    pub parent: Option<SnapshotId>,
    /// The host that it says it comes from.
    pub hostname: String,
    /// The user that made it.
    pub username: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The paths that it says it covers.
    pub paths: Vec<String>,
    /// Free text.
    pub description: Option<String>,
    /// The program that made it.
    pub program_version: String,
    /// Plain bytes that were new to the vault; none when its summary does not say.
    pub bytes_added: Option<u64>,
}

impl Snapshot {
    pub(super) fn from_file(id: Id, file: &SnapshotFile) -> Self {
        let list = |l: &rustic_core::StringList| l.iter().cloned().collect();
        Self {
            id: SnapshotId(id),
            time: file.time.timestamp(),
            tree: file.tree,
            parent: file.parent.map(|p| SnapshotId(p.into_inner())),
            hostname: file.hostname.clone(),
            username: file.username.clone(),
            tags: list(&file.tags),
            paths: list(&file.paths),
            description: file.description.clone(),
            program_version: file.program_version.clone(),
            bytes_added: file.summary.as_ref().map(|summary| summary.data_added),
        }
    }
}

/// All snapshots of a vault, and those that cannot be read.
#[derive(Clone, Debug, Default)]
pub struct SnapshotList {
    /// Readable snapshots, oldest first (by time, then id).
    pub snapshots: Vec<Snapshot>,
    /// Snapshot files that are damaged, with the reason.
    pub damaged: Vec<(SnapshotId, VaultError)>,
}

impl SnapshotList {
    /// The snapshot called `latest`, or the only one whose id starts with `name`.
    ///
    /// # Errors
    /// [`VaultError::NoSuchSnapshot`]; the damage itself if a damaged snapshot is the only match.
    pub fn find(&self, name: &str) -> VaultResult<&Snapshot> {
        let none = |candidates| VaultError::NoSuchSnapshot { name: name.into(), candidates };
        if name == "latest" {
            return self.snapshots.last().ok_or_else(|| none(0));
        }
        if name.is_empty() {
            return Err(none(0));
        }
        let matching = |id: &SnapshotId| id.0.to_hex().starts_with(&name.to_ascii_lowercase());
        let sound: Vec<_> = self.snapshots.iter().filter(|s| matching(&s.id)).collect();
        let damaged: Vec<_> = self.damaged.iter().filter(|(id, _)| matching(id)).collect();
        match (&sound[..], &damaged[..]) {
            ([one], []) => Ok(one),
            ([], [(_, error)]) => Err(error.clone()),
            _ => Err(none(sound.len() + damaged.len())),
        }
    }
}

/// Counts for `restic snapshots` and other readers of the summary.
#[derive(Clone, Debug, Default)]
pub struct DraftSummary {
    /// Start and end of the backup.
    pub started: Option<Timestamp>,
    /// See `started`.
    pub ended: Option<Timestamp>,
    /// Files that the parent did not have.
    pub files_new: u64,
    /// Files that differ from the parent's.
    pub files_changed: u64,
    /// Files that are as in the parent.
    pub files_unmodified: u64,
    /// Directories that the parent did not have.
    pub dirs_new: u64,
    /// Directories that differ from the parent's.
    pub dirs_changed: u64,
    /// Directories that are as in the parent.
    pub dirs_unmodified: u64,
    /// Size of all files in the snapshot, in bytes.
    pub bytes_processed: u64,
    /// What was written (see `BlobWriter::finish`).
    pub stats: super::writer::WriteStats,
}

/// What a new snapshot is to say.
#[derive(Clone, Debug)]
pub struct SnapshotDraft {
    /// The moment that it shows.
    pub time: Timestamp,
    /// Its root folder, stored before.
    pub tree: TreeId,
    /// The snapshot that it builds upon.
    pub parent: Option<SnapshotId>,
    /// The appliance.
    pub hostname: String,
    /// Who made it.
    pub username: String,
    /// Tags; no commas in them.
    pub tags: Vec<String>,
    /// Usually `["/"]`.
    pub paths: Vec<String>,
    /// Free text.
    pub description: Option<String>,
    /// Counts.
    pub summary: Option<DraftSummary>,
}

impl SnapshotDraft {
    /// A whole appliance as this program stores it: nothing is said yet about its parent, its outcome and its seal.
    #[must_use]
    pub fn new(time: Timestamp, tree: TreeId, hostname: impl Into<String>) -> Self {
        Self {
            time,
            tree,
            parent: None,
            hostname: hostname.into(),
            username: "ghevault".into(),
            tags: vec!["ghevault".into()],
            paths: vec!["/".into()],
            description: None,
            summary: None,
        }
    }

    pub(super) fn to_file(&self) -> VaultResult<SnapshotFile> {
        let list = |what: &str, items: &[String]| -> VaultResult<rustic_core::StringList> {
            if items.iter().any(String::is_empty) {
                return Err(VaultError::Invalid(format!("{what} of a snapshot must not be empty")));
            }
            serde_json::from_value(items.into())
                .map_err(|_| VaultError::Internal("a list of strings does not parse"))
        };
        if self.tags.iter().any(|t| t.contains(',')) {
            return Err(VaultError::Invalid("a tag of a snapshot must not contain a comma".into()));
        }
        let parent = self.parent.map(|p| p.0.into());
        Ok(SnapshotFile {
            time: self.time.to_zoned(TimeZone::UTC),
            program_version: concat!("ghevault ", env!("CARGO_PKG_VERSION")).into(),
            parent,
            parents: parent.into_iter().collect(),
            tree: self.tree,
            label: String::new(),
            paths: list("paths", &self.paths)?,
            hostname: self.hostname.clone(),
            username: self.username.clone(),
            uid: 0,
            gid: 0,
            tags: list("tags", &self.tags)?,
            original: None,
            delete: rustic_core::repofile::DeleteOption::NotSet,
            summary: self.summary.as_ref().map(|s| s.to_file(self.time)),
            description: self.description.clone(),
            id: rustic_core::repofile::SnapshotId::default(),
        })
    }
}

impl DraftSummary {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a backup")]
    fn to_file(&self, time: Timestamp) -> SnapshotSummary {
        let started = self.started.unwrap_or(time);
        let ended = self.ended.unwrap_or(started);
        let seconds = ended.duration_since(started).as_millis() as f64 / 1000.0;
        let stats = &self.stats;
        let mut file = SnapshotSummary::default();
        file.files_new = self.files_new;
        file.files_changed = self.files_changed;
        file.files_unmodified = self.files_unmodified;
        file.total_files_processed = self.files_new + self.files_changed + self.files_unmodified;
        file.total_bytes_processed = self.bytes_processed;
        file.dirs_new = self.dirs_new;
        file.dirs_changed = self.dirs_changed;
        file.dirs_unmodified = self.dirs_unmodified;
        file.total_dirs_processed = self.dirs_new + self.dirs_changed + self.dirs_unmodified;
        file.total_dirsize_processed = 0;
        file.data_blobs = stats.data_blobs;
        file.tree_blobs = stats.tree_blobs;
        file.data_added = stats.bytes_added_raw;
        file.data_added_packed = stats.bytes_stored;
        file.data_added_files = stats.data_bytes_raw;
        file.data_added_files_packed = stats.data_bytes_stored;
        file.data_added_trees = stats.bytes_added_raw - stats.data_bytes_raw;
        file.data_added_trees_packed = stats.bytes_stored - stats.data_bytes_stored;
        file.command = String::new();
        file.backup_start = started.to_zoned(TimeZone::UTC);
        file.backup_end = ended.to_zoned(TimeZone::UTC);
        file.backup_duration = seconds;
        file.total_duration = seconds;
        file
    }
}
