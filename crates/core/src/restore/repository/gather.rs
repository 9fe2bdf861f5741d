//! Writes the files of a plan into a private folder, several at a time. All or nothing: a repository with a hole is no repository.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions, Permissions},
    io::{BufWriter, Write},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt, fs::PermissionsExt},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{RepositoryError, error::At, plan::Piece};
use crate::{
    causes,
    progress::{Event, Progress},
    restore::{entry::show, folder::PART, view::SnapshotView},
};

/// Files written at a time.
const THREADS: usize = 4;

/// A file that could not be read, and why.
type Unreadable = (String, String);

/// Writes `pieces` below `into`; returns how many bytes.
///
/// # Errors
/// [`RepositoryError::Damaged`] when any of them cannot be read, or the folder cannot be written.
pub fn gather(
    view: SnapshotView<'_>,
    name: &str,
    pieces: &[Piece],
    into: &Path,
    progress: &dyn Progress,
) -> Result<u64, RepositoryError> {
    for piece in pieces {
        if let Some(parent) = target(into, piece).parent() {
            fs::create_dir_all(parent).at("make folder", parent)?;
        }
    }
    let next = AtomicUsize::new(0);
    let bytes = AtomicU64::new(0);
    let unreadable: Mutex<Vec<Unreadable>> = Mutex::default();
    let broken: Mutex<Option<RepositoryError>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(pieces.len()) {
            scope.spawn(|| {
                while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match write(view, piece, &target(into, piece)) {
                        Ok(Ok(size)) => {
                            bytes.fetch_add(size, Ordering::Relaxed);
                            progress.event(Event::Advanced { part: PART, bytes: size, items: 1 });
                        }
                        Ok(Err(what)) => {
                            let problem = (show(&piece.from), what);
                            unreadable.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
                        }
                        Err(error) => {
                            // A full disk is full for all.
                            next.store(pieces.len(), Ordering::Relaxed);
                            *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut unreadable = unreadable.into_inner().unwrap_or_else(PoisonError::into_inner);
    unreadable.sort();
    let count = unreadable.len();
    match unreadable.into_iter().next() {
        Some((path, what)) => Err(RepositoryError::Damaged { name: name.to_owned(), count, path, what }),
        None => Ok(bytes.into_inner()),
    }
}

fn target(into: &Path, piece: &Piece) -> std::path::PathBuf {
    into.join(OsStr::from_bytes(&piece.to))
}

/// Writes one file; the inner error is the vault's.
fn write(view: SnapshotView<'_>, piece: &Piece, to: &Path) -> Result<Result<u64, String>, RepositoryError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).at("make file", to)?;
    let mut out = Watched { inner: BufWriter::new(file), failed: None };
    let dumped = view.dump(&piece.from, &piece.entry, &mut out);
    if let Some(source) = out.failed.take() {
        return Err(source).at("write", to);
    }
    let size = match dumped {
        Ok(size) => size,
        Err(error) => return Ok(Err(causes::on_one_line(&error))),
    };
    out.inner.flush().at("write", to)?;
    if size != piece.entry.size {
        return Ok(Err(format!("it has {size} bytes instead of {}", piece.entry.size)));
    }
    let mode = if piece.to.starts_with(b"objects/") { 0o444 } else { 0o644 };
    fs::set_permissions(to, Permissions::from_mode(mode)).at("set the mode of", to)?;
    Ok(Ok(size))
}

/// Tells a target that fails from a vault that does.
struct Watched<W> {
    inner: W,
    failed: Option<std::io::Error>,
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.inner.write(buf).map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
