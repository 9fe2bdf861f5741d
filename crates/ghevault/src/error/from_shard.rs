//! Errors of runs of several shards.

use super::{CommandError, Kind};
use ghevault_core::backup::shard::run::ShardError;

impl From<ShardError> for CommandError {
    fn from(error: ShardError) -> Self {
        let (kind, hint) = match &error {
            ShardError::OtherCount { .. } => (
                Kind::Refused,
                "All shards of a run need the same N; another N needs another name with --run.",
            ),
            ShardError::OtherAppliance { .. } => (
                Kind::Refused,
                "A run is of one appliance and one release. After an upgrade or a promotion begin a new run: another name with --run.",
            ),
            ShardError::OtherDatasets { .. } => (
                Kind::Refused,
                "Give all shards the same --dataset, --skip and `backup.skip`, or begin a new run.",
            ),
            ShardError::Abandoned { .. } => {
                (Kind::Refused, "Begin a new run: give all shards another name with --run.")
            }
            ShardError::Joined { .. } => (
                Kind::Refused,
                "A name stands for one run. Begin a new run: give all shards another name with --run.",
            ),
            ShardError::ParentGone { .. } => (
                Kind::Failure,
                "What the shards did not read again is gone with it. Begin a new run under another name.",
            ),
            ShardError::NoRun { .. } => (
                Kind::Refused,
                "`ghevault snapshots` shows the parts that there are. The first `ghevault backup --shard` of a name begins its run.",
            ),
            ShardError::NoneWaits => (
                Kind::Refused,
                "Name the run: `ghevault backup --join --run NAME`. `ghevault snapshots` shows the parts.",
            ),
            ShardError::NoParts { .. } => {
                (Kind::Refused, "Its shards still run, or have failed. Join when they have ended.")
            }
            ShardError::Stranger { .. } => (
                Kind::Damage,
                "Give the shards and the join the same `seal.key` in their state folders, or list the key in `retention.seal_keys`.",
            ),
            ShardError::OtherParent { .. } => (
                Kind::Damage,
                "It was not made by a shard of this run. Forget it by its id, and run that shard again.",
            ),
        };
        Self::from_error(kind, &error).hint(hint)
    }
}
