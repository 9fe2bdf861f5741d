//! From a built tree to a sealed snapshot: the judgement, our own records, the manifest, and the snapshot file last of all.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use jiff::Timestamp;

use super::{
    folder::FolderError,
    judge::judge,
    record::{FILE, ImportRecord},
    tree::{Builder, Built, Row},
};
use crate::{
    appliance::{facts::Version, git_config::GitConfig, hostkeys::HostKey},
    backup::{DATASETS, DatasetReport, files::tar_stream::TarStream, layers, pages},
    restore::appliance::content::flag,
    seal::{FORMAT, Manifest, Outcome, SealKey, SealedDataset, Source},
    vault::{
        BlobWriter, Collector, DraftSummary, Problem, SnapshotDraft, SnapshotId, TreeId, Vault, WriteLease,
        WriteStats, tree_hex,
    },
};

/// Largest small file that is looked into, in bytes.
const LOOKED_INTO_MAX: u64 = 16 << 20;

/// Records of a parent, and those of a new snapshot, by path.
type Known<const N: usize> = HashMap<Vec<u8>, [u8; N]>;
type Records<const N: usize> = BTreeMap<Vec<u8>, [u8; N]>;

/// What a snapshot says about the appliance that it is of.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity {
    pub(super) host: String,
    pub(super) uuid: String,
    pub(super) version: String,
    pub(super) host_key: String,
}

/// A tree that is written, with what is known about it.
pub(super) struct Finished {
    pub(super) tree: TreeId,
    pub(super) identity: Identity,
    pub(super) rows: Vec<DatasetReport>,
    pub(super) warnings: Vec<String>,
}

impl Finished {
    pub(super) fn outcome(&self) -> Outcome {
        let whole = self.rows.iter().all(|row| row.outcome == Outcome::Complete);
        if whole { Outcome::Complete } else { Outcome::Partial }
    }
}

