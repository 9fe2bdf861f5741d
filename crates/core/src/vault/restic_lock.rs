//! Honours the exclusive locks of stock restic: its prune and rebuild must not run beside a writer of ours.
//!
//! We write no such locks ourselves: one that a dead process left would stop restic when it is needed most.

use super::{
    crypt::Cipher,
    error::{VaultError, VaultResult},
    own::OwnStore,
};
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;

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
pub(super) fn refuse_beside_exclusive(own: &dyn OwnStore, cipher: &Cipher) -> VaultResult<()> {
    refuse(own, cipher, |lock| lock.exclusive)
}

/// Fails while restic holds any lock: what is about to be removed may be what its backup leans on.
pub(super) fn refuse_beside_any(own: &dyn OwnStore, cipher: &Cipher) -> VaultResult<()> {
    refuse(own, cipher, |_| true)
}

fn refuse(own: &dyn OwnStore, cipher: &Cipher, counts: impl Fn(&ResticLock) -> bool) -> VaultResult<()> {
    for sealed in own.restic_locks()? {
        let json = cipher.open(&sealed).and_then(|plain| match plain.first() {
            Some(2) => super::format::decompress(&plain[1..], 1 << 20),
            _ => Some(plain),
        });
        let Some(lock) = json.and_then(|json| serde_json::from_slice::<ResticLock>(&json).ok()) else {
            continue;
        };
        let until = lock.time.checked_add(STALE_MINUTES.minutes()).unwrap_or(Timestamp::MAX);
        if counts(&lock) && until > Timestamp::now() {
            return Err(VaultError::Locked {
                location: own.place(),
                holder: format!("restic (process {} on {})", lock.pid, lock.hostname),
                until,
            });
        }
    }
    Ok(())
}
