//! What a snapshot holds, as far as a restore to an appliance decides on it. Reads the snapshot, touches nothing else.

use serde::{Deserialize, Serialize};

use crate::{
    appliance::{
        facts::Version,
        git_config::GitConfig,
        hostkeys::LeakedKeys,
        secret_table::{SECRETS, SecretRow},
    },
    backup::host_keys,
    restore::{
        entry::Entry,
        view::{SnapshotView, ViewError},
    },
};

/// Longest small file that is read for its content, in bytes.
pub const SMALL: u64 = 64 << 20;

/// Files and bytes of a part of the snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How a MySQL dump is stored (contract §2.5, §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DumpKind {
    /// SQL text.
    Logical,
    /// SQL text of an external database.
    LogicalExternal,
    /// A stream of the appliance's binary backup; `wrapped` when the client compressed it once more (2.19.5).
    Binary {
        /// Whether it must be unzipped once before the import.
        wrapped: bool,
    },
}

/// The MySQL dump of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dump {
    /// Its file: `mysql.sql` or `mysql.sql.gz`.
    pub file: &'static str,
    /// Bytes in the snapshot.
    pub bytes: u64,
    /// How it is to be imported.
    pub kind: DumpKind,
}

/// A member of a chain of incremental binary dumps (contract §4.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainMember {
    /// Name of the snapshot that it was in.
    pub snapshot: String,
    /// Its stream in this snapshot.
    pub mysql: String,
}

/// The record of such a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MysqlChain {
    /// The full dump, then the incremental ones, oldest first.
    pub members: Vec<ChainMember>,
}

/// One index of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditIndex {
    /// The index's name.
    pub index: String,
    /// Its file in the snapshot.
    pub file: String,
    /// Whether the file is gzip-compressed.
    pub compressed: bool,
    /// Bytes in the snapshot.
    pub bytes: u64,
}

/// What a snapshot holds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SnapshotContent {
    /// The appliance's release at the time of the backup.
    pub version: Option<Version>,
    /// `rsync` or `cluster` (contract §1.8).
    pub strategy: String,
    /// The appliance's identity.
    pub uuid: Option<String>,
    /// GitHub Actions was on.
    pub actions: bool,
    /// There is a full backup of a database of the Actions cache.
    pub actions_cache: bool,
    /// The database was an external one.
    pub external_database: bool,
    /// Files and directories in the snapshot's root.
    pub root: Vec<String>,
    /// The MySQL dump.
    pub dump: Option<Dump>,
    /// The incremental dumps that belong to the dump, if it is one of a chain; the full one first.
    pub mysql_chain: Vec<ChainMember>,
    /// Secrets that are there.
    #[serde(skip)]
    pub secrets: Vec<&'static SecretRow>,
    /// Indices of the audit log.
    pub audit: Vec<AuditIndex>,
    /// A warning about host keys in the snapshot that are publicly known (contract §9).
    pub leaked_host_keys: Option<String>,
    /// Files and bytes below the directories of the root.
    #[serde(skip)]
    pub amounts: std::collections::BTreeMap<String, Amount>,
}