impl Builder<'_> {
    /// Judges what was built, adds our records, and writes the tree.
    ///
    /// # Errors
    /// The vault.
    pub(super) fn finish(
        &self,
        mut built: Built,
        record: &ImportRecord,
        host: Option<&str>,
        seconds: f64,
    ) -> Result<Finished, FolderError> {
        let text = |name: &str| self.text_of(&built, name);
        let settings = text("settings.json")?;
        let version = text("version")?.trim().trim_start_matches('v').to_owned();
        let uuid = text("uuid")?.trim().to_owned();
        let judgement = judge(&built.root, Version::parse(&version).as_ref(), &|key| flag(&settings, key));
        for (dataset, problem) in judgement.problems {
            built.rows.entry(dataset.into()).or_default().problems.push(problem);
        }
        built.warnings.extend(judgement.warnings);
        let named = GitConfig::parse(&settings).get("core.github-hostname").map(str::to_owned);
        let host = host.map(str::to_owned).or(named).or_else(|| (!uuid.is_empty()).then(|| uuid.clone()));
        let identity = Identity {
            host: host.unwrap_or_else(|| "unknown".into()),
            uuid,
            version,
            host_key: self.host_key(&built)?,
        };

        self.put_pages(pages::UNITS, self.known, &built.units.clone(), &mut built)?;
        let (known, refs) = self.all_refs(&built)?;
        self.put_pages(pages::REFS, &known, &refs, &mut built)?;
        let bytes = serde_json::to_vec(record).unwrap_or_default();
        self.put_record(FILE, &bytes, &mut built)?;
        built.root.insert(b"ghevault".to_vec());
        // Ours is written anew, and what the directory's root does not have is gone.
        built.graft.remove.insert(b"ghevault".to_vec());
        built.graft.remove.insert(b"audit-log".to_vec());
        built.graft.remove.insert(super::small::CHAIN.as_bytes().to_vec());
        let gone = self.gone_from(b"", &built.root)?;
        built.graft.remove.extend(gone);
        tidy(&mut built);
        let rows = rows(&built, seconds);
        let tree = built.graft.apply(self.reader, self.writer, self.parent)?;
        Ok(Finished { tree, identity, rows, warnings: built.warnings })
    }

    /// Ref digests of the parent, and of this snapshot: those that were made, and the parent's of repositories that did not change.
    fn all_refs(&self, built: &Built) -> Result<(Known<32>, Records<32>), FolderError> {
        let mut refs = built.refs.clone();
        let mut known = Known::new();
        if let Some(parent) = self.parent {
            known = pages::read_all(self.reader, parent, pages::REFS)?;
            for (path, digest) in known.iter().filter(|(path, _)| built.units.contains_key(*path)) {
                refs.entry(path.clone()).or_insert(*digest);
            }
        }
        Ok((known, refs))
    }

    /// Records of one kind, over those of the parent, which are `before`. The folder is written anew, so that pages that stay are put
    /// into it again.
    fn put_pages<const N: usize>(
        &self,
        folder: &str,
        before: &Known<N>,
        now: &Records<N>,
        built: &mut Built,
    ) -> Result<(), FolderError> {
        let shape = match self.parent {
            Some(parent) => pages::shape(self.reader, parent, folder)?,
            None => layers::Shape::default(),
        };
        let plan = layers::plan(&shape, before, now);
        for name in shape.pages.iter().map(ToString::to_string) {
            let stays = !plan.write.contains_key(&name) && !plan.remove.contains(&name);
            let path = format!("{folder}/{name}");
            if let Some(parent) = self.parent.filter(|_| stays)
                && let Some(node) = self.reader.node_at(parent, &path)?
            {
                built.graft.replace.insert(path.into_bytes(), node);
            }
        }
        for (name, content) in plan.write {
            self.put_record(&format!("{folder}/{name}"), &content, built)?;
        }
        Ok(())
    }

    /// A small file of the root as text; nothing if it is not there. It is read again from where it came.
    fn text_of(&self, built: &Built, name: &str) -> Result<String, FolderError> {
        Ok(String::from_utf8_lossy(&self.look_into(built, name)?).into_owned())
    }

    fn look_into(&self, built: &Built, name: &str) -> Result<Vec<u8>, FolderError> {
        let Some(node) = built.graft.replace.get(name.as_bytes()) else { return Ok(Vec::new()) };
        if node.meta.size > LOOKED_INTO_MAX {
            return Ok(Vec::new());
        }
        let known = node.content.iter().flatten().all(|id| self.reader.contains_data(id));
        if known {
            return Ok(self.bytes_of(node)?);
        }
        let bytes = std::sync::Mutex::new(Vec::new());
        let wanted = [crate::backup::files::fetch::Wanted { path: name.into(), size: node.meta.size }];
        self.folder.read(&wanted, &|_, body| {
            let mut inside = bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::io::Read::read_to_end(body, &mut inside)
                .map_err(|error| crate::vault::VaultError::Stream(error.into()))?;
            Ok(crate::backup::files::capture::Content::default())
        })?;
        Ok(bytes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Fingerprint of the appliance's Ed25519 host key, or of whichever it has.
    fn host_key(&self, built: &Built) -> Result<String, FolderError> {
        let tar = self.look_into(built, "ssh-host-keys.tar")?;
        let mut stream = TarStream::new(&tar[..]);
        let mut found = String::new();
        // A tar that cannot be read names no key; the restore says more about it.
        while let Ok(Some(member)) = stream.next_member() {
            let mut text = String::new();
            if !member.name.ends_with(b".pub")
                || std::io::Read::read_to_string(&mut stream.body(), &mut text).is_err()
            {
                continue;
            }
            let Ok(key) = HostKey::parse(text.trim()) else { continue };
            if found.is_empty() || member.name.ends_with(b"ssh_host_ed25519_key.pub") {
                found = key.fingerprint();
            }
        }
        Ok(found)
    }
}

/// Removals inside what is removed or replaced anyway say nothing new, and would contradict it.
fn tidy(built: &mut Built) {
    let graft = &mut built.graft;
    let all = std::mem::take(&mut graft.remove);
    let replace = &graft.replace;
    let inside = |path: &[u8]| {
        memchr::memchr_iter(b'/', path)
            .any(|at| all.contains(&path[..at]) || replace.contains_key(&path[..at]))
    };
    graft.remove = all.iter().filter(|path| !inside(path)).cloned().collect();
}

fn rows(built: &Built, seconds: f64) -> Vec<DatasetReport> {
    let mut all = built.rows.clone();
    for name in DATASETS {
        // A dataset that the directory does not have, and need not have.
        all.entry((*name).to_owned()).or_default();
    }
    let place = |name: &str| DATASETS.iter().position(|known| *known == name).unwrap_or(DATASETS.len());
    let mut rows: Vec<DatasetReport> =
        all.into_iter().map(|(name, row)| report(name, row, seconds)).collect();
    rows.sort_by(|a, b| (place(&a.name), &a.name).cmp(&(place(&b.name), &b.name)));
    rows
}

fn report(name: String, row: Row, seconds: f64) -> DatasetReport {
    let outcome = if row.problems.is_empty() { Outcome::Complete } else { Outcome::Partial };
    let Row { items, bytes, bytes_read, files_changed, problems } = row;
    DatasetReport { name, outcome, items, bytes, bytes_read, files_changed, seconds, problems }
}

/// Where sealed snapshots go.
pub(super) struct Sealing<'a> {
    pub(super) vault: &'a Vault,
    pub(super) lease: &'a WriteLease,
    pub(super) seal_key: &'a SealKey,
    pub(super) source: Source,
}

