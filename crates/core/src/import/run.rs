//! The storyline of an import: one snapshot directory after the other, oldest first, each compared with the one before.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    chain::Chain,
    folder::{FolderError, LocalFolder, SnapshotFolder, Standing},
    name::plain,
    plan::{ImportPlan, PlanError, Planned, Step},
    record::{ImportRecord, Recorded, recorded},
    report::{Fate, ImportReport, Imported},
    seal_up::{Moments, SealUpError, Sealing},
    small::DUMP,
    tree::Builder,
};
use crate::{
    backup::{
        CancelToken,
        context::CaptureError,
        files::{entry_node::Owners, survey::Known},
        pages,
    },
    progress::{Event, Progress},
    retention,
    seal::{Outcome, SealKey, Source},
    vault::{SnapshotId, TreeId, Vault, VaultError, WriteLease},
};

/// How long a dead import blocks the vault for the next run, at most.
const LEASE: Duration = Duration::from_mins(2);

/// What an import works with.
pub struct ImportInputs<'a> {
    /// Where to.
    pub vault: &'a Vault,
    /// The key that signs the snapshots.
    pub seal_key: &'a SealKey,
    /// The appliance's name for manifests, instead of the one in its settings.
    pub host: Option<&'a str>,
    /// Ends the run early; what is sealed stays.
    pub cancel: &'a CancelToken,
    /// Whom to tell.
    pub progress: &'a dyn Progress,
}

/// Why an import ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The data directory cannot be listed.
    #[error("cannot list the data directory `{path}`")]
    Data {
        /// The directory.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The data directory is not imported as it stands.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The seal could not be made.
    #[error(transparent)]
    Seal(#[from] crate::seal::SealError),
    /// The user ended the run.
    #[error("the import was cancelled")]
    Cancelled,
    /// A directory as a whole.
    #[error("snapshot directory `{name}`: {source}")]
    Folder {
        /// The directory.
        name: String,
        /// The cause.
        source: FolderError,
    },
}

impl From<SealUpError> for ImportError {
    fn from(error: SealUpError) -> Self {
        match error {
            SealUpError::Vault(source) => Self::Vault(source),
            SealUpError::Seal(source) => Self::Seal(source),
        }
    }
}

/// The snapshot that the next one is compared with.
struct Before {
    id: SnapshotId,
    tree: TreeId,
}

/// Carries out a plan.
///
/// # Errors
/// The vault, the seal key, or the user; snapshots that were sealed before stay, and the next run goes on after them.
pub fn run(inputs: &ImportInputs<'_>, plan: &ImportPlan) -> Result<ImportReport, ImportError> {
    let begun = Instant::now();
    let lease = inputs.vault.lock_for_writing("import", LEASE)?;
    let list = inputs.vault.snapshots()?;
    let known = recorded(&list, &inputs.vault.index()?)?;
    let mut previous = retention::chain(inputs.vault, &list)?.pop().map(|seal| seal.hash);
    let mut before: Option<Before> = None;
    let mut rows = Vec::new();
    for planned in &plan.snapshots {
        if inputs.cancel.is_cancelled() {
            return Err(ImportError::Cancelled);
        }
        let find = |id: &str| known.iter().find(|one| one.snapshot.to_string() == id);
        match &planned.step {
            Step::Skip { reason } => {
                rows.push(Imported::untouched(
                    &planned.name,
                    planned.time,
                    Fate::Skipped,
                    Some(reason.clone()),
                ));
            }
            Step::Present { snapshot } => {
                before = find(snapshot).map(Before::of).or(before);
                rows.push(Imported {
                    snapshot: Some(snapshot.clone()),
                    outcome: Some(Outcome::Complete),
                    ..Imported::untouched(&planned.name, planned.time, Fate::Present, None)
                });
            }
            Step::Import { again } => {
                let again = again.as_deref().and_then(find);
                before = again.map(Before::of).or(before);
                inputs.progress.event(Event::Started { part: &planned.name, bytes_expected: None });
                let taken = Taking { inputs, plan, planned, lease: &lease };
                let row = taken.one(&mut before, again, &mut previous)?;
                inputs
                    .progress
                    .event(Event::Ended { part: &planned.name, ok: row.outcome == Some(Outcome::Complete) });
                rows.push(row);
            }
        }
    }
    Ok(ImportReport::new(plan.data.clone(), rows, begun.elapsed().as_secs_f64(), plan.warnings.clone()))
}

impl Before {
    fn of(recorded: &Recorded) -> Self {
        Self { id: recorded.snapshot, tree: recorded.tree }
    }
}

/// One directory on its way into the vault.
struct Taking<'a> {
    inputs: &'a ImportInputs<'a>,
    plan: &'a ImportPlan,
    planned: &'a Planned,
    lease: &'a WriteLease,
}

