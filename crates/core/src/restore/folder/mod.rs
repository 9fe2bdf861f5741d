//! A snapshot, or a part of it, back into a local folder.
//!
//! Equal to what `restic restore` makes of the snapshot: files, directories, symbolic links (dangling and foreign-byte
//! targets too), pipes, hard links within the tree, modes, nanosecond times, numeric owners when run as root, and, unless
//! left out, our own `ghevault/` records. Every file is written under a scratch name on the target's file system and
//! renamed into place, so an interrupted restore leaves no half file and a repeated one completes it. The scratch
//! folder `target::SCRATCH` marks a target as unfinished until the end.
//!
//! Never follows a symbolic link of the target: every step goes through the open folder above it.

mod crew;
mod links;
mod metadata;
mod place;
mod plan;
mod target;

use std::path::Path;

pub use plan::{FolderPlan, plan};
pub(super) use target::Target;

use super::{RestoreError, RestoreReport, entry::Entry, select::Selection, view::SnapshotView};
use crate::progress::{Event, Progress};

/// The part named in progress events.
pub(super) const PART: &str = "restore";

/// What to restore and how.
#[derive(Clone, Debug)]
pub struct FolderOptions {
    /// The wanted part of the snapshot.
    pub selection: Selection,
    /// Restore into a folder that holds something else; what the snapshot does not have stays there.
    pub into_existing: bool,
    /// Compare the content of files that look right by size and time, instead of trusting these.
    pub verify: bool,
    /// Restore our own records (`ghevault/`) too; with them the folder equals what restic restores.
    pub records: bool,
    /// Files written at a time.
    pub threads: usize,
}

impl Default for FolderOptions {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            into_existing: false,
            verify: false,
            records: true,
            threads: 4,
        }
    }
}

/// What becomes of an entry in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// The same name, the same content.
    AsIs,
    /// Left out, with everything below it.
    Omitted,
    /// Another name.
    Renamed(Vec<u8>),
    /// Another name, content gzip-compressed.
    Gzipped(Vec<u8>),
}

/// Decides the placement of a path of the snapshot.
pub(super) type Placer = dyn Fn(&[u8], &Entry) -> Placement + Sync;

/// Restores what `plan` counted into `target`, which is made if it does not exist.
///
/// # Errors
/// The target is not empty (and neither allowed to be nor an unfinished restore of the same snapshot), has too little
/// space, or cannot be prepared. Single entries that fail are problems in the report.
pub fn run(
    view: SnapshotView<'_>,
    plan: &FolderPlan,
    snapshot: &str,
    target: &Path,
    options: &FolderOptions,
    progress: &dyn Progress,
) -> Result<RestoreReport, RestoreError> {
    let target = target::Target::open(target, snapshot, options.into_existing)?;
    target.check_space(plan.bytes)?;
    let records = options.records;
    let placer = move |path: &[u8], _: &Entry| {
        if !records && path == b"ghevault" { Placement::Omitted } else { Placement::AsIs }
    };
    let report = fill(view, plan, &target, options, &placer, progress);
    target.finish()?;
    Ok(report)
}

/// Restores into a prepared target and reports; leaves the target marked as unfinished.
pub(super) fn fill(
    view: SnapshotView<'_>,
    plan: &FolderPlan,
    target: &target::Target,
    options: &FolderOptions,
    placer: &Placer,
    progress: &dyn Progress,
) -> RestoreReport {
    progress.event(Event::Started { part: PART, bytes_expected: Some(plan.bytes) });
    let report = crew::restore(view, plan, target, options, placer, progress);
    progress.event(Event::Ended { part: PART, ok: report.complete() });
    report
}