/// The moments of a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    /// What it shows.
    pub(super) shown: Timestamp,
    /// When reading it began.
    pub(super) begun: Instant,
}

/// Why a snapshot could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealUpError {
    /// The vault.
    #[error(transparent)]
    Vault(#[from] crate::vault::VaultError),
    /// The seal.
    #[error(transparent)]
    Seal(#[from] crate::seal::SealError),
}

impl Sealing<'_> {
    /// Flushes the writer, signs the manifest, and writes the snapshot; returns its id, what was stored, and the hash of its seal.
    pub(super) fn commit(
        &self,
        finished: &Finished,
        writer: BlobWriter,
        moments: Moments,
        parent: Option<SnapshotId>,
        previous: Option<String>,
    ) -> Result<(SnapshotId, WriteStats, String), SealUpError> {
        let stats = writer.finish()?;
        let outcome = finished.outcome();
        let collector = Collector::new();
        for row in &finished.rows {
            for what in &row.problems {
                let fatal = row.outcome == Outcome::Complete;
                collector.report(Problem {
                    dataset: row.name.clone(),
                    path: None,
                    what: what.clone(),
                    fatal,
                });
            }
        }
        let Identity { host, uuid, version, host_key } = finished.identity.clone();
        let sealed = |row: &DatasetReport| {
            let (outcome, problems) = (row.outcome, row.problems.clone());
            (row.name.clone(), SealedDataset { outcome, items: row.items, bytes: row.bytes, problems })
        };
        let manifest = Manifest {
            format: FORMAT,
            outcome,
            started: moments.shown.to_string(),
            seconds: moments.begun.elapsed().as_secs_f64(),
            host: host.clone(),
            uuid,
            version,
            host_key,
            tree: tree_hex(&finished.tree),
            gate_held_seconds: 0.0,
            datasets: finished.rows.iter().map(sealed).collect(),
            previous,
            program: concat!("ghevault ", env!("CARGO_PKG_VERSION")).into(),
            source: self.source,
            topology: None,
            run: None,
        };
        let description = self.seal_key.seal(&manifest)?;
        let hash = crate::seal::read(Some(&description), &tree_hex(&finished.tree))?.hash;
        let sum = |field: fn(&DatasetReport) -> u64| finished.rows.iter().map(field).sum::<u64>();
        let word = if outcome == Outcome::Complete { "complete" } else { "partial" };
        let draft = SnapshotDraft {
            parent,
            tags: vec!["ghevault".into(), word.into(), "import".into()],
            description: Some(description),
            summary: Some(DraftSummary {
                started: Some(moments.shown),
                ended: Some(Timestamp::now()),
                files_changed: sum(|row| row.files_changed),
                bytes_processed: sum(|row| row.bytes),
                stats,
                ..DraftSummary::default()
            }),
            ..SnapshotDraft::new(moments.shown, finished.tree, host)
        };
        let open = collector.verdict()?;
        Ok((self.vault.commit(&draft, &open, self.lease)?, stats, hash))
    }
}
