//! The end of a run: tally, manifest, seal, and the snapshot file, last of all and in one step.

use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    report::{BackupReport, DatasetReport},
    run::BackupError,
    settings::{BackupSettings, DATASETS},
};
use crate::{
    seal::{FORMAT, Manifest, Outcome, SealKey, SealedDataset, SealedRun, Source, Topology},
    vault::{
        BlobWriter, Collector, DraftSummary, Problem, SnapshotDraft, SnapshotId, TreeId, Vault, WriteLease,
        tree_hex,
    },
};

/// Where a snapshot goes to, signed by whom, and what it is to have.
#[derive(Clone, Copy)]
pub(super) struct Keep<'a> {
    pub(super) vault: &'a Vault,
    pub(super) seal_key: &'a SealKey,
    pub(super) settings: &'a BackupSettings,
}

/// Whose data they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Its UUID.
    pub(super) uuid: String,
    /// Its release.
    pub(super) version: String,
    /// Fingerprint of the host key that it showed.
    pub(super) host_key: String,
    /// Whether it is a cluster.
    pub(super) cluster: bool,
    /// The machines behind it, if it is not a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) topology: Option<Topology>,
}

/// A run whose tree is written.
pub(super) struct Joined<'a> {
    pub(super) keep: Keep<'a>,
    pub(super) identity: Identity,
    /// The sharded run that it was joined from.
    pub(super) run: Option<SealedRun>,
    pub(super) tree: TreeId,
    pub(super) rows: Vec<DatasetReport>,
    pub(super) held: f64,
    pub(super) warnings: Vec<String>,
    pub(super) started: Timestamp,
    pub(super) clock: Instant,
}

impl Joined<'_> {
    /// Flushes the vault, signs the manifest, and writes the snapshot: last of all, in one step.
    pub(super) fn commit(
        self,
        writer: BlobWriter,
        lease: &WriteLease,
        parent: Option<SnapshotId>,
        previous: Option<String>,
    ) -> Result<BackupReport, BackupError> {
        let stats = writer.finish()?;
        let begun = Instant::now();
        let collector = Collector::new();
        tally(self.keep.settings, &self.rows, &collector);
        let left_out = DATASETS.iter().any(|name| !self.keep.settings.wants(name));
        let whole = !left_out && self.rows.iter().all(|row| row.outcome == Outcome::Complete);
        let outcome = if whole { Outcome::Complete } else { Outcome::Partial };
        let settings = self.keep.settings;
        let seconds = match self.run {
            None => self.clock.elapsed().as_secs_f64(),
            // From when the first shard began.
            Some(_) => Timestamp::now().duration_since(self.started).as_secs_f64(),
        };
        let manifest = Manifest {
            format: FORMAT,
            outcome,
            started: self.started.to_string(),
            seconds,
            host: settings.host.clone(),
            uuid: self.identity.uuid.clone(),
            version: self.identity.version.clone(),
            host_key: self.identity.host_key.clone(),
            tree: tree_hex(&self.tree),
            gate_held_seconds: self.held,
            datasets: self.rows.iter().map(|row| (row.name.clone(), sealed_row(row))).collect(),
            previous,
            program: concat!("ghevault ", env!("CARGO_PKG_VERSION")).into(),
            source: Source::Datasets,
            topology: self.identity.topology.clone(),
            run: self.run.clone(),
        };
        let description = self.keep.seal_key.seal(&manifest)?;
        tracing::debug!(seconds = begun.elapsed().as_secs_f64(), bytes = description.len(), "sealed");
        let sum = |field: fn(&DatasetReport) -> u64| self.rows.iter().map(field).sum::<u64>();
        let (bytes_read, files_changed) = (sum(|row| row.bytes_read), sum(|row| row.files_changed));
        let draft = SnapshotDraft {
            parent,
            tags: vec!["ghevault".into(), if whole { "complete" } else { "partial" }.into()],
            description: Some(description),
            summary: Some(DraftSummary {
                started: Some(self.started),
                ended: Some(Timestamp::now()),
                files_changed,
                bytes_processed: sum(|row| row.bytes),
                stats,
                ..DraftSummary::default()
            }),
            ..SnapshotDraft::new(self.started, self.tree, settings.host.as_str())
        };
        let open = collector.verdict()?;
        let snapshot = self.keep.vault.commit(&draft, &open, lease)?;
        Ok(BackupReport {
            snapshot: snapshot.to_string(),
            host: settings.host.clone(),
            topology: self.identity.topology,
            outcome,
            datasets: self.rows,
            bytes_read,
            bytes_added: stats.bytes_stored,
            files_changed,
            gate_held_seconds: self.held,
            parent: parent.map(|id| id.to_string()),
            seconds,
            warnings: self.warnings,
            part: None,
            run: self.run,
        })
    }
}

/// Promised against delivered: every wanted dataset has a row, and no row is better than what it lacks.
pub(super) fn tally(settings: &BackupSettings, rows: &[DatasetReport], collector: &Collector) {
    for name in DATASETS.iter().filter(|name| settings.wants(name)) {
        if !rows.iter().any(|row| row.name == *name) {
            collector.report(Problem {
                dataset: (*name).into(),
                path: None,
                what: "it was promised and has no result".into(),
                fatal: true,
            });
        }
    }
    for row in rows {
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

pub(super) fn sealed_row(row: &DatasetReport) -> SealedDataset {
    SealedDataset { outcome: row.outcome, items: row.items, bytes: row.bytes, problems: row.problems.clone() }
}
