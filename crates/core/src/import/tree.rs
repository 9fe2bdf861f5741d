//! Makes a snapshot's tree out of a snapshot directory: changed units are read and written, all others are the parent's.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::Read,
    os::unix::ffi::OsStrExt,
};

use jiff::Timestamp;

use super::folder::{FolderError, SnapshotFolder};
use crate::{
    appliance::listing::{Entry, Record, parse},
    backup::{
        CancelToken,
        context::CaptureError,
        files::{
            capture::{Content, lossy},
            entry_node::{Owners, node_of},
            fetch::{Fate, Wanted},
            refs::{self, Refs},
            resolve::{Child, Pending, Trust, resolve, sort},
            survey::{Known, Survey, Surveyed, Surveyor},
        },
        unit::{is_objects, is_repository, repository_of, unit_of},
    },
    progress::{Event, Progress},
    vault::{BlobWriter, DirNode, Graft, Node, Tree, TreeId, VaultError, VaultReader},
};

/// Entries of changed units that are taken in one batch; bounds memory.
const BATCH_ENTRIES_MAX: u64 = 50_000;

/// What a directory is read with, and into what.
pub(super) struct Builder<'a> {
    pub(super) folder: &'a dyn SnapshotFolder,
    pub(super) reader: &'a VaultReader,
    pub(super) writer: &'a BlobWriter,
    /// The snapshot that this one is compared with.
    pub(super) parent: Option<TreeId>,
    /// Unit digests of the parent.
    pub(super) known: &'a Known,
    pub(super) owners: &'a Owners,
    pub(super) progress: &'a dyn Progress,
    pub(super) cancel: &'a CancelToken,
    /// The moment that the snapshot shows.
    pub(super) time: Timestamp,
    /// Names what is read, in progress.
    pub(super) part: &'a str,
}

/// Sums of one dataset.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) items: u64,
    pub(super) bytes: u64,
    pub(super) bytes_read: u64,
    pub(super) files_changed: u64,
    pub(super) problems: Vec<String>,
}

/// What a directory became.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) graft: Graft,
    pub(super) units: BTreeMap<Vec<u8>, [u8; 16]>,
    pub(super) refs: BTreeMap<Vec<u8>, [u8; 32]>,
    pub(super) rows: BTreeMap<String, Row>,
    /// Names in the directory's root.
    pub(super) root: BTreeSet<Vec<u8>>,
    /// Files of the root and of `audit-log`, which are not stored as they are.
    pub(super) small: Vec<Entry>,
    pub(super) warnings: Vec<String>,
}

impl Built {
    /// The sums of the dataset to which a path belongs.
    pub(super) fn row(&mut self, path: &[u8]) -> &mut Row {
        let first = path.split(|b| *b == b'/').next().unwrap_or_default();
        self.rows.entry(String::from_utf8_lossy(first).into_owned()).or_default()
    }
}

/// Inodes that a directory names twice: hard links inside one snapshot.
#[derive(Debug, Default)]
struct Inodes {
    once: HashSet<u64>,
    twice: HashSet<u64>,
}

/// A unit that is read.
struct Reading {
    path: Vec<u8>,
    digest: [u8; 16],
    pending: Pending,
    wanted: std::ops::Range<usize>,
}

