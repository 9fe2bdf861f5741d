//! A run of several shards, as the first of them to come opened it: a record in the vault, made once.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Place;
use crate::{
    seal::{self, Seal},
    vault::{Snapshot, SnapshotId, SnapshotList, Vault, VaultError, WriteLease, tree_hex},
};

/// Folder of the records.
const FOLDER: &str = "runs";

/// A run that was begun longer ago is abandoned: its parts are let go, and no shard joins it.
pub const ABANDONED_AFTER: SignedDuration = SignedDuration::from_hours(72);

/// What all shards of a run agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRun {
    /// Its name.
    pub name: String,
    /// How many shards there are.
    pub count: u32,
    /// The appliance as it was named.
    pub host: String,
    /// Its UUID.
    pub uuid: String,
    /// Its release.
    pub version: String,
    /// When the run was begun: the moment that the joined snapshot shows.
    pub started: Timestamp,
    /// The snapshot that it builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// Datasets that are left out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub skip: BTreeSet<String>,
}

/// Why a shard, or the end of a run, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Another number of shards.
    #[error("run `{run}` was begun with {begun} shard(s), and {what} says {asked}")]
    OtherCount {
        /// The run.
        run: String,
        /// Its number of shards.
        begun: u32,
        /// Who disagrees.
        what: String,
        /// The other number.
        asked: u32,
    },
    /// Another appliance, or another state of it.
    #[error("run `{run}` is of {begun}, and {what} is of {found}")]
    OtherAppliance {
        /// The run.
        run: String,
        /// Its appliance.
        begun: String,
        /// Who disagrees.
        what: String,
        /// The other appliance.
        found: String,
    },
    /// Other datasets are left out.
    #[error("run `{run}` was begun without {begun}, and this shard is told to leave out {asked}")]
    OtherDatasets {
        /// The run.
        run: String,
        /// What the run leaves out.
        begun: String,
        /// What this shard would.
        asked: String,
    },
    /// It was begun too long ago.
    #[error("run `{run}` was begun at {started}, more than {} h ago, and counts as abandoned", ABANDONED_AFTER.as_hours())]
    Abandoned {
        /// The run.
        run: String,
        /// When.
        started: Timestamp,
    },
    /// It is joined already.
    #[error("run `{run}` is complete and joined already, as snapshot {}", .snapshot.get(..8).unwrap_or(.snapshot))]
    Joined {
        /// The run.
        run: String,
        /// The snapshot.
        snapshot: String,
    },
    /// The snapshot that it builds on is gone.
    #[error("run `{run}` builds on snapshot {}, which is no longer in the vault", .snapshot.short())]
    ParentGone {
        /// The run.
        run: String,
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// There is no such run.
    #[error("no run `{run}` was begun in this vault")]
    NoRun {
        /// The name.
        run: String,
    },
    /// No run that could be meant.
    #[error("no run waits for its end in this vault")]
    NoneWaits,
    /// Nothing to join.
    #[error("run `{run}` has no part yet")]
    NoParts {
        /// The run.
        run: String,
    },
    /// A part that somebody else signed.
    #[error(
        "{part} of run `{run}` is signed with {key}, which is not this host's seal key and not among `retention.seal_keys`"
    )]
    Stranger {
        /// The run.
        run: String,
        /// Which part.
        part: String,
        /// The public key.
        key: String,
    },
    /// A part that builds on another snapshot than the run.
    #[error("{part} of run `{run}` builds on another snapshot than the run")]
    OtherParent {
        /// The run.
        run: String,
        /// Which part.
        part: String,
    },
}

impl OpenRun {
    /// Whether a shard that would have begun the run like `mine` may take part in it at `now`.
    ///
    /// # Errors
    /// It may not.
    pub fn admits(&self, mine: &Self, place: Place, now: Timestamp) -> Result<(), ShardError> {
        let run = self.name.clone();
        let what = format!("shard {place}");
        if self.count != mine.count {
            return Err(ShardError::OtherCount { run, begun: self.count, what, asked: mine.count });
        }
        if self.identity() != mine.identity() {
            let (begun, found) = (self.identity(), mine.identity());
            return Err(ShardError::OtherAppliance { run, begun, what, found });
        }
        if self.skip != mine.skip {
            let words = |skip: &BTreeSet<String>| {
                let names: Vec<&str> = skip.iter().map(String::as_str).collect();
                if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
            };
            return Err(ShardError::OtherDatasets {
                run,
                begun: words(&self.skip),
                asked: words(&mine.skip),
            });
        }
        if self.is_abandoned(now) {
            return Err(ShardError::Abandoned { run, started: self.started });
        }
        Ok(())
    }

