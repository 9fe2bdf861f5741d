//! What the schedule must remember across crashes and reboots: a few instants for each task.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{StateError, StateFolder, Task};

const LEDGER: &str = "schedule.json";
const HOST: &str = "host.id";

/// An activation that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Id of the run.
    pub run: String,
    /// When it was due.
    pub due: Timestamp,
    /// When it was started.
    pub began: Timestamp,
    /// Which try it is, from 1.
    pub attempt: u32,
}

/// Another try of an activation that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// When the activation was due.
    pub due: Timestamp,
    /// Not before this.
    pub at: Timestamp,
    /// Which try it will be.
    pub attempt: u32,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLedger {
    /// Everything that was due until then is dealt with.
    pub handled: Timestamp,
    /// What was started and has not ended as far as is known; written before it is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Started>,
    /// What will be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// All tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// By task.
    #[serde(default)]
    pub tasks: BTreeMap<Task, TaskLedger>,
}

impl StateFolder {
    /// What the schedule remembers.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn ledger(&self) -> Result<Ledger, StateError> {
        Ok(self.record(LEDGER)?.unwrap_or_default())
    }

    /// Remembers.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_ledger(&self, ledger: &Ledger) -> Result<(), StateError> {
        self.put_record(LEDGER, ledger)
    }

    /// A random name of this state folder, made at its first use; jitter hangs on it.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn host_id(&self) -> Result<String, StateError> {
        if let Some(text) = self.read(HOST)?.filter(|text| !text.trim().is_empty()) {
            return Ok(text.trim().to_owned());
        }
        let id = run_id();
        self.write(HOST, id.as_bytes())?;
        Ok(id)
    }
}

/// A fresh random id, 16 hexadecimal digits.
#[must_use]
pub fn run_id() -> String {
    hex::encode(rand::rng().random::<[u8; 8]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_and_the_name_of_the_host_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        assert_eq!(state.ledger().unwrap(), Ledger::default());
        let at = Timestamp::from_second(5).unwrap();
        let started = Started { run: run_id(), due: at, began: at, attempt: 1 };
        let retry = Retry { due: at, at, attempt: 2 };
        let task = TaskLedger { handled: at, running: Some(started), retry: Some(retry) };
        let ledger = Ledger { tasks: [(Task::Backup, task)].into() };
        state.put_ledger(&ledger).unwrap();
        assert_eq!(state.ledger().unwrap(), ledger);
        assert_eq!(state.host_id().unwrap(), state.host_id().unwrap());
        assert_eq!(state.host_id().unwrap().len(), 16);
    }
}
