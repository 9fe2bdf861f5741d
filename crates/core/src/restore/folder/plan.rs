//! Counting what a restore to a folder will write. Pure: reads the snapshot, touches nothing.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::FolderOptions;
use crate::restore::{
    RestoreError,
    entry::{Entry, Kind, join, show},
    select::Cover,
    view::SnapshotView,
};

/// What a restore to a folder consists of.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FolderPlan {
    /// Directories.
    pub directories: u64,
    /// Regular files.
    pub files: u64,
    /// Symbolic links, pipes and others.
    pub others: u64,
    /// Bytes of file content; hard links counted once.
    pub bytes: u64,
    /// Directories of the snapshot that cannot be read; the restore will name them.
    pub unreadable: u64,
    /// Device and inode of the files that have several names inside the plan.
    #[serde(skip)]
    pub(super) shared: HashSet<(u64, u64)>,
}

/// Counts what `options` select of a snapshot.
///
/// # Errors
/// A selected path is not in the snapshot.
pub fn plan(view: SnapshotView<'_>, options: &FolderOptions) -> Result<FolderPlan, RestoreError> {
    for path in options.selection.paths() {
        if view.find(path)?.is_none() {
            return Err(RestoreError::NotInSnapshot { path: show(path) });
        }
    }
    let mut counting = Counting { plan: FolderPlan::default(), names: HashMap::new() };
    counting.directory(view, &[], &view.root(), options);
    let Counting { mut plan, names } = counting;
    plan.shared = names.into_iter().filter(|(_, count)| *count > 1).map(|(identity, _)| identity).collect();
    Ok(plan)
}

struct Counting {
    plan: FolderPlan,
    names: HashMap<(u64, u64), u32>,
}

impl Counting {
    fn directory(&mut self, view: SnapshotView<'_>, path: &[u8], kind: &Kind, options: &FolderOptions) {
        let Ok((entries, _)) = view.children(path, kind) else {
            self.plan.unreadable += 1;
            return;
        };
        for entry in entries {
            let below = join(path, &entry.name);
            let cover = options.selection.cover(&below);
            if cover == Cover::Outside || (!options.records && below == b"ghevault") {
                continue;
            }
            self.entry(&entry, cover);
            if entry.is_directory() {
                self.directory(view, &below, &entry.kind, options);
            }
        }
    }

    fn entry(&mut self, entry: &Entry, cover: Cover) {
        match entry.kind {
            Kind::Directory(_) => self.plan.directories += 1,
            _ if cover != Cover::Whole => {}
            Kind::File => {
                self.plan.files += 1;
                let names = entry.link_identity().map(|identity| self.names.entry(identity).or_insert(0));
                let known = names.is_some_and(|count| {
                    *count += 1;
                    *count > 1
                });
                if !known {
                    self.plan.bytes += entry.size;
                }
            }
            _ => self.plan.others += 1,
        }
    }
}
