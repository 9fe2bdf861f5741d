//! The storyline of a backup: probe, find the parent, capture beside each other, join, tally, seal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    context::{CaptureError, Captured, Context},
    dataset,
    files::{entry_node::Owners, survey::Known},
    pages,
    report::{BackupReport, DatasetReport},
    settings::{BackupSettings, DATASETS},
};
use crate::{
    appliance::{
        channel::Channel,
        facts::{self, Facts, Role},
        gate::{self, Gate, GateError, GateSettings},
    },
    progress::{Event, Progress},
    seal::{self, FORMAT, Manifest, Outcome, Seal, SealError, SealedDataset},
    state::{GateRecord, StateError, StateFolder},
    vault::{
        BlobWriter, Collector, DirNode, DraftSummary, Graft, Problem, Snapshot, SnapshotDraft, SnapshotId,
        TreeId, Vault, VaultError, VaultReader, WriteLease, tree_hex,
    },
};

/// How long a dead backup blocks the vault for the next one, at most.
const LEASE: Duration = Duration::from_secs(120);

/// What a backup works with.
pub struct BackupInputs<'a> {
    /// The appliance.
    pub channel: &'a dyn Channel,
    /// Where to.
    pub vault: &'a Vault,
    /// How.
    pub settings: &'a BackupSettings,
    /// The state folder of this host.
    pub state: &'a StateFolder,
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
    /// The user ended the run.
    #[error("the backup was cancelled")]
    Cancelled,
    /// The state folder failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The seal could not be made.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// One dataset's result with its time.
struct Done {
    name: &'static str,
    seconds: f64,
    result: Result<Captured, CaptureError>,
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
    let lease = inputs.vault.lock_for_writing("backup", LEASE)?;
    let facts = facts::probe(inputs.channel, &settings.data_root, &settings.host)?;
    let mut warnings = guard(&facts, settings)?;
    heal_gate(inputs, &mut warnings)?;
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
    same_appliance(&sealed, &facts, inputs.channel, settings, &mut warnings)?;
    let parent = sealed.last().map(|(snapshot, _)| Parent { id: snapshot.id, tree: snapshot.tree });
    let previous = sealed
        .iter()
        .rev()
        .find(|(_, seal)| seal.manifest.outcome == Outcome::Complete)
        .map(|(_, seal)| seal.hash.clone());

    let reader = inputs.vault.index()?;
    let writer = inputs.vault.writer(&reader, &lease)?;
    let known =
        parent.as_ref().map_or_else(|| Ok(Known::new()), |parent| read_units(&reader, parent.tree))?;
    let owners = Owners::parse(&facts.passwd, &facts.group);
    let ctx = Context {
        channel: inputs.channel,
        facts: &facts,
        settings,
        parent: parent.as_ref().map(|parent| parent.tree),
        known: &known,
        reader: &reader,
        writer: &writer,
        progress: inputs.progress,
        owners: &owners,
        started,
    };
    let (done, held) = capture_all(&ctx, inputs, &mut warnings)?;
    if settings.cancel.is_cancelled() {
        return Err(BackupError::Cancelled);
    }
    let run = Finished { inputs, ctx: &ctx, facts: &facts, done, held, warnings, clock };
    let joined = run.join()?;
    joined.commit(writer, &lease, parent.as_ref().map(|parent| parent.id), previous)
}

