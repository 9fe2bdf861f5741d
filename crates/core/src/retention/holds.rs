//! Holds: snapshots that nobody may forget, for a reason and perhaps until a time.
//!
//! One file each under `ghevault/holds/`, numbered for each snapshot, never overwritten: a release is the next file. The
//! highest number counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::vault::{SnapshotId, Vault, VaultError};

/// Folder of the files.
const FOLDER: &str = "holds";
/// Attempts to take the next number before giving up against faster others.
const ATTEMPTS: u32 = 16;

/// A hold on a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Why.
    pub reason: String,
    /// When it was placed.
    pub placed: Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether this file ends it.
    #[serde(default)]
    pub released: bool,
}

impl Hold {
    /// The hold in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self.until {
            Some(until) => format!("held until {until}: {}", self.reason),
            None => format!("held: {}", self.reason),
        }
    }
}

/// Why a hold was not placed or released.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There is nothing to release.
    #[error("snapshot {} is not held", .snapshot.short())]
    NotHeld {
        /// Which.
        snapshot: SnapshotId,
    },
    /// The hold would end before it begins.
    #[error("a hold until {until} would have ended already")]
    Past {
        /// The time.
        until: Timestamp,
    },
    /// Others place holds at the same moment.
    #[error("others change the holds of snapshot {} at the same time", .snapshot.short())]
    Busy {
        /// Which.
        snapshot: SnapshotId,
    },
}

/// The files by snapshot, the last one of each with its number.
fn last(vault: &Vault) -> Result<BTreeMap<SnapshotId, (u32, Hold)>, VaultError> {
    let mut last: BTreeMap<SnapshotId, (u32, Hold)> = BTreeMap::new();
    for (name, hold) in vault.records::<Hold>(FOLDER)? {
        let number = name.strip_suffix(".hold").and_then(|name| name.rsplit_once('-')?.1.parse().ok());
        let number: u32 = number.unwrap_or_default();
        if last.get(&hold.snapshot).is_none_or(|(before, _)| *before <= number) {
            last.insert(hold.snapshot, (number, hold));
        }
    }
    Ok(last)
}

/// The holds that count now.
///
/// # Errors
/// One of them cannot be read: then nobody knows what is held.
pub fn active(vault: &Vault, now: Timestamp) -> Result<BTreeMap<SnapshotId, Hold>, VaultError> {
    let counts = |hold: &Hold| !hold.released && hold.until.is_none_or(|until| until > now);
    let holds = last(vault)?.into_iter().map(|(id, (_, hold))| (id, hold));
    Ok(holds.filter(|(_, hold)| counts(hold)).collect())
}

/// Holds a snapshot; a hold that it has is replaced.
///
/// # Errors
/// See [`HoldError`].
pub fn hold(
    vault: &Vault,
    snapshot: SnapshotId,
    reason: &str,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<Hold, HoldError> {
    if let Some(until) = until.filter(|until| *until <= now) {
        return Err(HoldError::Past { until });
    }
    add(vault, Hold { snapshot, reason: reason.to_owned(), placed: now, until, released: false })
}

/// Ends the hold of a snapshot.
///
/// # Errors
/// See [`HoldError`].
pub fn release(vault: &Vault, snapshot: SnapshotId, reason: &str, now: Timestamp) -> Result<Hold, HoldError> {
    if !active(vault, now)?.contains_key(&snapshot) {
        return Err(HoldError::NotHeld { snapshot });
    }
    add(vault, Hold { snapshot, reason: reason.to_owned(), placed: now, until: None, released: true })
}

fn add(vault: &Vault, hold: Hold) -> Result<Hold, HoldError> {
    let first = last(vault)?.get(&hold.snapshot).map_or(0, |(number, _)| number + 1);
    for number in first..first + ATTEMPTS {
        if vault.add_record(FOLDER, &format!("{}-{number:06}.hold", hold.snapshot), &hold)? {
            return Ok(hold);
        }
    }
    Err(HoldError::Busy { snapshot: hold.snapshot })
}
