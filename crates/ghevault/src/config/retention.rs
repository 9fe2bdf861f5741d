//! The settings of `[retention]`.

use super::{layer::Layer, settings::parsed};
use crate::error::CommandResult;
use ghevault_core::retention::Policy;
use jiff::tz::TimeZone;

/// What is kept, and how much unused space.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The rules; `join_gaps` is a flag alone.
    pub policy: Policy,
    /// How much unused data may stay.
    pub max_unused: String,
}

/// A time zone by its name in the tz database, or `UTC`.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    if name.eq_ignore_ascii_case("utc") { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

impl Rules {
    /// Turns texts into types.
    ///
    /// # Errors
    /// A value is unusable.
    pub fn typed(merged: &Layer, seal_keys: Vec<String>) -> CommandResult<Self> {
        let number = |key: &str| -> CommandResult<Option<u32>> {
            parsed(merged, key, "a number", |text| text.parse().ok())
        };
        let unused = parsed(merged, "retention.max_unused", "a size or a share such as `5%`", |text| {
            super::amount::share(text).map(|_| text.to_owned())
        })?;
        let default = Policy::default();
        let policy = Policy {
            hourly: number("retention.keep_hourly")?.unwrap_or(default.hourly),
            daily: number("retention.keep_daily")?.unwrap_or(default.daily),
            weekly: number("retention.keep_weekly")?.unwrap_or(default.weekly),
            monthly: number("retention.keep_monthly")?.unwrap_or(default.monthly),
            yearly: number("retention.keep_yearly")?.unwrap_or(default.yearly),
            minimum: number("retention.keep_minimum")?.unwrap_or(default.minimum),
            partial: number("retention.keep_partial")?.unwrap_or(default.partial),
            zone: parsed(merged, "retention.timezone", "the name of a time zone", zone)?
                .unwrap_or(default.zone),
            trusted_keys: seal_keys,
            join_gaps: default.join_gaps,
        };
        Ok(Self { policy, max_unused: unused.unwrap_or_else(|| "5%".to_owned()) })
    }
}
