//! Which parts of a run are joined: of each shard the newest whole one. Pure.

use std::collections::BTreeMap;

use super::{
    part::Part,
    run::{OpenRun, ShardError},
};

/// Chooses among all parts of a run; the newest of a shard when none of it is whole. With `trusted` keys only their parts count.
///
/// # Errors
/// A part does not fit the run, or is signed by somebody else.
pub fn choose(
    run: &OpenRun,
    parts: Vec<Part>,
    trusted: &[String],
) -> Result<BTreeMap<u32, Part>, ShardError> {
    let mut chosen: BTreeMap<u32, Part> = BTreeMap::new();
    for part in parts.into_iter().filter(|part| part.record.run == run.name) {
        fits(run, &part, trusted)?;
        let better = chosen.get(&part.record.index).is_none_or(|other| worth(other) < worth(&part));
        if better {
            chosen.insert(part.record.index, part);
        }
    }
    Ok(chosen)
}

fn worth(part: &Part) -> (bool, jiff::Timestamp, String) {
    (part.record.is_whole(), part.record.started, part.snapshot.to_string())
}

fn fits(run: &OpenRun, part: &Part, trusted: &[String]) -> Result<(), ShardError> {
    let (name, record) = (run.name.clone(), &part.record);
    let what = format!("part {} ({})", record.place(), part.snapshot.short());
    if !trusted.contains(&part.key) {
        return Err(ShardError::Stranger { run: name, part: what, key: part.key.clone() });
    }
    if record.count != run.count || !(1..=run.count).contains(&record.index) {
        return Err(ShardError::OtherCount { run: name, begun: run.count, what, asked: record.count });
    }
    if record.identity_words() != run.identity() {
        let (begun, found) = (run.identity(), record.identity_words());
        return Err(ShardError::OtherAppliance { run: name, begun, what, found });
    }
    if record.parent != run.parent {
        return Err(ShardError::OtherParent { run: name, part: what });
    }
    Ok(())
}
