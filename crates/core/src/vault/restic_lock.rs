//! Honours the exclusive locks of stock restic: its prune and rebuild must not run beside a writer of ours.
//!
//! We write no such locks ourselves: one that a dead process left would stop restic when it is needed most.

use super::{
    crypt::Cipher,
    error::{VaultError, VaultResult},
};
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use std::{fs, io, path::Path};

/// Minutes after which restic itself calls a lock stale; it renews them every five.
const STALE_MINUTES: i64 = 30;

#[derive(Deserialize)]
struct ResticLock {
    time: Timestamp,
    exclusive: bool,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    pid: u32,
}

/// Fails while restic holds an exclusive lock. A lock that cannot be read counts for nothing: it is being written or stale.
pub(super) fn refuse_beside_exclusive(root: &Path, cipher: &Cipher) -> VaultResult<()> {
    let folder = root.join("locks");
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|e| VaultError::io("list", &folder, e))?,
    };
    for entry in entries {
        let path = entry.map_err(|e| VaultError::io("list", &folder, e))?.path();
        let plain = fs::read(&path).ok().and_then(|sealed| cipher.open(&sealed));
        let json = plain.and_then(|plain| match plain.first() {
            Some(2) => super::format::decompress(&plain[1..], 1 << 20),
            _ => Some(plain),
        });
        let Some(lock) = json.and_then(|json| serde_json::from_slice::<ResticLock>(&json).ok()) else {
            continue;
        };
        let until = lock.time.checked_add(STALE_MINUTES.minutes()).unwrap_or(Timestamp::MAX);
        if lock.exclusive && until > Timestamp::now() {
            return Err(VaultError::Locked {
                location: root.display().to_string(),
                holder: format!("restic (process {} on {})", lock.pid, lock.hostname),
                until,
            });
        }
    }
    Ok(())
}