impl Builder<'_> {
    /// Lists the directory and takes all that changed against the parent, but the small files.
    ///
    /// # Errors
    /// The directory as a whole, the vault, or the user.
    pub(super) fn build(&self) -> Result<Built, FolderError> {
        let mut built = Built::default();
        let mut inodes = Inodes::default();
        let mut survey = self.survey(&mut built, &mut inodes)?;
        self.take_spine(&mut survey, &mut built)?;
        let gone: Vec<Vec<u8>> =
            self.known.keys().filter(|path| !survey.units.contains_key(*path)).cloned().collect();
        built.graft.remove.extend(gone.into_iter().filter(|path| !unit_of(path, true).spine));

        let mut batch = BTreeMap::new();
        let mut entries = 0;
        for (path, unit) in std::mem::take(&mut survey.units) {
            if unit_of(&path, true).spine {
                built.units.insert(path, unit.digest);
                continue;
            }
            // A repository and its objects stand in one batch, whatever lies between them.
            if entries >= BATCH_ENTRIES_MAX && !is_objects(&path) {
                self.take(std::mem::take(&mut batch), &inodes, &mut built)?;
                entries = 0;
            }
            entries += if unit.changed() { unit.entries } else { 0 };
            batch.insert(path, unit);
        }
        self.take(batch, &inodes, &mut built)?;
        Ok(built)
    }

    fn survey(&self, built: &mut Built, inodes: &mut Inodes) -> Result<Survey, FolderError> {
        let mut surveyor = Surveyor::new(self.known, true);
        let unlisted = self.folder.list(&mut |record: Record<'_>| {
            let inside = memchr::memchr(b'/', record.path);
            let first = &record.path[..inside.unwrap_or(record.path.len())];
            if inside.is_none() {
                built.root.insert(first.to_vec());
            }
            if first == b"ghevault" {
                return Ok(());
            }
            if first == b"audit-log" || (inside.is_none() && !record.is_folder()) {
                built.small.push(parse(record)?);
                return Ok(());
            }
            if record.facts.first() == Some(&b'f') {
                let mut fields = record.facts.split(|b| *b == b' ').skip(3);
                let mut number = |skip: usize| {
                    fields
                        .nth(skip)
                        .and_then(|f| std::str::from_utf8(f).ok()?.parse::<u64>().ok())
                        .unwrap_or(0)
                };
                let (size, inode) = (number(0), number(2));
                let row = built.row(record.path);
                row.items += 1;
                row.bytes += size;
                if !inodes.once.insert(inode) {
                    inodes.twice.insert(inode);
                }
            }
            surveyor.add(record);
            Ok(())
        })?;
        let survey = surveyor.finish();
        for (path, why) in unlisted {
            let what =
                if path.is_empty() { "the directory".to_owned() } else { format!("`{}`", lossy(&path)) };
            built
                .row(if path.is_empty() { b"other" } else { &path })
                .problems
                .push(format!("cannot list {what}: {why}"));
        }
        Ok(survey)
    }

    /// Takes the changed units of a batch.
    fn take(
        &self,
        batch: BTreeMap<Vec<u8>, Surveyed>,
        inodes: &Inodes,
        built: &mut Built,
    ) -> Result<(), FolderError> {
        self.check_cancelled()?;
        let mut wanted = Vec::new();
        let mut readings = Vec::new();
        for (path, unit) in batch {
            if !unit.changed() {
                built.units.insert(path, unit.digest);
                continue;
            }
            let mut entries = unit.entries()?;
            for entry in &mut entries {
                entry.links = 1 + u64::from(inodes.twice.contains(&entry.inode));
            }
            sort(&mut entries);
            let parent = self.parent_node(&path)?.and_then(|node| node.subtree);
            let from = wanted.len();
            match resolve(&entries, self.owners, Trust::Facts, parent, self.reader, &mut wanted)? {
                Some(pending) => {
                    let wanted = from..wanted.len();
                    readings.push(Reading { path, digest: unit.digest, pending, wanted });
                }
                None => {
                    built.row(&path).problems.push(format!("`{}` has no folder of its own", lossy(&path)));
                }
            }
        }
        let mut fates = self.read(&wanted, built)?;
        let mut nodes = BTreeMap::new();
        for reading in readings {
            let Reading { path, mut digest, pending, wanted: range } = reading;
            if !Self::note_trouble(&wanted[range.clone()], &fates[range], built) {
                // The next run takes it again.
                digest = [0; 16];
            }
            if is_repository(&path) {
                let read = |node: &Node| self.bytes_of(node);
                built.refs.insert(path.clone(), Refs::of(&pending, &fates, &read)?.digest());
            }
            built.units.insert(path.clone(), digest);
            let children = self.finish_children(pending.children, &mut fates)?;
            nodes.insert(path, (pending.node, children));
        }
        self.join(nodes, built)
    }

    /// Puts repositories and their objects together, and everything into the graft.
    fn join(
        &self,
        mut nodes: BTreeMap<Vec<u8>, (Node, Vec<Node>)>,
        built: &mut Built,
    ) -> Result<(), FolderError> {
        let paths: Vec<Vec<u8>> = nodes.keys().cloned().collect();
        for path in paths {
            if is_objects(&path) && nodes.contains_key(repository_of(&path)) {
                continue;
            }
            let Some((node, mut children)) = nodes.remove(&path) else { continue };
            if is_repository(&path) {
                let objects = [&path[..], b"/objects"].concat();
                let own = match nodes.remove(&objects) {
                    Some((node, children)) => Some(self.finish_folder(node, children)?),
                    None if built.units.contains_key(&objects) => self.parent_node(&objects)?,
                    None => None,
                };
                children.extend(own);
                children.sort_by(|a, b| a.name().cmp(&b.name()));
            }
            let node = self.finish_folder(node, children)?;
            built.graft.replace.insert(path, node);
        }
        Ok(())
    }

    /// Reads files; counts what was read.
    pub(super) fn read(
        &self,
        wanted: &[Wanted],
        built: &mut Built,
    ) -> Result<Vec<Fate<Content>>, FolderError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.check_cancelled()?;
        let expected = wanted.iter().map(|file| file.size).sum();
        self.progress.event(Event::Expected { part: self.part, bytes: expected });
        let fates = self.folder.read(wanted, &|at, body| {
            if self.cancel.is_cancelled() {
                return Err(VaultError::Stream(std::sync::Arc::new(std::io::ErrorKind::Interrupted.into())));
            }
            let content = self.store(&wanted[at], body)?;
            self.progress.event(Event::Advanced { part: self.part, bytes: content.size, items: 1 });
            Ok(content)
        });
        self.check_cancelled()?;
        let fates = fates?;
        for (file, fate) in wanted.iter().zip(&fates) {
            if let Fate::Stored(content) | Fate::Unsteady(content) = fate {
                let row = built.row(&file.path);
                row.bytes_read += content.size;
                row.files_changed += 1;
            }
        }
        Ok(fates)
    }

    fn store(&self, file: &Wanted, body: &mut dyn Read) -> Result<Content, VaultError> {
        if file.size > refs::BYTES_MAX || !refs::holds_refs(&file.path) {
            let stored = self.writer.put_file(body)?;
            return Ok(Content { ids: stored.content, size: stored.size, bytes: None });
        }
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map_err(|source| VaultError::Stream(source.into()))?;
        let stored = self.writer.put_bytes(bytes.clone())?;
        Ok(Content { ids: stored.content, size: stored.size, bytes: Some(bytes) })
    }

    /// Names what single files met; whether all is well.
    pub(super) fn note_trouble(wanted: &[Wanted], fates: &[Fate<Content>], built: &mut Built) -> bool {
        let mut well = true;
        for (file, fate) in wanted.iter().zip(fates) {
            let what = match fate {
                Fate::Stored(_) => continue,
                Fate::Unsteady(_) => format!("`{}` changed while it was read", lossy(&file.path)),
                Fate::Vanished => format!("`{}` vanished before it was read", lossy(&file.path)),
                Fate::Failed(why) => format!("cannot read `{}`: {why}", lossy(&file.path)),
            };
            built.row(&file.path).problems.push(what);
            well = false;
        }
        well
    }

    fn finish_children(
        &self,
        children: Vec<Child>,
        fates: &mut [Fate<Content>],
    ) -> Result<Vec<Node>, VaultError> {
        let mut nodes = Vec::with_capacity(children.len());
        for child in children {
            match child {
                Child::Ready(node) => nodes.push(node),
                Child::Folder(pending) => {
                    let inside = self.finish_children(pending.children, fates)?;
                    nodes.push(self.finish_folder(pending.node, inside)?);
                }
                Child::Wanted(node, at) => nodes.extend(with_content(node, &mut fates[at])),
            }
        }
        Ok(nodes)
    }

    fn finish_folder(&self, mut node: Node, children: Vec<Node>) -> Result<Node, VaultError> {
        node.subtree = Some(self.writer.put_tree(&Tree { nodes: children })?);
        Ok(node)
    }

    pub(super) fn bytes_of(&self, node: &Node) -> Result<Vec<u8>, VaultError> {
        let mut bytes = Vec::new();
        for id in node.content.iter().flatten() {
            bytes.extend_from_slice(&self.reader.data_blob(id)?);
        }
        Ok(bytes)
    }

    /// The node that the parent has at `path`.
    pub(super) fn parent_node(&self, path: &[u8]) -> Result<Option<Node>, VaultError> {
        self.parent.map_or(Ok(None), |root| self.reader.node_at(root, path))
    }

    pub(super) fn check_cancelled(&self) -> Result<(), CaptureError> {
        if self.cancel.is_cancelled() { Err(CaptureError::Cancelled) } else { Ok(()) }
    }

    /// Describes a folder in the graft.
    pub(super) fn describe(&self, entry: &Entry, built: &mut Built) {
        let meta = node_of(entry, self.owners).meta;
        built.graft.directories.insert(entry.path.clone(), DirNode { meta, children: None });
    }
}

/// The node with what was read for it; none if nothing was.
pub(super) fn with_content(mut node: Node, fate: &mut Fate<Content>) -> Option<Node> {
    let (Fate::Stored(content) | Fate::Unsteady(content)) = fate else { return None };
    let content = std::mem::take(content);
    node.meta.size = content.size;
    node.content = Some(content.ids);
    debug_assert!(!node.name().as_bytes().is_empty());
    Some(node)
}
