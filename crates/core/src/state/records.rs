//! What this host has learned about its vault and its restores: proofs and a measured speed, for whoever must choose
//! between two ways back in a hurry.

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{GateRecord, StateError, StateFolder};

const VERIFIED: &str = "verified.json";
const RESTORED: &str = "restored.json";
/// Proofs that are kept, the newest ones.
const KEPT: usize = 500;

/// A snapshot that was verified as sound and complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyRecord {
    /// Id of the vault.
    pub vault: String,
    /// Id of the snapshot.
    pub snapshot: String,
    /// 1: presence, 2: every byte.
    pub depth: u8,
    /// When.
    pub at: Timestamp,
}

/// A restore to an appliance that ended complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestoreRecord {
    /// Id of the snapshot.
    pub snapshot: String,
    /// The appliance.
    pub host: String,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// When it ended.
    pub at: Timestamp,
}

impl GateRecord {
    /// Whether the process that recorded the gate is still there, and is not this one.
    #[must_use]
    pub fn holder_lives(&self) -> bool {
        runs_elsewhere(self.pid)
    }
}

/// Whether a process is there, and is not this one: in a container every run has the same number.
#[must_use]
pub fn runs_elsewhere(pid: u32) -> bool {
    let other = pid != std::process::id();
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // A process of somebody else is no run of ours.
    other && pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

impl StateFolder {
    /// Proofs of this host, oldest first.
    ///
    /// # Errors
    /// The records cannot be read.
    pub fn verified(&self) -> Result<Vec<VerifyRecord>, StateError> {
        Ok(self.record(VERIFIED)?.unwrap_or_default())
    }

    /// Adds proofs. A later proof of the same snapshot takes an earlier one's place, unless it looked less deep.
    ///
    /// # Errors
    /// The records cannot be read or written.
    pub fn record_verified(&self, fresh: &[VerifyRecord]) -> Result<(), StateError> {
        let mut all = self.verified()?;
        for record in fresh {
            let same = |old: &VerifyRecord| old.vault == record.vault && old.snapshot == record.snapshot;
            all.retain(|old| !(same(old) && old.depth <= record.depth));
            all.push(record.clone());
        }
        let surplus = all.len().saturating_sub(KEPT);
        all.drain(..surplus);
        self.put_record(VERIFIED, &all)
    }

    /// Takes proofs of snapshots back: they were found damaged.
    ///
    /// # Errors
    /// The records cannot be read or written.
    pub fn forget_verified(&self, vault: &str, snapshots: &[String]) -> Result<(), StateError> {
        let mut all = self.verified()?;
        let before = all.len();
        all.retain(|old| old.vault != vault || !snapshots.contains(&old.snapshot));
        if all.len() == before { Ok(()) } else { self.put_record(VERIFIED, &all) }
    }

    /// The last large restore to an appliance.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn restored(&self) -> Result<Option<RestoreRecord>, StateError> {
        self.record(RESTORED)
    }

    /// Remembers a restore.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn record_restored(&self, record: &RestoreRecord) -> Result<(), StateError> {
        self.put_record(RESTORED, record)
    }

    pub(crate) fn record<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let Some(text) = self.read(name)? else { return Ok(None) };
        let damaged = |why: serde_json::Error| StateError::Damaged {
            path: self.root.join(name),
            reason: why.to_string(),
        };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    pub(crate) fn put_record(&self, name: &str, value: &impl Serialize) -> Result<(), StateError> {
        let text = serde_json::to_string(value).map_err(|why| StateError::Io {
            action: "write",
            path: self.root.join(name),
            source: io::Error::other(why),
        })?;
        self.write(name, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(snapshot: &str, depth: u8, at: i64) -> VerifyRecord {
        let at = Timestamp::from_second(at).unwrap();
        VerifyRecord { vault: "v".into(), snapshot: snapshot.into(), depth, at }
    }

    #[test]
    fn the_deepest_and_latest_proof_of_a_snapshot_is_kept_and_can_be_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        assert!(state.verified().unwrap().is_empty());
        state.record_verified(&[proof("a", 2, 1), proof("b", 1, 1)]).unwrap();
        state.record_verified(&[proof("b", 2, 2), proof("a", 1, 3)]).unwrap();
        assert_eq!(state.verified().unwrap(), [proof("a", 2, 1), proof("b", 2, 2), proof("a", 1, 3)]);
        state.forget_verified("other", &["a".into()]).unwrap();
        state.forget_verified("v", &["a".into()]).unwrap();
        assert_eq!(state.verified().unwrap(), [proof("b", 2, 2)]);
    }

    #[test]
    fn a_gate_is_held_while_the_process_of_its_record_lives() {
        let record = |pid| GateRecord { pid, ..serde_json::from_str(GATE).unwrap() };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(record(child.id()).holder_lives());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!record(child.id()).holder_lives());
        assert!(!record(std::process::id()).holder_lives());
    }

    const GATE: &str = r#"{"host":"h","mark":{"inode":1,"mtime":2},"pid":0}"#;

    #[test]
    fn the_last_restore_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        assert_eq!(state.restored().unwrap(), None);
        let at = Timestamp::from_second(1).unwrap();
        let record =
            RestoreRecord { snapshot: "a".into(), host: "h".into(), bytes: 1 << 30, seconds: 8.5, at };
        state.record_restored(&record).unwrap();
        assert_eq!(state.restored().unwrap(), Some(record));
    }
}
