//! One thread walks the snapshot and makes folders; a few others write files. A folder gets its owner, mode and times
//! when the last thread leaves it.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use crossbeam_channel::{Receiver, Sender};
use rustix::{
    fs::{AtFlags, Mode},
    io::Errno,
};

use super::{
    FolderOptions, FolderPlan, PART, Placement, Placer,
    links::Links,
    metadata,
    place::{PlaceError, Placed, Placing, Spot, words},
    target::{Target, open_folder},
};
use crate::{
    progress::{Event, Progress},
    restore::{
        RestoreReport,
        entry::{Entry, Kind, join, show},
        select::Cover,
        view::SnapshotView,
    },
};

/// Files waiting for a writer; each holds its folder open, so this also bounds open folders.
const WAITING: usize = 64;

/// An open folder of the target. Whoever lets go of it last completes it.
struct Folder {
    fd: OwnedFd,
    path: Vec<u8>,
    entry: Option<Entry>,
    above: Option<Arc<Folder>>,
}

/// A file to write.
struct Job {
    folder: Arc<Folder>,
    name: Vec<u8>,
    path: Vec<u8>,
    entry: Entry,
    gzip: bool,
}

struct Crew<'a> {
    placing: Placing<'a>,
    options: &'a FolderOptions,
    placer: &'a Placer,
    report: Mutex<RestoreReport>,
    progress: &'a dyn Progress,
}

