//! The seals of a vault in the order in which they became known; a root names all up to a place.
//!
//! The root is a hash chain: each is the hash of the one before and the entry's line. Boards keep every entry, so that nobody needs
//! the short proofs of a Merkle tree.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the root of no entries is the hash of.
const START: &[u8] = b"ghevault witness v1\n";

/// One complete seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its hash, 64 hexadecimal digits.
    pub hash: String,
    /// Hash of the complete seal before it.
    #[serde(default)]
    pub previous: Option<String>,
    /// The moment that the snapshot shows.
    pub started: Timestamp,
    /// When the backup ended; none for what was imported or is known from a record only.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// The public key that signed the seal, base64.
    pub key: String,
}

impl Entry {
    /// Its line in a checkpoint, without line feed.
    #[must_use]
    pub fn line(&self) -> String {
        let previous = self.previous.as_deref().unwrap_or("-");
        let ended = self.ended.map_or_else(|| "-".to_owned(), |ended| ended.to_string());
        format!("entry {} {previous} {} {ended} {}", self.hash, self.started, self.key)
    }

    /// Reads a line; only the form that [`Entry::line`] writes.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("entry ")?.split(' ');
        let mut word = || words.next().map(str::to_owned);
        let (hash, previous, started, ended, key) = (word()?, word()?, word()?, word()?, word()?);
        let known = |text: String| if text == "-" { None } else { Some(text) };
        let entry = Self {
            hash,
            previous: known(previous),
            started: started.parse().ok()?,
            ended: match known(ended) {
                Some(ended) => Some(ended.parse().ok()?),
                None => None,
            },
            key,
        };
        (is_hash(&entry.hash) && entry.previous.as_deref().is_none_or(is_hash) && entry.line() == line)
            .then_some(entry)
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Entries and their roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    entries: Vec<Entry>,
    /// The root of each size, that of no entries first.
    roots: Vec<[u8; 32]>,
}

impl Default for Log {
    fn default() -> Self {
        Self { entries: Vec::new(), roots: vec![Sha256::digest(START).into()] }
    }
}

impl Log {
    /// A log of these entries.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        Self::default().with(entries)
    }

    /// The same with more entries.
    #[must_use]
    pub fn with(mut self, entries: &[Entry]) -> Self {
        for entry in entries {
            let mut hash = Sha256::new();
            hash.update(self.root());
            hash.update(entry.line().as_bytes());
            hash.update(b"\n");
            self.roots.push(hash.finalize().into());
            self.entries.push(entry.clone());
        }
        self
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.entries.len()
    }

    /// The root of all.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.roots.last().copied().unwrap_or_default()
    }

    /// The root of the first entries.
    #[must_use]
    pub fn root_at(&self, size: usize) -> Option<[u8; 32]> {
        self.roots.get(size).copied()
    }

    /// Whether `longer` begins with all of these.
    #[must_use]
    pub fn is_prefix_of(&self, longer: &Self) -> bool {
        longer.root_at(self.size()) == Some(self.root())
    }
}
