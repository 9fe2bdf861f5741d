//! From times on a wall clock to instants, across the changes of a zone's clock.
//!
//! An expression that names hours is about the wall clock: a time that is skipped when the clock goes forward is made up for once,
//! right after; a time that comes twice when it goes back runs the first time. An expression for every hour is about elapsed time: it
//! goes on every hour, whatever the clock on the wall does.

use croner::Cron;
use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

/// Longest piece that a clock ever skipped: one day, when a country changed sides of the date line.
const SKIP_MAX: SignedDuration = SignedDuration::from_hours(25);

/// One expression in a zone.
#[derive(Clone, Debug)]
pub(super) struct Clockwork {
    cron: Cron,
    /// Whether elapsed time counts, not the wall clock.
    steady: bool,
}

impl Clockwork {
    /// `steady` when every hour matches.
    pub(super) fn new(cron: Cron) -> Self {
        let fields: Vec<&str> = cron.as_str().split_whitespace().collect();
        // Minutes stand first, or second behind seconds.
        let hours = fields.get(fields.len().saturating_sub(4)).copied();
        Self { steady: matches!(hours, Some("*" | "*/1")) || cron.as_str() == "@hourly", cron }
    }

    /// The first instant after `after`; nothing if there is none in the years that calendars have.
    pub(super) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.steady { self.next_steady(after, zone) } else { self.next_on_the_wall(after, zone) }
    }

    /// The next match on a wall clock.
    fn civil(&self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }

    /// Walks through the pieces of time in which the zone's offset stays the same.
    fn next_steady(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = zone.to_offset(from);
            let found = offset.to_timestamp(self.civil(offset.to_datetime(from), inclusive)?).ok()?;
            match zone.following(from).next().map(|change| change.timestamp()) {
                Some(change) if change <= found => (from, inclusive) = (change, true),
                _ => return Some(found),
            }
        }
    }

    fn next_on_the_wall(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let now = zone.to_datetime(after);
        // Times that the clock skipped a moment ago are still to come.
        let earlier = after.checked_sub(SKIP_MAX).ok()?;
        let skipped = zone.to_offset(earlier) < zone.to_offset(after);
        let mut from = if skipped { now.checked_sub(SKIP_MAX).ok()? } else { now };
        loop {
            from = self.civil(from, false)?;
            let found = instant(from, zone)?;
            if found > after {
                return Some(found);
            }
        }
    }
}

/// The instant of a time on the wall: the first of two, and the end of the gap for one that does not exist.
fn instant(at: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(at).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(at).ok(),
        AmbiguousOffset::Gap { before, after } => end_of_gap(at, before, after, zone),
    }
}

/// The change of the clock that skipped `at`.
fn end_of_gap(at: DateTime, before: Offset, after: Offset, zone: &TimeZone) -> Option<Timestamp> {
    let sooner = after.to_timestamp(at).ok()?;
    let later = before.to_timestamp(at).ok()?;
    let change = zone.following(sooner).next().map(|change| change.timestamp());
    Some(change.filter(|change| *change <= later).unwrap_or(later))
}

#[cfg(test)]
mod tests {
    use super::Clockwork;
    use croner::parser::{CronParser, Seconds};
    use jiff::{Timestamp, tz::TimeZone};

    fn following(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let cron = CronParser::builder().seconds(Seconds::Optional).build().parse(expression).unwrap();
        let (work, zone) = (Clockwork::new(cron), TimeZone::get(zone).unwrap());
        let mut at: Timestamp = from.parse().unwrap();
        (0..count)
            .map(|_| {
                at = work.next(at, &zone).unwrap();
                at.to_zoned(zone.clone()).strftime("%d %H:%M %Z").to_string()
            })
            .collect()
    }

    #[test]
    fn a_skipped_time_runs_once_right_after() {
        let from = "2026-03-29T00:00:00Z";
        assert_eq!(following("*/20 2 * * *", "Europe/Berlin", from, 2), ["29 03:00 CEST", "30 02:00 CEST"]);
        assert_eq!(following("30 2,3 * * *", "Europe/Berlin", from, 2), ["29 03:00 CEST", "29 03:30 CEST"]);
    }

    #[test]
    fn a_time_that_comes_twice_runs_the_first_time() {
        assert_eq!(
            following("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["25 02:30 CEST", "26 02:30 CET"]
        );
        // Asked in the middle of the second pass.
        assert_eq!(following("30 2,3 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1), ["25 03:30 CET"]);
    }

    #[test]
    fn every_hour_is_every_hour() {
        assert_eq!(
            following("17 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4),
            ["25 02:17 CEST", "25 02:17 CET", "25 03:17 CET", "25 04:17 CET"]
        );
        assert_eq!(
            following("17 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2),
            ["29 01:17 CET", "29 03:17 CEST"]
        );
        assert_eq!(
            following("*/20 * * * *", "Australia/Lord_Howe", "2026-10-03T15:10:00Z", 3),
            ["04 02:40 +11", "04 03:00 +11", "04 03:20 +11"]
        );
    }
}
