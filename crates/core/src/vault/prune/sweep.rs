//! In a bucket with versions a removed file is only hidden behind a delete marker. This frees what is hidden, as far as no
//! lock holds it; what is locked stays, is counted with its dates, and is freed by a later run. A dry run only counts.

use super::{
    super::{
        error::{VaultError, VaultResult},
        fan::fan_out,
        locks::{FileVersion, LockStore},
        store::file_name,
    },
    PruneReport,
    inventory::Inventory,
    plan::Plan,
    run::Run,
};
use jiff::Timestamp;
use rustic_core::repofile::FileType;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Where files of a vault are removed.
const FOLDERS: [&str; 5] = ["data/", "index/", "snapshots/", "locks/", "ghevault/"];

/// What was found and done.
#[derive(Default)]
struct Swept {
    removed: u64,
    removed_bytes: u64,
    locked: u64,
    locked_bytes: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Bytes of `locked_bytes` that are not hidden yet.
    held_of_going: u64,
}

impl Swept {
    fn free(&mut self, size: u64) {
        self.removed += 1;
        self.removed_bytes += size;
    }

    fn hold(&mut self, size: u64, until: Timestamp, is_going: bool) {
        self.locked += 1;
        self.locked_bytes += size;
        self.first = Some(self.first.map_or(until, |first| first.min(until)));
        self.last = Some(self.last.map_or(until, |last| last.max(until)));
        if is_going {
            self.held_of_going += size;
        }
    }

    fn told(&self, report: &mut PruneReport) {
        report.versions_removed = self.removed;
        report.versions_removed_bytes = self.removed_bytes;
        report.locked_versions = self.locked;
        report.locked_bytes = self.locked_bytes;
        report.locked_from = self.first;
        report.locked_until = self.last;
    }
}

impl Run<'_> {
    /// Frees hidden versions. Nothing of it can be seen by a reader or a writer of the vault as it is.
    pub(super) fn sweep(&self, report: &mut PruneReport) -> VaultResult<()> {
        let Some(locks) = self.vault.location().locks()? else { return Ok(()) };
        let mut hidden = Vec::new();
        for folder in FOLDERS {
            hidden.extend(hidden_files(locks.versions(folder)?));
        }
        let swept = Mutex::new(Swept::default());
        self.lease.check()?;
        fan_out(hidden, |versions| {
            if !(self.cancelled)() {
                sweep_file(&*locks, &versions, &swept)?;
            }
            Ok(Vec::new())
        })?;
        let swept = swept.into_inner().unwrap_or_else(PoisonError::into_inner);
        if swept.removed + swept.locked > 0 {
            report.freed_bytes = swept.removed_bytes.saturating_sub(report.rewritten_bytes);
        }
        swept.told(report);
        Ok(())
    }
}

/// Adds to the report of a dry run what locks would hold, of what goes and of what is hidden already.
pub(super) fn foresee(
    locks: &dyn LockStore,
    plan: &Plan,
    inventory: &Inventory,
    report: &mut PruneReport,
) -> VaultResult<()> {
    let mut hidden = Vec::new();
    for folder in FOLDERS {
        match locks.versions(folder) {
            Ok(versions) => hidden.extend(hidden_files(versions).into_iter().flatten()),
            // a runner may not look behind markers
            Err(VaultError::Denied { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    let hidden = hidden.into_iter().filter(|one| !one.marker);
    let hidden = hidden.map(|one| (one.name, Some(one.version), one.size));
    let going = plan.packs_going(inventory);
    let going = going.map(|(id, size)| (file_name(FileType::Pack, &id), None, size));
    let (now, swept) = (Timestamp::now(), Mutex::new(Swept::default()));
    let of_plan = report.freed_bytes;
    fan_out(hidden.chain(going).collect(), |(name, version, size): (String, Option<String>, u64)| {
        let until = match locks.lock_of(&name, version.as_deref()) {
            Ok(lock) => lock.map(|lock| lock.until).filter(|until| *until > now),
            Err(VaultError::Denied { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut swept = swept.lock().unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(until) => swept.hold(size, until, version.is_none()),
            None if version.is_some() => swept.free(size),
            None => {}
        }
        Ok(Vec::new())
    })?;
    let swept = swept.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.freed_bytes = (of_plan + swept.removed_bytes).saturating_sub(swept.held_of_going);
    swept.told(report);
    Ok(())
}

/// The files of which a reader sees none, each with its versions and markers.
fn hidden_files(versions: Vec<FileVersion>) -> Vec<Vec<FileVersion>> {
    let mut files: BTreeMap<String, Vec<FileVersion>> = BTreeMap::new();
    for version in versions {
        files.entry(version.name.clone()).or_default().push(version);
    }
    let is_hidden = |versions: &Vec<FileVersion>| versions.iter().any(|one| one.latest && one.marker);
    files.into_values().filter(is_hidden).collect()
}

/// Versions first: without its marker a version would be seen again.
fn sweep_file(locks: &dyn LockStore, versions: &[FileVersion], swept: &Mutex<Swept>) -> VaultResult<()> {
    let mut left = false;
    for one in versions.iter().filter(|one| !one.marker) {
        match locks.remove_version(&one.name, &one.version) {
            Ok(()) => {
                swept.lock().unwrap_or_else(PoisonError::into_inner).free(one.size);
            }
            Err(denied @ VaultError::Denied { .. }) => {
                let lock = locks.lock_of(&one.name, Some(&one.version))?;
                let Some(until) = lock.map(|lock| lock.until).filter(|until| *until > Timestamp::now())
                else {
                    return Err(denied);
                };
                left = true;
                swept.lock().unwrap_or_else(PoisonError::into_inner).hold(one.size, until, false);
            }
            Err(error) => return Err(error),
        }
    }
    if !left {
        for marker in versions.iter().filter(|one| one.marker) {
            locks.remove_version(&marker.name, &marker.version)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str, latest: bool, marker: bool) -> FileVersion {
        let modified = Timestamp::UNIX_EPOCH;
        FileVersion { name: name.into(), version: String::new(), size: 1, modified, latest, marker }
    }

    #[test]
    fn only_files_of_which_a_reader_sees_nothing_are_hidden() {
        let all = vec![
            version("seen", true, false),
            version("seen", false, false),
            version("back", true, false),
            version("back", false, true),
            version("hidden", true, true),
            version("hidden", false, false),
        ];
        let hidden = hidden_files(all);
        assert_eq!((hidden.len(), hidden[0][0].name.as_str(), hidden[0].len()), (1, "hidden", 2));
    }
}
