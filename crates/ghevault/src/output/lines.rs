//! Progress as a few plain lines, for logs and pipes: begin and end of each part, and at most one line per part and
//! ten seconds in between.

use super::human;
use ghevault_core::progress::{Event, Progress};
use std::fmt::Write as _;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Shortest time between two lines about the same part.
const INTERVAL: Duration = Duration::from_secs(10);

/// What is known of a running part.
struct Part {
    started: Instant,
    told: Instant,
    bytes: u64,
    items: u64,
    expected: Option<u64>,
}

/// Renders events as lines.
pub struct Lines {
    parts: Mutex<BTreeMap<String, Part>>,
    write: fn(&str),
}

impl Lines {
    /// Lines go to `write`.
    #[must_use]
    pub fn new(write: fn(&str)) -> Self {
        Self { parts: Mutex::default(), write }
    }
}

impl Progress for Lines {
    fn event(&self, event: Event<'_>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = line_for(&mut parts, &event, Instant::now()) {
            (self.write)(&line);
        }
    }
}

/// Takes an event into account and decides whether there is something to say.
fn line_for(parts: &mut BTreeMap<String, Part>, event: &Event<'_>, now: Instant) -> Option<String> {
    match *event {
        Event::Started { part, bytes_expected } => {
            let fresh = Part { started: now, told: now, bytes: 0, items: 0, expected: bytes_expected };
            parts.insert(part.to_owned(), fresh);
            let size = bytes_expected.map(|bytes| format!(", {}", human::bytes(bytes))).unwrap_or_default();
            Some(format!("{part}: started{size}"))
        }
        Event::Expected { part, bytes } => {
            let known = parts.get_mut(part)?;
            known.expected = Some(known.expected.unwrap_or_default() + bytes);
            None
        }
        Event::Advanced { part, bytes, items } => {
            let known = parts.get_mut(part)?;
            known.bytes += bytes;
            known.items += items;
            if now.duration_since(known.told) < INTERVAL {
                return None;
            }
            known.told = now;
            Some(format!("{part}: {}", going_on(known, now)))
        }
        Event::Ended { part, ok } => {
            let known = parts.remove(part)?;
            let time = human::duration(now.duration_since(known.started));
            let verdict = if ok { "done" } else { "NOT COMPLETE" };
            Some(format!("{part}: {verdict}{} in {time}", human::moved(known.bytes, known.items)))
        }
        Event::Warning { text } => Some(format!("warning: {text}")),
        _ => None,
    }
}

/// A part in the middle of its work.
fn going_on(part: &Part, now: Instant) -> String {
    let rate = human::rate(part.bytes, now.duration_since(part.started));
    let mut text = human::bytes(part.bytes);
    let ahead = part.expected.and_then(|expected| expected.checked_sub(part.bytes));
    if let Some(expected) = part.expected.filter(|_| ahead.is_some()) {
        let _ = write!(text, " of {}", human::bytes(expected));
    }
    let _ = write!(text, ", {} items, {}/s", human::count(part.items), human::bytes(rate));
    if let Some(seconds) = ahead.and_then(|ahead| ahead.checked_div(rate)) {
        let _ = write!(text, ", {} left", human::duration(Duration::from_secs(seconds)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Event, line_for};
    use std::{
        collections::BTreeMap,
        time::{Duration, Instant},
    };

    #[test]
    fn a_part_speaks_at_begin_and_end_and_every_ten_seconds() {
        let mut parts = BTreeMap::new();
        let begin = Instant::now();
        let mut at = |seconds: u64, event: Event<'_>| {
            line_for(&mut parts, &event, begin + Duration::from_secs(seconds)).unwrap_or_default()
        };
        let advanced = |bytes| Event::Advanced { part: "mysql", bytes, items: 1 };
        assert_eq!(
            at(0, Event::Started { part: "mysql", bytes_expected: Some(100 << 20) }),
            "mysql: started, 100.0 MiB"
        );
        assert_eq!(at(9, advanced(9 << 20)), "");
        assert_eq!(
            at(10, advanced(1 << 20)),
            "mysql: 10.0 MiB of 100.0 MiB, 2 items, 1.0 MiB/s, 1 min 30 s left"
        );
        assert_eq!(at(11, advanced(1 << 20)), "");
        assert_eq!(at(12, Event::Expected { part: "mysql", bytes: 1 << 20 }), "");
        assert_eq!(
            at(20, Event::Ended { part: "mysql", ok: true }),
            "mysql: done, 11.0 MiB, 3 items in 20 s"
        );
    }

    #[test]
    fn an_estimate_that_was_too_low_is_not_shown() {
        let mut parts = BTreeMap::new();
        let begin = Instant::now();
        line_for(&mut parts, &Event::Started { part: "x", bytes_expected: Some(1) }, begin);
        let line = line_for(
            &mut parts,
            &Event::Advanced { part: "x", bytes: 2048, items: 0 },
            begin + Duration::from_secs(10),
        );
        assert_eq!(line.as_deref(), Some("x: 2.0 KiB, 0 items, 204 B/s"));
    }

    #[test]
    fn warnings_are_always_told() {
        let line = line_for(&mut BTreeMap::new(), &Event::Warning { text: "clock differs" }, Instant::now());
        assert_eq!(line.as_deref(), Some("warning: clock differs"));
    }
}
