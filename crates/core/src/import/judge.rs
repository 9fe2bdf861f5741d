//! What a snapshot directory should hold and does not. Pure.

use std::collections::BTreeSet;

use crate::{
    appliance::{
        facts::Version,
        secret_table::{DERIVED_FILE, DERIVED_FROM, SECRETS, SecretRow, When},
    },
    backup::files::capture::lossy,
};

/// The dataset to which a file of the root belongs.
pub(super) fn owner(path: &[u8]) -> &'static str {
    if path.starts_with(b"audit-log/") {
        return "audit-log";
    }
    let name = lossy(path);
    match name.as_str() {
        "settings.json"
        | "enterprise.ghl"
        | "saml-keys.tar"
        | "ssl-ca-certificates.tar"
        | "uuid"
        | "cluster.conf"
        | "version"
        | "strategy" => "settings",
        "authorized-keys.json" => "authorized-keys",
        "ssh-host-keys.tar" => "ssh-host-keys",
        "mysql.sql.gz"
        | "mysql-binary-backup-sentinel"
        | "logical-external-database-backup-sentinel"
        | "xtrabackup_checkpoints"
        | "xtrabackup-export.log" => "mysql",
        "redis.rdb" => "redis",
        "es-scan-complete" => "audit-log",
        "github-secrets.tar" => "secrets",
        file if SECRETS.iter().any(|row| row.file == file) => "secrets",
        _ => "other",
    }
}

/// Entries that every snapshot has (contract §4.3), and their datasets.
const NEEDED: &[(&str, &str)] = &[
    ("version", "settings"),
    ("strategy", "settings"),
    ("settings.json", "settings"),
    ("enterprise.ghl", "settings"),
    ("authorized-keys.json", "authorized-keys"),
    ("ssh-host-keys.tar", "ssh-host-keys"),
    ("redis.rdb", "redis"),
    ("audit-log", "audit-log"),
    ("repositories", "repositories"),
    ("storage", "storage"),
];

/// What is missing, by dataset, and what is worth knowing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) problems: Vec<(&'static str, String)>,
    pub(super) warnings: Vec<String>,
}

/// Judges the root of a snapshot: its names as they were found and are stored, its release, and its feature flags.
pub(super) fn judge(
    root: &BTreeSet<Vec<u8>>,
    version: Option<&Version>,
    flag: &dyn Fn(&str) -> bool,
) -> Judgement {
    let has = |name: &str| root.contains(name.as_bytes());
    let mut judgement = Judgement::default();
    for (name, dataset) in NEEDED {
        if !has(name) {
            judgement.problems.push((dataset, format!("`{name}` is missing")));
        }
    }
    if !has("mysql.sql") && !has("mysql.sql.gz") {
        if flag("mysql.external.enabled") {
            judgement
                .warnings
                .push("the database is an external one and was not saved with the snapshot".into());
        } else {
            judgement.problems.push(("mysql", "`mysql.sql.gz` is missing".into()));
        }
    }
    if !has("pages") {
        judgement
            .warnings
            .push("it has no pages; backup-utils was told to leave them out, or there are none".into());
    }
    if has("version") && version.is_none() {
        judgement.problems.push(("settings", "the file `version` names no release".into()));
    }
    if let Some(version) = version {
        secrets(root, version, flag, &mut judgement);
    }
    judgement
}

