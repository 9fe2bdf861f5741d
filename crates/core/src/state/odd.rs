//! What this host knows of snapshots that look odd, for the status page, which opens no vault.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StateError, StateFolder};

const ODD: &str = "findings.json";
/// Snapshots that are kept besides those in quarantine, the newest ones.
const KEPT: usize = 50;

/// What counts for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OddState {
    /// It looks like an attack, and nobody has said yet that it is none.
    Quarantined,
    /// Somebody says that it is none.
    Acknowledged,
    /// Compared again, with another snapshot, it looks like none.
    Cleared,
    /// Something is odd, and no more.
    Noted,
}

impl OddState {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Quarantined => "in quarantine",
            Self::Acknowledged => "acknowledged",
            Self::Cleared => "cleared",
            Self::Noted => "noted",
        }
    }
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OddSnapshot {
    /// The vault, as it is shown.
    pub vault: String,
    /// Id of the snapshot.
    pub snapshot: String,
    /// Its seal.
    pub seal: String,
    /// The moment that it shows.
    pub time: Timestamp,
    /// What counts.
    pub state: OddState,
    /// The words of whoever acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when that counts.
    pub at: Timestamp,
    /// What is odd, worst first, one line each.
    pub findings: Vec<String>,
}

impl StateFolder {
    /// Snapshots that look odd, oldest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn odd(&self) -> Result<Vec<OddSnapshot>, StateError> {
        Ok(self.record(ODD)?.unwrap_or_default())
    }

    /// Remembers all that is known of one vault; what was known of it before is replaced.
    ///
    /// # Errors
    /// The records cannot be read or written.
    pub fn put_odd(&self, vault: &str, fresh: Vec<OddSnapshot>) -> Result<(), StateError> {
        let before = self.odd()?;
        let mut all: Vec<OddSnapshot> = before.iter().filter(|one| one.vault != vault).cloned().collect();
        all.extend(fresh);
        all.sort_by(|a, b| (a.time, &a.seal).cmp(&(b.time, &b.seal)));
        let mut surplus =
            all.iter().filter(|one| one.state != OddState::Quarantined).count().saturating_sub(KEPT);
        all.retain(|one| {
            let goes = surplus > 0 && one.state != OddState::Quarantined;
            surplus -= usize::from(goes);
            !goes
        });
        if all == before { Ok(()) } else { self.put_record(ODD, &all) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(vault: &str, second: i64, state: OddState) -> OddSnapshot {
        let time = Timestamp::from_second(second).unwrap();
        let seal = format!("{second:064x}");
        let (vault, snapshot) = (vault.to_owned(), seal.clone());
        OddSnapshot { vault, snapshot, seal, time, state, reason: None, at: time, findings: vec!["x".into()] }
    }

    #[test]
    fn old_ones_go_but_never_one_in_quarantine_and_vaults_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        assert!(state.odd().unwrap().is_empty());
        state.put_odd("v", vec![one("v", 1, OddState::Quarantined), one("v", 2, OddState::Noted)]).unwrap();
        let many = (0..60).map(|second| one("w", second, OddState::Noted)).collect();
        state.put_odd("w", many).unwrap();
        let all = state.odd().unwrap();
        assert_eq!(all.len(), KEPT + 1);
        assert_eq!(all.first(), Some(&one("v", 1, OddState::Quarantined)));
        state.put_odd("w", Vec::new()).unwrap();
        state.put_odd("v", vec![one("v", 1, OddState::Acknowledged)]).unwrap();
        assert_eq!(state.odd().unwrap(), [one("v", 1, OddState::Acknowledged)]);
    }
}
