//! A snapshot directory as the builder sees it: a listing, and the contents of files. This file: one on this machine.
//!
//! Records have the form of the appliance's listing, with facts that stay the same while other snapshots come and go: hard-linking a file
//! changes its ctime and link count, and says nothing about it (contract §4.3). So ctime is the mtime, link counts are 1, folders
//! have neither inode nor size.

use std::{
    fs, io,
    io::Read,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crate::{
    appliance::{
        channel::ChannelError,
        listing::{ListingError, Record},
    },
    backup::{
        context::CaptureError,
        files::{
            capture::Content,
            fetch::{Fate, Wanted},
        },
    },
    vault::VaultError,
};

/// Files read at the same time.
const THREADS_MAX: usize = 4;

/// Why a snapshot directory cannot be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The vault takes nothing.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The appliance.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The connection.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A listing cannot be understood.
    #[error(transparent)]
    Listing(#[from] ListingError),
}

/// Whether a directory still is what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there, and finished.
    Whole,
    /// It carries the file `incomplete`: it is being made, or being deleted (contract §4.4).
    Incomplete,
    /// It is gone.
    Gone,
}

/// Stores one file's content; the number is the file's place among the wanted ones.
pub type Store<'a> = dyn Fn(usize, &mut dyn Read) -> Result<Content, VaultError> + Sync + 'a;