/// Secrets that a release or a feature has and the snapshot has not (contract §2.3).
fn secrets(
    root: &BTreeSet<Vec<u8>>,
    version: &Version,
    flag: &dyn Fn(&str) -> bool,
    judgement: &mut Judgement,
) {
    let missing = |wanted: &dyn Fn(&SecretRow) -> bool| -> Vec<&'static str> {
        let rows = SECRETS.iter().filter(|row| !row.best_effort && wanted(row));
        rows.map(|row| row.file).filter(|file| !root.contains(file.as_bytes())).collect()
    };
    let of_release = missing(&|row| row.applies_to(version, |_| false));
    let of_features = missing(&|row| matches!(row.when, When::Flag(name) if flag(name)));
    if !of_features.is_empty() {
        judgement.warnings.push(format!(
            "secrets of features that are on, not set or not saved: {}",
            of_features.join(", ")
        ));
    }
    if of_release.is_empty() {
        return;
    }
    let names = of_release.join(", ");
    if root.contains(&b"github-secrets.tar"[..]) {
        judgement
            .warnings
            .push(format!("secrets without a file of their own, perhaps in `github-secrets.tar`: {names}"));
        return;
    }
    judgement
        .problems
        .push(("secrets", format!("release {version} needs these secrets, and they are missing: {names}")));
    let signing_in = of_release.iter().any(|file| {
        *file == DERIVED_FROM || *file == DERIVED_FILE || file.starts_with("secret-scanning-encrypted")
    });
    if signing_in {
        judgement.warnings.push(
            "after a restore of this snapshot users cannot sign in: clients 3.7.0, 3.8.0 and 3.9.0 did not save the \
             encryption keys. Save them from the appliance while it runs, or take a backup of it"
                .into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A whole snapshot of 3.11.
    fn whole() -> BTreeSet<Vec<u8>> {
        let plain = NEEDED.iter().map(|(name, _)| *name).chain(["mysql.sql", "pages"]);
        let secrets = SECRETS.iter().filter(|row| !matches!(row.when, When::Flag(_))).map(|row| row.file);
        plain.chain(secrets).map(|name| name.as_bytes().to_vec()).collect()
    }

    fn judged(root: &BTreeSet<Vec<u8>>, flags: &[&str]) -> Judgement {
        judge(root, Some(&Version::new(3, 11, 0)), &|name| flags.contains(&name))
    }

    #[test]
    fn a_whole_snapshot_lacks_nothing() {
        assert_eq!(judged(&whole(), &[]), Judgement::default());
    }

    #[test]
    fn a_snapshot_of_a_client_that_did_not_save_the_keys_says_that_nobody_can_sign_in() {
        let mut root = whole();
        root.remove(DERIVED_FROM.as_bytes());
        root.remove(DERIVED_FILE.as_bytes());
        let judgement = judged(&root, &[]);
        assert_eq!(judgement.problems.len(), 1);
        assert!(judgement.problems[0].1.contains(DERIVED_FROM), "{judgement:?}");
        assert!(judgement.warnings[0].contains("cannot sign in"), "{judgement:?}");
        let old = judge(&root, Some(&Version::new(3, 6, 9)), &|_| false);
        assert_eq!(old, Judgement::default(), "release 3.6 had no such keys");
    }

    #[test]
    fn what_every_snapshot_has_is_missed_by_name() {
        let mut root = whole();
        for name in ["redis.rdb", "mysql.sql"] {
            root.remove(name.as_bytes());
        }
        let problems = judged(&root, &[]).problems;
        assert_eq!(
            problems,
            [("redis", "`redis.rdb` is missing".into()), ("mysql", "`mysql.sql.gz` is missing".into())]
        );
        assert_eq!(judged(&root, &["mysql.external.enabled"]).problems.len(), 1);
    }

    #[test]
    fn an_archive_of_secrets_may_hold_what_has_no_file() {
        let mut root = whole();
        root.remove(&b"manage-password"[..]);
        root.insert(b"github-secrets.tar".to_vec());
        let judgement = judged(&root, &[]);
        assert!(judgement.problems.is_empty() && judgement.warnings[0].contains("manage-password"));
    }

    #[test]
    fn secrets_of_features_are_told_and_no_problem_since_they_may_be_unset() {
        let judgement = judged(&whole(), &["app.packages.enabled"]);
        assert!(judgement.problems.is_empty() && judgement.warnings[0].contains("packages-s3-bucket"));
    }

    #[test]
    fn every_file_has_an_owner() {
        assert_eq!(owner(b"manage-password"), "secrets");
        assert_eq!(owner(b"audit-log/x.gz"), "audit-log");
        assert_eq!(owner(b"something-new"), "other");
    }
}
