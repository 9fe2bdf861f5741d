//! What stands in the vault: what each comparison found, who is in quarantine, and who acknowledged it.
//!
//! Files under `ghevault/findings/` and `ghevault/quarantine/`, encrypted with the vault's key and signed with the seal key of
//! the host that wrote them; numbered for each seal, never overwritten. The highest number counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{evidence::Measures, finding::Finding};
use crate::{
    history::HistoryError,
    seal::{SealError, SealKey, SignedText},
    vault::{SnapshotId, Vault, VaultError, WriteLease},
};

/// Folder of what was found.
const FINDINGS: &str = "findings";
/// Folder of quarantines and acknowledgements.
const QUARANTINE: &str = "quarantine";
/// Attempts to take the next number before giving up against faster others.
const ATTEMPTS: u32 = 16;

/// What one comparison found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Its seal.
    pub seal: String,
    /// The moment that it shows.
    pub time: Timestamp,
    /// The snapshot that it was compared with; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// When it was compared.
    pub at: Timestamp,
    /// The numbers.
    pub measures: Measures,
    /// What is odd, worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_looked: Vec<String>,
}

/// What counts for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It looks like an attack.
    Quarantined,
    /// Somebody says that it is none.
    Acknowledged,
    /// Compared with another snapshot it looks like none.
    Cleared,
}

/// One file of the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The snapshot, by its id in the vault where that was written.
    pub snapshot: SnapshotId,
    /// Its seal.
    pub seal: String,
    /// What counts.
    pub state: State,
    /// Why: what was found, or the words of whoever acknowledged it.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

impl Quarantined {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        format!("quarantined: {}", self.reason)
    }
}

/// Why a snapshot was not compared, or not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A snapshot cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// It could not be signed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is nothing to acknowledge.
    #[error("snapshot {} is not in quarantine", .snapshot.short())]
    NotQuarantined {
        /// Which.
        snapshot: SnapshotId,
    },
    /// Others write at the same moment.
    #[error("others write about snapshot {} at the same time", .snapshot.short())]
    Busy {
        /// Which.
        snapshot: SnapshotId,
    },
}

fn last<T: DeserializeOwned>(vault: &Vault, folder: &str) -> Result<BTreeMap<String, (u32, T)>, VaultError> {
    let mut last: BTreeMap<String, (u32, T)> = BTreeMap::new();
    for (name, signed) in vault.records::<SignedText>(folder)? {
        let Some((seal, number)) = parsed(&name) else { continue };
        if last.get(seal).is_some_and(|(before, _)| *before > number) {
            continue;
        }
        let damaged = |why: String| VaultError::Damaged {
            what: "record",
            file: format!("ghevault/{folder}/{name}"),
            why,
        };
        let text = signed.verified().map_err(|error| damaged(error.to_string()))?;
        let record = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        last.insert(seal.to_owned(), (number, record));
    }
    Ok(last)
}

fn parsed(name: &str) -> Option<(&str, u32)> {
    let (seal, number) = name.strip_suffix(".record")?.rsplit_once('-')?;
    Some((seal, number.parse().ok()?))
}

fn add<T: Serialize>(
    vault: &Vault,
    folder: &str,
    (seal, snapshot): (&str, SnapshotId),
    first: u32,
    record: &T,
    key: &SealKey,
) -> Result<(), QuarantineError> {
    let text = serde_json::to_string(record).map_err(|error| SealError::Unreadable(error.to_string()))?;
    let signed = key.sign(text)?;
    for number in first..first + ATTEMPTS {
        if vault.add_record(folder, &format!("{seal}-{number:06}.record"), &signed)? {
            return Ok(());
        }
    }
    Err(QuarantineError::Busy { snapshot })
}

/// Everything that was compared, by seal.
///
/// # Errors
/// A record cannot be read.
pub fn all(vault: &Vault) -> Result<BTreeMap<String, Assessment>, VaultError> {
    Ok(last::<Assessment>(vault, FINDINGS)?.into_iter().map(|(seal, (_, one))| (seal, one)).collect())
}

/// All that was ever in quarantine, with what counts now, by seal.
///
/// # Errors
/// A record cannot be read.
pub fn states(vault: &Vault) -> Result<BTreeMap<String, Quarantined>, VaultError> {
    Ok(last::<Quarantined>(vault, QUARANTINE)?.into_iter().map(|(seal, (_, one))| (seal, one)).collect())
}

/// What is in quarantine now, by seal.
///
/// # Errors
/// A record cannot be read: then nobody knows what is in quarantine.
pub fn active(vault: &Vault) -> Result<BTreeMap<String, Quarantined>, VaultError> {
    let mut states = states(vault)?;
    states.retain(|_, one| one.state == State::Quarantined);
    Ok(states)
}

/// Writes down what was found.
pub(super) fn found(vault: &Vault, key: &SealKey, one: &Assessment) -> Result<(), QuarantineError> {
    let first = last::<Assessment>(vault, FINDINGS)?.get(&one.seal).map_or(0, |(number, _)| number + 1);
    add(vault, FINDINGS, (&one.seal, one.snapshot), first, one, key)
}

/// Writes down what counts now.
pub(super) fn set(vault: &Vault, key: &SealKey, one: &Quarantined) -> Result<(), QuarantineError> {
    let first = last::<Quarantined>(vault, QUARANTINE)?.get(&one.seal).map_or(0, |(number, _)| number + 1);
    add(vault, QUARANTINE, (&one.seal, one.snapshot), first, one, key)
}

/// Puts into quarantine in another vault what is in quarantine here and of which that vault says nothing yet, with the same signed
/// words; returns how many. To be done before the snapshots are copied, so that none is there without. What ends a quarantine is not
/// carried: each vault has its own people and its own look.
///
/// # Errors
/// Either vault's.
pub fn carry(from: &Vault, to: &Vault, lease: &WriteLease) -> Result<usize, VaultError> {
    let active = active(from)?;
    if active.is_empty() {
        return Ok(0);
    }
    let here = states(to)?;
    let mut carried: BTreeMap<String, (u32, SignedText)> = BTreeMap::new();
    for (name, signed) in from.records::<SignedText>(QUARANTINE)? {
        let Some((seal, number)) = parsed(&name) else { continue };
        let later = carried.get(seal).is_none_or(|(before, _)| *before < number);
        if later && active.contains_key(seal) && !here.contains_key(seal) {
            carried.insert(seal.to_owned(), (number, signed));
        }
    }
    lease.check()?;
    for (seal, (_, signed)) in &carried {
        to.add_record(QUARANTINE, &format!("{seal}-{:06}.record", 0), signed)?;
    }
    Ok(carried.len())
}

/// Ends the quarantine of a snapshot.
///
/// # Errors
/// It is in none, or the vault cannot be written.
pub fn acknowledge(
    vault: &Vault,
    key: &SealKey,
    (snapshot, seal): (SnapshotId, &str),
    reason: &str,
    now: Timestamp,
) -> Result<Quarantined, QuarantineError> {
    if !active(vault)?.contains_key(seal) {
        return Err(QuarantineError::NotQuarantined { snapshot });
    }
    let one = Quarantined {
        snapshot,
        seal: seal.to_owned(),
        state: State::Acknowledged,
        reason: reason.to_owned(),
        at: now,
    };
    set(vault, key, &one)?;
    Ok(one)
}