/// Refuses what must not be backed up; returns what is merely worth knowing.
fn guard(facts: &Facts, settings: &BackupSettings) -> Result<Vec<String>, BackupError> {
    let mut warnings = Vec::new();
    let refuse = |reason: String| Err(BackupError::Refused { reason });
    if facts.version < facts::OLDEST {
        return refuse(format!(
            "GitHub Enterprise Server {} is older than {}",
            facts.version_text,
            facts::OLDEST
        ));
    }
    match facts.role {
        Role::Replica if !settings.allow_replica => {
            return refuse(
                "this is a high-availability replica; back up the primary, or allow replicas".into(),
            );
        }
        Role::Replica => {
            warnings.push("a replica was backed up; its data may be in a transient state".into())
        }
        Role::Cluster => {
            return refuse("this is a node of a cluster, which this release does not back up".into());
        }
        Role::Primary => {
            warnings.push("the appliance has replicas; their Git maintenance was not paused".into());
        }
        Role::Standalone => {}
    }
    if facts.backup_service_running {
        return refuse("the appliance's own Backup Service is running; both would use the same gate".into());
    }
    for (name, needed) in facts::COMMANDS {
        if *needed && !facts.has(name) {
            return refuse(format!("the appliance lacks the command `{name}`"));
        }
    }
    if facts.flag("app.actions.enabled") {
        warnings.push("Actions is enabled; its files and databases are not captured by this release".into());
    }
    if facts.flag("app.minio.enabled") {
        warnings.push("MinIO is enabled; its files are not captured by this release".into());
    }
    Ok(warnings)
}

/// A vault belongs to one appliance; after a promotion the UUID differs and the host key stays (contract §6.1).
fn same_appliance(
    sealed: &[(&Snapshot, Seal)],
    facts: &Facts,
    channel: &dyn Channel,
    settings: &BackupSettings,
    warnings: &mut Vec<String>,
) -> Result<(), BackupError> {
    let Some((_, seal)) = sealed.last() else { return Ok(()) };
    let before = &seal.manifest;
    if before.uuid == facts.uuid {
        return Ok(());
    }
    let text =
        format!("the appliance's UUID is {}, the vault's last snapshot is of {}", facts.uuid, before.uuid);
    if channel.host_key().is_some_and(|key| key == before.host_key) {
        warnings
            .push(format!("{text}; its host key is the same, so this looks like a promotion or a restore"));
        return Ok(());
    }
    if settings.allow_other_appliance {
        warnings.push(text);
        return Ok(());
    }
    Err(BackupError::Refused { reason: format!("{text}: this vault belongs to another appliance") })
}

/// Removes a gate that a dead run of this host left behind (contract §3.3).
fn heal_gate(inputs: &BackupInputs<'_>, warnings: &mut Vec<String>) -> Result<(), BackupError> {
    let Some(record) = inputs.state.gate()? else { return Ok(()) };
    if record.host != inputs.settings.host {
        return Ok(());
    }
    let repositories = format!("{}/repositories", inputs.settings.data_root);
    let removed =
        gate::remove(inputs.channel, &repositories, &record.mark).map_err(facts::FactsError::Channel)?;
    if removed {
        warnings.push("a maintenance gate that an earlier run had left was removed".into());
    }
    inputs.state.forget_gate()?;
    Ok(())
}

