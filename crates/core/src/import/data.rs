//! Looks at a data directory of backup-utils: what stands in it, without reading into its snapshots.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    chain::{Checkpoints, Cycle},
    name, record,
};

/// A directory that looks like a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Whether it carries the file `incomplete`.
    pub incomplete: bool,
    /// The moment that it shows.
    pub time: Option<Timestamp>,
    /// Digest over its root's files.
    pub fingerprint: String,
    /// UUID of the appliance; empty when there is none.
    pub uuid: String,
    /// What `xtrabackup_checkpoints` says.
    pub checkpoints: Option<Checkpoints>,
    /// Whether it has a MySQL dump.
    pub has_dump: bool,
    /// Why it cannot be looked at.
    pub unreadable: Option<String>,
}

/// The file `in-progress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InProgress {
    /// A link, as very old clients made it.
    Link,
    /// `<snapshot> <pid>`.
    Run {
        /// The snapshot that is being made.
        snapshot: String,
        /// The process.
        pid: String,
        /// Whether that process runs on this machine.
        alive: bool,
    },
}

/// What stands in a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataListing {
    /// The directory.
    pub path: PathBuf,
    /// Its snapshots, in no order.
    pub snapshots: Vec<Found>,
    /// A backup that is running, or left its mark.
    pub in_progress: Option<InProgress>,
    /// A restore that is running, or left its mark: content of `in-progress-restore`.
    pub in_progress_restore: Option<String>,
    /// Where `current` points.
    pub current: Option<String>,
    /// MySQL cycles: the current one and the previous one.
    pub cycles: Vec<Cycle>,
    /// Cycles and snapshots that are about to be deleted.
    pub pruned: Vec<String>,
    /// Entries that are no part of a data directory.
    pub foreign: Vec<String>,
}

impl DataListing {
    /// Looks at a data directory.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut listing = Self { path: fs::canonicalize(path)?, ..Self::default() };
        for entry in fs::read_dir(&listing.path)? {
            let entry = entry?;
            listing.add(&entry.file_name().to_string_lossy(), &entry.path())?;
        }
        let cycle = |full: &str, incrementals: &str| Cycle {
            full: lines(&listing.path.join(full)).into_iter().next(),
            incrementals: lines(&listing.path.join(incrementals)),
        };
        listing.cycles = vec![
            cycle("inc_full_backup", "inc_snapshot_data"),
            cycle("inc_previous_full_backup", "inc_previous_snapshot_data"),
        ];
        listing.foreign.sort();
        Ok(listing)
    }

    fn add(&mut self, name: &str, path: &Path) -> io::Result<()> {
        let kind = fs::symlink_metadata(path)?.file_type();
        match name {
            "current" if kind.is_symlink() => {
                let target = fs::read_link(path)?;
                self.current = target.file_name().map(|name| name.to_string_lossy().into_owned());
            }
            "in-progress" if kind.is_symlink() => self.in_progress = Some(InProgress::Link),
            "in-progress" => self.in_progress = Some(running(&text(path))),
            "in-progress-restore" => self.in_progress_restore = Some(text(path).trim().to_owned()),
            "in-progress-backup"
            | "inc_full_backup"
            | "inc_snapshot_data"
            | "inc_previous_full_backup"
            | "inc_previous_snapshot_data" => {}
            _ if name.starts_with("prune") => self.pruned.push(name.to_owned()),
            _ if kind.is_dir() && name::is_snapshot(name) => self.snapshots.push(look(name, path)),
            _ if name.starts_with('.') => {}
            _ => self.foreign.push(name.to_owned()),
        }
        Ok(())
    }
}

fn running(content: &str) -> InProgress {
    let mut words = content.split_whitespace();
    let snapshot = words.next().unwrap_or_default().to_owned();
    let pid = words.next().unwrap_or_default().to_owned();
    let process = pid.parse().ok().and_then(rustix::process::Pid::from_raw);
    // A process that may not be signalled is there all the same.
    let alive = process.is_some_and(|process| {
        !matches!(rustix::process::test_kill_process(process), Err(rustix::io::Errno::SRCH))
    });
    InProgress::Run { snapshot, pid, alive }
}

/// Looks at one snapshot's root.
pub(super) fn look(name: &str, path: &Path) -> Found {
    let mut found = Found { name: name.to_owned(), ..Found::default() };
    let mut files = Vec::new();
    let mut begun = None;
    let mut measured = false;
    let listed: io::Result<()> = (|| {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            let mtime = mtime_of(&meta);
            let file = entry.file_name();
            match file.as_bytes() {
                b"incomplete" => found.incomplete = true,
                b"benchmarks" => measured = true,
                b"strategy" => begun = Some(mtime),
                b"mysql.sql.gz" => found.has_dump = true,
                _ => {}
            }
            if meta.is_file() {
                files.push((file.as_bytes().to_vec(), meta.len(), mtime));
            }
        }
        Ok(())
    })();
    found.unreadable = listed.err().map(|error| error.to_string());
    found.fingerprint = record::fingerprint(files);
    text(&path.join("uuid")).trim().clone_into(&mut found.uuid);
    found.checkpoints = Checkpoints::parse(&text(&path.join("xtrabackup_checkpoints")));
    // An exported directory has no measurements; its name is UTC, and its files have times of their own.
    let time = name::time(name, begun.filter(|_| measured));
    found.time = time.or(begun).or_else(|| fs::metadata(path).ok().map(|meta| mtime_of(&meta)));
    found
}

/// The time of the last change of a file's content.
pub(super) fn mtime_of(meta: &fs::Metadata) -> Timestamp {
    let nanoseconds = i32::try_from(meta.mtime_nsec()).unwrap_or(0);
    Timestamp::new(meta.mtime(), nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn text(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn lines(path: &Path) -> Vec<String> {
    text(path).lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_sorted_into_what_backup_utils_puts_there() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        for name in [
            "20260101T000000",
            "20260102T000000",
            "inc_previous_20251231T000000",
            "prune_inc_previous_1",
            "lost",
        ] {
            fs::create_dir(data.join(name)).unwrap();
        }
        fs::write(data.join("20260102T000000/incomplete"), "").unwrap();
        fs::write(data.join("20260101T000000/uuid"), "u\n").unwrap();
        fs::write(data.join("in-progress"), format!("20260102T000000 {}", std::process::id())).unwrap();
        fs::write(data.join("inc_full_backup"), "/x/20260101T000000\n").unwrap();
        std::os::unix::fs::symlink("20260101T000000", data.join("current")).unwrap();
        let listing = DataListing::read(data).unwrap();
        assert_eq!(listing.snapshots.len(), 3);
        assert_eq!(listing.current.as_deref(), Some("20260101T000000"));
        assert_eq!((listing.foreign, listing.pruned.len()), (vec!["lost".to_owned()], 1));
        assert!(matches!(listing.in_progress, Some(InProgress::Run { alive: true, .. })));
        assert_eq!(listing.cycles[0].full.as_deref(), Some("/x/20260101T000000"));
        let first = listing.snapshots.iter().find(|found| found.name == "20260101T000000").unwrap();
        assert_eq!((first.uuid.as_str(), first.incomplete), ("u", false));
    }

    #[test]
    fn a_process_that_is_gone_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(matches!(running(&format!("1 {pid}")), InProgress::Run { alive: false, .. }));
    }
}
