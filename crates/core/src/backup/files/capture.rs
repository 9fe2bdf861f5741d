//! Captures units: lists them, takes the changed ones, and writes their trees.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    fetch::{Fate, Wanted, fetch},
    refs,
    resolve::{Child, resolve, sort},
    survey::{Survey, Surveyed},
};
use crate::{
    backup::{
        context::{CaptureError, Context},
        names,
    },
    progress::Event,
    vault::{DataId, Node, Tree, VaultError},
};

/// How often units whose files moved under us are listed and taken again.
const ROUNDS_MAX: usize = 4;

/// A unit whose contents are stored: its root folder and what stands directly in it.
#[derive(Debug)]
pub struct Taken {
    /// The root folder, without its subtree.
    pub root: Node,
    /// Finished entries of the root folder.
    pub children: Vec<Node>,
    /// Digest of the listing that was taken.
    pub digest: [u8; 16],
    /// Digest of the references, of repositories only.
    pub refs: Option<[u8; 32]>,
    /// What the repository is called, of repositories only.
    pub name: Option<String>,
    /// Files that never held still; their last reading was taken.
    pub warnings: Vec<String>,
}

/// What became of one changed unit.
#[derive(Debug)]
pub enum Fortune {
    /// It was taken.
    Taken(Box<Taken>),
    /// It turned out to be as the parent snapshot has it.
    Same([u8; 16]),
    /// It is gone.
    Gone,
    /// It could not be taken, for this reason.
    Failed(String),
}

/// A file's content as it was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Its blobs.
    pub ids: Vec<DataId>,
    /// Its size in bytes.
    pub size: u64,
    /// The bytes themselves, of files with references or a name only.
    pub bytes: Option<Vec<u8>>,
}

/// Counts over all takes of a dataset.
#[derive(Debug, Default)]
pub struct Tally {
    /// Bytes read from the appliance.
    pub bytes_read: AtomicU64,
    /// Files fetched.
    pub files: AtomicU64,
}

/// Lists folders again: the units named, in the same form as the first listing.
pub type Relist<'a> = dyn Fn(&[Vec<u8>]) -> Result<Survey, CaptureError> + 'a;

