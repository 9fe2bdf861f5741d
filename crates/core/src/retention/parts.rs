//! Parts of sharded runs: they stay until their run is joined, or nobody waits for it any more.

use jiff::Timestamp;

use super::plan::Worth;
use crate::{
    backup::shard::{
        part::Part,
        run::{self, OpenRun},
    },
    seal::{Outcome, SealError},
    vault::{SnapshotId, SnapshotList, Vault, VaultError},
};

/// One run, as far as its parts are concerned.
#[derive(Clone, Debug)]
struct Known {
    run: OpenRun,
    /// The snapshot that it was joined into, and whether that is complete.
    joined: Option<(SnapshotId, bool)>,
}

/// The runs of a vault.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts(Vec<Known>);

impl Parts {
    pub(super) fn of(vault: &Vault, list: &SnapshotList) -> Result<Self, VaultError> {
        let known = |run: OpenRun| {
            let joined = run::joined(list, &run.name);
            let joined = joined.map(|(one, seal)| (one.id, seal.manifest.outcome == Outcome::Complete));
            Known { run, joined }
        };
        Ok(Self(run::all(vault)?.into_iter().map(known).collect()))
    }

    /// Whether a part stays.
    pub(super) fn worth(&self, part: Result<Part, SealError>, now: Timestamp) -> Worth {
        let part = match part {
            Ok(part) => part,
            Err(why) => return Worth::Broken(why.to_string()),
        };
        let (name, place) = (&part.record.run, part.record.place());
        let what = format!("part {place} of run {name}");
        let Some(known) = self.0.iter().find(|known| known.run.name == *name) else {
            return Worth::Part(Err(format!("{what}, which has ended")));
        };
        match known.joined {
            Some((snapshot, true)) => {
                Worth::Part(Err(format!("{what}, which was joined as snapshot {}", snapshot.short())))
            }
            _ if known.run.is_abandoned(now) => Worth::Part(Err(format!("{what}, which was abandoned"))),
            Some(_) => Worth::Part(Ok(format!("{what}, which lacks parts and can still be completed"))),
            None => Worth::Part(Ok(format!("{what}, which is not joined yet"))),
        }
    }

    /// The run that builds on a snapshot and may still be joined.
    pub(super) fn needs(&self, snapshot: SnapshotId, now: Timestamp) -> Option<String> {
        let open = |known: &&Known| !has_ended(known, now) && known.run.parent == Some(snapshot);
        self.0.iter().find(open).map(|known| known.run.name.clone())
    }

    /// Runs whose record is needed no more once their parts are gone.
    pub(super) fn ended(&self, now: Timestamp) -> Vec<String> {
        self.0.iter().filter(|known| has_ended(known, now)).map(|known| known.run.name.clone()).collect()
    }
}

fn has_ended(known: &Known, now: Timestamp) -> bool {
    known.joined.is_some_and(|(_, complete)| complete) || known.run.is_abandoned(now)
}
