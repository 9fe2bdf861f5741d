//! From a vault to what the planner wants to see.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{
    holds::{self, Hold},
    parts::Parts,
    plan::{Candidate, Ghost, Worth},
};
use crate::{
    backup::shard::part,
    quarantine,
    seal::{
        self, Outcome, Seal, SealError,
        chain::{Chain, Link},
    },
    vault::{Snapshot, SnapshotId, SnapshotList, Vault, VaultError, tree_hex},
};

/// Folder of the records of what was forgotten.
pub(super) const FOLDER: &str = "forgotten";

/// One run of forget, as it is recorded before the first snapshot goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ForgottenFile {
    pub(super) forgotten: Vec<Forgotten>,
}

/// One complete snapshot that was forgotten.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Forgotten {
    pub(super) snapshot: SnapshotId,
    pub(super) seal: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<String>,
    pub(super) started: Timestamp,
    pub(super) key: String,
    pub(super) at: Timestamp,
    #[serde(default)]
    pub(super) by_name: bool,
}

impl Forgotten {
    fn ghost(self) -> Ghost {
        let link = Link { hash: self.seal, previous: self.previous, started: self.started, key: self.key };
        Ghost { link, by_name: self.by_name }
    }
}

/// What the planner needs.
#[derive(Debug, Default)]
pub struct Gathered {
    /// All snapshots.
    pub candidates: Vec<Candidate>,
    /// What was forgotten.
    pub ghosts: Vec<Ghost>,
    /// Holds that count now.
    pub holds: BTreeMap<SnapshotId, Hold>,
    /// Names of the record files that `ghosts` came from.
    pub(super) files: Vec<(String, ForgottenFile)>,
    /// Sharded runs that are joined or abandoned.
    pub(super) ended_runs: Vec<String>,
}

/// Reads snapshots, records and holds.
///
/// # Errors
/// They cannot be listed, or a record is damaged. A damaged snapshot is a candidate that stays.
pub fn gather(vault: &Vault, now: Timestamp) -> Result<Gathered, VaultError> {
    let list = vault.snapshots()?;
    let quarantined = quarantine::quarantined_snapshots(vault, &list)?;
    let parts = Parts::of(vault, &list)?;
    let mut candidates: Vec<Candidate> = list
        .snapshots
        .iter()
        .map(|snapshot| Candidate {
            id: snapshot.id,
            time: snapshot.time,
            worth: match part::of_snapshot(snapshot) {
                Some(part) => parts.worth(part, now),
                None => worth(snapshot),
            },
            quarantine: quarantined.get(&snapshot.id).map(|one| one.reason.clone()),
            needed: parts.needs(snapshot.id, now),
        })
        .collect();
    candidates.extend(list.damaged.iter().map(|(id, why)| Candidate {
        id: *id,
        time: Timestamp::UNIX_EPOCH,
        worth: Worth::Broken(why.to_string()),
        quarantine: None,
        needed: None,
    }));
    let files = vault.records::<ForgottenFile>(FOLDER)?;
    let ghosts = files.iter().flat_map(|(_, file)| file.forgotten.clone()).map(Forgotten::ghost).collect();
    let ended_runs = parts.ended(now);
    Ok(Gathered { candidates, ghosts, holds: holds::active(vault, now)?, files, ended_runs })
}

fn worth(snapshot: &Snapshot) -> Worth {
    let seal = match seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree)) {
        Ok(seal) => seal,
        Err(SealError::Missing) => return Worth::Foreign,
        Err(error) => return Worth::Broken(error.to_string()),
    };
    let contradicts = || seal.manifest.datasets.values().any(|dataset| dataset.outcome != Outcome::Complete);
    match (seal.manifest.outcome, seal.link()) {
        (_, None) => Worth::Broken("its seal names no moment".into()),
        (Outcome::Complete, Some(_)) if contradicts() => Worth::Broken("its seal contradicts itself".into()),
        (Outcome::Complete, Some(link)) => Worth::Complete(link),
        (Outcome::Partial, Some(link)) => Worth::Partial(link),
        (Outcome::Failed, _) => Worth::Broken("the seal says that the backup failed".into()),
    }
}

/// The complete snapshots of a list in the order of their seals, forgotten ones between them; with the seal of the newest.
///
/// # Errors
/// The records of what was forgotten cannot be read.
pub fn chain(vault: &Vault, list: &SnapshotList) -> Result<Vec<Seal>, VaultError> {
    let seals: Vec<Seal> = list
        .snapshots
        .iter()
        .filter_map(|one| seal::read(one.description.as_deref(), &tree_hex(&one.tree)).ok())
        .filter(|seal| seal.manifest.outcome == Outcome::Complete && seal.link().is_some())
        .collect();
    let mut links: Vec<Link> = seals.iter().filter_map(Seal::link).collect();
    let files = vault.records::<ForgottenFile>(FOLDER)?;
    links.extend(files.into_iter().flat_map(|(_, file)| file.forgotten).map(|one| one.ghost().link));
    let chain = Chain::new(links);
    let Some(tip) = chain.tip(Timestamp::now()) else { return Ok(Vec::new()) };
    let mut line: Vec<Seal> = std::iter::successors(Some(tip), |place| chain.before(*place))
        .filter_map(|place| seals.get(place).cloned())
        .collect();
    line.reverse();
    Ok(line)
}
