//! Calendars against a slow judge that looks at every minute of a year.

use super::{Calendar, ScheduleError, jitter};
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time stamp")
}

#[test]
fn extended_business_hours_in_berlin() {
    let zone = Calendar::zone("Europe/Berlin").expect("a zone");
    let calendar = Calendar::parse("business-hours", zone.clone()).expect("a schedule");
    let week: Vec<String> = calendar
        .upcoming(at("2026-11-28T18:30:00Z"))
        .take(5)
        .map(|one| format!("{} {}", one.at.to_zoned(zone.clone()).strftime("%a %H:%M"), one.because))
        .collect();
    assert_eq!(
        week,
        [
            "Sat 20:00 mon-sat 07:00-20:00 hourly",
            "Sun 09:00 sun 09,15,21",
            "Sun 15:00 sun 09,15,21",
            "Sun 21:00 sun 09,15,21",
            "Mon 07:00 mon-sat 07:00-20:00 hourly",
        ]
    );
}

#[test]
fn several_expressions_and_seconds_are_one_schedule() {
    let calendar = Calendar::parse("0 3 * * *; */30 * 4 * * *", TimeZone::UTC).expect("a schedule");
    let next: Vec<String> =
        calendar.upcoming(at("2026-01-01T02:00:00Z")).take(3).map(|one| one.at.to_string()).collect();
    assert_eq!(next, ["2026-01-01T03:00:00Z", "2026-01-01T04:00:00Z", "2026-01-01T04:00:30Z"]);
}

#[test]
fn nonsense_is_refused_with_its_reason() {
    let refused = |text| Calendar::parse(text, TimeZone::UTC).expect_err("nonsense");
    assert!(matches!(refused("61 * * * *"), ScheduleError::Cron { .. }));
    assert!(matches!(refused("at tea time"), ScheduleError::Cron { .. }));
    assert_eq!(refused("0 0 30 2 *"), ScheduleError::Never { text: "0 0 30 2 *".to_owned() });
    assert!(matches!(refused("  "), ScheduleError::Never { .. }));
    assert!(Calendar::zone("Europe/Atlantis").is_err());
}

#[test]
fn jitter_is_the_hosts_own_and_stays() {
    let most = SignedDuration::from_mins(10);
    assert_eq!(jitter("a", "backup", most), jitter("a", "backup", most));
    let spread: BTreeSet<_> = (0..100).map(|host| jitter(&host.to_string(), "backup", most)).collect();
    assert!(spread.len() > 60 && spread.iter().all(|one| !one.is_negative() && *one <= most));
    assert_eq!(jitter("a", "backup", SignedDuration::ZERO), SignedDuration::ZERO);
}

#[test]
fn the_last_of_very_many_missed_ones_is_found_at_once() {
    let calendar = Calendar::parse("* * * * * *", TimeZone::UTC).expect("a schedule");
    let (last, count) = calendar
        .last_between(at("2020-01-01T00:00:00Z"), at("2026-01-01T00:00:00.5Z"))
        .expect("there are many");
    assert_eq!((last.at, count), (at("2026-01-01T00:00:00Z"), 1_000));
    assert!(calendar.last_between(last.at, at("2026-01-01T00:00:00.9Z")).is_none());
}

/// What is due in a day and after a change of the clock, found by looking at every minute.
fn judge(
    minutes: &BTreeSet<i8>,
    hours: Option<&BTreeSet<i8>>,
    zone: &TimeZone,
    day: Timestamp,
) -> Vec<Timestamp> {
    let (mut due, mut seen, mut owed) = (Vec::new(), BTreeSet::new(), false);
    let from = day - 26.hours();
    let mut before = zone.to_datetime(from);
    for step in 1..=(52 * 60_i64) {
        let now = from + SignedDuration::from_mins(step);
        let wall = zone.to_datetime(now);
        // The clock goes forward: which of the times in between were wanted?
        let mut skipped = before.checked_add(1.minute()).expect("in range");
        while let (Some(hours), true) = (hours, skipped < wall) {
            owed |= minutes.contains(&skipped.minute()) && hours.contains(&skipped.hour());
            skipped = skipped.checked_add(1.minute()).expect("in range");
        }
        before = wall;
        let fits = minutes.contains(&wall.minute())
            && hours.is_none_or(|hours| hours.contains(&wall.hour()) && seen.insert(wall));
        if fits || owed {
            due.push(now);
        }
        owed = false;
    }
    due.retain(|one| *one > day && *one <= day + 25.hours());
    due
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_day_of_the_year_is_as_the_slow_judge_says(
        day in 0_i64..366,
        zone in prop::sample::select(vec![
            "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kolkata", "UTC",
        ]),
        minutes in prop::collection::btree_set(0_i8..60, 1..4),
        hours in prop::option::of(prop::collection::btree_set(0_i8..24, 1..8)),
        transition in any::<bool>(),
    ) {
        let zone = TimeZone::get(zone).expect("a zone");
        let mut day = at("2026-01-01T00:00:00Z") + SignedDuration::from_hours(24 * day);
        // Half of the cases look at a day on which the clock changes.
        if transition && let Some(change) = zone.following(day).next() {
            day = change.timestamp() - 7.hours();
        }
        let list = |all: &BTreeSet<i8>| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let hour_field = hours.as_ref().map_or("*".to_owned(), list);
        let text = format!("{} {hour_field} * * *", list(&minutes));
        let calendar = Calendar::parse(&text, zone.clone()).expect("a schedule");
        let found: Vec<Timestamp> = calendar
            .upcoming(day)
            .map(|one| one.at)
            .take_while(|one| *one <= day + 25.hours())
            .collect();
        prop_assert_eq!(found, judge(&minutes, hours.as_ref(), &zone, day), "{} from {}", text, day);
    }
}
