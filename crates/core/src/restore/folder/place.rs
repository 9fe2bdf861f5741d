//! Putting one entry into an open folder: left alone when it is right, else written under a scratch name and renamed.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    os::fd::{AsFd, OwnedFd},
    sync::atomic::{AtomicU64, Ordering},
};

use flate2::{Compression, write::GzEncoder};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};

use super::{
    links::{Links, Turn},
    metadata,
    target::Target,
};
use crate::restore::{
    entry::Entry,
    view::{SnapshotView, ViewError},
};

/// Where entries go and how.
pub struct Placing<'a> {
    /// What is restored.
    pub view: SnapshotView<'a>,
    /// The folder that is restored into.
    pub target: &'a Target,
    /// Files with several names.
    pub links: Links<'a>,
    /// Whether owners are given.
    pub owners: bool,
    /// Whether content is compared where size and time agree.
    pub verify: bool,
    scratch_names: AtomicU64,
}

/// What was done with an entry.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Bytes of content written.
    pub bytes: u64,
    /// It stood there as it should.
    pub skipped: bool,
    /// It was placed, but not all is as the snapshot says.
    pub problem: Option<String>,
}

/// One name in one open folder.
pub struct Spot<'a> {
    /// The folder.
    pub folder: &'a OwnedFd,
    /// The name in it.
    pub name: &'a [u8],
    /// The path in the snapshot.
    pub path: &'a [u8],
}

/// Why an entry was not placed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error("cannot {0}: {1}")]
    System(&'static str, io::Error),
    #[error("{0}: {1}")]
    View(ViewError, String),
    #[error("a directory stands in its place")]
    DirectoryInTheWay,
}

impl<'a> Placing<'a> {
    /// Ready to place into `target`.
    pub fn new(view: SnapshotView<'a>, target: &'a Target, links: Links<'a>, verify: bool) -> Self {
        Self {
            view,
            target,
            links,
            owners: metadata::owners_wanted(),
            verify,
            scratch_names: AtomicU64::new(0),
        }
    }

    /// Places a regular file, compressed if `gzip`.
    pub fn file(&self, spot: &Spot<'_>, entry: &Entry, gzip: bool) -> Result<Placed, PlaceError> {
        if gzip {
            return self.content(spot, entry, true);
        }
        match self.links.turn(entry) {
            Turn::Alone => self.content(spot, entry, false),
            Turn::Link(scratch) => self.link(spot, &scratch),
            Turn::First(identity) => {
                let kept = self.scratch_name("link");
                let placed = self.content(spot, entry, false).and_then(|placed| {
                    let flags = AtFlags::empty();
                    rustix::fs::linkat(spot.folder, spot.name, &self.target.scratch, kept.as_str(), flags)
                        .map_err(|e| system("keep a name for its links", e))?;
                    Ok(placed)
                });
                match placed {
                    Ok(_) => self.links.ready(identity, kept),
                    Err(_) => self.links.failed(identity),
                }
                placed
            }
        }
    }

    /// Places a symbolic link.
    pub fn symlink(&self, spot: &Spot<'_>, entry: &Entry, to: &[u8]) -> Result<Placed, PlaceError> {
        let standing = rustix::fs::readlinkat(spot.folder, spot.name, Vec::new()).ok();
        let skipped = standing.is_some_and(|standing| standing.as_bytes() == to);
        if !skipped {
            let scratch = self.scratch_name("link-text");
            rustix::fs::symlinkat(to, &self.target.scratch, scratch.as_str())
                .map_err(|e| system("make the link", e))?;
            self.rename(&scratch, spot)?;
        }
        Ok(self.finish_unopened(spot, entry, skipped))
    }