/// A snapshot directory.
pub trait SnapshotFolder: Sync {
    /// Calls `each` for everything below the directory, folders before what is in them; returns what could not be listed, with reasons.
    ///
    /// # Errors
    /// Nothing can be listed, or `each` says so.
    fn list(
        &self,
        each: &mut dyn FnMut(Record<'_>) -> Result<(), ListingError>,
    ) -> Result<Vec<(Vec<u8>, String)>, FolderError>;

    /// Reads files and hands their contents to `store`; what single files met is in the result.
    ///
    /// # Errors
    /// The vault or the connection fails.
    fn read(&self, wanted: &[Wanted], store: &Store<'_>) -> Result<Vec<Fate<Content>>, FolderError>;

    /// Whether the directory still is what it was.
    ///
    /// # Errors
    /// It cannot be asked.
    fn standing(&self) -> Result<Standing, FolderError>;
}

/// A snapshot directory on this machine.
#[derive(Clone, Debug)]
pub struct LocalFolder(pub PathBuf);

impl SnapshotFolder for LocalFolder {
    fn list(
        &self,
        each: &mut dyn FnMut(Record<'_>) -> Result<(), ListingError>,
    ) -> Result<Vec<(Vec<u8>, String)>, FolderError> {
        let mut unlisted = Vec::new();
        walk(&self.0, &mut Vec::new(), &mut unlisted, each)?;
        Ok(unlisted)
    }

    fn read(&self, wanted: &[Wanted], store: &Store<'_>) -> Result<Vec<Fate<Content>>, FolderError> {
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let mut fates: Vec<Option<Fate<Content>>> = Vec::new();
        fates.resize_with(wanted.len(), || None);
        let results = Mutex::new((fates, None));
        let worker = || {
            while !stop.load(Ordering::Relaxed) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(file) = wanted.get(at) else { return };
                let result = one(&self.0, file, at, store);
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                match result {
                    Ok(fate) => results.0[at] = Some(fate),
                    Err(error) => {
                        results.1.get_or_insert(error);
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS_MAX);
        std::thread::scope(|scope| {
            for _ in 1..threads.min(wanted.len()) {
                scope.spawn(worker);
            }
            worker();
        });
        let (fates, error) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) => Err(error.into()),
            None => Ok(fates.into_iter().map(|fate| fate.unwrap_or(Fate::Vanished)).collect()),
        }
    }

    fn standing(&self) -> Result<Standing, FolderError> {
        if !self.0.is_dir() {
            return Ok(Standing::Gone);
        }
        Ok(if self.0.join("incomplete").exists() { Standing::Incomplete } else { Standing::Whole })
    }
}

/// Reads one file; only the vault's failures are errors.
fn one(root: &Path, file: &Wanted, at: usize, store: &Store<'_>) -> Result<Fate<Content>, VaultError> {
    let path = root.join(std::ffi::OsStr::from_bytes(&file.path));
    let mut opened = match fs::File::open(&path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Fate::Vanished),
        Err(error) => return Ok(Fate::Failed(error.to_string())),
    };
    match store(at, &mut opened) {
        Ok(content) => {
            // What was read is counted by the file's own length: contents may be stored unpacked.
            let steady = opened.metadata().is_ok_and(|meta| meta.len() == file.size);
            Ok(if steady { Fate::Stored(content) } else { Fate::Unsteady(content) })
        }
        Err(VaultError::Stream(source)) => Ok(Fate::Failed(source.to_string())),
        Err(error) => Err(error),
    }
}

fn walk(
    folder: &Path,
    path: &mut Vec<u8>,
    unlisted: &mut Vec<(Vec<u8>, String)>,
    each: &mut dyn FnMut(Record<'_>) -> Result<(), ListingError>,
) -> Result<(), FolderError> {
    let names: io::Result<Vec<_>> =
        fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    let mut names = match names {
        Ok(names) => names,
        Err(error) => {
            unlisted.push((path.clone(), error.to_string()));
            return Ok(());
        }
    };
    names.sort();
    let length = path.len();
    for name in names {
        let full = folder.join(&name);
        path.truncate(length);
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        let meta = match fs::symlink_metadata(&full) {
            Ok(meta) => meta,
            Err(error) => {
                unlisted.push((path.clone(), error.to_string()));
                continue;
            }
        };
        let facts = facts(&full, &meta);
        each(Record { facts: &facts, path })?;
        if meta.is_dir() {
            walk(&full, path, unlisted, each)?;
        }
    }
    path.truncate(length);
    Ok(())
}

/// The facts of an entry, as [`super::remote::FORMAT_SNAPSHOT`] prints them.
fn facts(path: &Path, meta: &fs::Metadata) -> Vec<u8> {
    let kind = meta.file_type();
    let letter = match () {
        () if kind.is_file() => 'f',
        () if kind.is_dir() => 'd',
        () if kind.is_symlink() => 'l',
        () if kind.is_fifo() => 'p',
        () if kind.is_socket() => 's',
        () => 'o',
    };
    let folder = kind.is_dir();
    let (size, inode) = if folder { (0, 0) } else { (meta.len(), meta.ino()) };
    let time = format!("{}.{:09}0", meta.mtime(), meta.mtime_nsec());
    let mode = meta.mode() & 0o7777;
    let mut facts = format!("{letter}{mode:o} {} {} {size} {time} {time} {inode} 1 ", meta.uid(), meta.gid())
        .into_bytes();
    if kind.is_symlink() {
        facts.extend_from_slice(fs::read_link(path).unwrap_or_default().as_os_str().as_bytes());
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::listing::{Kind, parse};

    fn listed(root: &Path) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        LocalFolder(root.into())
            .list(&mut |record| {
                all.push((String::from_utf8_lossy(record.path).into_owned(), record.facts.to_vec()));
                Ok(())
            })
            .unwrap();
        all
    }

    #[test]
    fn a_listing_has_every_entry_and_does_not_change_when_files_get_more_links() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("snapshot");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "content").unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("a/link")).unwrap();
        let before = listed(&root);
        let paths: Vec<_> = before.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/file", "a/link"]);
        fs::hard_link(root.join("a/b/file"), dir.path().join("other")).unwrap();
        assert_eq!(listed(&root), before);
        let entry = |at: usize| {
            let (path, facts) = &before[at];
            parse(Record { facts, path: path.as_bytes() }).unwrap()
        };
        assert_eq!((entry(2).kind, entry(2).size), (Kind::File, 7));
        assert_eq!((entry(3).kind, entry(3).target), (Kind::Link, b"nowhere".to_vec()));
    }

    #[test]
    fn a_file_that_is_gone_is_told_from_one_that_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        fs::write(dir.path().join("grown"), "longer than listed").unwrap();
        let wanted = |path: &str| Wanted { path: path.into(), size: 3 };
        let store = |_: usize, body: &mut dyn Read| {
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes).map_err(|error| VaultError::Stream(error.into()))?;
            Ok(Content { size: bytes.len() as u64, ..Content::default() })
        };
        let fates = LocalFolder(dir.path().into())
            .read(&[wanted("gone"), wanted("folder"), wanted("grown")], &store)
            .unwrap();
        assert_eq!(fates[0], Fate::Vanished);
        assert!(matches!(&fates[1], Fate::Failed(why) if why.contains("directory")), "{fates:?}");
        assert!(matches!(&fates[2], Fate::Unsteady(_)));
    }
}
