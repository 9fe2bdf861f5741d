//! A snapshot of the appliance's own Backup Service as the source of a backup (contract §11.2): no gate, no exports, no secrets logic, only
//! files that nobody changes any more.
//!
//! Wait until no run is under way → resolve `current` once → read that directory → look whether it still is what it was. The service may
//! prune it meanwhile; then the new `current` is taken, once.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{
    folder::{FolderError, SnapshotFolder, Standing},
    record::{self, ImportRecord, Recorded, recorded},
    remote::RemoteFolder,
    seal_up::{Finished, Moments, SealUpError, Sealing},
    service_look::{Look, read, script},
    tree::Builder,
};
use crate::{
    appliance::{
        channel::RemoteCommand,
        facts::{self, Facts},
        quote::quote,
    },
    backup::{
        BackupError, BackupInputs, BackupReport,
        context::{CaptureError, check},
        files::{entry_node::Owners, survey::Known},
        pages, same_appliance,
    },
    progress::Event,
    retention,
    seal::{self, Outcome, Seal, Source},
    vault::{Snapshot, SnapshotId, TreeId, VaultError, WriteLease, tree_hex},
};

/// How long a dead run blocks the vault for the next one, at most.
const LEASE: Duration = Duration::from_mins(2);
const PART: &str = "backup-service";

/// How the Backup Service is waited for.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// Its data root.
    pub data: String,
    /// Longest wait for a run of it to end.
    pub wait: Duration,
    /// Pause between two looks.
    pub poll: Duration,
    /// A mark of a run that is older than this is taken for a left-over, and named so.
    pub mark_age_max: Duration,
    /// A snapshot that is older than this is worth a warning.
    pub snapshot_age_max: Duration,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            data: "/data/backup/data".into(),
            wait: Duration::from_hours(1),
            poll: Duration::from_secs(10),
            mark_age_max: Duration::from_hours(24),
            snapshot_age_max: Duration::from_hours(26),
        }
    }
}

/// What became of a run.
#[derive(Debug)]
pub enum ServiceOutcome {
    /// There is a new snapshot in the vault.
    Captured(Box<BackupReport>),
    /// The newest one of the service is in the vault already; nothing was written.
    Present {
        /// The snapshot in the vault, hexadecimal.
        snapshot: String,
        /// Its directory on the appliance.
        name: String,
    },
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// As in any other backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A run of the service did not end in time.
    #[error("the appliance's Backup Service is still running after a wait of {} s; its mark is {} old", waited.as_secs(), age_text(*age))]
    Running {
        /// How long was waited.
        waited: Duration,
        /// Age of `backup_utils_in_progress`.
        age: Duration,
    },
    /// The mark is older than any run takes.
    #[error("the mark of a running Backup Service, `backup_utils_in_progress`, is {} old: it seems to be left of a run that died", age_text(*age))]
    StaleMark {
        /// Its age.
        age: Duration,
    },
    /// The service has nothing.
    #[error("the appliance's Backup Service has no finished snapshot: `{current}` {reason}")]
    NoSnapshot {
        /// The link.
        current: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It was deleted while it was read, twice.
    #[error(
        "snapshot `{name}` of the Backup Service was deleted while it was read, and so was the one before"
    )]
    Pruned {
        /// The directory.
        name: String,
    },
}

fn age_text(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    if minutes < 120 { format!("{minutes} min") } else { format!("{} h", minutes / 60) }
}

impl From<SealUpError> for ServiceError {
    fn from(error: SealUpError) -> Self {
        Self::Backup(match error {
            SealUpError::Vault(source) => source.into(),
            SealUpError::Seal(source) => source.into(),
        })
    }
}

impl From<VaultError> for ServiceError {
    fn from(error: VaultError) -> Self {
        Self::Backup(error.into())
    }
}

impl From<FolderError> for ServiceError {
    fn from(error: FolderError) -> Self {
        let source = match error {
            FolderError::Vault(source) => return source.into(),
            FolderError::Capture(CaptureError::Cancelled) => return BackupError::Cancelled.into(),
            FolderError::Capture(source) => source,
            FolderError::Channel(source) => source.into(),
            FolderError::Listing(source) => source.into(),
        };
        BackupError::Dataset { dataset: PART.into(), source }.into()
    }
}