impl SnapshotContent {
    /// Whether the root of the snapshot has this file or directory.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.root.iter().any(|root| root == name)
    }

    /// Files and bytes of a file or directory of the root.
    #[must_use]
    pub fn amount(&self, name: &str) -> Amount {
        self.amounts.get(name).copied().unwrap_or_default()
    }

    /// Looks at a snapshot.
    ///
    /// # Errors
    /// A part that decides about the restore cannot be read.
    pub fn read(view: SnapshotView<'_>) -> Result<Self, ViewError> {
        let mut content = Self::default();
        let (root, _) = view.children(b"", &view.root())?;
        for entry in &root {
            let Ok(name) = String::from_utf8(entry.name.clone()) else { continue };
            let amount = if entry.is_directory() {
                amount_below(view, entry)
            } else {
                Amount { files: 1, bytes: entry.size }
            };
            content.amounts.insert(name.clone(), amount);
            content.root.push(name);
        }
        let text = |name: &str| -> Result<Option<String>, ViewError> {
            let bytes = view.read(name.as_bytes(), SMALL)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        content.version = text("version")?.as_deref().and_then(Version::parse);
        content.strategy = text("strategy")?.map_or_else(|| "rsync".into(), |s| s.trim().to_owned());
        content.uuid = text("uuid")?.map(|s| s.trim().to_owned()).filter(|s| !s.is_empty());
        let settings = text("settings.json")?.unwrap_or_default();
        content.actions = flag(&settings, "app.actions.enabled");
        content.external_database = flag(&settings, "mysql.external.enabled");
        content.dump = dump(&content, text("mysql-binary-backup-sentinel")?);
        content.mysql_chain = text("ghevault/mysql-chain.json")?
            .and_then(|text| serde_json::from_str::<MysqlChain>(&text).ok())
            .unwrap_or_default()
            .members;
        content.secrets = SECRETS.iter().filter(|secret| content.has(secret.file)).collect();
        content.audit = audit(view, &root)?;
        if let Some(directory) = root.iter().find(|entry| entry.name == b"mssql") {
            let (files, _) = view.children(b"mssql", &directory.kind)?;
            content.actions_cache = files
                .iter()
                .any(|file| file.name.starts_with(b"ArtifactCache") && file.name.ends_with(b".bak"));
        }
        content.leaked_host_keys = view
            .read(b"ssh-host-keys.tar", SMALL)?
            .and_then(|tar| host_keys::warning(&tar, LeakedKeys::known()));
        Ok(content)
    }
}

fn amount_below(view: SnapshotView<'_>, directory: &Entry) -> Amount {
    let mut amount = Amount::default();
    // What cannot be read is named by the step that needs it.
    let _ = view.walk::<ViewError>(&directory.name, &directory.kind, &mut |_, entry| {
        if entry.is_file() {
            amount.files += 1;
            amount.bytes += entry.size;
        }
        Ok(true)
    });
    amount
}

fn dump(content: &SnapshotContent, binary: Option<String>) -> Option<Dump> {
    let file = if content.has("mysql.sql") {
        "mysql.sql"
    } else if content.has("mysql.sql.gz") {
        "mysql.sql.gz"
    } else {
        return None;
    };
    let kind = match binary {
        Some(sentinel) => DumpKind::Binary { wrapped: sentinel.trim() != "NO_ADDITIONAL_COMPRESSION" },
        None if content.has("logical-external-database-backup-sentinel") => DumpKind::LogicalExternal,
        None => DumpKind::Logical,
    };
    Some(Dump { file, bytes: content.amount(file).bytes, kind })
}

fn audit(view: SnapshotView<'_>, root: &[Entry]) -> Result<Vec<AuditIndex>, ViewError> {
    let Some(directory) = root.iter().find(|entry| entry.name == b"audit-log") else { return Ok(Vec::new()) };
    let (files, _) = view.children(b"audit-log", &directory.kind)?;
    let index = |entry: Entry| {
        let file = String::from_utf8(entry.name.clone()).ok()?;
        let (stem, compressed) = file
            .strip_suffix(".json")
            .map(|s| (s, false))
            .or_else(|| file.strip_suffix(".gz").map(|s| (s, true)))?;
        Some(AuditIndex { index: stem.to_owned(), compressed, bytes: entry.size, file: file.clone() })
    };
    Ok(files.into_iter().filter(Entry::is_file).filter_map(index).collect())
}

/// A boolean of the exported settings: git-config text, or JSON (contract §2.4).
#[must_use]
pub fn flag(settings: &str, key: &str) -> bool {
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(settings) {
        let nested = key.split('.').try_fold(&json, |at, part| at.get(part));
        return nested
            .or_else(|| json.get(key))
            .is_some_and(|v| v == &serde_json::Value::Bool(true) || v == "true");
    }
    GitConfig::parse(settings).truth(key)
}

#[cfg(test)]
mod tests {
    use super::flag;

    #[test]
    fn flags_are_read_from_both_forms_of_settings() {
        let text = "[core]\n\tpackage-version = 3.11.0\n[app \"actions\"]\n\tenabled = true\n[mysql \"external\"]\n\tenabled = no\n";
        assert!(flag(text, "app.actions.enabled"));
        assert!(!flag(text, "mysql.external.enabled"));
        assert!(flag(r#"{"app":{"actions":{"enabled":true}}}"#, "app.actions.enabled"));
        assert!(!flag("", "app.actions.enabled"));
        assert!(flag("[mysql.external]\nenabled\n", "mysql.external.enabled"));
    }
}
