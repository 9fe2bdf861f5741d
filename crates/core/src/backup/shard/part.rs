//! What one shard leaves in the vault: a snapshot with what it read and nothing else, and a signed record of it.
//!
//! It has no seal, so nothing takes it for a state of the appliance. What the datasets captured stands in its tree, in files below
//! [`FOLDER`]; the signed record names the tree, and so covers all of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{
    commit::{Identity, sealed_row, tally},
    context::{Captured, Ground},
    join::{failed, report as row_of},
    pages,
    report::{BackupReport, DatasetReport, PartReport},
    run::{BackupError, BackupInputs, Done},
};
use super::{Place, Shard, run::OpenRun};
use crate::{
    seal::{FORMAT, Outcome, SealError, SealKey, SealedDataset, SignedText, is_part},
    vault::{
        BlobWriter, Collector, DirNode, DraftSummary, Graft, Snapshot, SnapshotDraft, SnapshotId, TreeId,
        VaultError, VaultReader, WriteLease, tree_hex,
    },
};

/// Folder of what was captured, in the tree of a part.
pub const FOLDER: &str = "ghevault/part";

/// What a part is, signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Version of this form.
    pub format: u32,
    /// The name of the run.
    pub run: String,
    /// Which shard, from 1 on.
    pub index: u32,
    /// How many shards there are.
    pub count: u32,
    /// Whether everything that this shard promised was delivered and stored.
    pub outcome: Outcome,
    /// When the shard began.
    pub started: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The appliance as it was named.
    pub host: String,
    /// Whose data they are.
    identity: Identity,
    /// The root tree of the part, hexadecimal.
    pub tree: String,
    /// The snapshot that the run builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// How long Git maintenance was paused, in seconds.
    pub gate_held_seconds: f64,
    /// The datasets of this shard.
    pub datasets: BTreeMap<String, SealedDataset>,
    /// Routes of repositories and gists that are this shard's.
    pub routes: u64,
    /// Units of this shard.
    pub units: u64,
    /// The program that made it.
    pub program: String,
}

impl PartRecord {
    /// Its place in the run.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { index: self.index, count: self.count }
    }

    /// The appliance and its release, in words.
    #[must_use]
    pub fn identity_words(&self) -> String {
        super::run::identity(&self.identity.uuid, &self.identity.version)
    }

    pub(in crate::backup) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether nothing of it is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.outcome == Outcome::Complete
    }
}

/// A part whose signature was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its snapshot.
    pub snapshot: SnapshotId,
    /// Its tree.
    pub tree: TreeId,
    /// What it says.
    pub record: PartRecord,
    /// The public key that signed it, base64.
    pub key: String,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    ghevault_part: u32,
    record: SignedText,
}

/// Reads the part that a snapshot is; none when it is something else.
#[must_use]
pub fn of_snapshot(snapshot: &Snapshot) -> Option<Result<Part, SealError>> {
    let text = snapshot.description.as_deref().filter(|text| is_part(text))?;
    Some(read(text, snapshot))
}

fn read(text: &str, snapshot: &Snapshot) -> Result<Part, SealError> {
    let unreadable = |source: serde_json::Error| SealError::Unreadable(source.to_string());
    let envelope: Envelope = serde_json::from_str(text).map_err(unreadable)?;
    let record: PartRecord = serde_json::from_str(envelope.record.verified()?).map_err(unreadable)?;
    let found = tree_hex(&snapshot.tree);
    if record.tree != found {
        return Err(SealError::OtherTree { sealed: record.tree, found });
    }
    let key = envelope.record.key().to_owned();
    Ok(Part { snapshot: snapshot.id, tree: snapshot.tree, record, key })
}

fn sign(key: &SealKey, record: &PartRecord) -> Result<String, SealError> {
    let unreadable = |source: serde_json::Error| SealError::Unreadable(source.to_string());
    let text = serde_json::to_string(record).map_err(unreadable)?;
    let envelope = Envelope { ghevault_part: FORMAT, record: key.sign(text)? };
    serde_json::to_string(&envelope).map_err(unreadable)
}

/// The numbers and words of a dataset in a part.
#[derive(Serialize, Deserialize)]
struct Told {
    seconds: f64,
    items: u64,
    bytes: u64,
    bytes_read: u64,
    files_changed: u64,
    problems: Vec<String>,
    warnings: Vec<String>,
    /// Why there is nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// A dataset as a part has it.
#[derive(Debug)]
pub struct Delivered {
    /// What was captured, or why nothing was.
    pub result: Result<Captured, String>,
    /// How long that took.
    pub seconds: f64,
}

/// A shard's run whose datasets have ended.
pub(in crate::backup) struct Share<'a> {
    pub(in crate::backup) inputs: &'a BackupInputs<'a>,
    pub(in crate::backup) shard: &'a Shard,
    pub(in crate::backup) run: &'a OpenRun,
    pub(in crate::backup) ground: Ground<'a>,
    pub(in crate::backup) identity: Identity,
    pub(in crate::backup) done: Vec<Done>,
    pub(in crate::backup) held: f64,
    pub(in crate::backup) warnings: Vec<String>,
    pub(in crate::backup) started: Timestamp,
    pub(in crate::backup) seconds: f64,
}

