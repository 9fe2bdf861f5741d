//! A schedule as it is written, and the instants that it means.

use croner::parser::{CronParser, Seconds};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use sha2::{Digest, Sha256};

use super::{moment::Clockwork, preset};

/// Why a schedule is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Words that mean nothing.
    #[error("the schedule `{text}` is not understood: {why}")]
    Words {
        /// The schedule.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// No cron expression.
    #[error("`{text}` is no cron expression: {why}")]
    Cron {
        /// The expression.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// It never comes true, e.g. on 30 February.
    #[error("the schedule `{text}` is never due")]
    Never {
        /// The schedule.
        text: String,
    },
    /// A zone that nobody knows.
    #[error("there is no time zone `{name}`")]
    Zone {
        /// The name.
        name: String,
    },
}

/// One expression and the words that it came from.
#[derive(Clone, Debug)]
struct Entry {
    words: String,
    work: Clockwork,
}

/// When something is due: expressions in a time zone, all shifted by the jitter of this host.
#[derive(Clone, Debug)]
pub struct Calendar {
    entries: Vec<Entry>,
    zone: TimeZone,
    shift: SignedDuration,
}

/// One time at which something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The instant, jitter included.
    pub at: Timestamp,
    /// The part of the schedule that says so.
    pub because: String,
}

impl Calendar {
    /// Reads a schedule: a preset's name, words such as `mon-sat 07:00-20:00 hourly, sun 09,15,21`, or cron expressions with five or six
    /// fields; several stand on lines of their own or behind `;`.
    ///
    /// # Errors
    /// It is not understood, or never due.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, ScheduleError> {
        let mut entries = Vec::new();
        for line in text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty()) {
            match preset::read(line) {
                Some(clauses) => {
                    for clause in clauses? {
                        for cron in &clause.crons {
                            entries.push(Entry { words: clause.words.clone(), work: clockwork(cron)? });
                        }
                    }
                }
                None => entries.push(Entry { words: format!("cron `{line}`"), work: clockwork(line)? }),
            }
        }
        let calendar = Self { entries, zone, shift: SignedDuration::ZERO };
        // Leap days come every eight years at most; whoever waits longer waits for ever.
        if calendar.next_after(Timestamp::UNIX_EPOCH).is_none() {
            return Err(ScheduleError::Never { text: text.trim().to_owned() });
        }
        Ok(calendar)
    }

    /// A zone by its name.
    ///
    /// # Errors
    /// There is none.
    pub fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
        TimeZone::get(name).map_err(|_| ScheduleError::Zone { name: name.to_owned() })
    }

    /// The same, this much later.
    #[must_use]
    pub fn shifted(mut self, shift: SignedDuration) -> Self {
        self.shift = shift;
        self
    }

    /// How much later than written.
    #[must_use]
    pub fn shift(&self) -> SignedDuration {
        self.shift
    }

    /// The zone of the wall clock that counts.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first activation after an instant.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Activation> {
        let after = after.checked_sub(self.shift).ok()?;
        let due = self.entries.iter().filter_map(|entry| {
            let at = entry.work.next(after, &self.zone)?;
            Some((at.checked_add(self.shift).ok()?, entry))
        });
        let (at, entry) = due.min_by_key(|(at, _)| *at)?;
        Some(Activation { at, because: entry.words.clone() })
    }

    /// The activations after an instant.
    pub fn upcoming(&self, after: Timestamp) -> impl Iterator<Item = Activation> + '_ {
        std::iter::successors(self.next_after(after), |last| self.next_after(last.at))
    }

    /// The last activation in `(after, until]`, and how many there are, counted to 1,000.
    #[must_use]
    pub fn last_between(&self, after: Timestamp, until: Timestamp) -> Option<(Activation, usize)> {
        const COUNTED: usize = 1_000;
        let due = |from| self.upcoming(from).take_while(|one| one.at <= until).take(COUNTED);
        let count = due(after).count();
        if count < COUNTED {
            return due(after).last().map(|last| (last, count));
        }
        // A long time has passed: look only at its end, a little at first.
        let mut back = SignedDuration::from_mins(1);
        loop {
            let from = until.checked_sub(back).unwrap_or(after).max(after);
            let found = self.upcoming(from).take_while(|one| one.at <= until).last();
            if found.is_some() || from == after {
                return found.map(|last| (last, COUNTED));
            }
            back = back.saturating_mul(4);
        }
    }
}

/// One cron expression.
fn clockwork(text: &str) -> Result<Clockwork, ScheduleError> {
    let parser = CronParser::builder().seconds(Seconds::Optional).build();
    let cron = parser
        .parse(text)
        .map_err(|error| ScheduleError::Cron { text: text.to_owned(), why: error.to_string() })?;
    Ok(Clockwork::new(cron))
}

/// The jitter of a host for a task: always the same, evenly spread over `0..=most`, in whole seconds.
#[must_use]
pub fn jitter(host: &str, task: &str, most: SignedDuration) -> SignedDuration {
    let digest = Sha256::digest(format!("{host}\n{task}"));
    let number = digest.iter().take(7).fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
    SignedDuration::from_secs(number % (most.as_secs().max(0) + 1))
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
