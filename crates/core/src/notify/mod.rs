//! What people and their machines are told, and when again: pure. Sending is the face's.

mod digest;
mod format;
mod queue;
mod template;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use digest::digest;
pub use format::{Signed, ping_body, ping_id, plain, signed, slack};
pub use queue::{Next, Queue, Waiting};
pub use template::{Part, TemplateError, Templates};

use crate::state::{RunRecord, RunResult, StateError, StateFolder};

const TOLD: &str = "told.json";
/// Trouble that lasts is told again after this.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good news, or a test.
    Info,
    /// Somebody should look today.
    Warning,
    /// Somebody should look now.
    Critical,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The same whenever it is sent, so that a receiver can tell a second copy.
    pub id: String,
    /// When it was made.
    pub at: Timestamp,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about: `backup`, `verify`, `forget`, `prune`, `locks`, `drill`, `objective`, `digest` or `test`.
    pub subject: String,
    /// One line.
    pub title: String,
    /// The appliance.
    pub host: String,
    /// The vault, without anything secret.
    pub vault: String,
    /// More lines; only a digest has some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// The run, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunRecord>,
}

impl Message {
    /// A message about the vault `place.1` of the appliance `place.0`.
    #[must_use]
    pub fn new(
        at: Timestamp,
        severity: Severity,
        subject: impl Into<String>,
        title: impl Into<String>,
        place: (&str, &str),
    ) -> Self {
        let (subject, title) = (subject.into(), title.into());
        let id = hex::encode(&Sha256::digest(format!("{at}\n{subject}\n{title}"))[..8]);
        let (host, vault) = (place.0.to_owned(), place.1.to_owned());
        Self { id, at, severity, subject, title, host, vault, lines: Vec::new(), run: None }
    }
}

/// What was told last about a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fact {
    state: String,
    trouble: bool,
    at: Timestamp,
}

/// What was told; kept in the state folder, so that a restart tells nothing twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told(BTreeMap<String, Fact>);

impl Told {
    /// Whether to tell that `subject` is in `state`: trouble that is new, has changed or has lasted for a day, and the end of trouble.
    pub fn tell(&mut self, subject: &str, state: &str, trouble: bool, now: Timestamp) -> bool {
        let old = self.0.get(subject);
        let tell = match old {
            None => trouble,
            Some(old) if trouble => {
                let age = now.duration_since(old.at);
                !old.trouble || old.state != state || age >= AGAIN || age.is_negative()
            }
            Some(old) => old.trouble,
        };
        if tell || old.is_none_or(|old| old.trouble != trouble) {
            self.0.insert(subject.to_owned(), Fact { state: state.to_owned(), trouble, at: now });
        }
        tell
    }
}

/// How much the end of a run matters; nothing for one that will be tried again without anybody's help.
#[must_use]
pub fn severity(record: &RunRecord) -> Option<Severity> {
    match record.result {
        RunResult::Complete => Some(Severity::Info),
        RunResult::Locked | RunResult::Interrupted => None,
        RunResult::Partial | RunResult::Failed => Some(Severity::Warning),
        RunResult::Refused | RunResult::Damage => Some(Severity::Critical),
    }
}

/// The end of a run in one line.
#[must_use]
pub fn title(record: &RunRecord) -> String {
    let task = record.task.name();
    match (record.result, record.details.reason.as_deref()) {
        (RunResult::Complete, _) => format!("{task} is complete"),
        (result, Some(why)) => format!("{task} is {}: {why}", result.name()),
        (result, None) => format!("{task} is {}", result.name()),
    }
}

impl StateFolder {
    /// What was told.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn told(&self) -> Result<Told, StateError> {
        Ok(self.record(TOLD)?.unwrap_or_default())
    }

    /// Remembers what was told.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_told(&self, told: &Told) -> Result<(), StateError> {
        self.put_record(TOLD, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once_a_day_and_when_it_changes_and_when_it_ends() {
        let mut told = Told::default();
        let hour = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        assert!(!told.tell("backup", "complete", false, hour(0)));
        assert!(told.tell("backup", "failed: a", true, hour(1)));
        assert!(!told.tell("backup", "failed: a", true, hour(2)));
        assert!(told.tell("backup", "failed: b", true, hour(3)));
        assert!(!told.tell("backup", "failed: b", true, hour(26)));
        assert!(told.tell("backup", "failed: b", true, hour(27)));
        assert!(told.tell("backup", "complete", false, hour(28)));
        assert!(!told.tell("backup", "complete", false, hour(29)));
        assert!(told.tell("verify", "damage", true, hour(29)));
        assert!(told.tell("backup", "failed: b", true, hour(30)));
    }
}
