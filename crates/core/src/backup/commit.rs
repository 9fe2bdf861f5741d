//! The end of a run: tally, manifest, seal, and the snapshot file, last of all and in one step.

use std::time::Instant;

use jiff::Timestamp;

use super::{
    report::{BackupReport, DatasetReport},
    run::{BackupError, BackupInputs},
    settings::DATASETS,
};
use crate::{
    appliance::facts::Facts,
    seal::{FORMAT, Manifest, Outcome, SealedDataset, Source, Topology},
    vault::{
        BlobWriter, Collector, DraftSummary, Problem, SnapshotDraft, SnapshotId, TreeId, WriteLease, tree_hex,
    },
};

/// A run whose tree is written.
pub(super) struct Joined<'a> {
    pub(super) inputs: &'a BackupInputs<'a>,
    pub(super) facts: &'a Facts,
    pub(super) topology: Option<Topology>,
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
            source: Source::Datasets,
            topology: self.topology.clone(),
        };
        let description = self.inputs.seal_key.seal(&manifest)?;
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
        let snapshot = self.inputs.vault.commit(&draft, &open, lease)?;
        Ok(BackupReport {
            snapshot: snapshot.to_string(),
            host: settings.host.clone(),
            topology: self.topology,
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
