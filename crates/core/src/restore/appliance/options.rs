//! What a restore to an appliance is told to do.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde::Serialize;

/// A part of a snapshot that can be chosen by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dataset {
    /// Keys in the appliance's `secrets.conf`.
    Secrets,
    /// Settings, licence, SAML keys, certificate authorities.
    Settings,
    /// The appliance's identity.
    Uuid,
    /// The MySQL database.
    Mysql,
    /// The databases of GitHub Actions.
    Mssql,
    /// The files of GitHub Actions.
    Actions,
    /// The buckets of MinIO.
    Minio,
    /// The Redis database.
    Redis,
    /// Repository networks with their wikis, and the special folders beside them.
    Repositories,
    /// Gists.
    Gists,
    /// Pages sites.
    Pages,
    /// Keys of the appliance's administrators.
    AuthorizedKeys,
    /// LFS objects, release assets, avatars, attachments.
    Storage,
    /// Custom git hooks.
    GitHooks,
    /// Search indices.
    Elasticsearch,
    /// Audit log.
    AuditLog,
    /// The appliance's SSH host keys.
    SshHostKeys,
}

impl Dataset {
    /// All datasets, in the order of a restore.
    pub const ALL: [Self; 17] = [
        Self::Secrets,
        Self::Settings,
        Self::Uuid,
        Self::Mysql,
        Self::Mssql,
        Self::Actions,
        Self::Minio,
        Self::Redis,
        Self::Repositories,
        Self::Gists,
        Self::Pages,
        Self::AuthorizedKeys,
        Self::Storage,
        Self::GitHooks,
        Self::Elasticsearch,
        Self::AuditLog,
        Self::SshHostKeys,
    ];

    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Settings => "settings",
            Self::Uuid => "uuid",
            Self::Mysql => "mysql",
            Self::Mssql => "mssql",
            Self::Actions => "actions",
            Self::Minio => "minio",
            Self::Redis => "redis",
            Self::Repositories => "repositories",
            Self::Gists => "gists",
            Self::Pages => "pages",
            Self::AuthorizedKeys => "authorized-keys",
            Self::Storage => "storage",
            Self::GitHooks => "git-hooks",
            Self::Elasticsearch => "elasticsearch",
            Self::AuditLog => "audit-log",
            Self::SshHostKeys => "ssh-host-keys",
        }
    }

    /// The dataset with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dataset| dataset.name() == name)
    }
}

/// What is known of a snapshot's completeness; the seal tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Its seal is valid and says that everything is there.
    Sealed,
    /// Its seal is valid and names what is missing.
    Partial(String),
    /// It has no valid seal, for this reason.
    Unsealed(String),
}

/// How to restore.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
pub struct ApplianceOptions {
    /// The appliance as the user named it.
    pub host: String,
    /// The host name that the user typed to confirm; `None` when nothing was typed.
    pub confirmation: Option<String>,
    /// Restore the settings too (implied on an unconfigured target).
    pub settings: bool,
    /// Make a staging copy that keeps its own identity and does not act for the source.
    pub isolated: bool,
    /// Leave the audit log out.
    pub skip_audit_log: bool,
    /// Leave MySQL out; only for external databases (contract §5.1).
    pub skip_mysql: bool,
    /// Restore the password of the Management Console (contract §8.2).
    pub console_password: bool,
    /// Program on this host that restores an external database (contract §5.5).
    pub external_mysql_script: Option<PathBuf>,
    /// Datasets to restore; empty: all.
    pub only: BTreeSet<Dataset>,
    /// Restore a snapshot that is not sealed as complete.
    pub accept_incomplete: bool,
    /// What the appliance is told about us: name of the client in its log (contract §1.9).
    pub client: String,
    /// Release that is stamped as the client's (contract §1.9).
    pub client_version: String,
    /// Folder of the appliance's data, `/data/user`.
    pub data_root: String,
    /// Longest silence of the appliance while data moves.
    pub idle: Duration,
    /// Seconds granted to running Git maintenance to end.
    pub drain_s: u64,
}

impl ApplianceOptions {
    /// The usual options for a host.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            confirmation: None,
            settings: false,
            isolated: false,
            skip_audit_log: false,
            skip_mysql: false,
            console_password: true,
            external_mysql_script: None,
            only: BTreeSet::new(),
            accept_incomplete: false,
            client: "ghevault".into(),
            client_version: env!("CARGO_PKG_VERSION").into(),
            data_root: "/data/user".into(),
            idle: Duration::from_mins(10),
            drain_s: 600,
        }
    }

    /// Whether a dataset was chosen.
    #[must_use]
    pub fn wants(&self, dataset: Dataset) -> bool {
        (self.only.is_empty() || self.only.contains(&dataset))
            && !(self.isolated && super::isolated::LEFT_OUT.contains(&dataset))
            && !(dataset == Dataset::AuditLog && self.skip_audit_log)
            && !(dataset == Dataset::Mysql && self.skip_mysql)
    }
}