/// Restores into `target`; see the module.
pub fn restore(
    view: SnapshotView<'_>,
    plan: &FolderPlan,
    target: &Target,
    options: &FolderOptions,
    placer: &Placer,
    progress: &dyn Progress,
) -> RestoreReport {
    let placing = Placing::new(view, target, Links::new(&plan.shared), options.verify);
    let crew = Crew { placing, options, placer, report: Mutex::default(), progress };
    let root = match rustix::io::fcntl_dupfd_cloexec(&target.root, 0) {
        Ok(fd) => Arc::new(Folder { fd, path: Vec::new(), entry: None, above: None }),
        Err(e) => {
            crew.problem(b"", &format!("cannot open the target again: {}", std::io::Error::from(e)));
            return crew.report.into_inner().unwrap_or_else(PoisonError::into_inner);
        }
    };
    let (jobs, waiting) = crossbeam_channel::bounded(WAITING);
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            let waiting = waiting.clone();
            let crew = &crew;
            scope.spawn(move || crew.write(&waiting));
        }
        drop(waiting);
        crew.descend(root, &view.root(), &jobs);
        drop(jobs);
    });
    crew.report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Crew<'_> {
    fn write(&self, waiting: &Receiver<Job>) {
        for job in waiting {
            let spot = Spot { folder: &job.folder.fd, name: &job.name, path: &job.path };
            let done = self.placing.file(&spot, &job.entry, job.gzip);
            self.settle(&job.path, done, |report| report.files += 1);
            self.leave(job.folder);
        }
    }

    fn descend(&self, folder: Arc<Folder>, kind: &Kind, jobs: &Sender<Job>) {
        match self.placing.view.children(&folder.path, kind) {
            Ok((entries, bad)) => {
                for what in bad {
                    self.problem(&folder.path, &what);
                }
                for entry in entries {
                    self.entry(&folder, entry, jobs);
                }
            }
            Err(e) => {
                let why = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
                self.problem(&folder.path, &format!("the directory cannot be read from the vault: {why}"));
            }
        }
        self.leave(folder);
    }

    fn entry(&self, folder: &Arc<Folder>, entry: Entry, jobs: &Sender<Job>) {
        let path = join(&folder.path, &entry.name);
        let cover = self.options.selection.cover(&path);
        if cover == Cover::Outside || (cover == Cover::Ancestor && !entry.is_directory()) {
            return;
        }
        let (name, gzip) = match (self.placer)(&path, &entry) {
            Placement::Omitted => return,
            Placement::AsIs => (entry.name.clone(), false),
            Placement::Renamed(name) => (name, false),
            Placement::Gzipped(name) => (name, true),
        };
        let spot = Spot { folder: &folder.fd, name: &name, path: &path };
        match &entry.kind {
            Kind::File => {
                let job = Job { folder: Arc::clone(folder), name, path, entry, gzip };
                if let Err(refused) = jobs.send(job) {
                    self.problem(&refused.0.path, "no writer is left for it");
                }
            }
            Kind::Directory(_) => match self.make(&spot, &entry) {
                Ok(fd) => {
                    self.count(|report| report.directories += 1);
                    let kind = entry.kind.clone();
                    let below = Folder { fd, path, entry: Some(entry), above: Some(Arc::clone(folder)) };
                    self.descend(Arc::new(below), &kind, jobs);
                }
                Err(e) => {
                    self.problem(&path, &format!("the folder cannot be made: {}", std::io::Error::from(e)));
                }
            },
            Kind::Symlink(to) => {
                let done = self.placing.symlink(&spot, &entry, to);
                self.settle(&path, done, |report| report.symlinks += 1);
            }
            Kind::Fifo => {
                let done = self.placing.pipe(&spot, &entry);
                self.settle(&path, done, |report| report.files += 1);
            }
            Kind::Other(what) => self.problem(&path, &format!("a {what} is not restored")),
        }
    }

    /// Makes a folder, or opens the one that stands there; anything else in its place is replaced.
    fn make(&self, spot: &Spot<'_>, entry: &Entry) -> Result<OwnedFd, Errno> {
        let opened =
            |fd: std::io::Result<OwnedFd>| fd.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO));
        match rustix::fs::mkdirat(spot.folder, spot.name, Mode::RWXU) {
            Err(Errno::EXIST) => {}
            other => return other.and_then(|()| opened(open_folder(spot.folder, spot.name))),
        }
        match opened(open_folder(spot.folder, spot.name)) {
            Ok(fd) => {
                // A finished folder may be closed even to its owner.
                let mode = entry.mode.unwrap_or(0o700) | 0o700;
                rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))
                    .or_else(|e| if self.placing.owners { Err(e) } else { Ok(()) })?;
                Ok(fd)
            }
            Err(Errno::NOTDIR | Errno::LOOP) => {
                rustix::fs::unlinkat(spot.folder, spot.name, AtFlags::empty())?;
                rustix::fs::mkdirat(spot.folder, spot.name, Mode::RWXU)?;
                opened(open_folder(spot.folder, spot.name))
            }
            Err(e) => Err(e),
        }
    }

    /// Lets go of a folder; the last one out sets its owner, mode and times, then lets go of the folder above.
    fn leave(&self, folder: Arc<Folder>) {
        let mut leaving = Some(folder);
        while let Some(last) = leaving.take().and_then(Arc::into_inner) {
            if let Some(entry) = &last.entry
                && let Err((what, errno)) = metadata::apply(&last.fd, entry, self.placing.owners)
            {
                self.problem(&last.path, &format!("cannot {what}: {}", std::io::Error::from(errno)));
            }
            leaving = last.above;
        }
    }

    fn settle(&self, path: &[u8], done: Result<Placed, PlaceError>, count: impl FnOnce(&mut RestoreReport)) {
        match done {
            Ok(placed) => {
                self.count(|report| {
                    report.bytes += placed.bytes;
                    if placed.skipped { report.skipped += 1 } else { count(report) }
                });
                if let Some(what) = placed.problem {
                    self.problem(path, &what);
                }
                self.progress.event(Event::Advanced { part: PART, bytes: placed.bytes, items: 1 });
            }
            Err(error) => self.problem(path, &words(&error)),
        }
    }

    fn count(&self, change: impl FnOnce(&mut RestoreReport)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn problem(&self, path: &[u8], what: &str) {
        let path = if path.is_empty() { "/".to_owned() } else { show(path) };
        self.count(|report| report.problem(path, what));
    }
}