impl Taking<'_> {
    fn one(
        &self,
        before: &mut Option<Before>,
        again: Option<&Recorded>,
        previous: &mut Option<String>,
    ) -> Result<Imported, ImportError> {
        let planned = self.planned;
        let begun = Instant::now();
        let shown = planned.time.unwrap_or_else(Timestamp::now);
        let reader = self.inputs.vault.index()?;
        let writer = self.inputs.vault.writer(&reader, self.lease)?;
        let known = match &before {
            Some(before) => pages::read_all(&reader, before.tree, pages::UNITS)?,
            None => Known::new(),
        };
        let folder = LocalFolder(Path::new(&self.plan.data).join(&planned.name));
        let builder = Builder {
            folder: &folder,
            reader: &reader,
            writer: &writer,
            parent: before.as_ref().map(|before| before.tree),
            known: &known,
            owners: &Owners::default(),
            progress: self.inputs.progress,
            cancel: self.inputs.cancel,
            time: shown,
            part: &planned.name,
        };
        let failed = |reason: String| {
            let row = Imported::untouched(&planned.name, planned.time, Fate::Failed, Some(reason));
            Ok(Imported { seconds: begun.elapsed().as_secs_f64(), ..row })
        };
        let finished = match self.build(&builder, begun) {
            Ok(finished) => finished,
            Err(FolderError::Vault(source)) => return Err(source.into()),
            Err(FolderError::Capture(CaptureError::Cancelled)) => return Err(ImportError::Cancelled),
            Err(source) => return Err(ImportError::Folder { name: planned.name.clone(), source }),
        };
        // backup-utils marks a snapshot before it deletes it (contract §4.4): what was read of such a one is not the whole.
        let standing = folder.standing().unwrap_or(Standing::Gone);
        let forced = planned.problems.iter().any(|problem| problem.contains("`incomplete`"));
        match standing {
            Standing::Gone => {
                return failed("it was deleted while it was read; there is no snapshot of it".into());
            }
            Standing::Incomplete if !forced => {
                return failed(
                    "it was marked `incomplete` while it was read: backup-utils is deleting it".into(),
                );
            }
            Standing::Whole | Standing::Incomplete => {}
        }
        let outcome = finished.outcome();
        let mut row = Imported {
            outcome: Some(outcome),
            datasets: finished.rows.clone(),
            files: finished.rows.iter().map(|row| row.items).sum(),
            bytes: finished.rows.iter().map(|row| row.bytes).sum(),
            bytes_read: finished.rows.iter().map(|row| row.bytes_read).sum(),
            warnings: finished.warnings.clone(),
            ..Imported::untouched(&planned.name, planned.time, Fate::Imported, None)
        };
        if let Some(same) = again.filter(|again| again.tree == finished.tree) {
            row.fate = Fate::Present;
            row.snapshot = Some(same.snapshot.to_string());
            row.reason = Some("nothing of what it lacks has turned up".into());
            row.seconds = begun.elapsed().as_secs_f64();
            return Ok(row);
        }
        let sealing = Sealing {
            vault: self.inputs.vault,
            lease: self.lease,
            seal_key: self.inputs.seal_key,
            source: Source::Import,
        };
        let parent = before.as_ref().map(|before| before.id);
        let (id, stats, hash) =
            sealing.commit(&finished, writer, Moments { shown, begun }, parent, previous.clone())?;
        if outcome == Outcome::Complete {
            *previous = Some(hash);
        }
        *before = Some(Before { id, tree: finished.tree });
        row.snapshot = Some(id.to_string());
        row.bytes_added = stats.bytes_stored;
        row.seconds = begun.elapsed().as_secs_f64();
        Ok(row)
    }

    fn build(&self, builder: &Builder<'_>, begun: Instant) -> Result<super::seal_up::Finished, FolderError> {
        let planned = self.planned;
        let mut built = builder.build()?;
        builder.take_small(&mut built)?;
        for problem in &planned.problems {
            let dataset = if problem.contains("MySQL") { "mysql" } else { "other" };
            built.rows.entry(dataset.into()).or_default().problems.push(problem.clone());
        }
        if let Chain::Members(members) = &planned.chain {
            let data = LocalFolder(self.plan.data.clone().into());
            let sizes: Vec<(String, u64)> = members
                .iter()
                .map(|name| {
                    let stream = Path::new(&self.plan.data).join(name).join(DUMP);
                    (name.clone(), std::fs::metadata(stream).map_or(0, |meta| meta.len()))
                })
                .collect();
            builder.take_chain(&data, &sizes, &mut built)?;
        }
        let record = ImportRecord {
            format: 1,
            source: Source::Import,
            name: plain(&planned.name).to_owned(),
            uuid: planned.uuid.clone(),
            fingerprint: planned.fingerprint.clone(),
        };
        builder.finish(built, &record, self.inputs.host, begun.elapsed().as_secs_f64())
    }
}
