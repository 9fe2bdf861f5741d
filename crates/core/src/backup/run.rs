//! The storyline of a backup: probe, find the parent, capture beside each other, join, tally, seal.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    commit::{Identity, Keep},
    context::{CaptureError, Captured, Context},
    dataset,
    files::{entry_node::Owners, survey::Known},
    gated::gated,
    guard::{guard, same_appliance},
    heal::heal_gates,
    join::Finished,
    machines::Machines,
    pages,
    report::BackupReport,
    settings::{BackupSettings, DATASETS},
    shard::{
        Shard,
        part::Share,
        run::{self as shard_run, OpenRun, ShardError},
    },
    still::{rival, still_the_same},
};
use crate::{
    appliance::{channel::Channel, facts, fleet::Nodes, gate::GateError},
    progress::{Event, Progress},
    retention,
    seal::{self, Outcome, Seal, SealError, SealKey},
    state::{StateError, StateFolder},
    vault::{Snapshot, SnapshotId, SnapshotList, TreeId, Vault, VaultError, WriteLease, tree_hex},
};

/// How long a dead backup blocks the vault for the next one, at most.
const LEASE: Duration = Duration::from_mins(2);

/// What a backup works with.
pub struct BackupInputs<'a> {
    /// The appliance.
    pub channel: &'a dyn Channel,
    /// The way to the other machines of its fleet.
    pub nodes: &'a dyn Nodes,
    /// Where to.
    pub vault: &'a Vault,
    /// How.
    pub settings: &'a BackupSettings,
    /// The state folder of this host.
    pub state: &'a StateFolder,
    /// The key that signs the snapshot.
    pub seal_key: &'a SealKey,
    /// Whom to tell.
    pub progress: &'a dyn Progress,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The appliance cannot be reached or is none.
    #[error(transparent)]
    Facts(#[from] facts::FactsError),
    /// A guard refused.
    #[error("{reason}")]
    Refused {
        /// Which, and what allows it.
        reason: String,
    },
    /// The gate could not be had.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A dataset met something that ends the run.
    #[error("dataset `{dataset}` ended the run: {source}")]
    Dataset {
        /// The dataset.
        dataset: String,
        /// The cause.
        source: CaptureError,
    },
    /// Not a single dataset could be captured.
    #[error("nothing could be captured: {first}")]
    Nothing {
        /// The first problem.
        first: String,
    },
    /// The machine lost its part in the pair, or another one answers in its place.
    #[error(
        "`{host}` was {was} when the run began and is {is} now: what was read is no state of the appliance"
    )]
    Changed {
        /// The machine as it was named.
        host: String,
        /// Its part at the start.
        was: String,
        /// Its part now.
        is: String,
    },
    /// The primary stopped answering.
    #[error("the primary `{host}` stopped answering during the run: {why}")]
    LostPrimary {
        /// The machine as it was named.
        host: String,
        /// What is known of it.
        why: String,
    },
    /// The user ended the run.
    #[error("the backup was cancelled")]
    Cancelled,
    /// The state folder failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The seal could not be made.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A shard does not fit its run, or the run cannot be joined.
    #[error(transparent)]
    Shard(#[from] ShardError),
}

/// One dataset's result with its time.
pub(super) struct Done {
    pub(super) name: &'static str,
    pub(super) seconds: f64,
    pub(super) result: Result<Captured, CaptureError>,
}

/// The snapshot that the new one builds on.
struct Parent {
    id: SnapshotId,
    tree: TreeId,
}

