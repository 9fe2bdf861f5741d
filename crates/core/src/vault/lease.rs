//! One writer at a time, and no dead writer in the way for long.
//!
//! restic's own locks are no help (rustic neither writes nor honours them), so a vault has numbered lease files beside
//! what restic knows: `ghevault/leases/TOKEN-RENEWAL.json`. The highest token is the current lease, and the token is what
//! fences. Taking a lease is creating the next token's first file, which fails when somebody else was quicker; renewing
//! and giving back create the next renewal. That needs nothing but atomic exclusive creation: a folder has it, and so has
//! a bucket with conditional writes, whose writer may neither overwrite nor delete. Hosts that share a vault must have
//! clocks that agree within the lease time.

mod process;

use super::{
    error::{VaultError, VaultResult},
    own::{OwnFile, OwnStore},
};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;
use process::ProcessMark;
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Folder of the lease files.
const FOLDER: &str = "leases";
/// Renewals within one lease time.
const RENEWALS: u32 = 3;
/// Lease files that are listed to the end; of more only the last are looked for.
const FEW: usize = 1000;
/// Attempts to take the next number before giving up against faster others.
const ATTEMPTS: usize = 8;

/// A lease file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LeaseFile {
    holder: String,
    process: ProcessMark,
    taken: Timestamp,
    until: Timestamp,
    #[serde(default)]
    released: bool,
}

impl LeaseFile {
    fn words(&self) -> String {
        format!("{} (process {} on {})", self.holder, self.process.pid, self.process.host)
    }
}

/// One file of a lease by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    token: u64,
    renewal: u64,
}

impl Number {
    fn of_name(name: &str) -> Option<Self> {
        let (token, renewal) = name.strip_suffix(".json")?.split_once('-')?;
        Some(Self { token: token.parse().ok()?, renewal: renewal.parse().ok()? })
    }

    fn name(self) -> String {
        format!("{:010}-{:06}.json", self.token, self.renewal)
    }
}

/// Lease files in their order; what has another name is left out.
fn numbered(files: Vec<OwnFile>) -> Vec<(Number, Timestamp)> {
    let mut numbers: Vec<_> =
        files.into_iter().filter_map(|file| Some((Number::of_name(&file.name)?, file.modified))).collect();
    numbers.sort_unstable();
    numbers
}

struct Place {
    own: Arc<dyn OwnStore>,
}

impl Place {
    fn location(&self) -> String {
        self.own.place()
    }

    /// Files of all leases from `token` on, in their order, with the times at which they were written.
    fn numbers(&self, token: u64) -> VaultResult<Vec<(Number, Timestamp)>> {
        let after = if token == 0 { String::new() } else { format!("{token:010}") };
        self.own.list_own(FOLDER, &after).map(numbered)
    }

    /// Files of the newest leases: of all where they are few. The writer of a bucket cannot clear away old ones, so they may be
    /// very many, and then the last token is found by halving.
    fn newest(&self) -> VaultResult<Vec<(Number, Timestamp)>> {
        let page = self.own.first_own(FOLDER, "", FEW)?;
        if page.len() < FEW {
            return Ok(numbered(page));
        }
        let first_from = |token: u64| -> VaultResult<Option<u64>> {
            let files = self.own.first_own(FOLDER, &format!("{token:010}"), 1)?;
            Ok(files.first().and_then(|file| Number::of_name(&file.name)).map(|number| number.token))
        };
        // there is a lease with a token of `low` or more, and none with `high` or more
        let mut low = 1;
        let mut step = 1;
        let mut high = loop {
            match first_from(low + step)? {
                Some(token) => (low, step) = (token, step * 2),
                None => break low + step,
            }
        };
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match first_from(middle)? {
                Some(token) => low = token,
                None => high = middle,
            }
        }
        self.numbers(low)
    }

    /// A file of a lease; one that does not parse counts as held until it is older than `ttl`.
    fn read(&self, (number, written): (Number, Timestamp), ttl: Duration) -> VaultResult<Option<LeaseFile>> {
        let Some(text) = self.own.read_own(FOLDER, &number.name())? else { return Ok(None) };
        if let Ok(lease) = serde_json::from_slice(&text) {
            return Ok(Some(lease));
        }
        let process = ProcessMark {
            host: "an unknown host".into(),
            boot: String::new(),
            namespace: String::new(),
            pid: 0,
            started: String::new(),
        };
        let until = later(written, ttl);
        Ok(Some(LeaseFile { holder: "somebody".into(), process, taken: written, until, released: false }))
    }

    /// Writes a file of a lease if it does not exist yet. Returns whether it was written.
    fn write(&self, number: Number, lease: &LeaseFile) -> VaultResult<bool> {
        let json = serde_json::to_vec_pretty(lease)
            .map_err(|_| VaultError::Internal("a lease does not serialise"))?;
        self.own.create_own(FOLDER, &number.name(), &json)
    }

    /// Removes files that count no more. A leftover is no harm, and a bucket's writer may have no right to do it.
    fn clear_away(&self, old: impl IntoIterator<Item = Number>) {
        for number in old {
            if self.own.remove_own(FOLDER, &number.name()).is_err() {
                return;
            }
        }
    }

    /// Fails when somebody took a later lease.
    fn is_current(&self, token: u64) -> VaultResult<()> {
        match self.numbers(token)?.last() {
            Some((last, _)) if last.token == token => Ok(()),
            Some((last, _)) => Err(self.lost(format!("lease {} was taken after ours ({token})", last.token))),
            None => Err(self.lost(format!("the file of lease {token} is gone"))),
        }
    }

    fn lost(&self, why: String) -> VaultError {
        VaultError::LeaseLost { location: self.location(), why }
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
    let place = Place { own };
    let Some(last) = place.newest()?.last().copied() else { return Ok(None) };
    let held = place.read(last, Duration::ZERO)?.filter(|lease| {
        !lease.released && lease.until > Timestamp::now() && !lease.process.is_dead(&ProcessMark::own())
    });
    Ok(held.map(|lease| lease.words()))
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
    pub(super) fn take(own: Arc<dyn OwnStore>, holder: &str, ttl: Duration) -> VaultResult<Self> {
        let place = Arc::new(Place { own });
        let process = ProcessMark::own();
        for _ in 0..ATTEMPTS {
            let numbers = place.newest()?;
            let now = Timestamp::now();
            if let Some(last) = numbers.last()
                && let Some(other) = place.read(*last, ttl)?
                && !other.released
                && other.until > now
                && !other.process.is_dead(&process)
            {
                return Err(VaultError::Locked {
                    location: place.location(),
                    holder: other.words(),
                    until: other.until,
                });
            }
            let begun = Instant::now();
            let until = later(now, ttl);
            let file = LeaseFile {
                holder: holder.to_owned(),
                process: process.clone(),
                taken: now,
                until,
                released: false,
            };
            let token = numbers.last().map_or(0, |(last, _)| last.token) + 1;
            let number = Number { token, renewal: 0 };
            if place.write(number, &file)? {
                place.clear_away(numbers.into_iter().map(|(number, _)| number));
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
        self.place.is_current(self.token)
    }
}

fn locked(held: &Mutex<Held>) -> std::sync::MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn renew(place: &Place, token: u64, held: &Mutex<Held>, ttl: Duration) -> VaultResult<()> {
    place.is_current(token)?;
    let begun = Instant::now();
    let (mut file, old) = {
        let held = locked(held);
        (held.file.clone(), held.number)
    };
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
        if self.place.is_current(self.token).is_ok() {
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
