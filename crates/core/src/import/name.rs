//! Names of snapshot directories, and the moments that they mean.
//!
//! backup-utils names a directory by the client's local time and writes the zone nowhere (contract §4.1). The file `strategy` is written in
//! the first seconds of a run: the nearest quarter of an hour between the two is the zone.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// Prefix of the directories of the MySQL cycle before the current one (contract §4.5).
pub const PREVIOUS: &str = "inc_previous_";

/// Zones lie within this many minutes of UTC.
const ZONE_MINUTES_MAX: i64 = 14 * 60;

/// Whether a directory's name is one of a snapshot: what backup-utils itself would prune, or keeps of the previous cycle.
#[must_use]
pub fn is_snapshot(name: &str) -> bool {
    plain(name).starts_with(|c: char| c.is_ascii_digit())
}

/// The name without the mark of the previous cycle.
#[must_use]
pub fn plain(name: &str) -> &str {
    name.strip_prefix(PREVIOUS).unwrap_or(name)
}

/// The moment that a name means. `begun` is the time of a file that was written when the run began, if it is known to be from then.
#[must_use]
pub fn time(name: &str, begun: Option<Timestamp>) -> Option<Timestamp> {
    let as_utc =
        DateTime::strptime("%Y%m%dT%H%M%S", plain(name)).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let Some(begun) = begun else { return Some(as_utc) };
    let minutes = as_utc.duration_since(begun).as_mins();
    let quarters = (minutes + if minutes < 0 { -7 } else { 7 }) / 15;
    let zone = quarters * 15;
    if zone.abs() > ZONE_MINUTES_MAX {
        return Some(as_utc);
    }
    Some(as_utc.checked_sub(SignedDuration::from_mins(zone)).unwrap_or(as_utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_name_without_a_witness_is_utc() {
        assert_eq!(time("20261122T100509", None), Some(at("2026-11-22T10:05:09Z")));
        assert_eq!(time("inc_previous_20261122T100509", None), Some(at("2026-11-22T10:05:09Z")));
        assert_eq!(time("1", None), None);
    }

    #[test]
    fn the_zone_of_the_client_follows_from_a_file_of_the_same_moment() {
        for (begun, zone) in
            [("2026-11-22T08:05:31Z", 120), ("2026-11-22T15:35:10Z", -330), ("2026-11-22T10:05:09Z", 0)]
        {
            let found = time("20261122T100509", Some(at(begun))).expect("a time");
            assert_eq!(at("2026-11-22T10:05:09Z").duration_since(found).as_mins(), zone, "{begun}");
        }
    }

    #[test]
    fn a_file_of_another_day_says_nothing_about_the_zone() {
        assert_eq!(
            time("20261122T100509", Some(at("2026-11-19T10:00:00Z"))),
            Some(at("2026-11-22T10:05:09Z"))
        );
    }

    #[test]
    fn snapshots_begin_with_a_digit() {
        assert!(
            is_snapshot("20261122T100509") && is_snapshot("1") && is_snapshot("inc_previous_20261122T100509")
        );
        assert!(!is_snapshot("current") && !is_snapshot("prune_inc_previous_1") && !is_snapshot("relative"));
    }
}
