//! Longer locks for everything that a snapshot of the vault needs: new snapshots lean on old packs, whose locks end earlier.
//!
//! Only what is in use is locked longer, so that prune can free the rest: packs with blobs in use, all index files, snapshots
//! and keys, the configuration, and our own records. What is locked for long enough is left alone, so that a run that was
//! killed goes on where it was.

use super::{
    error::{VaultError, VaultResult},
    fan::fan_out,
    index::Index,
    lease::WriteLease,
    locks::LockStore,
    open::Vault,
    prune::{PruneProgress, Used},
    snapshot::{Snapshot, SnapshotId},
    store::file_name,
};
use jiff::{SignedDuration, Timestamp};
use rustic_core::{Id, repofile::FileType};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Folders of our own files that a vault cannot do without.
const OWN_FOLDERS: [&str; 4] = ["keys", "holds", "forgotten", "drills"];

/// The longest lock that is set: nobody can take one back, so a slip of the finger must not last for a lifetime.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 10);

/// What locks were made longer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExtendReport {
    /// Until when everything is locked now.
    pub until: Timestamp,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Files that the snapshots need.
    pub files: u64,
    /// Requests that read a lock (class GET); at most, in a dry run.
    pub get_requests: u64,
    /// Requests that set one (class PUT); at most, in a dry run.
    pub put_requests: u64,
    /// Files that were locked for long enough before.
    pub already: u64,
    /// Files that were locked longer.
    pub extended: u64,
    /// Whether the user ended it; the next run goes on.
    pub interrupted: bool,
}

/// A file that a snapshot needs and that no lock holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LapsedLock {
    /// Its name below the vault.
    pub file: String,
    /// When its lock ended; none if it never had one.
    pub ended: Option<Timestamp>,
    /// The snapshots that need it; empty for what the whole vault needs.
    pub snapshots: Vec<SnapshotId>,
}

/// What a look at locks has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LockCheck {
    /// Files that the snapshots need.
    pub files: u64,
    /// How many of them were looked at.
    pub looked_at: u64,
    /// Those whose lock has ended, or that never had one.
    pub lapsed: Vec<LapsedLock>,
}

/// Told files done, of how many.
pub type ExtendProgress<'a> = &'a (dyn Fn(u64, u64) + Sync);

impl Vault {
    fn lock_store(&self) -> VaultResult<Arc<dyn LockStore>> {
        let none =
            || VaultError::Unsupported { what: format!("locking files of the vault at {}", self.location()) };
        self.location().locks()?.ok_or_else(none)
    }

    /// Names of all files that the vault's snapshots need.
    fn needed_files(&self) -> VaultResult<(Vec<String>, Vec<Snapshot>)> {
        let list = self.snapshots()?;
        if let Some((_, error)) = list.damaged.into_iter().next() {
            return Err(error);
        }
        let index = Arc::new(Index::load(&*self.store, &self.cipher)?);
        let mut names: BTreeSet<String> = self.packs_of(&index, &list.snapshots, &|_, _, _| {})?;
        for kind in [FileType::Config, FileType::Index, FileType::Snapshot, FileType::Key] {
            if kind == FileType::Config {
                names.insert(file_name(kind, &Id::default()));
            } else {
                names.extend(self.store.list(kind)?.iter().map(|(id, _)| file_name(kind, id)));
            }
        }
        for folder in OWN_FOLDERS {
            let files = self.own.list_own(folder, "")?;
            names.extend(files.into_iter().map(|file| format!("ghevault/{folder}/{}", file.name)));
        }
        Ok((names.into_iter().collect(), list.snapshots))
    }

    fn packs_of(
        &self,
        index: &Arc<Index>,
        snapshots: &[Snapshot],
        progress: PruneProgress<'_>,
    ) -> VaultResult<BTreeSet<String>> {
        let used = Used::mark(&self.reader(Arc::clone(index)), snapshots, progress)?;
        let pack = |(kind, id)| index.locate(kind, id).map(|at| file_name(FileType::Pack, &at.pack));
        Ok(used.all().filter_map(pack).collect())
    }

    /// What [`Vault::extend_locks`] would cost, at most; asks for no lock and changes nothing.
    ///
    /// # Errors
    /// As [`Vault::extend_locks`].
    pub fn extend_plan(&self, until: Timestamp) -> VaultResult<ExtendReport> {
        self.lock_store()?;
        sane(until, Timestamp::now())?;
        let files = self.needed_files()?.0.len() as u64;
        Ok(ExtendReport {
            until,
            dry_run: true,
            files,
            get_requests: files,
            put_requests: files,
            ..ExtendReport::default()
        })
    }

