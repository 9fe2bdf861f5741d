//! What has hurt others in this hour: traps that apply to the situation at hand (contract §6.1, §6.4, §1.7, §2.6).

use serde::Serialize;

use super::{observe::Node, ways::VaultFacts};
use crate::appliance::facts::Version;

/// A trap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trap {
    /// Short name for scripts.
    pub name: &'static str,
    /// What happens, and how to avoid it.
    pub text: String,
}

/// The release whose fix keeps a failover from deleting search indices, audit logs among them.
const SAFE_SEARCH: Version = Version { major: 3, minor: 15, patch: 5 };

/// The traps of a promotion of `replica`.
#[must_use]
pub fn of_promotion(replica: &Node, old_uuid: Option<&str>) -> Vec<Trap> {
    let mut traps = vec![
        trap(
            "corruption-replicates",
            "a replica has what the primary had: data that was altered, deleted or encrypted there is so here, too; \
             then restore (`--suspect-tampering`)",
        ),
        trap(
            "split-brain",
            "switch the old primary off and keep it off: when it comes back it takes writes and can damage the new pair",
        ),
        trap(
            "old-uuid",
            format!(
                "drop the old node from the databases: `{}` on the new primary",
                super::ways::decommission(&replica.version, old_uuid.unwrap_or("UUID"))
            ),
        ),
        trap(
            "dns",
            "users, webhooks and runners follow the name: move DNS or the load balancer, mind its TTL",
        ),
        trap(
            "stale-gate",
            "a backup that ran during the loss may leave Git maintenance paused: `ghevault gate status` on the new primary",
        ),
    ];
    let v = &replica.version;
    if (v.major, v.minor) == (3, 15) && *v < SAFE_SEARCH {
        traps.push(trap(
            "elasticsearch-3.15.5",
            "before 3.15.5 a failover may delete search indices, audit logs among them; the vault's audit log is the copy",
        ));
    }
    if replica.actions {
        traps.push(trap(
            "mssql",
            "Actions is on: the next backup of its databases must be a full one, and self-hosted runners may need to \
             register again",
        ));
    }
    traps
}

/// The traps of a restore.
#[must_use]
pub fn of_restore(vault: &VaultFacts, replicates: bool) -> Vec<Trap> {
    let mut traps = Vec::new();
    if let Some(version) = vault.newest.as_ref().and_then(|newest| Version::parse(&newest.version)) {
        traps.push(trap(
            "release",
            format!(
                "the target must have release {}.{} to {}.{}: never older, at most two feature releases newer",
                version.major,
                version.minor,
                version.major,
                version.minor + 2
            ),
        ));
        if (version.major, version.minor) < (3, 13) {
            traps.push(trap(
                "elasticsearch-3.13",
                "restored to 3.13 or newer, search is empty until its indices are migrated and rebuilt",
            ));
        }
    }
    traps
        .push(trap("host-keys", "a restore brings the old host keys: run `ghevault trust` again afterwards"));
    traps.push(trap("runners", "self-hosted runners must register again"));
    if replicates {
        traps.push(trap(
            "replication",
            "an appliance that replicates takes no restore: `ghe-repl-teardown` first, set replication up again after it",
        ));
    }
    traps
}

fn trap(name: &'static str, text: impl Into<String>) -> Trap {
    Trap { name, text: text.into() }
}