    /// Places a named pipe.
    pub fn pipe(&self, spot: &Spot<'_>, entry: &Entry) -> Result<Placed, PlaceError> {
        let skipped = stat(spot)?.is_some_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Fifo);
        if !skipped {
            let scratch = self.scratch_name("pipe");
            let mode = Mode::from_raw_mode(entry.mode.unwrap_or(0o600));
            rustix::fs::mknodat(&self.target.scratch, scratch.as_str(), FileType::Fifo, mode, 0)
                .map_err(|e| system("make the pipe", e))?;
            self.rename(&scratch, spot)?;
        }
        let mode = Mode::from_raw_mode(entry.mode.unwrap_or(0o600));
        rustix::fs::chmodat(spot.folder, spot.name, mode, AtFlags::empty())
            .map_err(|e| system("set the mode", e))?;
        Ok(self.finish_unopened(spot, entry, skipped))
    }

    fn finish_unopened(&self, spot: &Spot<'_>, entry: &Entry, skipped: bool) -> Placed {
        let done = metadata::apply_at(spot.folder, spot.name, entry, self.owners);
        Placed { bytes: 0, skipped, problem: trouble(done) }
    }

    fn content(&self, spot: &Spot<'_>, entry: &Entry, gzip: bool) -> Result<Placed, PlaceError> {
        if let Some(file) = self.standing(spot, entry, gzip)? {
            let done = metadata::apply(&file, entry, self.owners);
            return Ok(Placed { bytes: 0, skipped: true, problem: trouble(done) });
        }
        let scratch = self.scratch_name("part");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.target.scratch, scratch.as_str(), flags, Mode::RUSR | Mode::WUSR)
            .map_err(|e| system("make the file", e))?;
        let placed = self.write(File::from(fd), spot, entry, gzip).and_then(|placed| {
            self.rename(&scratch, spot)?;
            Ok(placed)
        });
        if placed.is_err() {
            // The next restore sweeps the scratch folder; this only frees the space earlier.
            let _ = rustix::fs::unlinkat(&self.target.scratch, scratch.as_str(), AtFlags::empty());
        }
        placed
    }

    fn write(&self, file: File, spot: &Spot<'_>, entry: &Entry, gzip: bool) -> Result<Placed, PlaceError> {
        let dump = |out: &mut dyn Write| {
            self.view.dump(spot.path, entry, out).map_err(|e| {
                let why = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
                PlaceError::View(e, why)
            })
        };
        let write = |e: io::Error| PlaceError::System("write the file", e);
        let (mut file, bytes) = if gzip {
            let mut encoder = GzEncoder::new(BufWriter::new(file), Compression::default());
            let bytes = dump(&mut encoder)?;
            let inner = encoder.finish().map_err(write)?;
            (inner.into_inner().map_err(|e| write(e.into_error()))?, bytes)
        } else {
            let mut file = file;
            let bytes = dump(&mut file)?;
            (file, bytes)
        };
        file.flush().map_err(write)?;
        let mut problem = trouble(metadata::apply(&file, entry, self.owners));
        if bytes != entry.size {
            problem = Some(format!("the snapshot says {} bytes but holds {bytes}", entry.size));
        }
        Ok(Placed { bytes, skipped: false, problem })
    }

    /// The open file if it already is what it should become. A compressed file has no length to compare; it got its
    /// time when it was whole.
    fn standing(&self, spot: &Spot<'_>, entry: &Entry, gzip: bool) -> Result<Option<File>, PlaceError> {
        let Some(found) = stat(spot)? else { return Ok(None) };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(PlaceError::DirectoryInTheWay),
            _ => return Ok(None),
        }
        let right_size = gzip || u64::try_from(found.st_size) == Ok(entry.size);
        if !right_size || !same_time(&found, entry) {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::openat(spot.folder, spot.name, flags, Mode::empty()) else {
            return Ok(None);
        };
        let file = File::from(fd);
        if !self.verify || gzip {
            return Ok(Some(file));
        }
        let mut compare = Compare { file: &file, same: true, buffer: Vec::new() };
        let same = self.view.dump(spot.path, entry, &mut compare).is_ok() && compare.same;
        Ok(same.then_some(file))
    }

    fn link(&self, spot: &Spot<'_>, kept: &str) -> Result<Placed, PlaceError> {
        let first = rustix::fs::statat(&self.target.scratch, kept, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| system("look at its first name", e))?;
        if stat(spot)?.is_some_and(|s| (s.st_dev, s.st_ino) == (first.st_dev, first.st_ino)) {
            return Ok(Placed { skipped: true, ..Placed::default() });
        }
        let scratch = self.scratch_name("part");
        rustix::fs::linkat(
            &self.target.scratch,
            kept,
            &self.target.scratch,
            scratch.as_str(),
            AtFlags::empty(),
        )
        .map_err(|e| system("link it to its first name", e))?;
        self.rename(&scratch, spot)?;
        Ok(Placed::default())
    }

    fn rename(&self, scratch: &str, spot: &Spot<'_>) -> Result<(), PlaceError> {
        match rustix::fs::renameat(&self.target.scratch, scratch, spot.folder, spot.name) {
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => Err(PlaceError::DirectoryInTheWay),
            other => other.map_err(|e| system("rename it into place", e)),
        }
    }

    fn scratch_name(&self, kind: &str) -> String {
        format!("{kind}-{}", self.scratch_names.fetch_add(1, Ordering::Relaxed))
    }
}

/// What stands at a spot, if anything does.
fn stat(spot: &Spot<'_>) -> Result<Option<Stat>, PlaceError> {
    match rustix::fs::statat(spot.folder.as_fd(), spot.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(system("look at what stands there", e)),
    }
}

fn same_time(found: &Stat, entry: &Entry) -> bool {
    entry.modified.map(metadata::timespec).is_some_and(|want| {
        (i128::from(want.tv_sec), i128::from(want.tv_nsec))
            == (i128::from(found.st_mtime), i128::from(found.st_mtime_nsec))
    })
}

fn system(action: &'static str, errno: Errno) -> PlaceError {
    PlaceError::System(action, errno.into())
}

fn trouble(done: Result<(), (&'static str, Errno)>) -> Option<String> {
    done.err().map(|(what, errno)| format!("cannot {what}: {}", io::Error::from(errno)))
}

/// Compares what is written to it with a file.
struct Compare<'f> {
    file: &'f File,
    same: bool,
    buffer: Vec<u8>,
}

impl Write for Compare<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.buffer.resize(buf.len(), 0);
        self.same = self.same && self.file.read_exact(&mut self.buffer).is_ok() && self.buffer == buf;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The problem of an entry that was not placed, in words.
pub fn words(error: &PlaceError) -> String {
    match error {
        PlaceError::View(ViewError::File { .. }, why) => format!("cannot be read from the vault: {why}"),
        other => other.to_string(),
    }
}
