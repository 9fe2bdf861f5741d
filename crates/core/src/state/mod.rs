//! The small durable files of a backup host: the seal key, the journal of an open gate, what the schedule remembers, what was run.
//!
//! Every write is a temporary file, a sync and a rename, so that a killed process leaves the old or the new content, never half.

mod drilled;
mod ledger;
mod live;
mod memory;
mod odd;
mod records;
mod runs;
mod witnessed;

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use drilled::Drilled;
pub use ledger::{Ledger, Retry, Started, TaskLedger, run_id};
pub use live::{DaemonMark, LiveMark, LiveRun};
pub use odd::{OddSnapshot, OddState};
pub use records::{RestoreRecord, VerifyRecord, runs_elsewhere};
pub use runs::{Counts, DatasetRun, History, RunDetails, RunRecord, RunResult, Task, Trigger};
pub use witnessed::Witnessed;

use crate::{appliance::gate::GateMark, seal::SealKey};

/// Why a file of the state folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The content makes no sense.
    #[error("`{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The state folder of a backup host.
#[derive(Clone, Debug)]
pub struct StateFolder {
    root: PathBuf,
}

/// A gate that a run has closed and not yet opened, as written down before anything can go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRecord {
    /// The appliance as it was named.
    pub host: String,
    /// Which file on the appliance.
    pub mark: GateMark,
    /// Process that holds it.
    pub pid: u32,
    /// Name of the machine behind `host`; empty for a single appliance.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// Gates on other machines of the same fleet: replicas, or nodes of a cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<NodeGate>,
}

/// A gate on another machine than the one that was connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGate {
    /// Name of the machine.
    pub node: String,
    /// Which file there.
    pub mark: GateMark,
}

impl GateRecord {
    /// Whether this record is about the gate `mark` on the machine `node` (empty when nameless) that answers as `host`.
    #[must_use]
    pub fn made(&self, host: &str, node: &str, mark: &GateMark) -> bool {
        let here = self.host == host || (!node.is_empty() && self.node == node);
        (here && self.mark == *mark) || self.others.iter().any(|one| one.node == node && one.mark == *mark)
    }

    /// The record of a single appliance's gate.
    #[must_use]
    pub fn single(host: impl Into<String>, mark: GateMark, pid: u32) -> Self {
        Self { host: host.into(), mark, pid, node: String::new(), others: Vec::new() }
    }
}

impl StateFolder {
    /// Uses `root`, which is made if it is missing (mode 0700).
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(root: &Path) -> Result<Self, StateError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(|source| StateError::Io {
            action: "create",
            path: root.into(),
            source,
        })?;
        Ok(Self { root: root.into() })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The key that signs seals; made at its first use.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn seal_key(&self) -> Result<SealKey, StateError> {
        let path = self.root.join("seal.key");
        if let Some(text) = self.read("seal.key")? {
            return SealKey::from_text(&text)
                .map_err(|source| StateError::Damaged { path, reason: source.to_string() });
        }
        let key = SealKey::generate();
        let Some(text) = key.to_text() else { return Ok(key) };
        // Shards that share a state folder may come here at once: the first one's key is everybody's.
        if self.create("seal.key", text.as_bytes())? { Ok(key) } else { self.seal_key() }
    }

    /// The gate that a run of this host has left open in the books.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn gate(&self) -> Result<Option<GateRecord>, StateError> {
        let Some(text) = self.read("gate.json")? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|source| StateError::Damaged {
            path: self.root.join("gate.json"),
            reason: source.to_string(),
        })
    }

    /// Writes down that a gate is closed.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn record_gate(&self, record: &GateRecord) -> Result<(), StateError> {
        let text = serde_json::to_string(record).map_err(|source| StateError::Damaged {
            path: self.root.join("gate.json"),
            reason: source.to_string(),
        })?;
        self.write("gate.json", text.as_bytes())
    }

    /// Forgets the gate: it is open again.
    ///
    /// # Errors
    /// The record cannot be removed.
    pub fn forget_gate(&self) -> Result<(), StateError> {
        let path = self.root.join("gate.json");
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Io { action: "remove", path, source })
            }
            _ => Ok(()),
        }
    }

    fn read(&self, name: &str) -> Result<Option<String>, StateError> {
        let path = self.root.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::Io { action: "read", path, source }),
        }
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), StateError> {
        let path = self.root.join(name);
        let fail = |source: io::Error| StateError::Io { action: "write", path: path.clone(), source };
        self.prepared(content).map_err(fail)?.persist(&path).map_err(|error| fail(error.error))?;
        fs::File::open(&self.root).and_then(|folder| folder.sync_all()).map_err(fail)
    }

    /// Writes a file unless there is one of that name; tells whether it did.
    fn create(&self, name: &str, content: &[u8]) -> Result<bool, StateError> {
        let path = self.root.join(name);
        let fail = |source: io::Error| StateError::Io { action: "write", path: path.clone(), source };
        match self.prepared(content).map_err(fail)?.persist_noclobber(&path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(fail(error.error)),
        }
        fs::File::open(&self.root).and_then(|folder| folder.sync_all()).map_err(fail)?;
        Ok(true)
    }

    fn prepared(&self, content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::NamedTempFile::new_in(&self.root)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seal_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("a/b")).unwrap();
        let key = state.seal_key().unwrap().public();
        assert_eq!(state.seal_key().unwrap().public(), key);
        let mode = fs::metadata(state.path().join("seal.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn of_many_that_need_a_seal_key_at_once_all_get_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        let barrier = std::sync::Barrier::new(8);
        let keys: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
            let one = || {
                barrier.wait();
                state.seal_key().unwrap().public()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn a_gate_is_remembered_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        assert_eq!(state.gate().unwrap(), None);
        let record = GateRecord::single("h", GateMark { inode: 1, mtime: 2 }, 3);
        state.record_gate(&record).unwrap();
        assert_eq!(state.gate().unwrap(), Some(record));
        state.forget_gate().unwrap();
        state.forget_gate().unwrap();
        assert_eq!(state.gate().unwrap(), None);
    }

    #[test]
    fn a_record_of_an_earlier_release_is_still_read() {
        let dir = tempfile::tempdir().unwrap();
        let old = r#"{"host":"h","mark":{"inode":1,"mtime":2},"pid":3}"#;
        fs::write(dir.path().join("gate.json"), old).unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        let record = GateRecord::single("h", GateMark { inode: 1, mtime: 2 }, 3);
        assert_eq!(state.gate().unwrap().as_ref(), Some(&record));
        state.record_gate(&record).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("gate.json")).unwrap(), old);
    }

    #[test]
    fn a_damaged_record_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("gate.json"), "{").unwrap();
        let text = StateFolder::open(dir.path()).unwrap().gate().unwrap_err().to_string();
        assert!(text.contains("gate.json"), "{text}");
    }
}