/// Runs a backup to its sealed snapshot.
///
/// # Errors
/// There is no snapshot then, and no earlier one was touched.
pub fn run(inputs: &BackupInputs<'_>) -> Result<BackupReport, BackupError> {
    let started = Timestamp::now();
    let clock = Instant::now();
    let settings = inputs.settings;
    let lease = match &settings.shard {
        None => inputs.vault.lock_for_writing("backup", LEASE)?,
        Some(shard) => inputs.vault.lock_for_part(&format!("shard {}", shard.place), &shard.run, LEASE)?,
    };
    let facts = facts::probe(inputs.channel, &settings.data_root, &settings.host)?;
    let mut warnings = guard(&facts, settings)?;
    if let Some(rival) = rival(inputs.channel, &facts) {
        let reason = format!(
            "`{rival}` of the same pair is a primary, too: this is a former primary, or the pair is split"
        );
        return Err(BackupError::Refused { reason });
    }
    let fitting = settings.fitting(&facts);
    heal_gates(inputs, &facts, &mut warnings)?;
    let machines = Machines::open(&facts, inputs.channel, inputs.nodes)?;
    let list = inputs.vault.snapshots()?;
    for (id, why) in &list.damaged {
        warnings.push(format!("snapshot {id} is damaged: {why}"));
    }
    let sealed: Vec<(&Snapshot, Seal)> = list
        .snapshots
        .iter()
        .filter_map(|snapshot| {
            Some((snapshot, seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree)).ok()?))
        })
        .collect();
    let promoted = same_appliance(&sealed, &facts, inputs.channel, settings, &mut warnings)?;
    let newest = sealed.last().map(|(snapshot, _)| Parent { id: snapshot.id, tree: snapshot.tree });
    let open = match &settings.shard {
        None => None,
        Some(shard) => Some(open_run(inputs, shard, &lease, &facts, newest.as_ref(), &list)?),
    };
    let parent = match &open {
        None => newest,
        Some(run) => parent_of(run, &list)?,
    };
    let previous = retention::chain(inputs.vault, &list)?.pop().map(|seal| seal.hash);

    let reader = inputs.vault.index()?;
    let writer = inputs.vault.writer(&reader, &lease)?;
    let mut known: Known = parent
        .as_ref()
        .map_or_else(|| Ok(Known::new()), |parent| pages::read_all(&reader, parent.tree, pages::UNITS))?;
    if let Some(shard) = &settings.shard {
        known.retain(|path, _| shard.takes(path));
    }
    let moment = open.as_ref().map(|run| run.started).or(settings.moment).unwrap_or(started);
    let owners = Owners::parse(&facts.passwd, &facts.group);
    let ctx = Context {
        channel: inputs.channel,
        nodes: inputs.nodes,
        machines: &machines,
        spread: None,
        facts: &facts,
        settings: &fitting,
        parent: parent.as_ref().map(|parent| parent.tree),
        known: &known,
        reader: &reader,
        writer: &writer,
        progress: inputs.progress,
        owners: &owners,
        started: moment,
        promoted,
    };
    let ran = capture_all(&ctx, inputs, &mut warnings);
    still_the_same(inputs, &facts, ran.is_err(), &mut warnings)?;
    let (done, held) = ran?;
    if settings.cancel.is_cancelled() {
        return Err(BackupError::Cancelled);
    }
    let identity = Identity {
        uuid: facts.uuid.clone(),
        version: facts.version_text.clone(),
        host_key: inputs.channel.host_key().unwrap_or_default(),
        cluster: machines.cluster(),
        topology: machines.sealed(),
    };
    let ground = ctx.ground();
    if let (Some(shard), Some(run)) = (&settings.shard, &open) {
        let seconds = clock.elapsed().as_secs_f64();
        let share = Share { inputs, shard, run, ground, identity, done, held, warnings, started, seconds };
        let written = share.write()?;
        return written.commit(inputs, writer, &lease);
    }
    let keep = Keep { vault: inputs.vault, seal_key: inputs.seal_key, settings };
    let run = Finished { keep, ground, known: &known, identity, done, held, warnings, clock };
    let joined = run.join()?;
    joined.commit(writer, &lease, parent.as_ref().map(|parent| parent.id), previous)
}

/// The run that a shard belongs to: as another shard began it, or begun here, on the newest snapshot.
fn open_run(
    inputs: &BackupInputs<'_>,
    shard: &Shard,
    lease: &WriteLease,
    facts: &facts::Facts,
    newest: Option<&Parent>,
    list: &SnapshotList,
) -> Result<OpenRun, BackupError> {
    if let Some((snapshot, seal)) = shard_run::joined(list, &shard.run)
        && seal.manifest.outcome == Outcome::Complete
    {
        let snapshot = snapshot.id.to_string();
        return Err(ShardError::Joined { run: shard.run.clone(), snapshot }.into());
    }
    let mine = OpenRun {
        name: shard.run.clone(),
        count: shard.place.count,
        host: inputs.settings.host.clone(),
        uuid: facts.uuid.clone(),
        version: facts.version_text.clone(),
        started: inputs.settings.moment.unwrap_or_else(Timestamp::now),
        parent: newest.map(|parent| parent.id),
        skip: inputs.settings.skip.clone(),
    };
    Ok(shard_run::open(inputs.vault, lease, mine, shard.place)??)
}