    /// The appliance and its release, in words.
    #[must_use]
    pub fn identity(&self) -> String {
        identity(&self.uuid, &self.version)
    }

    /// Whether it was begun so long ago that nobody waits for it.
    #[must_use]
    pub fn is_abandoned(&self, now: Timestamp) -> bool {
        now.duration_since(self.started) > ABANDONED_AFTER
    }
}

/// An appliance and its release, in words.
#[must_use]
pub fn identity(uuid: &str, version: &str) -> String {
    format!("appliance {uuid} with release {version}")
}

/// All runs whose record stands in the vault.
///
/// # Errors
/// The records cannot be read.
pub fn all(vault: &Vault) -> Result<Vec<OpenRun>, VaultError> {
    Ok(vault.records::<OpenRun>(FOLDER)?.into_iter().map(|(_, run)| run).collect())
}

/// Removes the records of runs that have ended.
pub(crate) fn drop_records(vault: &Vault, names: &[String]) {
    for name in names {
        vault.drop_record(FOLDER, &format!("{name}.run"));
    }
}

/// Opens a run, or finds it as another shard opened it.
///
/// # Errors
/// The vault fails, or the run does not admit this shard.
pub(in crate::backup) fn open(
    vault: &Vault,
    lease: &WriteLease,
    mine: OpenRun,
    place: Place,
) -> Result<Result<OpenRun, ShardError>, VaultError> {
    lease.check()?;
    if vault.add_record(FOLDER, &format!("{}.run", mine.name), &mine)? {
        return Ok(Ok(mine));
    }
    let found = all(vault)?.into_iter().find(|run| run.name == mine.name);
    let found = found.ok_or(VaultError::Internal("the record of a run vanished"))?;
    Ok(found.admits(&mine, place, Timestamp::now()).map(|()| found))
}

/// The snapshot that the parts of a run were joined into, the newest of several.
#[must_use]
pub fn joined<'a>(list: &'a SnapshotList, run: &str) -> Option<(&'a Snapshot, Seal)> {
    let sealed = list.snapshots.iter().rev().filter_map(|snapshot| {
        let seal = seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree)).ok()?;
        Some((snapshot, seal))
    });
    let mut of_run: Vec<_> = sealed
        .filter(|(_, seal)| seal.manifest.run.as_ref().is_some_and(|sealed| sealed.name == run))
        .collect();
    // All show the same moment; a later one has more parts.
    of_run.sort_by_key(|(_, seal)| seal.manifest.run.as_ref().map_or(0, |run| run.parts.len()));
    of_run.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(change: impl FnOnce(&mut OpenRun)) -> OpenRun {
        let mut run = OpenRun {
            name: "nightly".into(),
            count: 3,
            host: "ghe".into(),
            uuid: "u".into(),
            version: "3.14.2".into(),
            started: Timestamp::UNIX_EPOCH,
            parent: None,
            skip: BTreeSet::new(),
        };
        change(&mut run);
        run
    }

    fn refusal(mine: &OpenRun) -> String {
        let place = Place { index: 2, count: mine.count };
        run(|_| {}).admits(mine, place, Timestamp::UNIX_EPOCH).expect_err("a refusal").to_string()
    }

    #[test]
    fn a_run_admits_only_shards_of_its_own_kind() {
        let place = Place { index: 2, count: 3 };
        let later = run(|run| run.started = Timestamp::from_second(60).unwrap());
        assert_eq!(run(|_| {}).admits(&later, place, Timestamp::from_second(60).unwrap()), Ok(()));
        assert!(refusal(&run(|run| run.count = 4)).contains("begun with 3 shard(s), and shard 2/4 says 4"));
        assert!(refusal(&run(|run| run.uuid = "other".into())).contains("is of appliance other"));
        assert!(refusal(&run(|run| run.version = "3.14.3".into())).contains("release 3.14.3"));
        assert!(refusal(&run(|run| run.skip.extend(["redis".into()]))).contains("leave out redis"));
    }

    #[test]
    fn nobody_joins_a_run_of_long_ago() {
        let now = Timestamp::UNIX_EPOCH + ABANDONED_AFTER + SignedDuration::from_secs(1);
        let refused = run(|_| {}).admits(&run(|_| {}), Place { index: 2, count: 3 }, now);
        assert!(matches!(refused, Err(ShardError::Abandoned { .. })));
    }
}
