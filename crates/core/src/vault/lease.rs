//! One writer at a time, and no dead writer in the way for long.
//!
//! restic's own locks are no help (rustic neither writes nor honours them), so a vault has numbered lease files beside
//! what restic knows: `ghevault/leases/TOKEN-RENEWAL.json`. The highest token is the current lease, and the token is what
//! fences. Taking a lease is creating the next token's first file, which fails when somebody else was quicker; renewing
//! and giving back create the next renewal. That needs nothing but atomic exclusive creation: a folder has it, and so has
//! a bucket with conditional writes, whose writer may neither overwrite nor delete. Hosts that share a vault must have
//! clocks that agree within the lease time.
//!
//! The shards of one run write beside each other: their leases are *shared*. Such a lease names its group and the first token of the unbroken
//! time during which somebody of that group held one. It is had while all that is live is of the same group, and it stays current
//! while the newest lease is of the same group and the same time; so whoever was excluded before may be again after an exclusive lease.

mod place;
mod process;

use super::{
    error::{VaultError, VaultResult},
    own::OwnStore,
};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;
use place::{Number, Place};
use process::ProcessMark;
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Renewals within one lease time.
const RENEWALS: u32 = 3;
/// Attempts to take the next number before giving up against faster others.
const ATTEMPTS: usize = 8;
/// The same for shards, which are started all at once.
const ATTEMPTS_SHARED: usize = 1000;

/// A lease file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LeaseFile {
    holder: String,
    process: ProcessMark,
    taken: Timestamp,
    until: Timestamp,
    #[serde(default)]
    released: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared: Option<Shared>,
}

/// Who may write beside a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shared {
    /// Those of this group.
    group: String,
    /// The first token of the time in which there always was one of them.
    first: u64,
}

impl LeaseFile {
    fn is_live(&self, now: Timestamp, me: &ProcessMark) -> bool {
        !self.released && self.until > now && !self.process.is_dead(me)
    }

    fn words(&self) -> String {
        format!("{} (process {} on {})", self.holder, self.process.pid, self.process.host)
    }
}