impl Share<'_> {
    /// Writes the tree of the part; what it says about itself comes with it.
    pub(in crate::backup) fn write(self) -> Result<Written, BackupError> {
        let Self { inputs, shard, run, ground, identity, done, held, mut warnings, started, seconds } = self;
        let mut graft = Graft::default();
        let mut rows = Vec::new();
        let (mut routes, mut units) = (0, 0);
        for Done { name, seconds, result } in done {
            let row = match &result {
                Ok(captured) => row_of(name, seconds, captured),
                Err(source) => failed(name, seconds, source),
            };
            if let Ok(captured) = &result {
                warnings.extend(captured.warnings.iter().map(|text| format!("{name}: {text}")));
                routes += captured.routes.iter().filter(|route| shard.takes(route)).count() as u64;
                units += captured.units.len() as u64;
            }
            put(ground, &mut graft, &row, result.ok())?;
            rows.push(row);
        }
        if rows.iter().all(|row| row.outcome == Outcome::Failed) {
            let first = rows.iter().find_map(|row| row.problems.first()).cloned();
            return Err(BackupError::Nothing {
                first: first.unwrap_or_else(|| "no dataset was wanted".into()),
            });
        }
        let tree = graft.apply(ground.reader, ground.writer, None)?;
        let collector = Collector::new();
        tally(inputs.settings, &rows, &collector);
        let whole = rows.iter().all(|row| row.outcome == Outcome::Complete);
        let record = PartRecord {
            format: FORMAT,
            run: shard.run.clone(),
            index: shard.place.index,
            count: shard.place.count,
            outcome: if whole { Outcome::Complete } else { Outcome::Partial },
            started,
            seconds,
            host: inputs.settings.host.clone(),
            identity,
            tree: tree_hex(&tree),
            parent: run.parent,
            gate_held_seconds: held,
            datasets: rows.iter().map(|row| (row.name.clone(), sealed_row(row))).collect(),
            routes,
            units,
            program: concat!("ghevault ", env!("CARGO_PKG_VERSION")).into(),
        };
        Ok(Written { tree, record, rows, warnings, collector })
    }
}

/// A part whose tree is written.
pub(in crate::backup) struct Written {
    tree: TreeId,
    record: PartRecord,
    rows: Vec<DatasetReport>,
    warnings: Vec<String>,
    collector: Collector,
}

impl Written {
    /// Flushes the vault, signs the record, and writes the part: last of all, in one step.
    pub(in crate::backup) fn commit(
        self,
        inputs: &BackupInputs<'_>,
        writer: BlobWriter,
        lease: &WriteLease,
    ) -> Result<BackupReport, BackupError> {
        let Self { tree, record, rows, warnings, collector } = self;
        let stats = writer.finish()?;
        let sum = |field: fn(&DatasetReport) -> u64| rows.iter().map(field).sum::<u64>();
        let (bytes_read, files_changed) = (sum(|row| row.bytes_read), sum(|row| row.files_changed));
        let draft = SnapshotDraft {
            parent: record.parent,
            tags: vec!["ghevault".into(), "part".into()],
            description: Some(sign(inputs.seal_key, &record)?),
            summary: Some(DraftSummary {
                started: Some(record.started),
                ended: Some(Timestamp::now()),
                files_changed,
                bytes_processed: sum(|row| row.bytes),
                stats,
                ..DraftSummary::default()
            }),
            ..SnapshotDraft::new(record.started, tree, record.host.clone())
        };
        let snapshot = inputs.vault.commit(&draft, &collector.verdict()?, lease)?;
        let PartRecord { run, index, count, routes, .. } = record;
        Ok(BackupReport {
            snapshot: snapshot.to_string(),
            host: record.host,
            topology: record.identity.topology,
            outcome: record.outcome,
            datasets: rows,
            bytes_read,
            bytes_added: stats.bytes_stored,
            files_changed,
            gate_held_seconds: record.gate_held_seconds,
            parent: record.parent.map(|id| id.to_string()),
            seconds: record.seconds,
            warnings,
            part: Some(PartReport { run, index, count, routes }),
            run: None,
        })
    }
}

