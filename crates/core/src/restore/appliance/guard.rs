//! Refuses a restore that would harm (contract §1.7, §5.2). Pure: facts in, refusal or remarks out.

use super::{
    content::{DumpKind, SnapshotContent},
    isolated,
    options::{ApplianceOptions, Dataset, Trust},
};
use crate::appliance::{
    facts::{Facts, Role, Version},
    target::Target,
};

/// Feature releases that a target may be ahead of the snapshot (contract §1.7).
pub const RELEASES_AHEAD_MAX: u64 = 2;

/// Why a restore is refused. Nothing has been changed on the appliance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The snapshot is not known to be complete.
    #[error("the snapshot is not sealed as complete: {0}")]
    NotSealed(String),
    /// The target is a node of a cluster whose machines are not known.
    #[error("`{0}` is a node of a cluster, but its cluster.conf names no machines")]
    Cluster(String),
    /// A cluster's snapshot does not fit a standalone appliance.
    #[error("a snapshot of a cluster cannot be restored to a standalone appliance")]
    ClusterSnapshot,
    /// The target replicates.
    #[error("`{host}` is a high-availability {role}; tear replication down before a restore")]
    Replication {
        /// The target.
        host: String,
        /// `primary` or `replica`.
        role: &'static str,
    },
    /// The target's release is older than the snapshot's feature release.
    #[error("the snapshot is of release {snapshot} and cannot be restored to the older release {target}")]
    OlderTarget {
        /// The snapshot's release.
        snapshot: Version,
        /// The target's release.
        target: Version,
    },
    /// The target's release is too far ahead.
    #[error(
        "the snapshot is of release {snapshot}; release {target} is more than {RELEASES_AHEAD_MAX} feature releases ahead"
    )]
    NewerTarget {
        /// The snapshot's release.
        snapshot: Version,
        /// The target's release.
        target: Version,
    },
    /// The snapshot does not say of which release it is.
    #[error("the snapshot does not say of which release it is")]
    NoVersion,
    /// Nobody confirmed that this is the appliance to overwrite.
    #[error("overwriting `{host}` needs its name typed as confirmation")]
    NotConfirmed {
        /// The target.
        host: String,
    },
    /// Something else was typed.
    #[error("`{typed}` was typed, but the appliance to overwrite is `{host}`")]
    ConfirmedOther {
        /// What was typed.
        typed: String,
        /// The target.
        host: String,
    },
    /// A configured target is in use.
    #[error("`{0}` is not in maintenance mode")]
    NoMaintenance(String),
    /// One side uses an external database, the other does not.
    #[error("the snapshot is of {snapshot} database, `{host}` uses {target}")]
    ExternalDatabase {
        /// The target.
        host: String,
        /// `an external` or `the internal`.
        snapshot: &'static str,
        /// `an external one` or `the internal one`.
        target: &'static str,
    },
    /// MySQL may only be left out where an external database keeps the data.
    #[error("leaving MySQL out is only possible with an external database")]
    SkipMysql,
    /// The dump does not fit the appliance's kind of backup.
    #[error("the snapshot's MySQL dump is binary, but `mysql.backup.binary` is off on `{0}`")]
    BinaryDump(String),
    /// The snapshot is of an external database, and holds nothing that could be imported into one.
    #[error("the snapshot is of an external database, but holds {0}")]
    ExternalDump(&'static str),
    /// Actions is off in the snapshot and on at the target.
    #[error("the snapshot was taken with GitHub Actions off, but it is on at `{0}`")]
    ActionsOnTarget(String),
    /// The snapshot has Actions data and the target has Actions off.
    #[error("the snapshot has data of GitHub Actions, but Actions is off at `{0}`")]
    ActionsOffTarget(String),
    /// The target keeps a database of the Actions cache that the snapshot does not have.
    #[error("`{0}` has a database of the Actions cache, but the snapshot has no backup of it")]
    ActionsCacheOnTarget(String),
    /// The snapshot has a database of the Actions cache that the target does not keep.
    #[error("the snapshot has a database of the Actions cache, but `{0}` has none")]
    ActionsCacheInSnapshot(String),
    /// The target would not be isolated.
    #[error("`{host}` cannot become an isolated copy: {why}")]
    Isolated {
        /// The target.
        host: String,
        /// What is in the way.
        why: &'static str,
    },
    /// The appliance's own backup is running.
    #[error("the Backup Service of `{0}` is at work")]
    BackupService(String),
}