/// The snapshot that a run builds on.
fn parent_of(run: &OpenRun, list: &SnapshotList) -> Result<Option<Parent>, ShardError> {
    let Some(id) = run.parent else { return Ok(None) };
    let found = list.snapshots.iter().find(|one| one.id == id);
    let found = found.ok_or_else(|| ShardError::ParentGone { run: run.name.clone(), snapshot: id })?;
    Ok(Some(Parent { id, tree: found.tree }))
}

/// Runs the datasets beside each other: those that need the gate inside it, the others meanwhile.
fn capture_all(
    ctx: &Context<'_>,
    inputs: &BackupInputs<'_>,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Done>, f64), BackupError> {
    let done = Mutex::new(Vec::new());
    let one = |name: &'static str| {
        if !ctx.settings.wants(name) {
            return;
        }
        ctx.progress.event(Event::Started { part: name, bytes_expected: None });
        let clock = Instant::now();
        let mut result = ctx.check_cancelled().and_then(|()| capture_one(ctx, name));
        if let Err(first) = &result
            && !first.ends_run()
        {
            // Once more: a lost connection or a passing fault should not cost a snapshot.
            ctx.progress.event(Event::Warning { text: &format!("{name} is tried again: {first}") });
            result = ctx.check_cancelled().and_then(|()| capture_one(ctx, name));
        }
        let ok = result.as_ref().is_ok_and(|captured| captured.problems.is_empty());
        ctx.progress.event(Event::Ended { part: name, ok });
        let row = Done { name, seconds: clock.elapsed().as_secs_f64(), result };
        if row.result.as_ref().is_err_and(CaptureError::ends_run) {
            // The others end at their next step; what they have is of no use.
            ctx.settings.cancel.cancel();
        }
        if let Ok(mut rows) = done.lock() {
            rows.push(row);
        }
    };
    let held = std::thread::scope(|scope| {
        scope.spawn(|| ["secrets", "settings", "authorized-keys", "ssh-host-keys", "audit-log"].map(&one));
        scope.spawn(|| ["mysql", "mssql", "redis"].map(&one));
        scope.spawn(|| ["pages", "git-hooks", "actions", "minio", "elasticsearch"].map(&one));
        gated(ctx, inputs, &one, warnings)
    })?;
    let mut rows = done.into_inner().unwrap_or_default();
    rows.sort_by_key(|row: &Done| DATASETS.iter().position(|name| *name == row.name));
    // The cause, not those that were cancelled because of it.
    if let Some(at) = rows.iter().position(
        |row| matches!(&row.result, Err(source) if source.ends_run() && !matches!(source, CaptureError::Cancelled)),
    ) {
        let Done { name, result, .. } = rows.swap_remove(at);
        if let Err(source) = result {
            return Err(match source {
                CaptureError::Vault(source) => BackupError::Vault(source),
                source => BackupError::Dataset { dataset: name.into(), source },
            });
        }
    }
    Ok((rows, held))
}

fn capture_one(ctx: &Context<'_>, name: &str) -> Result<Captured, CaptureError> {
    match name {
        "secrets" => dataset::secrets::capture(ctx),
        "settings" => dataset::small::settings(ctx),
        "authorized-keys" => dataset::small::authorized_keys(ctx),
        "ssh-host-keys" => dataset::small::ssh_host_keys(ctx),
        "mysql" => dataset::mysql::capture(ctx),
        "mssql" => dataset::mssql::capture(ctx),
        "redis" => dataset::redis::capture(ctx),
        "audit-log" => dataset::audit_log::capture(ctx),
        "repositories" => dataset::repositories::capture(ctx),
        folder => dataset::folders::capture(ctx, folder),
    }
}