type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// Puts a dataset into the tree of a part: its nodes at their places, and what it says in files.
fn put(
    ground: Ground<'_>,
    graft: &mut Graft,
    row: &DatasetReport,
    captured: Option<Captured>,
) -> Result<(), BackupError> {
    let failure = captured.is_none().then(|| row.problems.join("; "));
    let captured = captured.unwrap_or_default();
    let told = Told {
        seconds: row.seconds,
        items: captured.items,
        bytes: captured.bytes,
        bytes_read: captured.bytes_read,
        files_changed: captured.files_changed,
        problems: captured.problems,
        warnings: captured.warnings,
        failed: failure,
    };
    let told = serde_json::to_vec(&told).map_err(|e| SealError::Unreadable(e.to_string()))?;
    let paths =
        |paths: &mut dyn Iterator<Item = Vec<u8>>| -> Records { paths.map(|p| (p, Vec::new())).collect() };
    let files: [(&str, Records); 7] = [
        ("replace", paths(&mut captured.replace.keys().cloned())),
        ("remove", paths(&mut captured.remove.into_iter())),
        ("folders", paths(&mut captured.folders.keys().cloned())),
        ("routes", paths(&mut captured.routes.into_iter())),
        ("units", captured.units.into_iter().map(|(path, digest)| (path, digest.to_vec())).collect()),
        ("refs", captured.refs.into_iter().map(|(path, digest)| (path, digest.to_vec())).collect()),
        ("names", captured.names.into_iter().map(|(path, name)| (path, name.into_bytes())).collect()),
    ];
    let mut write = |name: &str, content: &[u8]| -> Result<(), VaultError> {
        let path = format!("{FOLDER}/{}/{name}", row.name).into_bytes();
        let node = Ground { parent: None, ..ground }.store_bytes(&path, content)?;
        graft.replace.insert(path, node);
        Ok(())
    };
    write("told.json", &told)?;
    for (name, records) in files.iter().filter(|(_, records)| !records.is_empty()) {
        write(name, &pages::content(records.iter().map(|(path, value)| (&path[..], &value[..]))))?;
    }
    graft.replace.extend(captured.replace);
    let described = captured.folders.into_iter().map(|(path, meta)| (path, DirNode { meta, children: None }));
    graft.directories.extend(described);
    Ok(())
}

/// Reads back what a part has of a dataset; none when it is not this shard's.
pub(in crate::backup) fn take(
    reader: &VaultReader,
    part: &Part,
    dataset: &str,
) -> Result<Option<Delivered>, VaultError> {
    let damaged = |file: &str, why: &str| VaultError::Damaged {
        what: "part",
        file: format!("{}: {file}", part.snapshot.short()),
        why: why.into(),
    };
    let read = |name: &str| -> Result<Option<Vec<u8>>, VaultError> {
        let Some(node) = reader.node_at(part.tree, format!("{FOLDER}/{dataset}/{name}"))? else {
            return Ok(None);
        };
        let mut content = Vec::new();
        reader.dump(&node, &mut content)?;
        Ok(Some(content))
    };
    let Some(told) = read("told.json")? else { return Ok(None) };
    let told: Told = serde_json::from_slice(&told).map_err(|e| damaged("told.json", &e.to_string()))?;
    if let Some(why) = told.failed {
        return Ok(Some(Delivered { result: Err(why), seconds: told.seconds }));
    }
    let records = |name: &str| -> Result<Records, VaultError> {
        let content = read(name)?.unwrap_or_default();
        pages::read(&content).ok_or_else(|| damaged(name, "it has not the form of records"))
    };
    let paths = |name: &str| Ok::<_, VaultError>(records(name)?.into_iter().map(|(path, _)| path));
    let node = |path: &[u8]| {
        let found = reader.node_at(part.tree, path)?;
        found.ok_or_else(|| damaged(&String::from_utf8_lossy(path), "it is not in the tree"))
    };
    let mut captured = Captured {
        remove: paths("remove")?.collect(),
        routes: paths("routes")?.collect::<BTreeSet<_>>(),
        items: told.items,
        bytes: told.bytes,
        bytes_read: told.bytes_read,
        files_changed: told.files_changed,
        problems: told.problems,
        warnings: told.warnings,
        ..Captured::default()
    };
    for path in paths("replace")? {
        captured.replace.insert(path.clone(), node(&path)?);
    }
    for path in paths("folders")? {
        captured.folders.insert(path.clone(), node(&path)?.meta);
    }
    let length = |name: &str| damaged(name, "a value has not the expected length");
    for (path, digest) in records("units")? {
        captured.units.push((path, digest.try_into().map_err(|_| length("units"))?));
    }
    for (path, digest) in records("refs")? {
        captured.refs.push((path, digest.try_into().map_err(|_| length("refs"))?));
    }
    for (path, name) in records("names")? {
        let name = String::from_utf8(name).map_err(|_| damaged("names", "a name is no text"))?;
        captured.names.push((path, name));
    }
    Ok(Some(Delivered { result: Ok(captured), seconds: told.seconds }))
}