/// Unit digests of the parent; a page that cannot be understood makes its units changed, not the run fail.
fn read_units(reader: &VaultReader, root: TreeId) -> Result<Known, VaultError> {
    let mut known = Known::new();
    let Some(folder) = reader.node_at(root, pages::UNITS)? else { return Ok(known) };
    let Some(tree) = folder.subtree else { return Ok(known) };
    for node in reader.tree(&tree)?.nodes {
        let mut content = Vec::new();
        reader.dump(&node, &mut content)?;
        for (path, digest) in pages::read(&content).unwrap_or_default() {
            if let Ok(digest) = digest.try_into() {
                known.insert(path, digest);
            }
        }
    }
    Ok(known)
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
        scope.spawn(|| ["mysql", "redis"].map(&one));
        scope.spawn(|| ["pages", "git-hooks", "elasticsearch"].map(&one));
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

/// Repositories and storage, with Git maintenance paused (contract §3.2).
fn gated(
    ctx: &Context<'_>,
    inputs: &BackupInputs<'_>,
    one: &(dyn Fn(&'static str) + Sync),
    warnings: &mut Vec<String>,
) -> Result<f64, BackupError> {
    let wanted: Vec<&'static str> =
        ["repositories", "storage"].into_iter().filter(|name| ctx.settings.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(0.0);
    }
    let settings = GateSettings {
        repositories: format!("{}/repositories", ctx.settings.data_root),
        drain_s: ctx.settings.drain_s,
        wait: ctx.settings.gate_wait,
    };
    let gate = Gate::take(ctx.channel, &settings).inspect_err(|_| ctx.settings.cancel.cancel())?;
    if let Some(mark) = gate.mark() {
        let record =
            GateRecord { host: ctx.settings.host.clone(), mark: mark.clone(), pid: std::process::id() };
        inputs.state.record_gate(&record)?;
    }
    std::thread::scope(|scope| {
        for name in wanted {
            scope.spawn(move || one(name));
        }
    });
    let held = gate.held();
    match gate.release() {
        Ok(held) => {
            inputs.state.forget_gate()?;
            Ok(held.as_secs_f64())
        }
        Err(why) => {
            // Maintenance may have run beside us: what was read is not to be trusted as a whole.
            warnings.push(format!("the maintenance gate was lost after {:.1} s: {why}", held.as_secs_f64()));
            Err(GateError::Lease(crate::appliance::lease::LeaseError::Refused {
                label: "keep Git maintenance paused".into(),
                line: why,
                code: "lost".into(),
            })
            .into())
        }
    }
}

fn capture_one(ctx: &Context<'_>, name: &str) -> Result<Captured, CaptureError> {
    match name {
        "secrets" => dataset::secrets::capture(ctx),
        "settings" => dataset::small::settings(ctx),
        "authorized-keys" => dataset::small::authorized_keys(ctx),
        "ssh-host-keys" => dataset::small::ssh_host_keys(ctx),
        "mysql" => dataset::mysql::capture(ctx),
        "redis" => dataset::redis::capture(ctx),
        "audit-log" => dataset::audit_log::capture(ctx),
        "repositories" => dataset::repositories::capture(ctx),
        folder => dataset::folders::capture(ctx, folder),
    }
}

/// A run whose datasets have ended, before its snapshot.
struct Finished<'a, 'c> {
    inputs: &'a BackupInputs<'a>,
    ctx: &'c Context<'c>,
    facts: &'a Facts,
    done: Vec<Done>,
    held: f64,
    warnings: Vec<String>,
    clock: Instant,
}

/// A run whose tree is written.
struct Joined<'a> {
    inputs: &'a BackupInputs<'a>,
    facts: &'a Facts,
    tree: TreeId,
    rows: Vec<DatasetReport>,
    held: f64,
    warnings: Vec<String>,
    started: Timestamp,
    clock: Instant,
}

impl<'a> Finished<'a, '_> {
    /// Joins what the datasets contributed into one tree.
    fn join(self) -> Result<Joined<'a>, BackupError> {
        let Self { inputs, ctx, facts, done, held, mut warnings, clock } = self;
        let mut graft = Graft::default();
        let mut units: BTreeMap<Vec<u8>, [u8; 16]> = BTreeMap::new();
        let mut rows = Vec::new();
        let mut lost: BTreeSet<&'static str> = BTreeSet::new();
        for row in done {
            let Done { name, seconds, result } = row;
            match result {
                Ok(captured) => {
                    warnings.extend(captured.warnings.iter().map(|text| format!("{name}: {text}")));
                    rows.push(report(name, seconds, &captured));
                    graft.replace.extend(captured.replace);
                    graft.remove.extend(captured.remove);
                    graft.directories.extend(
                        captured
                            .folders
                            .into_iter()
                            .map(|(path, meta)| (path, DirNode { meta, children: None })),
                    );
                    units.extend(captured.units);
                }
                Err(source) => {
                    lost.insert(name);
                    rows.push(failed(name, seconds, &source));
                }
            }
        }
        if rows.iter().all(|row| row.outcome == Outcome::Failed) {
            let first = rows.iter().flat_map(|row| row.problems.first()).next();
            return Err(BackupError::Nothing {
                first: first.cloned().unwrap_or_else(|| "no dataset was wanted".into()),
            });
        }
        // A dataset that failed or was left out keeps what the parent has, with the digests of that.
        for (path, digest) in ctx.known {
            let name = path.split(|b| *b == b'/').next().unwrap_or_default();
            let name = String::from_utf8_lossy(name);
            if lost.contains(&*name) || !ctx.settings.wants(&name) {
                units.insert(path.clone(), *digest);
            }
        }
        drop_gone_items(ctx, &rows, &mut graft)?;
        prune_removals(&mut graft);
        write_small(ctx, &mut graft, facts, &units)?;
        let tree = graft.apply(ctx.reader, ctx.writer, ctx.parent)?;
        Ok(Joined { inputs, facts, tree, rows, held, warnings, started: ctx.started, clock })
    }
}

