//! What a verification found, for people and programs.

use jiff::Timestamp;
use serde::Serialize;

use super::verdict::Verdict;
use crate::vault::{CheckDepth, CheckReport, Snapshot, SnapshotId, VaultError};

/// The outcome of a verification, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyOutcome {
    /// Everything was looked at and is sound, and every snapshot is sealed as complete.
    Sound,
    /// All that is stored is sound, but a snapshot is partial or has no seal, so nobody knows whether it is complete.
    Incomplete,
    /// Something is damaged, or a seal is broken.
    Damaged,
}

/// A damaged file or folder of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DamagedPath {
    /// Its path; `/` for the whole snapshot.
    pub path: String,
    /// What is wrong.
    pub why: String,
}

/// A git repository of a snapshot with damaged files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DamagedRepository {
    /// Its directory in the snapshot.
    pub path: String,
    /// `owner/name`, if the snapshot still tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Damaged files and folders of it that are known by name.
    pub files: u64,
}

/// What damage costs one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Costs {
    pub paths: Vec<DamagedPath>,
    pub repositories: Vec<DamagedRepository>,
    /// Whether more is damaged than is known by name.
    pub more: bool,
}

/// One snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotReport {
    /// Its id.
    pub snapshot: SnapshotId,
    /// The moment that it shows; none when its file cannot be read.
    pub time: Option<Timestamp>,
    /// What its seal says.
    pub verdict: Verdict,
    /// Why the verdict is not `sealed`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Remarks that make nothing worse.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Whether everything that it holds is there and readable, as deep as was looked.
    pub sound: bool,
    /// Damaged files and folders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<DamagedPath>,
    /// The repositories among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged_repositories: Vec<DamagedRepository>,
    /// Whether more is damaged than is listed.
    pub more_damaged: bool,
    /// Hash of its seal and the one it names as its forerunner's.
    #[serde(skip)]
    pub(super) chain: Option<(String, Option<String>)>,
}

impl SnapshotReport {
    pub(super) fn new(snapshot: &Snapshot, judged: super::verdict::Judged, costs: Costs) -> Self {
        Self {
            snapshot: snapshot.id,
            time: Some(snapshot.time),
            verdict: judged.verdict,
            reasons: judged.reasons,
            remarks: Vec::new(),
            sound: costs.paths.is_empty() && !costs.more,
            damaged: costs.paths,
            damaged_repositories: costs.repositories,
            more_damaged: costs.more,
            chain: judged.chain,
        }
    }

    pub(super) fn unreadable(id: SnapshotId, why: &VaultError) -> Self {
        Self {
            snapshot: id,
            time: None,
            verdict: Verdict::Broken,
            reasons: vec![why.to_string()],
            remarks: Vec::new(),
            sound: false,
            damaged: vec![DamagedPath { path: "/".into(), why: why.to_string() }],
            damaged_repositories: Vec::new(),
            more_damaged: false,
            chain: None,
        }
    }
}

/// What a verification found.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// How it ended.
    pub outcome: VerifyOutcome,
    /// 1: present and consistent; 2: every byte read.
    pub depth: u8,
    /// Besides, this share of all packs was read: `3/30`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_data: Option<String>,
    /// The snapshots, oldest first, unreadable ones last.
    pub snapshots: Vec<SnapshotReport>,
    /// What is wrong with stored files.
    pub check: CheckReport,
}

impl VerifyReport {
    pub(super) fn new(depth: CheckDepth, snapshots: Vec<SnapshotReport>, check: CheckReport) -> Self {
        let outcome = snapshots
            .iter()
            .map(|snapshot| match (snapshot.sound, snapshot.verdict) {
                (false, _) | (_, Verdict::Broken) => VerifyOutcome::Damaged,
                (true, Verdict::Sealed | Verdict::Part) => VerifyOutcome::Sound,
                (true, Verdict::Partial | Verdict::Unsealed) => VerifyOutcome::Incomplete,
            })
            .chain(std::iter::once(if check.is_sound() {
                VerifyOutcome::Sound
            } else {
                VerifyOutcome::Damaged
            }))
            .max()
            .unwrap_or(VerifyOutcome::Damaged);
        let share = match depth {
            CheckDepth::Share { turn, of } => Some((turn, of)),
            _ => None,
        };
        let depth = match depth {
            CheckDepth::Presence | CheckDepth::Share { .. } => 1,
            CheckDepth::Content => 2,
        };
        let read_data = share.map(|(turn, of)| format!("{}/{of}", turn + 1));
        Self { outcome, depth, read_data, snapshots, check }
    }
}
