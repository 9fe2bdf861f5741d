//! A snapshot as a directory of GitHub's backup-utils (contract §4), for `ghe-restore` and for the appliance's own
//! Backup Service, which reads the same layout.
//!
//! `DIR/<timestamp>/` carries the file `incomplete` from the first moment to the last, so no tool ever takes half an
//! export for a snapshot; `DIR/current` moves only forward in time. Differences from our own layout are undone:
//! `mysql.sql` and the audit logs are compressed, `ghevault/` is left out.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::{
    RestoreError, RestoreReport,
    entry::Entry,
    folder::{self, FolderOptions, Placement, Target},
    view::SnapshotView,
};
use crate::progress::Progress;

/// The file that marks a snapshot directory as unfinished.
const INCOMPLETE: &str = "incomplete";

/// How to export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The directory's name instead of the one made from the snapshot's time.
    pub name: Option<String>,
    /// The appliance's release for the file `version` (`v3.11.0`), if the snapshot has no such file.
    pub version: Option<String>,
    /// Files written at a time.
    pub threads: usize,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { name: None, version: None, threads: 4 }
    }
}

/// What an export made.
#[derive(Clone, Debug, Serialize)]
pub struct ExportReport {
    /// The snapshot directory.
    pub path: PathBuf,
    /// Whether `current` points to it now.
    pub current: bool,
    /// What was written, and what was not. With problems the directory keeps its `incomplete`.
    #[serde(flatten)]
    pub restored: RestoreReport,
}

/// The name of a snapshot directory: `YYYYMMDDTHHMMSS` in UTC.
#[must_use]
pub fn directory_name(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%S").to_string()
}

/// Exports the snapshot with id `snapshot`, taken at `time`, into the data directory `data`.
///
/// # Errors
/// A finished export of this name exists, there is too little space, or the directories cannot be made. Single entries
/// that fail are problems in the report, and the export stays `incomplete`.
pub fn run(
    view: SnapshotView<'_>,
    snapshot: &str,
    time: Timestamp,
    data: &Path,
    options: &ExportOptions,
    progress: &dyn Progress,
) -> Result<ExportReport, RestoreError> {
    let name = options.name.clone().unwrap_or_else(|| directory_name(time));
    if !acceptable(&name) {
        return Err(RestoreError::BadExportName { name });
    }
    let added = added_files(view, options)?;
    let folder_options =
        FolderOptions { records: false, threads: options.threads, ..FolderOptions::default() };
    let plan = folder::plan(view, &folder_options)?;

    let path = data.join(&name);
    begin(&path)?;
    let target = Target::open(&path, snapshot, true)?;
    target.check_space(plan.bytes)?;
    let restored = folder::fill(view, &plan, &target, &folder_options, &placement, progress);
    for (file, content) in added {
        let at = path.join(file);
        fs::write(&at, content).map_err(io_error("write", &at))?;
    }
    target.finish()?;
    let complete = restored.complete();
    if complete {
        let marker = path.join(INCOMPLETE);
        fs::remove_file(&marker).map_err(io_error("remove", &marker))?;
        sync_directory(&path)?;
    }
    let current = complete && advance_current(data, &name)?;
    Ok(ExportReport { path, current, restored })
}

/// Where an entry of a snapshot stands in backup-utils' layout.
fn placement(path: &[u8], entry: &Entry) -> Placement {
    let directory_end = path.len() - entry.name.len();
    let inside = path[..directory_end].strip_suffix(b"/").unwrap_or_default();
    match (inside, path) {
        (b"", b"ghevault" | b"incomplete") => Placement::Omitted,
        (b"", b"mysql.sql") => Placement::Gzipped(b"mysql.sql.gz".to_vec()),
        (b"audit-log", _) => {
            let named =
                |end: &[u8], new: &[u8]| entry.name.strip_suffix(end).map(|stem| [stem, new].concat());
            if let Some(name) = named(b".json", b".gz") {
                Placement::Gzipped(name)
            } else if entry.name.ends_with(b".gz.size") {
                Placement::AsIs
            } else if let Some(name) = named(b".size", b".gz.size") {
                Placement::Renamed(name)
            } else {
                Placement::AsIs
            }
        }
        _ => Placement::AsIs,
    }
}