/// Items of earlier snapshots that a complete dataset does not have any more (a secret that was unset, SAML keys that are gone).
fn drop_gone_items(ctx: &Context<'_>, rows: &[DatasetReport], graft: &mut Graft) -> Result<(), VaultError> {
    let Some(parent) = ctx.parent else { return Ok(()) };
    let complete = |name: &str| rows.iter().any(|row| row.name == name && row.outcome == Outcome::Complete);
    for node in ctx.reader.tree(&parent)?.nodes {
        let name = node.name().to_string_lossy().into_owned();
        let owner = match name.as_str() {
            "saml-keys.tar" | "ssl-ca-certificates.tar" => "settings",
            "es-scan-complete" => "audit-log",
            "mysql.sql" | "mysql.sql.gz" | "mysql-binary-backup-sentinel" => "mysql",
            "logical-external-database-backup-sentinel" => "mysql",
            file if crate::appliance::secret_table::SECRETS.iter().any(|row| row.file == file) => "secrets",
            _ => continue,
        };
        if complete(owner) && !graft.replace.contains_key(name.as_bytes()) {
            graft.remove.insert(name.into_bytes());
        }
    }
    Ok(())
}

/// A removal inside a removed folder says nothing new, and would bring the folder back.
fn prune_removals(graft: &mut Graft) {
    let all = std::mem::take(&mut graft.remove);
    let inside = |path: &[u8]| memchr::memchr_iter(b'/', path).any(|at| all.contains(&path[..at]));
    graft.remove = all.iter().filter(|path| !inside(path)).cloned().collect();
}

/// Version, strategy and the pages of unit digests.
fn write_small(
    ctx: &Context<'_>,
    graft: &mut Graft,
    facts: &Facts,
    units: &BTreeMap<Vec<u8>, [u8; 16]>,
) -> Result<(), VaultError> {
    let version = format!("v{}\n", facts.version_text);
    for (path, text) in [("version", version.as_str()), ("strategy", "rsync\n")] {
        graft.replace.insert(path.into(), ctx.store_bytes(path.as_bytes(), text.as_bytes())?);
    }
    let new = pages::write(units.iter().map(|(path, digest)| (&path[..], &digest[..])));
    if let Some(folder) = ctx.parent_node(pages::UNITS.as_bytes())?.and_then(|node| node.subtree) {
        for node in ctx.reader.tree(&folder)?.nodes {
            let name = node.name().to_string_lossy().into_owned();
            if !new.contains_key(&name) {
                graft.remove.insert(format!("{}/{name}", pages::UNITS).into_bytes());
            }
        }
    }
    for (name, content) in new {
        let path = format!("{}/{name}", pages::UNITS).into_bytes();
        graft.replace.insert(path.clone(), ctx.store_bytes(&path, &content)?);
    }
    Ok(())
}

fn report(name: &str, seconds: f64, captured: &Captured) -> DatasetReport {
    let outcome = if captured.problems.is_empty() { Outcome::Complete } else { Outcome::Partial };
    DatasetReport {
        name: name.into(),
        outcome,
        items: captured.items,
        bytes: captured.bytes,
        bytes_read: captured.bytes_read,
        files_changed: captured.files_changed,
        seconds,
        problems: captured.problems.clone(),
    }
}

