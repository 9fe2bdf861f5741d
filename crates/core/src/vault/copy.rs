//! Copies snapshots from one vault to another: only what the other lacks, every byte authenticated on its way.
//!
//! The source is only read, without a lease. A snapshot arrives with the same tree, and its description with it, so that its
//! seal holds there, too. Chunks keep their borders; vaults with the same chunker parameters (see [`Vault::init_like`])
//! go on sharing them when the appliance is backed up into both.
//!
//! Of a snapshot whose forerunner is at the destination already, only what differs from it is looked at. Killed or ended, it
//! leaves whole snapshots and blobs that the next run uses.

use super::{
    error::{VaultError, VaultResult},
    fan::fan_out,
    format::{encode_file, read_file},
    latch::Collector,
    lease::WriteLease,
    open::Vault,
    reader::VaultReader,
    snapshot::{Snapshot, SnapshotId},
    writer::BlobWriter,
};
use rustic_core::{
    Id, TreeId,
    repofile::{BlobType, FileType, Node, SnapshotFile},
};
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// What became of one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CopiedSnapshot {
    /// At the source.
    pub source: SnapshotId,
    /// At the destination.
    pub snapshot: SnapshotId,
    /// Whether it was there already.
    pub present: bool,
}

/// What a copy did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// Snapshots, oldest first.
    pub snapshots: Vec<CopiedSnapshot>,
    /// Plain bytes that were read from the source because the destination lacked them.
    pub bytes_read: u64,
    /// Bytes that were stored.
    pub bytes_added: u64,
    /// Whether both cut files in the same places.
    pub same_chunker: bool,
    /// Whether the user ended it; the next run goes on.
    pub interrupted: bool,
}

/// Told how many plain bytes were copied since the last call, and how many snapshots.
pub type CopyProgress<'a> = &'a (dyn Fn(u64, u64) + Sync);

impl Vault {
    /// Whether two vaults cut files in the same places, so that they share chunks.
    #[must_use]
    pub fn same_chunker(&self, other: &Self) -> bool {
        let of = |vault: &Self| {
            let c = &vault.config;
            (
                c.chunker_polynomial.to_ascii_lowercase(),
                c.chunk_size,
                c.chunk_min_size,
                c.chunk_max_size,
                c.chunker.as_ref().map(|kind| serde_json::to_string(kind).unwrap_or_default()),
            )
        };
        of(self) == of(other)
    }

    /// Copies these snapshots of `source` (all that can be read for `None`) into this vault.
    ///
    /// # Errors
    /// [`VaultError::LeaseLost`]; damage at the source: then the snapshot that it belongs to is not copied, and no later one;
    /// both stores' errors.
    pub fn copy_from(
        &self,
        source: &Self,
        wanted: Option<&[SnapshotId]>,
        lease: &WriteLease,
        cancelled: &(dyn Fn() -> bool + Sync),
        progress: CopyProgress<'_>,
    ) -> VaultResult<CopyReport> {
        if self.id() == source.id() {
            return Err(VaultError::Invalid("source and destination are the same vault".into()));
        }
        let list = source.snapshots()?;
        let is_wanted = |id: &SnapshotId| wanted.is_none_or(|wanted| wanted.contains(id));
        if let Some((_, error)) = list.damaged.iter().find(|(id, _)| is_wanted(id)) {
            return Err(error.clone());
        }
        let here = self.snapshot_files()?;
        let reader = source.index()?;
        let mut report = CopyReport { same_chunker: self.same_chunker(source), ..CopyReport::default() };
        let mut arrived: HashMap<SnapshotId, SnapshotId> = HashMap::new();
        let mut base: Option<TreeId> = None;
        // Parts of a sharded run mean nothing elsewhere; what they were joined into has all of them.
        let whole = |snapshot: &&Snapshot| !snapshot.tags.iter().any(|tag| tag == "part");
        for snapshot in list.snapshots.iter().filter(whole) {
            let there = here.iter().find(|(_, file)| is_same(snapshot, file)).map(|(id, _)| *id);
            if let Some(there) = there {
                arrived.insert(snapshot.id, there);
                base = Some(snapshot.tree);
            }
            if !is_wanted(&snapshot.id) {
                continue;
            }
            let copied = if let Some(there) = there {
                there
            } else {
                let held = self.index()?;
                let writer = self.writer(&held, lease)?;
                let ended = AtomicBool::new(false);
                let crossing =
                    Crossing { from: &reader, held: &held, writer: &writer, cancelled, progress, ended };
                let (read, whole) = crossing.tree(snapshot.tree, base)?;
                let stats = writer.finish()?;
                report.bytes_read += read;
                report.bytes_added += stats.bytes_stored;
                if !whole {
                    report.interrupted = true;
                    return Ok(report);
                }
                let copied = self.commit_copy(source, snapshot, &arrived, lease)?;
                arrived.insert(snapshot.id, copied);
                base = Some(snapshot.tree);
                copied
            };
            let row = CopiedSnapshot { source: snapshot.id, snapshot: copied, present: there.is_some() };
            report.snapshots.push(row);
            progress(0, 1);
        }
        Ok(report)
    }