    /// Locks everything that a snapshot needs until a moment, in compliance mode; what is locked longer stays so, and what is
    /// locked until `slack` before that moment is good enough: it was locked by a run that was killed a while ago.
    ///
    /// # Errors
    /// [`VaultError::Unsupported`] where files have no locks; [`VaultError::Invalid`] for a moment that is past or further
    /// ahead than [`LONGEST`]; damage: what a damaged vault needs is not known; [`VaultError::Denied`], [`VaultError::LeaseLost`], the store's errors.
    pub fn extend_locks(
        &self,
        until: Timestamp,
        slack: SignedDuration,
        lease: &WriteLease,
        cancelled: &(dyn Fn() -> bool + Sync),
        progress: ExtendProgress<'_>,
    ) -> VaultResult<ExtendReport> {
        let locks = self.lock_store()?;
        sane(until, Timestamp::now())?;
        lease.check()?;
        let (names, _) = self.needed_files()?;
        let total = names.len() as u64;
        let enough = until.saturating_sub(slack).unwrap_or(until);
        let [done, already, extended, left] = [const { AtomicU64::new(0) }; 4];
        fan_out(names, |name| {
            if cancelled() {
                left.fetch_add(1, Ordering::Relaxed);
                return Ok(Vec::new());
            }
            // whole seconds are what a lock can say
            let long =
                locks.lock_of(&name, None)?.is_some_and(|lock| lock.until.as_second() >= enough.as_second());
            if long {
                already.fetch_add(1, Ordering::Relaxed);
            } else {
                locks.lock_until(&name, until)?;
                extended.fetch_add(1, Ordering::Relaxed);
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            Ok(Vec::new())
        })?;
        let (already, extended) = (already.into_inner(), extended.into_inner());
        Ok(ExtendReport {
            until,
            dry_run: false,
            files: total,
            get_requests: already + extended,
            put_requests: extended,
            already,
            extended,
            interrupted: left.into_inner() > 0,
        })
    }

    /// Looks for files that snapshots need and whose lock has ended by `at`, or that never had one. With `at_most`, only that
    /// many files are looked at, spread evenly over all: packs are named by their content, so that is a fair sample.
    ///
    /// # Errors
    /// As [`Vault::extend_plan`].
    pub fn lapsed_locks(
        &self,
        at: Timestamp,
        at_most: Option<usize>,
        progress: ExtendProgress<'_>,
    ) -> VaultResult<LockCheck> {
        let locks = self.lock_store()?;
        let (names, snapshots) = self.needed_files()?;
        let files = names.len() as u64;
        let names = sample(names, at_most);
        let total = names.len() as u64;
        let (done, lapsed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        fan_out(names, |name| {
            let ended = locks.lock_of(&name, None)?.map(|lock| lock.until);
            if ended.is_none_or(|ended| ended <= at) {
                let row = LapsedLock { file: name, ended, snapshots: Vec::new() };
                lapsed.lock().unwrap_or_else(PoisonError::into_inner).push(row);
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            Ok(Vec::new())
        })?;
        let mut lapsed = lapsed.into_inner().unwrap_or_else(PoisonError::into_inner);
        lapsed.sort_by(|a: &LapsedLock, b| a.file.cmp(&b.file));
        if lapsed.iter().any(|row| row.file.starts_with("data/")) {
            let index = Arc::new(Index::load(&*self.store, &self.cipher)?);
            for snapshot in snapshots {
                let packs = self.packs_of(&index, std::slice::from_ref(&snapshot), &|_, _, _| {})?;
                for row in lapsed.iter_mut().filter(|row| packs.contains(&row.file)) {
                    row.snapshots.push(snapshot.id);
                }
            }
        }
        Ok(LockCheck { files, looked_at: total, lapsed })
    }
}

/// Refuses a moment that no lock can or should have.
fn sane(until: Timestamp, now: Timestamp) -> VaultResult<()> {
    let ahead = until.duration_since(now);
    if ahead <= SignedDuration::ZERO {
        return Err(VaultError::Invalid(format!("a lock until {until} would have ended already")));
    }
    if ahead > LONGEST {
        return Err(VaultError::Invalid(format!(
            "a lock until {until} is longer than ten years, and nobody can ever take it back"
        )));
    }
    Ok(())
}

/// `at_most` of the names, at even distances.
fn sample(names: Vec<String>, at_most: Option<usize>) -> Vec<String> {
    let all = names.len();
    match at_most {
        Some(few) if few < all => {
            let is_taken = |n: usize| n * few / all != (n + 1) * few / all;
            names.into_iter().enumerate().filter(|(n, _)| is_taken(*n)).map(|(_, name)| name).collect()
        }
        _ => names,
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, sample, sane};
    use jiff::{SignedDuration, Timestamp};

    #[test]
    fn a_lock_ends_in_the_future_and_within_ten_years() {
        let now = Timestamp::UNIX_EPOCH;
        let second = SignedDuration::from_secs(1);
        for (ahead, is_sane) in [
            (-second, false),
            (SignedDuration::ZERO, false),
            (second, true),
            (LONGEST, true),
            (LONGEST + second, false),
        ] {
            assert_eq!(sane(now + ahead, now).is_ok(), is_sane, "{ahead}");
        }
    }

    #[test]
    fn a_sample_has_as_many_names_as_wished_from_all_over() {
        let names = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>();
        for (all, few, expected) in
            [(10, Some(3), 3), (10, Some(10), 10), (10, Some(99), 10), (10, None, 10), (0, Some(3), 0)]
        {
            assert_eq!(sample(names(all), few).len(), expected, "{few:?} of {all}");
        }
        assert_eq!(sample(names(9), Some(3)), ["2", "5", "8"]);
    }
}
