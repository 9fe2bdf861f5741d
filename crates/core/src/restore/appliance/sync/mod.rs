//! Files of the snapshot onto the appliance: ask what stands there, remove what the snapshot does not have, send what
//! differs as one tar stream, objects before the references that need them.
//!
//! Needs nothing on the appliance but bash, find, xargs and GNU tar, run as the user that owns the files.

mod compare;
mod send;
mod standing;

use std::collections::BTreeMap;

use super::{error::StepError, remote::Remote, report::Done};
use crate::{
    appliance::quote::quote,
    progress::Progress,
    restore::{
        entry::{Entry, join, show},
        report::Problem,
        view::{SnapshotView, ViewError},
    },
};

/// When a file on the appliance counts as the snapshot's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sameness {
    /// Same size and the same time to the nanosecond.
    Time,
    /// Git: objects and packs by name and size (their names are digests), the rest as [`Sameness::Time`].
    Git,
    /// The same size: names are digests of the content.
    Size,
}

/// Where a dataset goes.
pub struct Transfer<'a> {
    /// Directory in the snapshot.
    pub from: &'a [u8],
    /// Directory on the appliance.
    pub to: &'a str,
    /// Owner of the files there.
    pub user: &'a str,
    /// When a file is left alone.
    pub sameness: Sameness,
    /// Whether what the snapshot does not have is removed below the units.
    pub delete: bool,
    /// The step's name in progress events.
    pub part: &'static str,
}

/// A file or directory with its path below [`Transfer::from`].
pub type Item = (Vec<u8>, Entry);

/// Directories above units, by path below [`Transfer::from`].
pub type Ways = BTreeMap<Vec<u8>, Entry>;

/// Moves units of one dataset.
pub struct Sync<'a> {
    /// The appliance.
    pub remote: &'a Remote<'a>,
    /// The snapshot.
    pub view: SnapshotView<'a>,
    /// Who is told.
    pub progress: &'a dyn Progress,
}

impl Sync<'_> {
    /// Makes these units on the appliance what they are in the snapshot. A unit with an empty path is the whole
    /// directory. `ways` holds the directories above the units.
    pub fn units(&self, transfer: &Transfer<'_>, units: Vec<Item>, ways: &Ways) -> Result<Done, StepError> {
        let names: Vec<&[u8]> = units.iter().map(|(path, _)| path.as_slice()).collect();
        let standing = standing::ask(self.remote, transfer, &names)?;
        let above = ways_above(&names, ways);
        let mut done = Done::default();
        let mut wanted = Wanted::default();
        for unit in units {
            self.gather(transfer, unit, &mut wanted);
        }
        done.problems.append(&mut wanted.problems);
        let difference = compare::difference(transfer, wanted.items, above, &standing, &wanted.unreadable);
        done.unchanged = difference.unchanged;
        done.removed = difference.remove.len() as u64;
        self.remove(transfer, &difference.remove)?;
        done.add(self.send(transfer, &difference.send)?);
        Ok(done)
    }

    /// A unit and everything below it.
    fn gather(&self, transfer: &Transfer<'_>, (path, entry): Item, wanted: &mut Wanted) {
        if let super::super::entry::Kind::Directory(_) = entry.kind {
            let below = join_from(transfer.from, &path);
            match self.view.children(&below, &entry.kind) {
                Ok((entries, bad)) => {
                    let shown = show(&below);
                    wanted.problems.extend(bad.into_iter().map(|what| Problem { path: shown.clone(), what }));
                    for child in entries {
                        let at = join(&path, &child.name);
                        self.gather(transfer, (at, child), wanted);
                    }
                }
                Err(error) => wanted.unreadable(&path, &below, &error),
            }
        }
        let path = if path.is_empty() { b".".to_vec() } else { path };
        wanted.items.push((path, entry));
    }

    fn remove(&self, transfer: &Transfer<'_>, paths: &[Vec<u8>]) -> Result<(), StepError> {
        if paths.is_empty() {
            return Ok(());
        }
        let list: Vec<u8> = paths.iter().flat_map(|path| [b"./", path.as_slice(), b"\0"].concat()).collect();
        let script = format!("cd {} && xargs -0 -r rm -rf --", quote(transfer.to));
        self.remote.work(
            "remove what the snapshot does not have",
            &as_user(transfer.user, &script),
            &list,
        )?;
        Ok(())
    }
}

/// What the snapshot has of some units.
#[derive(Default)]
struct Wanted {
    items: Vec<Item>,
    unreadable: Vec<Vec<u8>>,
    problems: Vec<Problem>,
}

impl Wanted {
    /// A directory that cannot be read is named, and nothing below it is removed.
    fn unreadable(&mut self, path: &[u8], below: &[u8], error: &ViewError) {
        let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        let what = format!("the directory cannot be read from the vault: {why}");
        self.problems.push(Problem { path: show(below), what });
        self.unreadable.push(path.to_vec());
    }
}

fn ways_above(units: &[&[u8]], ways: &Ways) -> Vec<Item> {
    let mut above = BTreeMap::new();
    for unit in units {
        for (at, _) in unit.iter().enumerate().filter(|(_, b)| **b == b'/') {
            if let Some(entry) = ways.get(&unit[..at]) {
                above.entry(unit[..at].to_vec()).or_insert_with(|| entry.clone());
            }
        }
    }
    above.into_iter().collect()
}

/// The path in the snapshot of a path below a transfer's source.
fn join_from(from: &[u8], path: &[u8]) -> Vec<u8> {
    if path.is_empty() { from.to_vec() } else { join(from, path) }
}

/// A bash script as another user, with pipes that fail when a part fails.
fn as_user(user: &str, script: &str) -> String {
    let strict = format!("set -o pipefail; {script}");
    format!("sudo -u {} env LC_ALL=C bash -c {}", quote(user), quote(&strict))
}
