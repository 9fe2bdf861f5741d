//! Whether one commit follows another, asked of the commits in the snapshots.
//!
//! What a commit descends from is part of its name, so one snapshot's answer holds for all: the newest is asked first, and
//! older ones only about commits that it does not have any more.

use std::collections::HashMap;

use crate::{
    progress::Silent,
    restore::{
        repository::{ObjectStore, RepositoryError, find::Named, plan},
        view::SnapshotView,
    },
};

/// How two commits stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The old one is an ancestor of the new one, or the same.
    Ancestor,
    /// It is not.
    NoAncestor,
    /// That cannot be said, for this reason.
    Unknown(String),
}

/// Answers how commits stand to each other.
pub trait Ancestry {
    /// Whether `old` is an ancestor of `new`.
    fn relation(&mut self, old: &str, new: &str) -> Relation;
}

/// Never asked, or not to be asked: says so.
#[derive(Debug)]
pub struct Unasked;

impl Ancestry for Unasked {
    fn relation(&mut self, _: &str, _: &str) -> Relation {
        Relation::Unknown("the commits were not looked at".into())
    }
}

/// The commits of one repository, out of those snapshots in which it can be found.
pub struct Commits<'a> {
    /// Newest first; a store is made when it is asked for the first time.
    stores: Vec<(SnapshotView<'a>, Option<Result<ObjectStore, String>>)>,
    named: Named,
    scratch: std::path::PathBuf,
    known: HashMap<(String, String), Relation>,
}

impl std::fmt::Debug for Commits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commits").field("named", &self.named).finish_non_exhaustive()
    }
}

impl<'a> Commits<'a> {
    /// The commits of `named` in `views`, newest first; private folders are made below `scratch`.
    #[must_use]
    pub fn new(named: Named, views: Vec<SnapshotView<'a>>, scratch: &std::path::Path) -> Self {
        let stores = views.into_iter().map(|view| (view, None)).collect();
        Self { stores, named, scratch: scratch.to_owned(), known: HashMap::new() }
    }

    fn ask(&mut self, old: &str, new: &str) -> Relation {
        let mut why = "no snapshot has the new commit".to_owned();
        for (view, slot) in &mut self.stores {
            let store = slot.get_or_insert_with(|| {
                store(*view, &self.named, &self.scratch).map_err(|error| error.to_string())
            });
            match store {
                Err(reason) => why.clone_from(reason),
                Ok(store) => match store.follows(old, new) {
                    Ok(Some(true)) => return Relation::Ancestor,
                    Ok(Some(false)) => return Relation::NoAncestor,
                    Ok(None) => {}
                    Err(error) => why = error.to_string(),
                },
            }
        }
        Relation::Unknown(why)
    }
}

fn store(
    view: SnapshotView<'_>,
    named: &Named,
    scratch: &std::path::Path,
) -> Result<ObjectStore, RepositoryError> {
    ObjectStore::gather(view, &plan(view, named)?, scratch, &Silent)
}

impl Ancestry for Commits<'_> {
    fn relation(&mut self, old: &str, new: &str) -> Relation {
        let key = (old.to_owned(), new.to_owned());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let relation = self.ask(old, new);
        self.known.insert(key, relation.clone());
        relation
    }
}
