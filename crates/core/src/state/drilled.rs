//! The last drills and what they proved, for the status page, which opens no vault.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StateError, StateFolder};

const DRILLED: &str = "drilled.json";
/// Drills that are kept.
const KEPT: usize = 10;

/// A drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drilled {
    /// When it began.
    pub began: Timestamp,
    /// Id of the snapshot.
    pub snapshot: String,
    /// `sample` or `full`.
    pub depth: String,
    /// `proven`, `incomplete` or `failed`.
    pub verdict: String,
    /// Duration in seconds.
    pub seconds: f64,
    /// The parts that were proven.
    pub proven: Vec<String>,
    /// The parts that were not, each with what is wrong or missing.
    pub open: Vec<String>,
    /// Where the vault keeps the signed report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

impl StateFolder {
    /// The last drills, newest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn drilled(&self) -> Result<Vec<Drilled>, StateError> {
        Ok(self.record(DRILLED)?.unwrap_or_default())
    }

    /// Remembers a drill.
    ///
    /// # Errors
    /// The records cannot be read or written.
    pub fn record_drilled(&self, drill: Drilled) -> Result<(), StateError> {
        let mut all = self.drilled()?;
        all.insert(0, drill);
        all.truncate(KEPT);
        self.put_record(DRILLED, &all)
    }
}
