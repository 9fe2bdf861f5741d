//! The end of a run: its parts become one sealed snapshot, as one process would have made it. The appliance is not asked.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    Place, SPREAD, choose, merge,
    part::{self, Part},
    run::{self, OpenRun, ShardError},
};
use crate::{
    backup::{
        commit::Keep,
        context::{CaptureError, Ground},
        files::survey::Known,
        join::Finished,
        pages,
        report::{BackupReport, DatasetReport},
        run::{BackupError, Done},
        settings::{BackupSettings, DATASETS},
    },
    progress::{Event, Progress},
    retention,
    seal::{Manifest, Outcome, Seal, SealKey, SealedRun},
    vault::{Snapshot, SnapshotList, Vault, VaultReader},
};

/// How long a dead join blocks the vault, at most.
const LEASE: Duration = Duration::from_mins(2);

/// What joining works with.
pub struct JoinInputs<'a> {
    /// Where the parts are, and the snapshot goes.
    pub vault: &'a Vault,
    /// The key that signs.
    pub seal_key: &'a SealKey,
    /// Whom to tell.
    pub progress: &'a dyn Progress,
    /// Which run; none: the newest that is not complete.
    pub run: Option<&'a str>,
    /// Public keys of shards beside this host's own, base64.
    pub trusted: &'a [String],
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct JoinReport {
    /// The snapshot.
    pub report: BackupReport,
    /// Whether these very parts had been joined before; nothing was written then.
    pub already: bool,
    /// Shards whose part is missing or not whole.
    pub wanting: Vec<Place>,
}

/// Joins the parts of a run.
///
/// # Errors
/// There is no such run, a part does not fit it, or the vault fails.
pub fn join(inputs: &JoinInputs<'_>) -> Result<JoinReport, BackupError> {
    let clock = Instant::now();
    let vault = inputs.vault;
    let lease = vault.lock_for_writing("backup --join", LEASE)?;
    let list = vault.snapshots()?;
    let mut warnings: Vec<String> =
        list.damaged.iter().map(|(id, why)| format!("snapshot {id} is damaged: {why}")).collect();
    let parts = parts(&list, &mut warnings);
    let runs = run::all(vault)?;
    let run = wanted(&runs, &list, &parts, inputs.run, &mut warnings)?;
    let mut trusted = inputs.trusted.to_vec();
    trusted.push(inputs.seal_key.public());
    let chosen = choose::choose(&run, parts, &trusted)?;
    if let Some((snapshot, seal)) = run::joined(&list, &run.name)
        && let Some(report) = again(snapshot, &seal, &chosen)
    {
        let report = BackupReport { warnings, ..report };
        return Ok(JoinReport { report, already: true, wanting: wanting(&run, &chosen) });
    }
    let Some(first) = chosen.values().next() else {
        return Err(ShardError::NoParts { run: run.name }.into());
    };
    let parent = match run.parent {
        None => None,
        Some(id) => Some(
            list.snapshots
                .iter()
                .find(|one| one.id == id)
                .ok_or_else(|| ShardError::ParentGone { run: run.name.clone(), snapshot: id })?,
        ),
    };
    let identity = first.record.identity().clone();
    let held = chosen.values().map(|part| part.record.gate_held_seconds).fold(0.0, f64::max);
    let settings = BackupSettings { skip: run.skip.clone(), ..BackupSettings::new(run.host.clone()) };
    let previous = retention::chain(vault, &list)?.pop().map(|seal| seal.hash);
    let reader = vault.index()?;
    let writer = vault.writer(&reader, &lease)?;
    let known = match parent {
        None => Known::new(),
        Some(parent) => pages::read_all(&reader, parent.tree, pages::UNITS)?,
    };
    let done = deliveries(inputs, &reader, &run, &chosen, &known, &settings)?;
    let ground = Ground {
        parent: parent.map(|parent| parent.tree),
        reader: &reader,
        writer: &writer,
        started: run.started,
    };
    let keep = Keep { vault, seal_key: inputs.seal_key, settings: &settings };
    let finished = Finished { keep, ground, known: &known, identity, done, held, warnings, clock };
    let mut joined = finished.join()?;
    joined.run = Some(sealed_run(&run, &chosen));
    let report = joined.commit(writer, &lease, run.parent, previous)?;
    Ok(JoinReport { report, already: false, wanting: wanting(&run, &chosen) })
}

/// The shards to be run again for a complete snapshot.
fn wanting(run: &OpenRun, chosen: &BTreeMap<u32, Part>) -> Vec<Place> {
    let whole = |index: u32| chosen.get(&index).is_some_and(|part| part.record.is_whole());
    let places = (1..=run.count).map(|index| Place { index, count: run.count });
    places.filter(|place| !whole(place.index)).collect()
}

