//! What an operator wants to keep.

use jiff::{Timestamp, tz::TimeZone};

/// How many snapshots are kept, by what. A rule of 0 is no rule.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The last one of each of that many hours.
    pub hourly: u32,
    /// The last one of each of that many days.
    pub daily: u32,
    /// The last one of each of that many weeks (they begin on Monday).
    pub weekly: u32,
    /// The last one of each of that many months.
    pub monthly: u32,
    /// The last one of each of that many years.
    pub yearly: u32,
    /// That many of the newest complete ones stay whatever the rules say; at least one does.
    pub minimum: u32,
    /// That many of the newest partial ones stay, beside those that are newer than the newest complete one.
    pub partial: u32,
    /// Where hours, days, weeks, months and years begin.
    pub zone: TimeZone,
    /// Public keys (base64) whose seals count; empty: any key, each on its own.
    pub trusted_keys: Vec<String>,
    /// Lines whose beginning is unknown follow each other by their times.
    pub join_gaps: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            hourly: 0,
            daily: 0,
            weekly: 0,
            monthly: 0,
            yearly: 0,
            minimum: 1,
            partial: 0,
            zone: TimeZone::UTC,
            trusted_keys: Vec::new(),
            join_gaps: false,
        }
    }
}

/// One rule: its name, how many, and the stretch of time that a moment belongs to.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) count: u32,
    pub(super) stretch: fn(&jiff::Zoned) -> Stretch,
}

/// A stretch of time by its numbers.
pub(super) type Stretch = (i32, i32, i32, i32);

impl Policy {
    /// Whether any rule says what to keep.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.rules().iter().any(|rule| rule.count > 0) || self.minimum > 1
    }

    pub(super) fn rules(&self) -> [Rule; 5] {
        [
            // the offset tells the two hours apart that share a name when clocks are put back
            Rule {
                name: "hourly",
                count: self.hourly,
                stretch: |t| {
                    (i32::from(t.year()), t.day_of_year().into(), t.hour().into(), -t.offset().seconds())
                },
            },
            Rule {
                name: "daily",
                count: self.daily,
                stretch: |t| (i32::from(t.year()), t.day_of_year().into(), 0, 0),
            },
            Rule {
                name: "weekly",
                count: self.weekly,
                stretch: |t| {
                    let week = t.date().iso_week_date();
                    (i32::from(week.year()), week.week().into(), 0, 0)
                },
            },
            Rule {
                name: "monthly",
                count: self.monthly,
                stretch: |t| (i32::from(t.year()), t.month().into(), 0, 0),
            },
            Rule { name: "yearly", count: self.yearly, stretch: |t| (i32::from(t.year()), 0, 0, 0) },
        ]
    }

    pub(super) fn local(&self, moment: Timestamp) -> jiff::Zoned {
        moment.to_zoned(self.zone.clone())
    }
}
