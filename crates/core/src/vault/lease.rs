//! One writer at a time, and no dead writer in the way for long.
//!
//! restic's own locks are no help (rustic neither writes nor honours them), so a vault has numbered lease files beside
//! what restic knows: `ghevault/leases/NUMBER.json`. The highest number is the current lease, and the number is the fencing
//! token. Taking a lease is creating the next number, which fails when somebody else was quicker; that needs nothing
//! of the file system but atomic exclusive creation, and works the same on a bucket with conditional writes. Hosts that
//! share a vault must have clocks that agree within the lease time.

mod process;

use super::{
    error::{VaultError, VaultResult},
    folder::{OWN_FOLDER, sync_folder},
};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;
use process::ProcessMark;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Renewals within one lease time.
const RENEWALS: u32 = 3;
/// Start of the names of lease files that are being written.
const TEMPORARY: &str = ".lease-";
/// Writing one takes no longer than this; what is older was left by a dead process.
const TEMPORARY_AGE_MAX: Duration = Duration::from_hours(1);
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

struct Place {
    root: PathBuf,
}

impl Place {
    fn folder(&self) -> PathBuf {
        self.root.join(OWN_FOLDER).join("leases")
    }

    fn file(&self, token: u64) -> PathBuf {
        self.folder().join(format!("{token:010}.json"))
    }

    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn tokens(&self) -> VaultResult<Vec<u64>> {
        let folder = self.folder();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| VaultError::io("list", &folder, e))?,
        };
        let mut tokens = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| VaultError::io("list", &folder, e))?.file_name();
            tokens.extend(
                name.to_str().and_then(|n| n.strip_suffix(".json")).and_then(|n| n.parse::<u64>().ok()),
            );
        }
        tokens.sort_unstable();
        Ok(tokens)
    }

    /// The current lease; one that does not parse counts as held until its file is older than `ttl`.
    fn read(&self, token: u64, ttl: Duration) -> VaultResult<Option<LeaseFile>> {
        let path = self.file(token);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| VaultError::io("read", &path, e))?,
        };
        if let Ok(lease) = serde_json::from_slice(&text) {
            return Ok(Some(lease));
        }
        let modified = fs::metadata(&path)
            .and_then(|m| m.modified())
            .map_err(|e| VaultError::io("examine", &path, e))?;
        let since = Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH);
        let process = ProcessMark {
            host: "an unknown host".into(),
            boot: String::new(),
            namespace: String::new(),
            pid: 0,
            started: String::new(),
        };
        let until = later(since, ttl);
        Ok(Some(LeaseFile { holder: "somebody".into(), process, taken: since, until, released: false }))
    }

    /// Writes a lease file; `new`: only if it does not exist yet. Returns whether it was written.
    fn write(&self, token: u64, lease: &LeaseFile, new: bool) -> VaultResult<bool> {
        let (folder, path) = (self.folder(), self.file(token));
        let failed = |e| VaultError::io("write", &path, e);
        fs::create_dir_all(&folder).map_err(failed)?;
        let json = serde_json::to_vec_pretty(lease)
            .map_err(|_| VaultError::Internal("a lease does not serialise"))?;
        let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&folder).map_err(failed)?;
        io::Write::write_all(&mut file, &json).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        if new {
            match file.persist_noclobber(&path) {
                Ok(_) => {}
                Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                Err(e) => return Err(failed(e.error)),
            }
        } else {
            file.persist(&path).map_err(|e| failed(e.error))?;
        }
        sync_folder(&folder)?;
        Ok(true)
    }

    /// Removes leases that count no more, and what dead processes left while writing theirs. A leftover is no harm.
    fn clear_away(&self, old: &[u64]) {
        for token in old {
            let _ = fs::remove_file(self.file(*token));
        }
        for entry in fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            let modified = entry.metadata().and_then(|m| m.modified()).ok();
            let age = modified.and_then(|m| m.elapsed().ok()).unwrap_or_default();
            if entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
                && age > TEMPORARY_AGE_MAX
            {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Fails when somebody took a later lease.
    fn is_current(&self, token: u64) -> VaultResult<()> {
        match self.tokens()?.last() {
            Some(last) if *last == token => Ok(()),
            Some(last) if *last > token => {
                Err(self.lost(format!("lease {last} was taken after ours ({token})")))
            }
            _ => Err(self.lost(format!("the file of lease {token} is gone"))),
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
    /// By our own steady clock; the wall clock counts too.
    until: Instant,
    file: LeaseFile,
    lost: Option<VaultError>,
}

/// Who writes to the vault at `root` now, in words; nobody when there is no vault.
///
/// # Errors
/// The leases cannot be read.
pub(super) fn current_writer(root: &Path) -> VaultResult<Option<String>> {
    let place = Place { root: root.to_owned() };
    let Some(last) = place.tokens()?.last().copied() else { return Ok(None) };
    let held = place.read(last, Duration::ZERO)?.filter(|lease| {
        !lease.released && lease.until > Timestamp::now() && !lease.process.is_dead(&ProcessMark::own())
    });
    Ok(held.map(|lease| lease.words()))
}

/// The right to write to a vault, renewed by a thread of its own, given back when dropped.
pub struct WriteLease {
    place: Arc<Place>,
    token: u64,
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
    pub(super) fn take(root: &Path, holder: &str, ttl: Duration) -> VaultResult<Self> {
        let place = Arc::new(Place { root: root.to_owned() });
        let process = ProcessMark::own();
        for _ in 0..ATTEMPTS {
            let tokens = place.tokens()?;
            let last = tokens.last().copied().unwrap_or(0);
            let now = Timestamp::now();
            if last > 0
                && let Some(other) = place.read(last, ttl)?
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
            let token = last + 1;
            if place.write(token, &file, true)? {
                place.clear_away(&tokens);
                let held = Arc::new(Mutex::new(Held { until: begun + ttl, file, lost: None }));
                let mut lease = Self { place, token, held, stop: None, renewer: None };
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
        {
            let held = locked(&self.held);
            if let Some(lost) = &held.lost {
                return Err(lost.clone());
            }
            if Instant::now() >= held.until || Timestamp::now() >= held.file.until {
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
    let mut file = locked(held).file.clone();
    file.until = later(Timestamp::now(), ttl);
    place.write(token, &file, false)?;
    let mut held = locked(held);
    (held.until, held.file) = (begun + ttl, file);
    Ok(())
}

impl Drop for WriteLease {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(renewer) = self.renewer.take() {
            let _ = renewer.join();
        }
        if self.place.is_current(self.token).is_ok() {
            let mut file = locked(&self.held).file.clone();
            file.released = true;
            if let Err(error) = self.place.write(self.token, &file, false) {
                tracing::warn!(%error, "cannot give back the lease on the vault; it ends by itself");
            }
        }
    }
}

#[cfg(test)]
mod tests;
