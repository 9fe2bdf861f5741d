//! What this host has seen on boards, so that a board cannot show less the next time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    finding::{Finding, FindingKind},
    judge::Judged,
    log::{Entry, Log},
};
use crate::state::{StateError, StateFolder};

/// The file in the state folder.
const FILE: &str = "witness.json";

/// The longest history of an origin that was seen on a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The board.
    pub board: String,
    /// Whose.
    pub origin: String,
    /// When.
    pub at: Timestamp,
    /// All of it.
    pub entries: Vec<Entry>,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    seen: Vec<Remembered>,
}

impl Memory {
    /// What the state folder has.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(state: &StateFolder) -> Result<Self, StateError> {
        Ok(state.recall(FILE)?.unwrap_or_default())
    }

    /// Writes it down.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, state: &StateFolder) -> Result<(), StateError> {
        state.keep(FILE, self)
    }

    /// The histories of an origin, from all boards.
    pub fn logs(&self, origin: &str) -> impl Iterator<Item = Log> {
        self.seen.iter().filter(move |one| one.origin == origin).map(|one| Log::of(&one.entries))
    }

    /// The origins that were seen on a board.
    pub fn origins(&self, board: &str) -> impl Iterator<Item = &str> {
        self.seen.iter().filter(move |one| one.board == board).map(|one| one.origin.as_str())
    }

    /// Whether a board shows at least what it showed before.
    #[must_use]
    pub fn compare(&self, shown: &Judged) -> Option<Finding> {
        let same = |one: &&Remembered| one.board == shown.board && one.origin == shown.origin;
        let before = self.seen.iter().find(same)?;
        let log = Log::of(&before.entries);
        if log.is_prefix_of(&shown.log) {
            return None;
        }
        let found = |kind, what| Some(Finding::new(kind, &shown.origin, &shown.board, what));
        let (was, is) = (log.size(), shown.log.size());
        if shown.log.is_prefix_of(&log) {
            let what = format!("it shows {is} entries; at {} it showed {was}", before.at);
            return found(FindingKind::Rollback, what);
        }
        found(FindingKind::Fork, format!("it shows another history than at {}", before.at))
    }

    /// Remembers a history that continues what was seen.
    pub fn see(&mut self, board: &str, origin: &str, log: &Log, at: Timestamp) {
        let entries = log.entries().to_vec();
        match self.seen.iter_mut().find(|one| one.board == board && one.origin == origin) {
            Some(one) if Log::of(&one.entries).is_prefix_of(log) => {
                one.entries = entries;
                one.at = at;
            }
            Some(_) => {}
            None => {
                self.seen.push(Remembered {
                    board: board.to_owned(),
                    origin: origin.to_owned(),
                    at,
                    entries,
                });
            }
        }
    }
}

/// Whether several boards show the same history of each origin; one may lag.
#[must_use]
pub fn compare_boards(all: &[Judged]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, one) in all.iter().enumerate() {
        for other in all[place + 1..].iter().filter(|other| other.origin == one.origin) {
            if !one.log.is_prefix_of(&other.log) && !other.log.is_prefix_of(&one.log) {
                let what = format!("it shows another history than {}", other.board);
                findings.push(Finding::new(FindingKind::Fork, &one.origin, &one.board, what));
            }
        }
    }
    findings
}
