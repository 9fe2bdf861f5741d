//! The folder that is restored into: opened once, marked as unfinished, locked against a second restore.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};

use crate::restore::RestoreError;

/// The scratch folder in the root of a target; it exists exactly while a restore is unfinished.
pub const SCRATCH: &str = ".ghevault-restoring";

/// The file in the scratch folder that names the snapshot and carries the lock.
const OWNER: &str = "snapshot";

/// An open target.
pub struct Target {
    path: PathBuf,
    /// The folder itself.
    pub root: OwnedFd,
    /// The scratch folder on the same file system.
    pub scratch: OwnedFd,
    _lock: File,
}

impl Target {
    /// Opens (or makes) a target for the restore of `snapshot`.
    ///
    /// # Errors
    /// It holds something else and `into_existing` is false, or holds an unfinished restore of another snapshot, or
    /// another restore is running in it.
    pub fn open(path: &Path, snapshot: &str, into_existing: bool) -> Result<Self, RestoreError> {
        let shown = || path.display().to_string();
        let io = |action: &'static str| {
            move |source: io::Error| RestoreError::Io { action, path: shown(), source }
        };
        fs::create_dir_all(path).map_err(io("make folder"))?;
        let root = open_folder(rustix::fs::CWD, path).map_err(io("open folder"))?;
        let names = names_in(&root).map_err(io("list"))?;
        let unfinished = names.iter().any(|name| name == SCRATCH.as_bytes());
        if !names.is_empty() && !unfinished && !into_existing {
            return Err(RestoreError::NotEmpty { target: shown() });
        }
        match rustix::fs::mkdirat(&root, SCRATCH, Mode::RWXU) {
            Err(rustix::io::Errno::EXIST) | Ok(()) => {}
            Err(e) => return Err(io("make the scratch folder in")(e.into())),
        }
        let scratch = open_folder(&root, SCRATCH).map_err(io("open the scratch folder of"))?;
        let mut lock = rustix::fs::openat(
            &scratch,
            OWNER,
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::RUSR | Mode::WUSR,
        )
        .map(File::from)
        .map_err(|e| io("mark")(e.into()))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| RestoreError::Busy { target: shown() })?;
        let mut owner = String::new();
        lock.read_to_string(&mut owner).map_err(io("read the mark of"))?;
        if owner.is_empty() {
            lock.write_all(snapshot.as_bytes()).and_then(|()| lock.sync_all()).map_err(io("mark"))?;
        } else if owner != snapshot && !into_existing {
            return Err(RestoreError::OtherSnapshot { target: shown(), other: owner });
        }
        let target = Self { path: path.to_owned(), root, scratch, _lock: lock };
        target.sweep(false).map_err(io("clear the scratch folder of"))?;
        Ok(target)
    }

    /// Refuses when `needed` bytes do not fit beside what an interrupted restore has left.
    ///
    /// # Errors
    /// [`RestoreError::NoSpace`].
    pub fn check_space(&self, needed: u64) -> Result<(), RestoreError> {
        let io = |source: rustix::io::Errno| RestoreError::Io {
            action: "ask for the free space of",
            path: self.shown(),
            source: source.into(),
        };
        let stat = rustix::fs::fstatvfs(&self.root).map_err(io)?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if needed <= free {
            return Ok(());
        }
        let needed = needed.saturating_sub(bytes_below(&self.path));
        if needed <= free {
            Ok(())
        } else {
            Err(RestoreError::NoSpace { target: self.shown(), needed, free })
        }
    }

    /// Makes everything durable and removes the mark. Root's times are set by nobody, so nothing is disturbed.
    ///
    /// # Errors
    /// The file system reports a failed write, or the mark cannot be removed.
    pub fn finish(self) -> Result<(), RestoreError> {
        let path = self.shown();
        let io =
            |action: &'static str, source: io::Error| RestoreError::Io { action, path: path.clone(), source };
        rustix::fs::syncfs(&self.root).map_err(|e| io("write out", e.into()))?;
        self.sweep(true).map_err(|e| io("clear the scratch folder of", e))?;
        rustix::fs::unlinkat(&self.root, SCRATCH, AtFlags::REMOVEDIR)
            .map_err(|e| io("remove the scratch folder of", e.into()))
    }

    fn sweep(&self, owner_too: bool) -> io::Result<()> {
        for name in names_in(&self.scratch)? {
            if owner_too || name != OWNER.as_bytes() {
                rustix::fs::unlinkat(&self.scratch, name.as_slice(), AtFlags::empty())?;
            }
        }
        Ok(())
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

/// Opens a folder without following a link in its last part.
pub fn open_folder(at: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?)
}

fn names_in(folder: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Bytes allocated below a folder; what cannot be read counts nothing.
fn bytes_below(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    let mut ahead = vec![path.to_owned()];
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => ahead.push(entry.path()),
                Ok(meta) => bytes += meta.blocks() * 512,
                Err(_) => {}
            }
        }
    }
    bytes
}
