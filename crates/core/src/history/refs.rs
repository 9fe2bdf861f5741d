//! The history of one repository's references over the snapshots of a vault.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    HistoryError, RefTable,
    ancestry::Commits,
    moves::{self, Move},
};
use crate::{
    backup::pages,
    restore::{
        repository::find::{self, Named},
        view::SnapshotView,
    },
    vault::{Snapshot, VaultReader},
};

/// A snapshot in a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Its id.
    pub snapshot: String,
    /// The moment that it shows.
    pub time: Timestamp,
}

/// What happened between a snapshot and the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The later snapshot.
    #[serde(flatten)]
    pub at: Moment,
    /// Whether the repository is there.
    pub there: bool,
    /// Its new name, when it has another one than before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed: Option<String>,
    /// What its references did.
    pub moves: Vec<Move>,
}

/// The history of one repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefHistory {
    /// The name that it had last.
    pub name: String,
    /// Its path in the snapshots; a rename does not change it.
    pub path: String,
    /// Snapshots that were looked at, oldest first.
    pub snapshots: Vec<Moment>,
    /// Those in which something happened.
    pub steps: Vec<Step>,
}

/// Tells the history of the repository that `wanted` names in the newest snapshot that has it. `snapshots` are ordered,
/// oldest first; private folders are made below `scratch`.
///
/// # Errors
/// No snapshot has it, or one that has it cannot be read.
pub fn of(
    reader: &VaultReader,
    snapshots: &[Snapshot],
    wanted: &str,
    scratch: &Path,
) -> Result<RefHistory, HistoryError> {
    let view = |snapshot: &Snapshot| SnapshotView::new(reader, snapshot.tree);
    let named = newest_of(reader, snapshots, wanted)?;
    let views = snapshots.iter().rev().map(view).collect();
    let mut commits = Commits::new(named.clone(), views, scratch);
    let mut steps: Vec<Step> = Vec::new();
    let mut before: Option<Seen> = None;
    let lookup = |folder| pages::Lookup::new(reader, folder, &named.path);
    let (mut digests, mut called) = (lookup(pages::REFS), lookup(pages::NAMES));
    for snapshot in snapshots {
        let digest = digests.value(snapshot.tree)?;
        let name = called.value(snapshot.tree)?.and_then(|name| String::from_utf8(name).ok());
        let unchanged = before
            .as_ref()
            .is_some_and(|seen| digest.is_some() && seen.digest == digest && seen.table.is_some());
        let table = match &before {
            Some(seen) if unchanged => seen.table.clone(),
            _ => RefTable::read(view(snapshot), &named.path)?,
        };
        let empty = RefTable::default();
        let (old, new) = (before.as_ref().and_then(|seen| seen.table.as_ref()), table.as_ref());
        let moves = match (old, new) {
            (None, None) => Vec::new(),
            _ if unchanged => Vec::new(),
            (old, new) => moves::between(old.unwrap_or(&empty), new.unwrap_or(&empty), &mut commits),
        };
        let old_name = before.as_ref().and_then(|seen| seen.name.clone());
        let renamed = name.clone().filter(|name| old_name.as_ref().is_some_and(|old| old != name));
        let appeared = old.is_some() != new.is_some();
        if !moves.is_empty() || renamed.is_some() || appeared {
            steps.push(Step { at: moment(snapshot), there: new.is_some(), renamed, moves });
        }
        before = Some(Seen { digest, table, name: name.or(old_name) });
    }
    Ok(RefHistory {
        name: named.name,
        path: crate::restore::entry::show(&named.path),
        snapshots: snapshots.iter().map(moment).collect(),
        steps,
    })
}

/// What the snapshot before said.
struct Seen {
    digest: Option<Vec<u8>>,
    table: Option<RefTable>,
    name: Option<String>,
}

fn moment(snapshot: &Snapshot) -> Moment {
    Moment { snapshot: snapshot.id.to_string(), time: snapshot.time }
}

/// The repository as the newest snapshot that has it knows it.
fn newest_of(reader: &VaultReader, snapshots: &[Snapshot], wanted: &str) -> Result<Named, HistoryError> {
    for snapshot in snapshots.iter().rev() {
        let view = SnapshotView::new(reader, snapshot.tree);
        if wanted.starts_with("repositories/") {
            if view.find(wanted.as_bytes())?.is_some() {
                return Ok(find::find(view, wanted, &crate::progress::Silent)?);
            }
            continue;
        }
        match find::choose(&find::index(view)?, wanted) {
            Ok(named) => return Ok(named),
            Err(crate::restore::repository::RepositoryError::NotFound { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    // names that no index has: the newest snapshot is searched, and tells what is similar
    match snapshots.last() {
        Some(snapshot) => {
            let view = SnapshotView::new(reader, snapshot.tree);
            Ok(find::find(view, wanted, &crate::progress::Silent)?)
        }
        None => Err(HistoryError::Unknown { wanted: wanted.to_owned() }),
    }
}
