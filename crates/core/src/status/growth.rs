//! How the appliance's data and the vault have grown: one point for each day that had a snapshot.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;

use super::{Sources, targets::size_of};
use crate::state::Task;

/// Days that are shown.
const DAYS: usize = 182;

/// One day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// The day.
    pub date: Date,
    /// Bytes of the appliance's data in the day's last snapshot.
    pub source: u64,
    /// Bytes that this host's backups have added to the vault until then, since the first day that is known; what was freed is
    /// not taken off.
    pub added: u64,
}

/// From the history.
pub(super) fn growth(sources: &Sources<'_>) -> Vec<Size> {
    let mut days: BTreeMap<Date, Size> = BTreeMap::new();
    let mut added = 0_u64;
    for run in sources.history.runs.iter().filter(|run| run.task == Task::Backup) {
        added = added.saturating_add(run.details.bytes_added.unwrap_or_default());
        if let Some(source) = size_of(run) {
            let date = sources.zone.to_datetime(run.began).date();
            days.insert(date, Size { date, source, added });
        }
    }
    let surplus = days.len().saturating_sub(DAYS);
    days.into_values().skip(surplus).collect()
}