    fn snapshot_files(&self) -> VaultResult<Vec<(SnapshotId, SnapshotFile)>> {
        let ids = self.store.list(FileType::Snapshot)?.into_iter().map(|(id, _)| id);
        // a damaged one is as good as none: it is copied again
        let read = |id: Id| {
            let file = read_file::<SnapshotFile>(&*self.store, &self.cipher, FileType::Snapshot, &id).ok()?;
            Some((SnapshotId(id), file))
        };
        Ok(ids.filter_map(read).collect())
    }

    /// Writes the snapshot file, last of all: as it was, but for the names of other snapshots.
    fn commit_copy(
        &self,
        source: &Self,
        snapshot: &Snapshot,
        arrived: &HashMap<SnapshotId, SnapshotId>,
        lease: &WriteLease,
    ) -> VaultResult<SnapshotId> {
        let mut file: SnapshotFile =
            read_file(&*source.store, &source.cipher, FileType::Snapshot, &snapshot.id.0)?;
        let parent = snapshot.parent.and_then(|parent| arrived.get(&parent)).map(|parent| parent.0.into());
        file.parent = parent;
        file.parents = parent.into_iter().collect();
        file.original = file.original.or_else(|| Some(snapshot.id.0.into()));
        self.read_back(&snapshot.tree)?;
        let (id, content) = encode_file(&self.cipher, &file)?;
        lease.check()?;
        self.latch.write_snapshot(&Collector::new().verdict()?, &id, content)?;
        Ok(SnapshotId(id))
    }
}

/// Whether a snapshot file here is a copy of that snapshot (or both are copies of a third one).
fn is_same(snapshot: &Snapshot, file: &SnapshotFile) -> bool {
    let named = file.original.is_some_and(|original| original.into_inner() == snapshot.id.0);
    file.tree == snapshot.tree
        && (named
            || file.time.timestamp() == snapshot.time
                && file.description == snapshot.description
                && file.hostname == snapshot.hostname)
}

/// One snapshot on its way.
struct Crossing<'a> {
    from: &'a VaultReader,
    held: &'a VaultReader,
    writer: &'a BlobWriter,
    cancelled: &'a (dyn Fn() -> bool + Sync),
    progress: CopyProgress<'a>,
    /// Whether anything was left out because the user ended it.
    ended: AtomicBool,
}

impl Crossing<'_> {
    /// Copies what `root` needs and `base`, which is at the destination with everything in it, does not have; returns the
    /// plain bytes read, and whether it is all there.
    fn tree(&self, root: TreeId, base: Option<TreeId>) -> VaultResult<(u64, bool)> {
        let read = AtomicU64::new(0);
        let seen = Mutex::new(HashSet::new());
        if base == Some(root) {
            return Ok((0, true));
        }
        fan_out(vec![(root, base)], |(id, old)| {
            if self.is_ended() {
                return Ok(Vec::new());
            }
            let old = old.map(|old| self.from.tree(&old)).transpose()?;
            let old: HashMap<_, TreeId> = old
                .iter()
                .flat_map(|tree| &tree.nodes)
                .filter_map(|node| Some((node.name().into_owned(), node.subtree?)))
                .collect();
            let tree = self.from.tree(&id)?;
            let mut below = Vec::new();
            for node in &tree.nodes {
                if let Some(inside) = node.subtree {
                    let before = old.get(&*node.name()).copied();
                    if before != Some(inside)
                        && seen.lock().unwrap_or_else(PoisonError::into_inner).insert(inside)
                    {
                        below.push((inside, before));
                    }
                }
                read.fetch_add(self.content(node)?, Ordering::Relaxed);
            }
            read.fetch_add(self.blob(BlobType::Tree, id.into_inner())?, Ordering::Relaxed);
            Ok(below)
        })?;
        Ok((read.into_inner(), !self.ended.load(Ordering::SeqCst)))
    }

    fn is_ended(&self) -> bool {
        if (self.cancelled)() {
            self.ended.store(true, Ordering::SeqCst);
        }
        self.ended.load(Ordering::SeqCst)
    }

    fn content(&self, node: &Node) -> VaultResult<u64> {
        let mut read = 0;
        for blob in node.content.iter().flatten() {
            if self.is_ended() {
                break;
            }
            read += self.blob(BlobType::Data, blob.into_inner())?;
        }
        Ok(read)
    }

    fn blob(&self, kind: BlobType, id: Id) -> VaultResult<u64> {
        if self.held.index.has(kind, &id) || self.writer.has_queued(kind, id) {
            return Ok(0);
        }
        let plain = self.from.blob(kind, &id)?;
        let size = plain.len() as u64;
        self.writer.put_raw(kind, id, plain)?;
        (self.progress)(size, 0);
        Ok(size)
    }
}
