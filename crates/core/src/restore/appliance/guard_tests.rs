//! What the guard of a restore accepts and refuses, rule by rule.

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
fn replication_and_nameless_clusters_are_refused() {
    for role in [Role::Primary, Role::Replica] {
        assert!(matches!(decide(&Facts { role, ..target() }, &content()), Err(Refusal::Replication { .. })));
    }
    let nameless = Facts { role: Role::Cluster, ..target() };
    assert!(matches!(decide(&nameless, &content()), Err(Refusal::Cluster(_))));
}

#[test]
fn any_snapshot_goes_to_a_cluster_but_a_cluster_s_only_there() {
    let snapshot = SnapshotContent { strategy: "cluster".into(), ..content() };
    assert_eq!(decide(&target(), &snapshot), Err(Refusal::ClusterSnapshot));
    let fleet = Some(crate::appliance::fleet::Fleet::default());
    let cluster = Facts { role: Role::Cluster, fleet, ..target() };
    assert!(decide(&cluster, &snapshot).is_ok());
    assert!(decide(&cluster, &content()).is_ok());
}

#[test]
fn only_the_typed_host_name_is_consent() {
    for (typed, refused) in [(None, true), (Some(""), true), (Some("yes"), true), (Some("ghe\n"), false)] {
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
        let dump =
            kind.map(|kind| crate::restore::appliance::content::Dump { file: "mysql.sql", bytes: 1, kind });
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
