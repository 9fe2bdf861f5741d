//! One backup by several hosts: each captures its share of the routes, and a last step joins their parts into one snapshot.
//!
//! Storyline: the first shard to come opens the *run* ([`run`]): which snapshot it builds on, how many shards there are. Each shard captures
//! what is its own, and commits a *part* ([`part`]): a snapshot without a seal, with only what it read, and a signed record. Joining
//! ([`join`]) chooses the parts ([`choose`]), puts together what they captured ([`merge`]) as if one process had, and goes on as every
//! backup does.
//!
//! Who captures what is a pure function of the path and of the number of shards, here: everything of a route is one shard's, and what is no
//! route's (databases, secrets, the folders above the routes) is the first one's.

pub mod choose;
pub mod join;
pub(super) mod listing;
pub mod merge;
pub mod part;
pub mod run;

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use super::unit::unit_of;

/// Most shards of one run.
pub const SHARDS_MAX: u32 = 1000;

/// Longest name of a run.
pub const NAME_MAX: usize = 100;

/// Datasets whose units are spread over the shards; the others belong to the first one.
pub const SPREAD: &[&str] = &["repositories", "pages", "storage"];

/// Which part of a run is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1 on.
    pub index: u32,
    /// How many shards there are.
    pub count: u32,
}

/// Why a text names no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no shard: it takes I/N with I from 1 to N, and N at most {SHARDS_MAX}")]
pub struct PlaceError {
    /// The text.
    pub text: String,
}

impl FromStr for Place {
    type Err = PlaceError;
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let numbers = || {
            let (index, count) = text.split_once('/')?;
            let plain =
                |number: &str| number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok());
            Some(Self { index: plain(index)??, count: plain(count)?? })
        };
        let fits = |place: &Self| (1..=place.count).contains(&place.index) && place.count <= SHARDS_MAX;
        numbers().filter(fits).ok_or_else(|| PlaceError { text: text.into() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Why a text is no name of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no name of a run: it takes letters, digits, `.`, `_` and `-`, at most {NAME_MAX}, a letter or a digit first"
)]
pub struct NameError {
    /// The text.
    pub text: String,
}

/// Whether a text can name a run: it becomes the name of a file.
///
/// # Errors
/// It cannot.
pub fn check_name(text: &str) -> Result<(), NameError> {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if begins && text.len() <= NAME_MAX && text.bytes().all(known) {
        return Ok(());
    }
    Err(NameError { text: text.into() })
}

/// One shard of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The name of the run.
    pub run: String,
    /// Which of its shards.
    pub place: Place,
}

impl Shard {
    /// Whether this is the shard with everything that is no route's.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.place.index == 1
    }

    /// Whether a unit, or a place of a cluster's route list, is this shard's.
    #[must_use]
    pub fn takes(&self, path: &[u8]) -> bool {
        owner(path, self.place.count) == self.place.index
    }

    /// Whether a dataset has anything for this shard.
    #[must_use]
    pub fn has(&self, dataset: &str) -> bool {
        self.is_first() || SPREAD.contains(&dataset)
    }
}

/// The shard, from 1 on, that captures what lies at a path of the data folder.
#[must_use]
pub fn owner(path: &[u8], count: u32) -> u32 {
    let Some(route) = route_of(path) else { return 1 };
    let digest = Sha256::digest(route);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let rest = u64::from_be_bytes(first) % u64::from(count.max(1));
    u32::try_from(rest).map_or(1, |rest| rest + 1)
}

/// The route that a path lies in: a network's or a gist's folder, elsewhere the unit. None for what lies above the routes, and for folders
/// that are no route's.
#[must_use]
pub fn route_of(path: &[u8]) -> Option<&[u8]> {
    let parts: Vec<&[u8]> = path.splitn(9, |b| *b == b'/').collect();
    let first = |count: usize| {
        let len = parts.iter().take(count).map(|part| part.len() + 1).sum::<usize>();
        (parts.len() >= count).then(|| &path[..len - 1])
    };
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    match part(0) {
        b"repositories" if part(1).starts_with(b"__") || part(1) == b"info" => None,
        b"repositories" if part(2) == b"nw" => first(7),
        b"repositories" if part(5) == b"gist" => first(7),
        b"repositories" if part(2).ends_with(b".git") => first(3),
        b"pages" | b"storage" => {
            let unit = unit_of(path, true);
            (!unit.spine).then(|| &path[..unit.len])
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
