//! A vault that can be read, as one side.

use std::{cell::RefCell, collections::HashMap, path::Path, rc::Rc};

use jiff::SignedDuration;

use super::{
    Blind, CompareError, Look, ReferenceKey, RepositoryKey, Side, Table, recent::Recent, side::Digests,
};
use crate::{
    backup::pages,
    history::{RefTable, ancestry::Commits, moves},
    restore::{entry::show, repository::find::Named, view::SnapshotView},
    retention,
    seal::Seal,
    vault::{Snapshot, TreeId, Vault, VaultReader, tree_hex},
};

/// One complete snapshot.
struct Shown {
    tree: TreeId,
    seal: Seal,
}

/// See the module.
pub struct VaultSide {
    place: String,
    reader: VaultReader,
    blind: Blind,
    looks: Vec<Look>,
    shown: Vec<Shown>,
    digests: Recent<Digests>,
    paths: RefCell<HashMap<RepositoryKey, Vec<u8>>>,
    names: RefCell<HashMap<Vec<u8>, String>>,
    references: RefCell<HashMap<ReferenceKey, Vec<u8>>>,
}

impl std::fmt::Debug for VaultSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultSide")
            .field("place", &self.place)
            .field("looks", &self.looks)
            .finish_non_exhaustive()
    }
}

impl VaultSide {
    /// The last `most` complete snapshots of a vault, in the order of their seals; those of the newest one's appliance.
    ///
    /// # Errors
    /// The vault cannot be read, or has no complete snapshot.
    pub fn new(vault: &Vault, most: usize) -> Result<Self, CompareError> {
        let list = vault.snapshots()?;
        let place = vault.location().to_string();
        let mut line = retention::chain(vault, &list)?;
        let uuid = match line.last() {
            Some(seal) => seal.manifest.uuid.clone(),
            None => return Err(CompareError::Nothing { place }),
        };
        line.retain(|seal| seal.manifest.uuid == uuid);
        line.drain(..line.len().saturating_sub(most));
        let (mut looks, mut shown) = (Vec::new(), Vec::new());
        for seal in line {
            let of = |one: &&Snapshot| tree_hex(&one.tree) == seal.manifest.tree;
            let Some(snapshot) = list.snapshots.iter().find(of) else { continue };
            let Some(place) = seal.link() else { continue };
            let lasted = SignedDuration::try_from_secs_f64(seal.manifest.seconds).unwrap_or_default();
            let ended = place.started.saturating_add(lasted).unwrap_or(place.started);
            looks.push(Look { snapshot: snapshot.id.to_string(), started: place.started, ended });
            shown.push(Shown { tree: snapshot.tree, seal });
        }
        Ok(Self {
            place,
            reader: vault.index()?,
            blind: Blind::new(&uuid),
            looks,
            shown,
            digests: Recent::default(),
            paths: RefCell::default(),
            names: RefCell::default(),
            references: RefCell::default(),
        })
    }

    /// How names are turned into keys.
    #[must_use]
    pub fn blind(&self) -> &Blind {
        &self.blind
    }

    /// The seal of a look.
    #[must_use]
    pub fn seal(&self, at: usize) -> &Seal {
        &self.shown[at].seal
    }

    fn view(&self, at: usize) -> SnapshotView<'_> {
        SnapshotView::new(&self.reader, self.shown[at].tree)
    }

    /// The path of a repository that any look that was asked for has.
    #[must_use]
    pub fn path(&self, repository: &RepositoryKey) -> Option<Vec<u8>> {
        self.paths.borrow().get(repository).cloned()
    }

    /// Its name as the look knows it; its path when it has none.
    #[must_use]
    pub fn name(&self, at: usize, repository: &RepositoryKey) -> Option<String> {
        let path = self.path(repository)?;
        if let Some(name) = self.names.borrow().get(&path) {
            return Some(name.clone());
        }
        let name = pages::read_one(&self.reader, self.shown[at].tree, pages::NAMES, &path).ok().flatten();
        let name = name.and_then(|name| String::from_utf8(name).ok()).unwrap_or_else(|| show(&path));
        self.names.borrow_mut().insert(path, name.clone());
        Some(name)
    }

    /// The name of a reference, if any table that was read has it.
    #[must_use]
    pub fn reference(&self, key: &ReferenceKey) -> Option<Vec<u8>> {
        self.references.borrow().get(key).cloned()
    }

    /// The commits of a repository out of some looks, newest first.
    #[must_use]
    pub fn commits(
        &self,
        repository: &RepositoryKey,
        looks: &[usize],
        scratch: &Path,
    ) -> Option<Commits<'_>> {
        let path = self.path(repository)?;
        let named = Named { name: show(&path), path };
        let mut looks = looks.to_vec();
        looks.sort_unstable_by(|a, b| b.cmp(a));
        looks.dedup();
        let views = looks.into_iter().map(|at| self.view(at)).collect();
        Some(Commits::new(named, views, scratch))
    }

    /// The references of a repository by its path.
    pub(super) fn table_at(&self, at: usize, path: &[u8]) -> Result<Option<Table>, CompareError> {
        let Some(read) = RefTable::read(self.view(at), path)? else { return Ok(None) };
        let mut table = Table::new();
        let mut known = self.references.borrow_mut();
        let mut add = |name: &[u8], value: &[u8]| {
            let key = self.blind.reference(path, name);
            known.entry(key).or_insert_with(|| name.to_vec());
            table.insert(key, self.blind.value(value));
        };
        if !read.head.is_empty() {
            add(b"HEAD", &read.head);
        }
        for (name, value) in
            read.refs.iter().filter(|(name, _)| !moves::is_internal(&String::from_utf8_lossy(name)))
        {
            add(name, value);
        }
        Ok(Some(table))
    }
}

impl Side for VaultSide {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn looks(&self) -> &[Look] {
        &self.looks
    }

    fn digests(&self, at: usize) -> Result<Rc<Digests>, CompareError> {
        self.digests.get(at, || {
            let read = pages::read_all::<[u8; 32]>(&self.reader, self.shown[at].tree, pages::REFS)?;
            let mut paths = self.paths.borrow_mut();
            let mut digests = Digests::with_capacity(read.len());
            for (path, digest) in read {
                let key = self.blind.repository(&path);
                digests.insert(key, digest);
                paths.entry(key).or_insert(path);
            }
            Ok(digests)
        })
    }

    fn table(&self, at: usize, repository: &RepositoryKey) -> Result<Option<Table>, CompareError> {
        match self.path(repository) {
            Some(path) => self.table_at(at, &path),
            None => Ok(None),
        }
    }
}