impl Context<'_> {
    /// Takes changed units: compares them with the parent, fetches what is new, and writes their trees. Units whose files vanish or change
    /// meanwhile are listed and taken again.
    ///
    /// # Errors
    /// The vault or the connection fails; what single units met is in the result.
    pub fn take(
        &self,
        part: &str,
        units: BTreeMap<Vec<u8>, Surveyed>,
        relist: &Relist<'_>,
        tally: &Tally,
    ) -> Result<BTreeMap<Vec<u8>, Fortune>, CaptureError> {
        let mut fortunes = BTreeMap::new();
        let mut todo = units;
        for round in 1..=ROUNDS_MAX {
            if todo.is_empty() {
                break;
            }
            let again = self.take_once(part, todo, round == ROUNDS_MAX, tally, &mut fortunes)?;
            if again.is_empty() {
                return Ok(fortunes);
            }
            let mut survey = relist(&again)?;
            todo = BTreeMap::new();
            for unit in again {
                match survey.units.remove(&unit) {
                    Some(surveyed) if surveyed.changed() => {
                        todo.insert(unit, surveyed);
                    }
                    // It went back to what the parent has.
                    Some(same) => {
                        fortunes.insert(unit, Fortune::Same(same.digest));
                    }
                    None => {
                        let fortune = self.why_missing(&unit).map_or(Fortune::Gone, Fortune::Failed);
                        fortunes.insert(unit, fortune);
                    }
                }
            }
        }
        Ok(fortunes)
    }

    /// One round; returns the units that must be listed again.
    fn take_once(
        &self,
        part: &str,
        units: BTreeMap<Vec<u8>, Surveyed>,
        last: bool,
        tally: &Tally,
        fortunes: &mut BTreeMap<Vec<u8>, Fortune>,
    ) -> Result<Vec<Vec<u8>>, CaptureError> {
        let trust = self.trust();
        let mut wanted = Vec::new();
        let mut pendings = Vec::new();
        for (path, surveyed) in units {
            let mut entries = surveyed.entries()?;
            sort(&mut entries);
            let parent = self.parent_node(&path)?.and_then(|node| node.subtree);
            let from = wanted.len();
            match resolve(&entries, self.owners, trust, parent, self.reader, &mut wanted)? {
                Some(pending) => pendings.push((path, surveyed.digest, pending, from..wanted.len())),
                None => {
                    fortunes.insert(path, Fortune::Gone);
                }
            }
        }
        let mut contents = self.fetch_contents(part, &wanted, tally)?;
        let mut again = Vec::new();
        for (path, digest, pending, range) in pendings {
            let mut trouble = Trouble::default();
            for at in range {
                trouble.note(&wanted[at].path, &contents[at]);
            }
            if let Some((file, why)) = trouble.failed {
                fortunes.insert(path, Fortune::Failed(format!("cannot read `{}`: {why}", lossy(&file))));
                continue;
            }
            if trouble.moved() && !last {
                again.push(path);
                continue;
            }
            if let Some(file) = trouble.vanished.first().filter(|_| last) {
                let what = format!("`{}` vanished in each of {ROUNDS_MAX} readings", lossy(file));
                fortunes.insert(path, Fortune::Failed(what));
                continue;
            }
            let warnings = trouble
                .unsteady
                .iter()
                .map(|file| format!("`{}` changed in each of {ROUNDS_MAX} readings", lossy(file)))
                .collect();
            let refs = self.ref_digest(&path, &pending, &contents)?;
            let name = self.name(&path, &pending, &contents)?;
            let children = self.finish_children(pending.children, &mut contents)?;
            let taken = Taken { root: pending.node, children, digest, refs, name, warnings };
            fortunes.insert(path, Fortune::Taken(Box::new(taken)));
        }
        Ok(again)
    }

    pub(super) fn fetch_contents(
        &self,
        part: &str,
        wanted: &[Wanted],
        tally: &Tally,
    ) -> Result<Vec<Fate<Content>>, CaptureError> {
        let expected = wanted.iter().map(|file| file.size).sum();
        self.progress.event(Event::Expected { part, bytes: expected });
        // Packed refs are read before loose ones (contract §3.1): whatever moves between the two then vanishes or is newer.
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|at| !wanted[*at].path.ends_with(b"/packed-refs"));
        let ordered: Vec<Wanted> = order.iter().map(|at| wanted[*at].clone()).collect();
        let store = |at: usize, body: &mut dyn Read| {
            if self.settings.cancel.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let content = self.store_body(&ordered[at], body).map_err(into_io)?;
            tally.bytes_read.fetch_add(content.size, Ordering::Relaxed);
            tally.files.fetch_add(1, Ordering::Relaxed);
            self.progress.event(Event::Advanced { part, bytes: content.size, items: 1 });
            Ok(content)
        };
        let fates = match self.spread {
            None => fetch(self.channel, &self.settings.data_root, &self.settings.nice, &ordered, store),
            Some(spread) => Ok(self.fetch_spread(spread, &ordered, &store)?),
        };
        self.check_cancelled()?;
        let mut sorted: Vec<Option<Fate<Content>>> = Vec::new();
        sorted.resize_with(wanted.len(), || None);
        for (fate, at) in fates?.into_iter().zip(order) {
            sorted[at] = Some(fate);
        }
        Ok(sorted.into_iter().map(|fate| fate.unwrap_or(Fate::Vanished)).collect())
    }

    fn store_body(&self, file: &Wanted, body: &mut dyn Read) -> Result<Content, VaultError> {
        let refs = file.size <= refs::BYTES_MAX && refs::holds_refs(&file.path);
        let name = file.size <= names::BYTES_MAX && names::holds_name(&file.path);
        if !refs && !name {
            let stored = self.writer.put_file(body)?;
            return Ok(Content { ids: stored.content, size: stored.size, bytes: None });
        }
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map_err(|source| VaultError::Stream(source.into()))?;
        let stored = self.writer.put_bytes(bytes.clone())?;
        Ok(Content { ids: stored.content, size: stored.size, bytes: Some(bytes) })
    }

    fn finish_children(
        &self,
        children: Vec<Child>,
        contents: &mut [Fate<Content>],
    ) -> Result<Vec<Node>, VaultError> {
        let mut nodes = Vec::with_capacity(children.len());
        for child in children {
            match child {
                Child::Ready(node) => nodes.push(node),
                Child::Folder(pending) => {
                    let nodes_inside = self.finish_children(pending.children, contents)?;
                    nodes.push(self.finish_folder(pending.node, nodes_inside)?);
                }
                Child::Wanted(mut node, at) => {
                    let fate = std::mem::replace(&mut contents[at], Fate::Vanished);
                    if let Fate::Stored(content) | Fate::Unsteady(content) = fate {
                        node.content = Some(content.ids);
                        node.meta.size = content.size;
                        nodes.push(node);
                    }
                }
            }
        }
        Ok(nodes)
    }

    /// Writes a folder's tree and puts it into the folder's node.
    ///
    /// # Errors
    /// The vault fails.
    pub fn finish_folder(&self, mut node: Node, children: Vec<Node>) -> Result<Node, VaultError> {
        node.subtree = Some(self.writer.put_tree(&Tree { nodes: children })?);
        Ok(node)
    }
}

/// What single files of a unit met.
#[derive(Debug, Default)]
struct Trouble {
    vanished: Vec<Vec<u8>>,
    unsteady: Vec<Vec<u8>>,
    failed: Option<(Vec<u8>, String)>,
}

impl Trouble {
    fn note<T>(&mut self, path: &[u8], fate: &Fate<T>) {
        match fate {
            Fate::Stored(_) => {}
            Fate::Unsteady(_) => self.unsteady.push(path.to_vec()),
            Fate::Vanished => self.vanished.push(path.to_vec()),
            Fate::Failed(why) => self.failed = Some((path.to_vec(), why.clone())),
        }
    }

    fn moved(&self) -> bool {
        !self.vanished.is_empty() || !self.unsteady.is_empty()
    }
}

/// Paths for messages: lossily as text.
#[must_use]
pub fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn into_io(source: VaultError) -> io::Error {
    match source {
        // The body broke, not the vault: the fetch reports it as a broken stream.
        VaultError::Stream(inner) => io::Error::new(io::ErrorKind::UnexpectedEof, inner.to_string()),
        other => io::Error::other(other),
    }
}