/// Files that every snapshot directory must have and this snapshot has not.
fn added_files(
    view: SnapshotView<'_>,
    options: &ExportOptions,
) -> Result<Vec<(&'static str, String)>, RestoreError> {
    let mut added = Vec::new();
    if view.find(b"version")?.is_none() {
        let version = options.version.as_deref().ok_or(RestoreError::Missing { what: "version" })?;
        added.push(("version", format!("v{}\n", version.trim_start_matches('v'))));
    }
    if view.find(b"strategy")?.is_none() {
        let cluster = view.find(b"cluster.conf")?.is_some();
        added.push(("strategy", if cluster { "cluster\n" } else { "rsync\n" }.to_owned()));
    }
    Ok(added)
}

/// Makes the directory and marks it, or finds one that an interrupted export left.
fn begin(path: &Path) -> Result<(), RestoreError> {
    fs::create_dir_all(path).map_err(io_error("make folder", path))?;
    let empty = fs::read_dir(path).map_err(io_error("list", path))?.next().is_none();
    let marker = path.join(INCOMPLETE);
    if !empty && !marker.exists() {
        return Err(RestoreError::ExportExists { target: path.display().to_string() });
    }
    File::create(&marker).and_then(|file| file.sync_all()).map_err(io_error("mark", path))?;
    sync_directory(path)
}

/// Points `current` at `name` unless it points at something newer already.
fn advance_current(data: &Path, name: &str) -> Result<bool, RestoreError> {
    let current = data.join("current");
    let newer = fs::read_link(&current).is_ok_and(|to| {
        data.join(&to).is_dir() && to.file_name().is_some_and(|n| *n.to_string_lossy() > *name)
    });
    if newer {
        return Ok(false);
    }
    let fresh = data.join(format!(".current-{name}"));
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", &fresh)(e)),
        _ => {}
    }
    std::os::unix::fs::symlink(name, &fresh).map_err(io_error("make link", &fresh))?;
    fs::rename(&fresh, &current).map_err(io_error("replace", &current))?;
    sync_directory(data)?;
    Ok(true)
}

/// A name that backup-utils' own tools would count as a snapshot, and that stays in its directory.
fn acceptable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn sync_directory(path: &Path) -> Result<(), RestoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error("sync", path))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.display().to_string();
    move |source| RestoreError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Placement, acceptable, directory_name, placement};
    use crate::vault::{Metadata, Node, NodeType};

    fn placed(path: &str) -> Placement {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let node =
            Node { name, node_type: NodeType::File, meta: Metadata::default(), content: None, subtree: None };
        placement(path.as_bytes(), &Entry::decode(node).expect("a legal name"))
    }

    #[test]
    fn dumps_are_compressed_and_our_records_left_out() {
        assert_eq!(placed("mysql.sql"), Placement::Gzipped(b"mysql.sql.gz".to_vec()));
        assert_eq!(placed("audit-log/audit_log-1.json"), Placement::Gzipped(b"audit_log-1.gz".to_vec()));
        assert_eq!(placed("audit-log/audit_log-1.size"), Placement::Renamed(b"audit_log-1.gz.size".to_vec()));
        assert_eq!(placed("ghevault"), Placement::Omitted);
    }

    #[test]
    fn everything_else_keeps_its_name_and_bytes() {
        for path in [
            "mysql.sql.gz",
            "audit-log/a.gz",
            "audit-log/a.gz.size",
            "storage/mysql.sql",
            "repositories/a/ghevault",
            "pages/0/audit-log/a.json",
        ] {
            assert_eq!(placed(path), Placement::AsIs, "{path}");
        }
    }

    #[test]
    fn directory_names_are_utc_time_stamps() {
        let time = "2026-11-22T10:05:09.7Z".parse().expect("a time");
        assert_eq!(directory_name(time), "20261122T100509");
        assert!(acceptable(&directory_name(time)));
        assert!(!acceptable("../1") && !acceptable("current") && !acceptable("1/2"));
    }
}