/// Takes the newest finished snapshot of the appliance's Backup Service into the vault.
///
/// # Errors
/// There is none, or it could not be read whole; no snapshot is made then.
pub fn run(inputs: &BackupInputs<'_>, settings: &ServiceSettings) -> Result<ServiceOutcome, ServiceError> {
    let lease = inputs.vault.lock_for_writing("backup", LEASE)?;
    let facts = facts::probe(inputs.channel, &inputs.settings.data_root, &inputs.settings.host)
        .map_err(BackupError::from)?;
    let mut warnings = Vec::new();
    let service = Service { inputs, settings, facts: &facts, lease: &lease };
    let list = inputs.vault.snapshots()?;
    let sealed: Vec<(&Snapshot, Seal)> = list
        .snapshots
        .iter()
        .filter_map(|one| Some((one, seal::read(one.description.as_deref(), &tree_hex(&one.tree)).ok()?)))
        .collect();
    same_appliance(&sealed, &facts, inputs.channel, inputs.settings, &mut warnings)?;
    let known = recorded(&list, &inputs.vault.index()?)?;
    let mut name = String::new();
    for _ in 0..2 {
        let look = service.wait()?;
        look.snapshot(settings)?.clone_into(&mut name);
        let record = ImportRecord {
            format: 1,
            source: Source::BackupService,
            name: name.clone(),
            uuid: look.uuid.clone(),
            fingerprint: record::fingerprint(look.files.clone()),
        };
        let same = known.iter().rfind(|one| one.record == record);
        if let Some(same) = same.filter(|one| one.outcome == Outcome::Complete) {
            return Ok(ServiceOutcome::Present { snapshot: same.snapshot.to_string(), name });
        }
        if let Some(outcome) = service.take(&look, &record, same, &sealed, warnings.clone())? {
            return Ok(outcome);
        }
        let text = format!("snapshot `{name}` was deleted while it was read; the new one is taken");
        inputs.progress.event(Event::Warning { text: &text });
        warnings.push(text);
    }
    Err(ServiceError::Pruned { name })
}

struct Service<'a> {
    inputs: &'a BackupInputs<'a>,
    settings: &'a ServiceSettings,
    facts: &'a Facts,
    lease: &'a WriteLease,
}

