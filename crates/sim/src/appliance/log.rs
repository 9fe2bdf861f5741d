//! The log of every command that a client ran, in order, with its time.

use std::{
    fs,
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::Place;
use crate::error::{OnFile, SimError};

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedCommand {
    /// Microseconds since 1970.
    pub time_us: u64,
    /// `exec` or `shell` for what came through a door, `command` for an appliance command.
    pub kind: String,
    /// The text, or the command with its arguments.
    pub text: String,
}

/// Microseconds since 1970.
#[must_use]
pub fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Appends one line; one write, so lines of parallel commands do not mix.
///
/// # Errors
/// The log cannot be written.
pub fn append(place: &Place, kind: &str, text: &str) -> io::Result<()> {
    let line = LoggedCommand { time_us: now_us(), kind: kind.to_owned(), text: text.to_owned() };
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    fs::OpenOptions::new().append(true).open(place.command_log())?.write_all(&bytes)
}

/// Reads the log.
///
/// # Errors
/// The log cannot be read; lines that do not parse are skipped.
pub fn read(place: &Place) -> Result<Vec<LoggedCommand>, SimError> {
    let path = place.command_log();
    let text = fs::read_to_string(&path).on("read", &path)?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