fn failed(name: &str, seconds: f64, source: &CaptureError) -> DatasetReport {
    DatasetReport {
        name: name.into(),
        outcome: Outcome::Failed,
        items: 0,
        bytes: 0,
        bytes_read: 0,
        files_changed: 0,
        seconds,
        problems: vec![source.to_string()],
    }
}

impl Joined<'_> {
    /// Flushes the vault, signs the manifest, and writes the snapshot: last of all, in one step.
    fn commit(
        self,
        writer: BlobWriter,
        lease: &WriteLease,
        parent: Option<SnapshotId>,
        previous: Option<String>,
    ) -> Result<BackupReport, BackupError> {
        let stats = writer.finish()?;
        let collector = Collector::new();
        self.tally(&collector);
        let left_out = DATASETS.iter().any(|name| !self.inputs.settings.wants(name));
        let whole = !left_out && self.rows.iter().all(|row| row.outcome == Outcome::Complete);
        let outcome = if whole { Outcome::Complete } else { Outcome::Partial };
        let settings = self.inputs.settings;
        let seconds = self.clock.elapsed().as_secs_f64();
        let manifest = Manifest {
            format: FORMAT,
            outcome,
            started: self.started.to_string(),
            seconds,
            host: settings.host.clone(),
            uuid: self.facts.uuid.clone(),
            version: self.facts.version_text.clone(),
            host_key: self.inputs.channel.host_key().unwrap_or_default(),
            tree: tree_hex(&self.tree),
            gate_held_seconds: self.held,
            datasets: self.rows.iter().map(|row| (row.name.clone(), sealed_row(row))).collect(),
            previous,
            program: concat!("ghevault ", env!("CARGO_PKG_VERSION")).into(),
        };
        let description = self.inputs.state.seal_key()?.seal(&manifest)?;
        let sum = |field: fn(&DatasetReport) -> u64| self.rows.iter().map(field).sum::<u64>();
        let (bytes_read, files_changed) = (sum(|row| row.bytes_read), sum(|row| row.files_changed));
        let draft = SnapshotDraft {
            time: self.started,
            tree: self.tree,
            parent,
            hostname: settings.host.clone(),
            username: "ghevault".into(),
            tags: vec!["ghevault".into(), if whole { "complete" } else { "partial" }.into()],
            paths: vec!["/".into()],
            description: Some(description),
            summary: Some(DraftSummary {
                started: Some(self.started),
                ended: Some(Timestamp::now()),
                files_changed,
                bytes_processed: sum(|row| row.bytes),
                stats,
                ..DraftSummary::default()
            }),
        };
        let open = collector.verdict()?;
        let snapshot = self.inputs.vault.commit(&draft, &open, lease)?;
        Ok(BackupReport {
            snapshot: snapshot.to_string(),
            outcome,
            datasets: self.rows,
            bytes_read,
            bytes_added: stats.bytes_stored,
            files_changed,
            gate_held_seconds: self.held,
            parent: parent.map(|id| id.to_string()),
            seconds,
            warnings: self.warnings,
        })
    }

    /// Promised against delivered: every wanted dataset has a row, and no row is better than what it lacks.
    fn tally(&self, collector: &Collector) {
        for name in DATASETS.iter().filter(|name| self.inputs.settings.wants(name)) {
            if !self.rows.iter().any(|row| row.name == *name) {
                collector.report(Problem {
                    dataset: (*name).into(),
                    path: None,
                    what: "it was promised and has no result".into(),
                    fatal: true,
                });
            }
        }
        for row in &self.rows {
            for what in &row.problems {
                collector.report(Problem {
                    dataset: row.name.clone(),
                    path: None,
                    what: what.clone(),
                    fatal: row.outcome == Outcome::Complete,
                });
            }
        }
    }
}

fn sealed_row(row: &DatasetReport) -> SealedDataset {
    SealedDataset { outcome: row.outcome, items: row.items, bytes: row.bytes, problems: row.problems.clone() }
}
