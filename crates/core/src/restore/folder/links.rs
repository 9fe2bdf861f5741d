//! Several names of one file: the first writer keeps a scratch name, the others link to it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Condvar, Mutex, PoisonError},
};

use crate::{restore::entry::Entry, vault::Node};

/// What a thread shall do with one name of a file.
pub enum Turn {
    /// The file has no other name here.
    Alone,
    /// Write it, keep it under a scratch name, then call [`Links::ready`] or [`Links::failed`].
    First((u64, u64)),
    /// Link to this scratch name.
    Link(String),
}

/// The files with several names in a restore.
pub struct Links<'p> {
    shared: &'p HashSet<(u64, u64)>,
    states: Mutex<HashMap<(u64, u64), State>>,
    changed: Condvar,
}

struct State {
    first: Node,
    scratch: Scratch,
}

#[derive(Clone)]
enum Scratch {
    Writing,
    Ready(String),
    Failed,
}

impl<'p> Links<'p> {
    /// For the files that the plan found to have several names.
    pub fn new(shared: &'p HashSet<(u64, u64)>) -> Self {
        Self { shared, states: Mutex::default(), changed: Condvar::new() }
    }

    /// Decides what to do with a name, after waiting for a first name that is being written.
    ///
    /// Files with the same inode and other content (the inode was used again while the snapshot was taken) are no
    /// links of each other.
    pub fn turn(&self, entry: &Entry) -> Turn {
        let Some(identity) = entry.link_identity().filter(|id| self.shared.contains(id)) else {
            return Turn::Alone;
        };
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some(state) = states.get(&identity) else {
                states.insert(identity, State { first: entry.node.clone(), scratch: Scratch::Writing });
                return Turn::First(identity);
            };
            if state.first.meta.size != entry.size || state.first.content != entry.node.content {
                return Turn::Alone;
            }
            match &state.scratch {
                Scratch::Ready(name) => return Turn::Link(name.clone()),
                Scratch::Failed => return Turn::Alone,
                Scratch::Writing => {}
            }
            states = self.changed.wait(states).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The first name stands and is kept as `scratch`.
    pub fn ready(&self, identity: (u64, u64), scratch: String) {
        self.set(identity, Scratch::Ready(scratch));
    }

    /// The first name could not be written.
    pub fn failed(&self, identity: (u64, u64)) {
        self.set(identity, Scratch::Failed);
    }

    fn set(&self, identity: (u64, u64), scratch: Scratch) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get_mut(&identity) {
            state.scratch = scratch;
        }
        self.changed.notify_all();
    }
}