impl Service<'_> {
    fn look(&self) -> Result<Look, ServiceError> {
        let label = "look at the Backup Service";
        let script = script(self.settings, &self.inputs.settings.data_root);
        let command = RemoteCommand::new(label, format!("bash -c {}", quote(&script)));
        let out = self.inputs.channel.run(&command, &[]).map_err(FolderError::from)?;
        check(label, &out.exit).map_err(FolderError::from)?;
        read(&String::from_utf8_lossy(&out.stdout)).ok_or_else(|| {
            let what = format!("`{label}` did not answer to its end");
            FolderError::from(CaptureError::Unexpected(what)).into()
        })
    }

    /// Waits until no run of the service is under way.
    fn wait(&self) -> Result<Look, ServiceError> {
        let begun = Instant::now();
        let mut told = false;
        loop {
            if self.inputs.settings.cancel.is_cancelled() {
                return Err(BackupError::Cancelled.into());
            }
            let look = self.look()?;
            let Some(age) = look.mark_age else { return Ok(look) };
            if age > self.settings.mark_age_max {
                return Err(ServiceError::StaleMark { age });
            }
            let waited = begun.elapsed();
            if waited >= self.settings.wait {
                return Err(ServiceError::Running { waited, age });
            }
            if !told {
                told = true;
                let text = "the appliance's Backup Service is running; waiting for its end";
                self.inputs.progress.event(Event::Warning { text });
            }
            std::thread::sleep(self.settings.poll.min(self.settings.wait.saturating_sub(waited)));
        }
    }

    /// Reads a snapshot into the vault; nothing when it was deleted meanwhile.
    fn take(
        &self,
        look: &Look,
        record: &ImportRecord,
        again: Option<&Recorded>,
        sealed: &[(&Snapshot, Seal)],
        mut warnings: Vec<String>,
    ) -> Result<Option<ServiceOutcome>, ServiceError> {
        let inputs = self.inputs;
        let begun = Instant::now();
        let shown = look.time(&record.name);
        warnings.extend(self.old(shown, &record.name));
        let parent: Option<(SnapshotId, TreeId)> = again
            .map(|one| (one.snapshot, one.tree))
            .or_else(|| sealed.last().map(|(snapshot, _)| (snapshot.id, snapshot.tree)));
        let reader = inputs.vault.index()?;
        let writer = inputs.vault.writer(&reader, self.lease)?;
        let known = match parent {
            Some((_, tree)) => pages::read_all(&reader, tree, pages::UNITS)?,
            None => Known::new(),
        };
        let fitting = inputs.settings.fitting(self.facts);
        let folder = RemoteFolder {
            channel: inputs.channel,
            path: format!("{}/{}", self.settings.data, record.name),
            nice: fitting.nice.clone(),
            idle: fitting.idle,
        };
        inputs.progress.event(Event::Started { part: PART, bytes_expected: None });
        let builder = Builder {
            folder: &folder,
            reader: &reader,
            writer: &writer,
            parent: parent.map(|(_, tree)| tree),
            known: &known,
            owners: &Owners::parse(&self.facts.passwd, &self.facts.group),
            progress: inputs.progress,
            cancel: &inputs.settings.cancel,
            time: shown,
            part: PART,
        };
        let built = self.build(&builder, look, record, begun);
        let standing = match &built {
            Err(FolderError::Vault(_) | FolderError::Capture(CaptureError::Cancelled)) => Standing::Whole,
            _ => folder.standing()?,
        };
        inputs.progress.event(Event::Ended { part: PART, ok: built.is_ok() && standing == Standing::Whole });
        if standing != Standing::Whole {
            return Ok(None);
        }
        let mut finished = built?;
        finished.identity.host.clone_from(&inputs.settings.host);
        finished.identity.host_key = inputs.channel.host_key().unwrap_or_default();
        if let Some(same) = again.filter(|one| one.tree == finished.tree) {
            let (snapshot, name) = (same.snapshot.to_string(), record.name.clone());
            return Ok(Some(ServiceOutcome::Present { snapshot, name }));
        }
        let previous =
            retention::chain(inputs.vault, &inputs.vault.snapshots()?)?.pop().map(|seal| seal.hash);
        let sealing = Sealing {
            vault: inputs.vault,
            lease: self.lease,
            seal_key: inputs.seal_key,
            source: Source::BackupService,
        };
        let parent = parent.map(|(id, _)| id);
        let (id, stats, _) = sealing.commit(&finished, writer, Moments { shown, begun }, parent, previous)?;
        warnings.append(&mut finished.warnings);
        let sum = |field: fn(&crate::backup::DatasetReport) -> u64| finished.rows.iter().map(field).sum();
        Ok(Some(ServiceOutcome::Captured(Box::new(BackupReport {
            snapshot: id.to_string(),
            host: inputs.settings.host.clone(),
            topology: None,
            part: None,
            run: None,
            outcome: finished.outcome(),
            bytes_read: sum(|row| row.bytes_read),
            bytes_added: stats.bytes_stored,
            files_changed: sum(|row| row.files_changed),
            gate_held_seconds: 0.0,
            parent: parent.map(|id| id.to_string()),
            seconds: begun.elapsed().as_secs_f64(),
            warnings,
            datasets: finished.rows,
        }))))
    }

    fn build(
        &self,
        builder: &Builder<'_>,
        look: &Look,
        record: &ImportRecord,
        begun: Instant,
    ) -> Result<Finished, FolderError> {
        let mut built = builder.build()?;
        builder.take_small(&mut built)?;
        if look.checkpoints.as_ref().is_some_and(|points| points.incremental) {
            built.rows.entry("mysql".into()).or_default().problems.push(
                "its MySQL stream is an incremental one, and this source takes no chains; import the data directory instead"
                    .into(),
            );
        }
        builder.finish(built, record, Some(&self.inputs.settings.host), begun.elapsed().as_secs_f64())
    }

    /// A warning about a snapshot that is older than it should be, by the appliance's clock.
    fn old(&self, shown: Timestamp, name: &str) -> Option<String> {
        let seconds = self.facts.clock_s.saturating_sub(shown.as_second());
        let age = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let text =
            || format!("the newest snapshot of the Backup Service, `{name}`, is {} old", age_text(age));
        (age > self.settings.snapshot_age_max).then(text)
    }
}