fn later(from: Timestamp, by: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(by).ok().and_then(|by| from.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

struct Held {
    /// The file that says so.
    number: Number,
    /// By our own steady clock; the wall clock counts too.
    until: Instant,
    file: LeaseFile,
    lost: Option<VaultError>,
}

/// Who writes to the vault now, in words; nobody when there is no vault.
///
/// # Errors
/// The leases cannot be read.
pub(super) fn current_writer(own: Arc<dyn OwnStore>) -> VaultResult<Option<String>> {
    let (_, live) = Place { own }.live(Duration::ZERO)?;
    let words: Vec<String> = live.iter().map(LeaseFile::words).collect();
    Ok((!words.is_empty()).then(|| words.join(", ")))
}

/// The right to write to a vault, renewed by a thread of its own, given back when dropped.
pub struct WriteLease {
    place: Arc<Place>,
    token: u64,
    ttl: Duration,
    held: Arc<Mutex<Held>>,
    stop: Option<Sender<()>>,
    renewer: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for WriteLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteLease").field("token", &self.token).finish_non_exhaustive()
    }
}

impl WriteLease {
    /// Takes the lease; with a `group` beside others of the same group.
    pub(super) fn take(
        own: Arc<dyn OwnStore>,
        holder: &str,
        group: Option<&str>,
        ttl: Duration,
    ) -> VaultResult<Self> {
        let place = Arc::new(Place { own });
        let process = ProcessMark::own();
        let attempts = if group.is_some() { ATTEMPTS_SHARED } else { ATTEMPTS };
        for _ in 0..attempts {
            let (last, live) = place.live(ttl)?;
            let beside = |other: &LeaseFile| other.shared.as_ref().is_some_and(|s| Some(&*s.group) == group);
            if let Some(other) = live.iter().find(|other| !beside(other)) {
                return Err(VaultError::Locked {
                    location: place.location(),
                    holder: other.words(),
                    until: other.until,
                });
            }
            let (begun, now) = (Instant::now(), Timestamp::now());
            let token = last + 1;
            let first = live.iter().filter_map(|one| Some(one.shared.as_ref()?.first)).min().unwrap_or(token);
            let file = LeaseFile {
                holder: holder.to_owned(),
                process: process.clone(),
                taken: now,
                until: later(now, ttl),
                released: false,
                shared: group.map(|group| Shared { group: group.to_owned(), first }),
            };
            let number = Number { token, renewal: 0 };
            if place.write(number, &file)? {
                let old = place.newest()?.into_iter().map(|(number, _)| number);
                place.clear_away(old.filter(|number| number.token < first));
                let held = Arc::new(Mutex::new(Held { number, until: begun + ttl, file, lost: None }));
                let mut lease = Self { place, token, ttl, held, stop: None, renewer: None };
                lease.start_renewing(ttl)?;
                return Ok(lease);
            }
        }
        Err(VaultError::Locked {
            location: place.location(),
            holder: "others that try at the same time".into(),
            until: Timestamp::now(),
        })
    }

    fn start_renewing(&mut self, ttl: Duration) -> VaultResult<()> {
        let (stop, stopped) = bounded::<()>(0);
        let (place, token, held) = (Arc::clone(&self.place), self.token, Arc::clone(&self.held));
        let renewer = std::thread::Builder::new()
            .name("vault-lease".into())
            .spawn(move || {
                while stopped.recv_timeout(ttl / RENEWALS) == Err(RecvTimeoutError::Timeout) {
                    if let Err(error) = renew(&place, token, &held, ttl) {
                        tracing::warn!(%error, "cannot renew the lease on the vault");
                        if matches!(error, VaultError::LeaseLost { .. }) {
                            locked(&held).lost = Some(error);
                            return;
                        }
                    }
                }
            })
            .map_err(|e| VaultError::io("start", "the lease's thread", e))?;
        (self.stop, self.renewer) = (Some(stop), Some(renewer));
        Ok(())
    }

    /// The fencing token: larger than that of every earlier lease on this vault.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Whether the lease still holds; asks the store.
    ///
    /// # Errors
    /// [`VaultError::LeaseLost`] when it ended or was taken over.
    pub fn check(&self) -> VaultResult<()> {
        self.lasts(Duration::ZERO)
    }

    /// As [`WriteLease::check`], with at least `margin` to go (a third of the lease time at most): for steps that must not
    /// happen after somebody else began to write.
    ///
    /// # Errors
    /// [`VaultError::LeaseLost`] when it ended, was taken over, or is about to end because it could not be renewed.
    pub fn lasts(&self, margin: Duration) -> VaultResult<()> {
        {
            let held = locked(&self.held);
            if let Some(lost) = &held.lost {
                return Err(lost.clone());
            }
            let margin = margin.min(self.ttl / RENEWALS);
            if Instant::now() + margin >= held.until || later(Timestamp::now(), margin) >= held.file.until {
                return Err(self.place.lost("it ended before it could be renewed".into()));
            }
        }
        self.place.is_current(self.token, self.shared().as_ref())
    }

    fn shared(&self) -> Option<Shared> {
        locked(&self.held).file.shared.clone()
    }
}

fn locked(held: &Mutex<Held>) -> std::sync::MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn renew(place: &Place, token: u64, held: &Mutex<Held>, ttl: Duration) -> VaultResult<()> {
    let begun = Instant::now();
    let (mut file, old) = {
        let held = locked(held);
        (held.file.clone(), held.number)
    };
    place.is_current(token, file.shared.as_ref())?;
    file.until = later(Timestamp::now(), ttl);
    let number = Number { token, renewal: old.renewal + 1 };
    if !place.write(number, &file)? {
        return Err(place.lost(format!("somebody else wrote {}", number.name())));
    }
    {
        let mut held = locked(held);
        (held.number, held.until, held.file) = (number, begun + ttl, file);
    }
    place.clear_away([old]);
    Ok(())
}

impl Drop for WriteLease {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(renewer) = self.renewer.take() {
            let _ = renewer.join();
        }
        if self.place.is_current(self.token, self.shared().as_ref()).is_ok() {
            let (mut file, old) = {
                let held = locked(&self.held);
                (held.file.clone(), held.number)
            };
            file.released = true;
            let number = Number { token: self.token, renewal: old.renewal + 1 };
            match self.place.write(number, &file) {
                Ok(_) => self.place.clear_away([old]),
                Err(error) => {
                    tracing::warn!(%error, "cannot give back the lease on the vault; it ends by itself");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
