//! What another vault published of its references, as one side; and publishing one's own.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use serde::Serialize;

use super::{
    CompareError, Look, RepositoryKey, RepositoryState, Sheet, Side, Table, VaultSide, recent::Recent,
    sheet::folder, side::Digests,
};
use crate::{
    seal::SealKey,
    witness::{Board, PublicKey},
};

/// After that many sheets one tells everything again, so that older ones may be taken off a board.
const FULL_EVERY: usize = 168;
/// Most snapshots whose sheets are made up for at once.
const LATE_MAX: usize = 50;

/// A sheet that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SheetFinding {
    /// The file: board, folder and name.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

/// What one sheet says: of each repository its digest and references, or that it is gone.
type Change = HashMap<RepositoryKey, Option<([u8; 32], Table)>>;

/// See the module.
#[derive(Debug)]
pub struct BoardSide {
    place: String,
    looks: Vec<Look>,
    changes: Vec<Change>,
    digests: Recent<Digests>,
    /// What is wrong with sheets.
    pub findings: Vec<SheetFinding>,
}

impl BoardSide {
    /// Reads the newest sheets of an origin, at least `most` of them where there are, back to one that tells everything.
    ///
    /// # Errors
    /// The board cannot be read, or its sheets are of another appliance.
    pub fn read(
        board: &dyn Board,
        origin: &str,
        key: &PublicKey,
        appliance: &str,
        most: usize,
    ) -> Result<Self, CompareError> {
        let place = format!("{} on {}", key.name, board.place());
        let folder = folder(origin);
        let (mut sheets, mut findings) = (Vec::new(), Vec::new());
        let mut wanted: Option<String> = None;
        let names: Vec<String> =
            board.names(&folder)?.into_iter().filter(|name| Sheet::seal_of(name).is_some()).collect();
        for name in by_moment(board, &folder, &names, (origin, key))?.iter().rev() {
            let file = format!("{}: {folder}/{name}", board.place());
            let text = board.read(&folder, name)?.unwrap_or_default();
            let sheet = match Sheet::read(&text, origin, key) {
                Ok(sheet) if sheet.name() == *name => sheet,
                Ok(_) => {
                    findings.push(SheetFinding { file, what: "it stands under another sheet's name".into() });
                    continue;
                }
                Err(error) => {
                    findings.push(SheetFinding { file, what: error.to_string() });
                    continue;
                }
            };
            if sheet.appliance != appliance {
                return Err(CompareError::OtherAppliance { other: place });
            }
            if wanted.as_ref().is_some_and(|wanted| *wanted != sheet.look.snapshot) {
                let what = "the sheet after it names another one as the one before: one is missing".into();
                findings.push(SheetFinding { file, what });
                wanted = None;
                break;
            }
            wanted.clone_from(&sheet.after);
            let is_full = wanted.is_none();
            sheets.push(sheet);
            if is_full && sheets.len() >= most {
                break;
            }
        }
        if let Some(wanted) = wanted {
            let file = format!("{}: {folder}", board.place());
            findings.push(SheetFinding { file, what: format!("the sheet of seal {wanted} is missing") });
        }
        sheets.reverse();
        // what builds on a sheet that is not there says nothing by itself
        while sheets.first().is_some_and(|first: &Sheet| first.after.is_some()) {
            sheets.remove(0);
        }
        let looks = sheets.iter().map(|sheet| sheet.look.clone()).collect();
        let changes = sheets.into_iter().map(|sheet| {
            let full = sheet.after.is_none();
            (full, sheet.repositories.into_iter().map(|one| (one.key, one.state)).collect())
        });
        let mut side = Self { place, looks, changes: Vec::new(), digests: Recent::default(), findings };
        for (full, change) in changes {
            let change: Change = change;
            side.push(full, change);
        }
        Ok(side)
    }

    /// A full sheet says what is gone by not naming it.
    fn push(&mut self, full: bool, mut change: Change) {
        if full && !self.changes.is_empty() {
            let before: BTreeSet<RepositoryKey> =
                self.changes.iter().flat_map(|one| one.keys().copied()).collect();
            for key in before {
                change.entry(key).or_insert(None);
            }
        }
        self.changes.push(change);
    }
}

impl Side for BoardSide {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn looks(&self) -> &[Look] {
        &self.looks
    }

    fn digests(&self, at: usize) -> Result<Rc<Digests>, CompareError> {
        self.digests.get(at, || {
            let mut digests = Digests::new();
            for change in &self.changes[..=at] {
                for (key, state) in change {
                    match state {
                        Some((digest, _)) => digests.insert(*key, *digest),
                        None => digests.remove(key),
                    };
                }
            }
            Ok(digests)
        })
    }