/// Decides whether a restore may start, and returns what the operator should know.
///
/// # Errors
/// The first reason against it.
pub fn check(
    target: &Facts,
    content: &SnapshotContent,
    trust: &Trust,
    options: &ApplianceOptions,
) -> Result<Vec<String>, Refusal> {
    let host = || options.host.clone();
    let mut remarks = Vec::new();
    match trust {
        Trust::Sealed => {}
        Trust::Partial(why) | Trust::Unsealed(why) if options.accept_incomplete => {
            remarks.push(format!("the snapshot is not sealed as complete: {why}"));
        }
        Trust::Partial(why) | Trust::Unsealed(why) => return Err(Refusal::NotSealed(why.clone())),
    }
    match target.role {
        Role::Cluster if target.fleet.is_none() => return Err(Refusal::Cluster(host())),
        Role::Standalone | Role::Cluster => {}
        Role::Primary => return Err(Refusal::Replication { host: host(), role: "primary" }),
        Role::Replica => return Err(Refusal::Replication { host: host(), role: "replica" }),
    }
    if content.strategy == "cluster" && target.role != Role::Cluster {
        return Err(Refusal::ClusterSnapshot);
    }
    if target.backup_service_running {
        return Err(Refusal::BackupService(host()));
    }
    remarks.extend(releases(target, content)?);
    database(target, content, options)?;
    confirmation(target, content, options)?;
    if target.configured && !target.maintenance {
        return Err(Refusal::NoMaintenance(host()));
    }
    if options.isolated {
        isolated::check(target, content, options)?;
    } else {
        actions(target, content, options)?;
    }
    if content.uuid.as_deref().is_some_and(|uuid| uuid == target.uuid) {
        remarks.push(format!("`{}` is the very appliance that the snapshot was taken from", options.host));
    }
    let needed: u64 = content.amounts.values().map(|amount| amount.bytes).sum();
    if let Some(free) = target.free_bytes.filter(|free| *free < needed && target.role != Role::Cluster) {
        remarks.push(format!(
            "the snapshot has {needed} bytes, the data disk of `{}` has {free} free",
            options.host
        ));
    }
    if let Some(leaked) = content.leaked_host_keys.as_ref().filter(|_| options.wants(Dataset::SshHostKeys)) {
        remarks.push(format!("{leaked}; the restore brings these keys back, so do it right after"));
    }
    if content.has("github-secrets.tar") {
        remarks.push("`github-secrets.tar` is not restored: nothing public says how".into());
    }
    Ok(remarks)
}

fn releases(target: &Facts, content: &SnapshotContent) -> Result<Vec<String>, Refusal> {
    let snapshot = content.version.clone().ok_or(Refusal::NoVersion)?;
    let release = target.version.clone();
    if release < Version::new(snapshot.major, snapshot.minor, 0) {
        return Err(Refusal::OlderTarget { snapshot, target: release });
    }
    if release.major != snapshot.major || release.minor.saturating_sub(snapshot.minor) > RELEASES_AHEAD_MAX {
        return Err(Refusal::NewerTarget { snapshot, target: release });
    }
    let thirteen = Version::new(3, 13, 0);
    if snapshot < thirteen && release >= thirteen {
        let remark = "search results appear only after the appliance has migrated and rebuilt its indices";
        return Ok(vec![remark.into()]);
    }
    Ok(Vec::new())
}

fn database(target: &Facts, content: &SnapshotContent, options: &ApplianceOptions) -> Result<(), Refusal> {
    let (ours, theirs) = (content.external_database, target.flag("mysql.external.enabled"));
    let external_stays = theirs && !options.settings;
    if options.skip_mysql && !ours && !external_stays {
        return Err(Refusal::SkipMysql);
    }
    if target.configured && ours != theirs && (options.settings || !options.skip_mysql) {
        return Err(Refusal::ExternalDatabase {
            host: options.host.clone(),
            snapshot: if ours { "an external" } else { "the internal" },
            target: if theirs { "an external one" } else { "the internal one" },
        });
    }
    if ours && options.wants(Dataset::Mysql) && options.external_mysql_script.is_none() {
        match content.dump.as_ref().map(|dump| dump.kind) {
            Some(DumpKind::LogicalExternal) => {}
            Some(DumpKind::Binary { .. }) => return Err(Refusal::ExternalDump("a binary dump")),
            Some(DumpKind::Logical) => {
                return Err(Refusal::ExternalDump("a dump that is not marked as one of it"));
            }
            None => return Err(Refusal::ExternalDump("no dump")),
        }
    }
    let binary = content.dump.as_ref().is_some_and(|dump| matches!(dump.kind, DumpKind::Binary { .. }));
    if binary && options.wants(Dataset::Mysql) && !target.flag("mysql.backup.binary") {
        return Err(Refusal::BinaryDump(options.host.clone()));
    }
    Ok(())
}

fn confirmation(
    target: &Facts,
    content: &SnapshotContent,
    options: &ApplianceOptions,
) -> Result<(), Refusal> {
    if !target.configured && !content.external_database {
        return Ok(());
    }
    let host = options.host.clone();
    match options.confirmation.as_deref().map(str::trim) {
        None | Some("") => Err(Refusal::NotConfirmed { host }),
        Some(typed) if names_same(typed, &options.host) => Ok(()),
        Some(typed) => Err(Refusal::ConfirmedOther { typed: typed.to_owned(), host }),
    }
}

/// The same appliance in two spellings, such as with and without the usual user.
fn names_same(typed: &str, host: &str) -> bool {
    let canonical = |text: &str| Target::parse(text).map(|target| target.to_string());
    typed == host || matches!((canonical(typed), canonical(host)), (Ok(one), Ok(other)) if one == other)
}

/// How the databases of the Actions cache are called.
const CACHE: &str = "ArtifactCache";

fn actions(target: &Facts, content: &SnapshotContent, options: &ApplianceOptions) -> Result<(), Refusal> {
    let host = || options.host.clone();
    let on = target.flag("app.actions.enabled");
    let has_data = content.has("mssql") || content.has("actions");
    match (content.actions || has_data, on) {
        (false, true) => Err(Refusal::ActionsOnTarget(host())),
        (true, false) if has_data => Err(Refusal::ActionsOffTarget(host())),
        // A target without the answer has not been asked: it has no console, and then no import either.
        (true, true) if content.has("mssql") && options.wants(Dataset::Mssql) => {
            let theirs = target.databases.iter().any(|name| name.contains(CACHE));
            match (content.actions_cache, theirs) {
                (false, true) => Err(Refusal::ActionsCacheOnTarget(host())),
                (true, false) if !options.settings => Err(Refusal::ActionsCacheInSnapshot(host())),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
