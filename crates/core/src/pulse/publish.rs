//! Signs a pulse and hangs it on boards.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{PulseError, Tips};
use crate::{
    compare::{Blind, Look, RepositoryState, Sheet, Table, folder},
    history::{RefTable, moves},
    seal::SealKey,
    witness::Board,
};

/// After that many pulses one tells everything again, so that older ones may be taken off a board.
const FULL_EVERY: u32 = 96;

/// The origin of the pulses of an origin.
#[must_use]
pub fn origin(of: &str) -> String {
    format!("{of}.pulse")
}

/// What the pulse before said, as this host remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its hash.
    pub last: Option<String>,
    /// Its file.
    pub name: String,
    /// Pulses since one told everything.
    pub since_full: u32,
    /// Ref digests by the keys of their repositories, both hexadecimal.
    pub digests: BTreeMap<String, String>,
}

/// What came of a pulse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beat {
    /// Its hash.
    pub pulse: String,
    /// When the first reference was read.
    pub started: Timestamp,
    /// When the last one was.
    pub ended: Timestamp,
    /// Repositories that were read.
    pub repositories: usize,
    /// References of theirs.
    pub references: usize,
    /// Repositories of which this pulse tells anything.
    pub told: usize,
    /// Whether it tells everything, not only what has changed.
    pub full: bool,
    /// Files that were created: board, folder, name.
    pub created: Vec<String>,
}

/// Publishes tips that were read between two moments. `of` is the origin of the vault's checkpoints, `uuid` the appliance's.
///
/// # Errors
/// A board cannot be read or written; `known` is then as before.
pub fn publish(
    boards: &[Box<dyn Board>],
    (of, uuid): (&str, &str),
    key: &SealKey,
    (started, ended): (Timestamp, Timestamp),
    tips: &Tips,
    known: &mut Known,
) -> Result<Beat, PulseError> {
    let (origin, blind) = (origin(of), Blind::new(uuid));
    let folder = folder(&origin);
    let mut whole = known.last.is_none() || known.since_full + 1 >= FULL_EVERY;
    let ours = || boards.iter().filter(|board| !board.is_read_only());
    for board in ours() {
        // A board that does not have the one before would not understand what has changed since.
        whole = whole || board.read(&folder, &known.name)?.is_none();
    }
    let mut digests = BTreeMap::new();
    let mut repositories = Vec::new();
    for (path, table) in tips {
        let repository = blind.repository(path);
        let (name, digest) = (hex::encode(repository), table.digest());
        let told = hex::encode(digest);
        if whole || known.digests.get(&name) != Some(&told) {
            let state = Some((digest, blinded(&blind, path, table)));
            repositories.push(RepositoryState { key: repository, state });
        }
        digests.insert(name, told);
    }
    if !whole {
        let gone = known.digests.keys().filter(|name| !digests.contains_key(*name));
        let keys = gone.filter_map(|name| hex::decode(name).ok()?.try_into().ok());
        repositories.extend(keys.map(|key| RepositoryState { key, state: None }));
    }
    repositories.sort_by_key(|one| one.key);
    let pulse = hash(started, &digests);
    let told = repositories.len();
    let sheet = Sheet {
        origin,
        appliance: blind.appliance(),
        look: Look { snapshot: pulse.clone(), started, ended },
        after: known.last.clone().filter(|_| !whole),
        repositories,
    };
    let (name, text) = (sheet.name(), sheet.sign(key)?.text());
    let mut created = Vec::new();
    for board in ours() {
        if board.create(&folder, &name, &text)? {
            created.push(format!("{}: {folder}/{name}", board.place()));
        }
    }
    let since_full = if whole { 0 } else { known.since_full + 1 };
    *known = Known { last: Some(pulse.clone()), name, since_full, digests };
    Ok(Beat {
        pulse,
        started,
        ended,
        repositories: tips.len(),
        references: tips.values().map(|table| table.refs.len()).sum(),
        told,
        full: whole,
        created,
    })
}

/// References under keyed names, as sheets of snapshots have them: those that the appliance keeps for itself are left out.
fn blinded(blind: &Blind, path: &[u8], table: &RefTable) -> Table {
    let shown = |name: &&Vec<u8>| !moves::is_internal(&String::from_utf8_lossy(name));
    let mut keyed: Table = table
        .refs
        .iter()
        .filter(|(name, _)| shown(name))
        .map(|(name, value)| (blind.reference(path, name), blind.value(value)))
        .collect();
    keyed.insert(blind.reference(path, b"HEAD"), blind.value(&table.head));
    keyed
}

/// Names a pulse: what it saw, and when.
fn hash(started: Timestamp, digests: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("ghevault pulse v1\n{started}\n"));
    for (name, digest) in digests {
        hash.update(format!("{name} {digest}\n"));
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::{BoardSide, Side as _},
        witness::{PublicKey, open_folder_board},
    };

    fn table(main: &str) -> RefTable {
        let refs = [(b"refs/heads/main".to_vec(), main.as_bytes().to_vec())].into();
        RefTable { head: b"ref: refs/heads/main".to_vec(), refs }
    }

    #[test]
    fn a_chain_of_pulses_is_read_back_as_looks_and_a_new_board_gets_everything() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| -> Box<dyn Board> {
            open_folder_board(&format!("dir:{}", folder.path().join(name).display())).expect("a board")
        };
        let key = SealKey::generate();
        let public = PublicKey::parse(&key.public()).expect("a key");
        let at = |second: i64| {
            let moment = Timestamp::from_second(1_780_000_000 + second).expect("a time");
            (moment, moment)
        };
        let (a, b) = (b"repositories/a/x.git".to_vec(), b"repositories/a/y.git".to_vec());
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let mut known = Known::default();
        let mut beat = |boards: &[Box<dyn Board>], second: i64, tips: &Tips| {
            publish(boards, ("ghevault.v.k", "uuid"), &key, at(second), tips, &mut known).expect("published")
        };
        let boards = [place("first")];
        let first = beat(&boards, 0, &[(a.clone(), table(&one)), (b, table(&one))].into());
        assert_eq!((first.full, first.told, first.references), (true, 2, 2));
        let second = beat(&boards, 300, &[(a.clone(), table(&two))].into());
        assert_eq!((second.full, second.told), (false, 2), "one moved, one is gone");
        let third = beat(&boards, 600, &[(a.clone(), table(&two))].into());
        assert_eq!((third.full, third.told, third.created.len()), (false, 0, 1));
        let appliance = Blind::new("uuid").appliance();
        let side =
            BoardSide::read(&*boards[0], &origin("ghevault.v.k"), &public, &appliance, 1).expect("readable");
        assert_eq!((side.looks().len(), side.findings.len()), (3, 0));
        let repository = Blind::new("uuid").repository(&a);
        let main = Blind::new("uuid").reference(&a, b"refs/heads/main");
        let value = |at: usize| side.table(at, &repository).expect("readable").expect("there")[&main].clone();
        assert_eq!((value(0), value(1), value(2)), (one, two.clone(), two.clone()));
        assert_eq!(side.digests(2).expect("readable").len(), 1);
        let both = [place("first"), place("second")];
        assert!(beat(&both, 900, &[(a, table(&two))].into()).full, "the second board knows nothing yet");
    }
}