    fn table(&self, at: usize, repository: &RepositoryKey) -> Result<Option<Table>, CompareError> {
        let last = self.changes[..=at].iter().rev().find_map(|change| change.get(repository));
        Ok(last.and_then(Option::as_ref).map(|(_, table)| table.clone()))
    }
}

/// Names in the order of their sheets. They tell seconds; which of two in one second was first, only the sheets themselves tell.
fn by_moment(
    board: &dyn Board,
    folder: &str,
    names: &[String],
    (origin, key): (&str, &PublicKey),
) -> Result<Vec<String>, CompareError> {
    let second = |name: &str| name.split_once('-').map(|(second, _)| second.to_owned());
    let mut ordered = Vec::with_capacity(names.len());
    for together in names.chunk_by(|a, b| second(a) == second(b)) {
        let mut together: Vec<_> = together.iter().map(|name| (None, name.clone())).collect();
        if together.len() > 1 {
            for (started, name) in &mut together {
                let text = board.read(folder, name)?.unwrap_or_default();
                *started = Sheet::read(&text, origin, key).ok().map(|sheet| sheet.look.started);
            }
            together.sort();
        }
        ordered.extend(together.into_iter().map(|(_, name)| name));
    }
    Ok(ordered)
}

/// Publishes the sheets of a vault's complete snapshots that a board does not have yet, oldest first. Returns the names of the
/// files that were created.
///
/// # Errors
/// The vault or the board.
pub fn publish_sheets(
    board: &dyn Board,
    origin: &str,
    side: &VaultSide,
    key: &SealKey,
) -> Result<Vec<String>, CompareError> {
    let folder = folder(origin);
    let there: Vec<String> =
        board.names(&folder)?.iter().filter_map(|name| Sheet::seal_of(name).map(str::to_owned)).collect();
    let is_there = |at: usize| there.contains(&side.seal(at).hash);
    let last = (0..side.looks().len()).rev().find(|at| is_there(*at));
    let first = last.map_or(0, |at| at + 1).max(side.looks().len().saturating_sub(LATE_MAX));
    let mut before = last.filter(|at| at + 1 == first && !there.len().is_multiple_of(FULL_EVERY));
    let mut created = Vec::new();
    for at in first..side.looks().len() {
        let repositories = changed(side, before, at)?;
        let seal = side.seal(at);
        let sheet = Sheet {
            origin: origin.to_owned(),
            appliance: side.blind().appliance(),
            look: Look { snapshot: seal.hash.clone(), ..side.looks()[at].clone() },
            after: before.map(|before| side.seal(before).hash.clone()),
            repositories,
        };
        let name = sheet.name();
        if board.create(&folder, &name, &sheet.sign(key)?.text())? {
            created.push(name);
        }
        before = Some(at);
    }
    Ok(created)
}

fn changed(side: &VaultSide, before: Option<usize>, at: usize) -> Result<Vec<RepositoryState>, CompareError> {
    let old = before.map(|before| side.digests(before)).transpose()?.unwrap_or_default();
    let new = side.digests(at)?;
    let mut states = Vec::new();
    for (key, digest) in new.iter().filter(|(key, digest)| old.get(*key) != Some(*digest)) {
        let table = side.table(at, key)?.unwrap_or_default();
        states.push(RepositoryState { key: *key, state: Some((*digest, table)) });
    }
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    states.extend(gone.map(|key| RepositoryState { key: *key, state: None }));
    states.sort_by_key(|state| state.key);
    Ok(states)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::open_folder_board;

    #[test]
    fn of_two_sheets_in_one_second_the_later_one_is_the_later_one() {
        let room = tempfile::tempdir().unwrap();
        let board = open_folder_board(&format!("dir:{}", room.path().display())).unwrap();
        let key = SealKey::generate();
        let public = PublicKey::parse(&key.public()).unwrap();
        let (first, second) = ("ff".repeat(32), "00".repeat(32));
        let sheet = |snapshot: &String, started: &str, after: Option<&String>| Sheet {
            origin: "ghevault.v.k".into(),
            appliance: "a".repeat(32),
            look: Look {
                snapshot: snapshot.clone(),
                started: started.parse().unwrap(),
                ended: "2026-01-01T00:00:02Z".parse().unwrap(),
            },
            after: after.cloned(),
            repositories: Vec::new(),
        };
        let folder = folder("ghevault.v.k");
        for sheet in [
            sheet(&second, "2026-01-01T00:00:01.9Z", Some(&first)),
            sheet(&first, "2026-01-01T00:00:01.1Z", None),
        ] {
            assert!(board.create(&folder, &sheet.name(), &sheet.sign(&key).unwrap().text()).unwrap());
        }
        let side = BoardSide::read(&*board, "ghevault.v.k", &public, &"a".repeat(32), 10).unwrap();
        assert_eq!(side.findings, []);
        assert_eq!(side.looks.iter().map(|look| &look.snapshot).collect::<Vec<_>>(), [&first, &second]);
    }
}