/// All parts that can be read; the others are warnings.
fn parts(list: &SnapshotList, warnings: &mut Vec<String>) -> Vec<Part> {
    let mut parts = Vec::new();
    for snapshot in &list.snapshots {
        match part::of_snapshot(snapshot) {
            None => {}
            Some(Ok(part)) => parts.push(part),
            Some(Err(why)) => warnings.push(format!("part {} does not count: {why}", snapshot.id.short())),
        }
    }
    parts
}

/// The run that is meant: without a name, of those that are not complete yet the one that was begun last. Others that have parts are
/// warnings: nobody comes back to them by himself.
fn wanted(
    runs: &[OpenRun],
    list: &SnapshotList,
    parts: &[Part],
    name: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<OpenRun, ShardError> {
    if let Some(name) = name {
        let found = runs.iter().find(|run| run.name == name).cloned();
        return found.ok_or_else(|| ShardError::NoRun { run: name.into() });
    }
    let now = Timestamp::now();
    let complete = |run: &OpenRun| {
        run::joined(list, &run.name).is_some_and(|(_, seal)| seal.manifest.outcome == Outcome::Complete)
    };
    let open = runs.iter().filter(|run| !run.is_abandoned(now) && !complete(run));
    let newest = open.clone().max_by(|a, b| (a.started, &a.name).cmp(&(b.started, &b.name)));
    let newest = newest.ok_or(ShardError::NoneWaits)?;
    let others = open.filter(|run| run.name != newest.name);
    for run in others.filter(|run| parts.iter().any(|part| part.record.run == run.name)) {
        let OpenRun { name, started, .. } = run;
        warnings.push(format!(
            "run {name}, begun at {started}, is not complete either: `ghevault backup --join --run {name}`"
        ));
    }
    Ok(newest.clone())
}

fn sealed_run(run: &OpenRun, chosen: &BTreeMap<u32, Part>) -> SealedRun {
    let parts = chosen.iter().map(|(index, part)| (*index, part.snapshot.to_string())).collect();
    SealedRun { name: run.name.clone(), shards: run.count, parts }
}

/// The report of a snapshot that has these very parts, or whose parts are gone since.
fn again(snapshot: &Snapshot, seal: &Seal, chosen: &BTreeMap<u32, Part>) -> Option<BackupReport> {
    let Manifest { run, .. } = &seal.manifest;
    let run = run.as_ref()?;
    let new = chosen.iter().any(|(index, part)| run.parts.get(index) != Some(&part.snapshot.to_string()));
    if new && run.parts.len() < run.shards as usize {
        return None;
    }
    if new && seal.manifest.outcome != Outcome::Complete {
        return None;
    }
    let manifest = &seal.manifest;
    let rows = manifest.datasets.iter().map(|(name, row)| DatasetReport {
        name: name.clone(),
        outcome: row.outcome,
        items: row.items,
        bytes: row.bytes,
        bytes_read: 0,
        files_changed: 0,
        seconds: 0.0,
        problems: row.problems.clone(),
    });
    Some(BackupReport {
        snapshot: snapshot.id.to_string(),
        host: manifest.host.clone(),
        topology: manifest.topology.clone(),
        outcome: manifest.outcome,
        datasets: rows.collect(),
        bytes_read: 0,
        bytes_added: 0,
        files_changed: 0,
        gate_held_seconds: manifest.gate_held_seconds,
        parent: snapshot.parent.map(|id| id.to_string()),
        seconds: manifest.seconds,
        warnings: Vec::new(),
        part: None,
        run: Some(run.clone()),
    })
}

/// What the chosen parts have of each dataset, put together.
fn deliveries(
    inputs: &JoinInputs<'_>,
    reader: &VaultReader,
    run: &OpenRun,
    chosen: &BTreeMap<u32, Part>,
    known: &Known,
    settings: &BackupSettings,
) -> Result<Vec<Done>, BackupError> {
    let mut done = Vec::new();
    for name in DATASETS.iter().copied().filter(|name| settings.wants(name)) {
        inputs.progress.event(Event::Started { part: name, bytes_expected: None });
        let mut seconds: f64 = 0.0;
        let mut delivered = BTreeMap::new();
        for (index, part) in chosen {
            if let Some(one) = part::take(reader, part, name)? {
                seconds = seconds.max(one.seconds);
                delivered.insert(*index, one.result);
            }
        }
        let result = if SPREAD.contains(&name) {
            merge::spread(name, run.count, delivered, known)
        } else {
            let missing = || Err(format!("shard 1/{}: its part is missing", run.count));
            delivered.remove(&1).unwrap_or_else(missing)
        };
        inputs.progress.event(Event::Ended { part: name, ok: result.is_ok() });
        done.push(Done { name, seconds, result: result.map_err(CaptureError::Unexpected) });
    }
    Ok(done)
}
