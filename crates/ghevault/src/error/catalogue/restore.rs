//! Samples around restores: into folders, onto appliances, of one repository.

use super::{Section, io, section, section_by, text};
use ghevault_core::{
    appliance::facts::Version,
    restore::{
        RestoreError,
        appliance::{ApplianceRestoreError, Refusal},
        repository::RepositoryError,
        view::{SourceError, ViewError},
    },
};

/// All of them.
pub(super) fn sections() -> Vec<Section> {
    vec![view(), folder(), refusal(), repository()]
}

fn view() -> Section {
    let source = || SourceError(text("REASON"));
    let samples = vec![
        ViewError::Directory { path: text("PATH"), source: source() },
        ViewError::File { path: text("PATH"), source: source() },
        ViewError::TooLarge { path: text("PATH"), size: 4096, limit: 1024 },
    ];
    section("Reading a snapshot", ("ViewError", "restore/view.rs"), samples)
}

fn folder() -> Section {
    let target = || text("FOLDER");
    let samples = vec![
        RestoreError::NotInSnapshot { path: text("PATH") },
        RestoreError::NotEmpty { target: target() },
        RestoreError::OtherSnapshot { target: target(), other: text("ID") },
        RestoreError::Busy { target: target() },
        RestoreError::NoSpace { target: target(), needed: 4096, free: 1024 },
        RestoreError::ExportExists { target: target() },
        RestoreError::Missing { what: "version" },
        RestoreError::BadExportName { name: text("NAME") },
        RestoreError::Io { action: "write", path: text("PATH"), source: io() },
    ];
    section("Restores into folders, exports", ("RestoreError", "restore/error.rs"), samples)
}

fn refusal() -> Section {
    let host = || text("HOST");
    let version = |text: &str| Version::parse(text).expect("a release");
    let samples = vec![
        Refusal::NotSealed(text("REASON")),
        Refusal::Cluster(host()),
        Refusal::ClusterSnapshot,
        Refusal::Replication { host: host(), role: "replica" },
        Refusal::OlderTarget { snapshot: version("3.14.2"), target: version("3.13.0") },
        Refusal::NewerTarget { snapshot: version("3.11.0"), target: version("3.14.0") },
        Refusal::NoVersion,
        Refusal::NotConfirmed { host: host() },
        Refusal::ConfirmedOther { typed: text("OTHER"), host: host() },
        Refusal::NoMaintenance(host()),
        Refusal::ExternalDatabase { host: host(), snapshot: "an internal", target: "an external one" },
        Refusal::SkipMysql,
        Refusal::BinaryDump(host()),
        Refusal::ExternalDump("WHAT"),
        Refusal::ActionsOnTarget(host()),
        Refusal::ActionsOffTarget(host()),
        Refusal::ActionsCacheOnTarget(host()),
        Refusal::ActionsCacheInSnapshot(host()),
        Refusal::Isolated { host: host(), why: "REASON" },
        Refusal::BackupService(host()),
    ];
    let of = Some(("Refusal", "restore/appliance/guard.rs"));
    section_by("Restores onto an appliance that a guard refuses", of, samples, |refusal| {
        ApplianceRestoreError::Refused(refusal).into()
    })
}

fn repository() -> Section {
    let (name, what) = (|| text("OWNER/NAME"), || text("REASON"));
    let samples = vec![
        RepositoryError::NotFound { wanted: name(), similar: Vec::new() },
        RepositoryError::Unreadable { wanted: name(), count: 3, path: text("PATH"), what: what() },
        RepositoryError::Ambiguous { wanted: name(), paths: vec![text("PATH"), text("PATH")] },
        RepositoryError::Damaged { name: name(), count: 3, path: text("PATH"), what: what() },
        RepositoryError::Broken { name: name(), what: what() },
        RepositoryError::Unsupported { name: name(), what: what() },
        RepositoryError::Empty { name: name() },
        RepositoryError::Exists { target: text("TARGET") },
        RepositoryError::RemoteNotEmpty { url: text("URL"), refs: 3 },
        RepositoryError::Remote { action: "push to", url: text("URL"), what: what() },
        RepositoryError::BadUrl { url: text("URL"), why: "REASON" },
        RepositoryError::NoGit { source: io() },
        RepositoryError::Git { name: name(), step: text("fsck"), what: what() },
        RepositoryError::Io { action: "write", path: text("PATH"), source: io() },
    ];
    section("One repository", ("RepositoryError", "restore/repository/error.rs"), samples)
}
