//! The steps that a restore to an appliance can consist of, and what they are called.

use serde::Serialize;

/// How the MySQL dump is imported (contract §5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Importer {
    /// `ghe-import-mysql-mysqldump`.
    Logical,
    /// `ghe-import-mysql`.
    Legacy,
    /// `ghe-import-mysql-xtrabackup`, after one decompression if `wrapped`.
    Binary {
        /// The client that took the dump compressed it once more.
        wrapped: bool,
    },
    /// A program of the user's on this host, for an external database.
    Script,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "`Step::words` says what each step does")]
pub enum Step {
    ClientStamp,
    StopSchedules,
    Secrets,
    License,
    Settings,
    Saml,
    CaCertificates,
    EnsureServices,
    Uuid,
    Mysql(Importer),
    ActionsStop,
    Mssql,
    ActionsFiles,
    Minio,
    MigrationSentinel,
    Redis,
    Repositories,
    Gists,
    Pages,
    AuthorizedKeys,
    Storage,
    GitHooks,
    Elasticsearch,
    AuditLog,
    HoldConnect,
    NomadCleanup,
    ConfigApply,
    ClearConnect,
    StaleNodes,
    Complete,
    SshHostKeys,
}

impl Step {
    /// The step in a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::ClientStamp => "stamp the client's version",
            Self::StopSchedules => "mark as restoring; stop cron and github-timerd",
            Self::Secrets => "set secrets",
            Self::License => "import the licence",
            Self::Settings => "import settings",
            Self::Saml => "unpack SAML keys",
            Self::CaCertificates => "import certificate authorities",
            Self::EnsureServices => "start MySQL and Elasticsearch",
            Self::Uuid => "set the appliance's identity; reset consul",
            Self::Mysql(Importer::Logical) => "import MySQL (logical dump of an external database)",
            Self::Mysql(Importer::Legacy) => "import MySQL (logical dump)",
            Self::Mysql(Importer::Script) => {
                "restore the external MySQL database with the program of the configuration"
            }
            Self::Mysql(Importer::Binary { .. }) => "import MySQL (binary dump)",
            Self::ActionsStop => "stop GitHub Actions",
            Self::Mssql => "import the databases of GitHub Actions",
            Self::ActionsFiles => "send the files of GitHub Actions; repair its database logins",
            Self::Minio => "send MinIO's files",
            Self::MigrationSentinel => "mark the audit log as migrated",
            Self::Redis => "import Redis",
            Self::Repositories => "send repository networks; Git maintenance is paused",
            Self::Gists => "send gists",
            Self::Pages => "send Pages sites",
            Self::AuthorizedKeys => "import administrators' SSH keys",
            Self::Storage => "send storage objects",
            Self::GitHooks => "send and unpack git hooks",
            Self::Elasticsearch => "send search indices",
            Self::AuditLog => "load the audit log",
            Self::HoldConnect => "hold GitHub Connect's jobs",
            Self::NomadCleanup => "clean up nomad",
            Self::ConfigApply => "apply the configuration",
            Self::ClearConnect => "clear GitHub Connect's settings",
            Self::StaleNodes => "remove nodes of the source from the registry",
            Self::Complete => "mark as complete; start cron",
            Self::SshHostKeys => "import SSH host keys (the host key changes)",
        }
    }

    /// A dataset beside others: when it fails, the others still run.
    #[must_use]
    pub fn is_beside_others(self) -> bool {
        matches!(
            self,
            Self::Redis
                | Self::Repositories
                | Self::Gists
                | Self::Pages
                | Self::AuthorizedKeys
                | Self::Storage
                | Self::GitHooks
                | Self::Elasticsearch
                | Self::AuditLog
        )
    }

    /// The name in progress events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientStamp => "client-stamp",
            Self::StopSchedules => "stop-schedules",
            Self::Secrets => "secrets",
            Self::License => "license",
            Self::Settings => "settings",
            Self::Saml => "saml",
            Self::CaCertificates => "ca-certificates",
            Self::EnsureServices => "ensure-services",
            Self::Uuid => "uuid",
            Self::Mysql(_) => "mysql",
            Self::ActionsStop => "actions-stop",
            Self::Mssql => "mssql",
            Self::ActionsFiles => "actions",
            Self::Minio => "minio",
            Self::MigrationSentinel => "migration-sentinel",
            Self::Redis => "redis",
            Self::Repositories => "repositories",
            Self::Gists => "gists",
            Self::Pages => "pages",
            Self::AuthorizedKeys => "authorized-keys",
            Self::Storage => "storage",
            Self::GitHooks => "git-hooks",
            Self::Elasticsearch => "elasticsearch",
            Self::AuditLog => "audit-log",
            Self::HoldConnect => "hold-connect",
            Self::NomadCleanup => "nomad-cleanup",
            Self::ConfigApply => "config-apply",
            Self::ClearConnect => "clear-connect",
            Self::StaleNodes => "stale-nodes",
            Self::Complete => "complete",
            Self::SshHostKeys => "ssh-host-keys",
        }
    }
}
