//! Refuses a restore that would harm (contract §1.7, §5.2). Pure: facts in, refusal or remarks out.

use super::{
    content::{DumpKind, SnapshotContent},
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
    /// The target is a node of a cluster.
    #[error("`{0}` is a node of a cluster; this release restores to standalone appliances")]
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
        Role::Standalone => {}
        Role::Cluster => return Err(Refusal::Cluster(host())),
        Role::Primary => return Err(Refusal::Replication { host: host(), role: "primary" }),
        Role::Replica => return Err(Refusal::Replication { host: host(), role: "replica" }),
    }
    if content.strategy == "cluster" {
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
    actions(target, content, options)?;
    if content.uuid.as_deref().is_some_and(|uuid| uuid == target.uuid) {
        remarks.push(format!("`{}` is the very appliance that the snapshot was taken from", options.host));
    }
    let needed: u64 = content.amounts.values().map(|amount| amount.bytes).sum();
    if let Some(free) = target.free_bytes.filter(|free| *free < needed) {
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
mod tests {
    use super::{Refusal, check};
    use crate::{
        appliance::facts::{self, Facts, Role, Version},
        restore::appliance::{
            content::{Dump, DumpKind, SnapshotContent},
            options::{ApplianceOptions, Trust},
        },
    };

    fn target() -> Facts {
        let facts = facts::read_for_tests("uuid=target\nconfigured=1\nmaintenance=1\n");
        Facts { version: Version::new(3, 11, 2), version_text: "3.11.2".into(), ..facts }
    }

    fn content() -> SnapshotContent {
        SnapshotContent {
            version: Some(Version::new(3, 11, 5)),
            strategy: "rsync".into(),
            uuid: Some("source".into()),
            ..SnapshotContent::default()
        }
    }

    fn options() -> ApplianceOptions {
        ApplianceOptions { confirmation: Some("ghe".into()), ..ApplianceOptions::new("ghe") }
    }

    fn decide(target: &Facts, content: &SnapshotContent) -> Result<Vec<String>, Refusal> {
        check(target, content, &Trust::Sealed, &options())
    }

    #[test]
    fn a_fitting_target_is_accepted_even_with_an_older_patch_release() {
        assert_eq!(decide(&target(), &content()), Ok(vec![]));
    }

    #[test]
    fn releases_are_checked_in_both_directions() {
        let at = |major, minor, patch| Facts { version: Version::new(major, minor, patch), ..target() };
        assert!(matches!(decide(&at(3, 10, 9), &content()), Err(Refusal::OlderTarget { .. })));
        assert!(decide(&at(3, 13, 0), &content()).is_ok_and(|remarks| remarks.len() == 1));
        assert!(matches!(decide(&at(3, 14, 0), &content()), Err(Refusal::NewerTarget { .. })));
        assert!(matches!(decide(&at(4, 0, 0), &content()), Err(Refusal::NewerTarget { .. })));
        let unknown = SnapshotContent { version: None, ..content() };
        assert_eq!(decide(&target(), &unknown), Err(Refusal::NoVersion));
    }

    #[test]
    fn replication_and_clusters_are_refused() {
        for role in [Role::Primary, Role::Replica] {
            assert!(matches!(
                decide(&Facts { role, ..target() }, &content()),
                Err(Refusal::Replication { .. })
            ));
        }
        assert!(matches!(
            decide(&Facts { role: Role::Cluster, ..target() }, &content()),
            Err(Refusal::Cluster(_))
        ));
        let cluster = SnapshotContent { strategy: "cluster".into(), ..content() };
        assert_eq!(decide(&target(), &cluster), Err(Refusal::ClusterSnapshot));
    }

    #[test]
    fn only_the_typed_host_name_is_consent() {
        for (typed, refused) in [(None, true), (Some(""), true), (Some("yes"), true), (Some("ghe\n"), false)]
        {
            let options = ApplianceOptions { confirmation: typed.map(str::to_owned), ..options() };
            assert_eq!(check(&target(), &content(), &Trust::Sealed, &options).is_err(), refused, "{typed:?}");
        }
        let fresh = Facts { configured: false, maintenance: false, ..target() };
        let options = ApplianceOptions { confirmation: None, ..options() };
        assert!(check(&fresh, &content(), &Trust::Sealed, &options).is_ok());
        let external = SnapshotContent { external_database: true, ..content() };
        assert!(matches!(
            check(
                &fresh,
                &external,
                &Trust::Sealed,
                &ApplianceOptions { external_mysql_script: Some("/r".into()), ..options }
            ),
            Err(Refusal::NotConfirmed { .. })
        ));
    }

    #[test]
    fn a_configured_target_must_be_in_maintenance_mode() {
        let busy = Facts { maintenance: false, ..target() };
        assert_eq!(decide(&busy, &content()), Err(Refusal::NoMaintenance("ghe".into())));
    }

    #[test]
    fn a_snapshot_that_is_not_complete_must_be_asked_for() {
        let trust = Trust::Partial("redis is missing".into());
        assert!(matches!(check(&target(), &content(), &trust, &options()), Err(Refusal::NotSealed(_))));
        let options = ApplianceOptions { accept_incomplete: true, ..options() };
        assert!(check(&target(), &content(), &trust, &options).is_ok_and(|remarks| remarks.len() == 1));
    }

    #[test]
    fn leaked_host_keys_are_told_before_they_come_back() {
        let leaked = SnapshotContent { leaked_host_keys: Some("leaked".into()), ..content() };
        assert!(decide(&target(), &leaked).is_ok_and(|remarks| remarks[0].contains("right after")));
        let without = [crate::restore::appliance::Dataset::Redis].into_iter().collect();
        let options = ApplianceOptions { only: without, ..options() };
        assert!(check(&target(), &leaked, &Trust::Sealed, &options).is_ok_and(|remarks| remarks.is_empty()));
    }

    #[test]
    fn an_external_database_needs_its_marked_dump_or_a_script() {
        let fresh = Facts { configured: false, maintenance: false, ..target() };
        let decide = |kind: Option<DumpKind>, script: Option<&str>| {
            let dump = kind.map(|kind| crate::restore::appliance::content::Dump {
                file: "mysql.sql",
                bytes: 1,
                kind,
            });
            let content = SnapshotContent { external_database: true, dump, ..content() };
            let options = ApplianceOptions { external_mysql_script: script.map(Into::into), ..options() };
            check(&fresh, &content, &Trust::Sealed, &options)
        };
        assert!(decide(Some(DumpKind::LogicalExternal), None).is_ok());
        assert!(decide(None, Some("/restore")).is_ok());
        for kind in [None, Some(DumpKind::Logical), Some(DumpKind::Binary { wrapped: false })] {
            assert!(matches!(decide(kind, None), Err(Refusal::ExternalDump(_))), "{kind:?}");
        }
    }

    #[test]
    fn database_kinds_must_agree() {
        let external = Facts { flags: vec!["mysql.external.enabled".into()], ..target() };
        assert!(matches!(decide(&external, &content()), Err(Refusal::ExternalDatabase { .. })));
        let skip = ApplianceOptions { skip_mysql: true, ..options() };
        assert!(check(&external, &content(), &Trust::Sealed, &skip).is_ok());
        let with_settings = ApplianceOptions { settings: true, ..skip.clone() };
        assert!(check(&external, &content(), &Trust::Sealed, &with_settings).is_err());
        assert_eq!(check(&target(), &content(), &Trust::Sealed, &skip), Err(Refusal::SkipMysql));
        let dump = Dump { file: "mysql.sql.gz", bytes: 1, kind: DumpKind::Binary { wrapped: false } };
        let binary = SnapshotContent { dump: Some(dump), ..content() };
        assert_eq!(decide(&target(), &binary), Err(Refusal::BinaryDump("ghe".into())));
        let able = Facts { flags: vec!["mysql.backup.binary".into()], ..target() };
        assert!(decide(&able, &binary).is_ok());
    }

    #[test]
    fn actions_must_agree() {
        let on = Facts { flags: vec!["app.actions.enabled".into()], ..target() };
        assert!(matches!(decide(&on, &content()), Err(Refusal::ActionsOnTarget(_))));
        let with_data = SnapshotContent { root: vec!["mssql".into()], ..content() };
        assert!(matches!(decide(&target(), &with_data), Err(Refusal::ActionsOffTarget(_))));
        assert!(decide(&on, &with_data).is_ok());
    }

    #[test]
    fn the_actions_cache_must_agree() {
        let on = Facts { flags: vec!["app.actions.enabled".into()], ..target() };
        let caching = Facts { databases: vec!["ArtifactCache_Configuration".into()], ..on.clone() };
        let without = SnapshotContent { root: vec!["mssql".into()], ..content() };
        let with = SnapshotContent { actions_cache: true, ..without.clone() };
        assert_eq!(decide(&caching, &without), Err(Refusal::ActionsCacheOnTarget("ghe".into())));
        assert_eq!(decide(&on, &with), Err(Refusal::ActionsCacheInSnapshot("ghe".into())));
        let settings = ApplianceOptions { settings: true, ..options() };
        assert!(check(&on, &with, &Trust::Sealed, &settings).is_ok());
        assert!(decide(&caching, &with).is_ok());
    }
}
