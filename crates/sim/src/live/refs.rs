//! Reads and changes references on disk as `git` does: loose over packed, lock files, reflogs.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::{
    build::owners,
    error::{OnFile, SimError},
};

/// References of a repository with their values (object ids as text), by name as bytes.
pub type References = BTreeMap<Vec<u8>, String>;

/// All references below `refs/`, without HEAD.
///
/// # Errors
/// The repository cannot be read.
pub fn read_all(repository: &Path) -> Result<References, SimError> {
    let mut all = packed(repository)?;
    let mut folders = vec![repository.join("refs")];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            // A folder may go away while references are deleted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.on("list", &folder)?,
        };
        for entry in entries {
            let path = entry.on("list", &folder)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() != Some(OsStr::new("lock"))
                && let Some(value) = loose(&path)?
            {
                let name = path.strip_prefix(repository).unwrap_or(&path).as_os_str().as_bytes().to_vec();
                all.insert(name, value);
            }
        }
    }
    Ok(all)
}

/// The value of one reference.
///
/// # Errors
/// The repository cannot be read.
pub fn read(repository: &Path, name: &[u8]) -> Result<Option<String>, SimError> {
    match loose(&repository.join(OsStr::from_bytes(name)))? {
        Some(value) => Ok(Some(value)),
        None => Ok(packed(repository)?.remove(name)),
    }
}

fn loose(path: &Path) -> Result<Option<String>, SimError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok((!text.starts_with("ref:") && text.len() >= 40).then(|| text.trim().to_owned())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error).on("read", path),
    }
}

/// The references in `packed-refs`.
///
/// # Errors
/// The file cannot be read.
pub fn packed(repository: &Path) -> Result<References, SimError> {
    let path = repository.join("packed-refs");
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(References::new()),
        other => other.on("read", &path)?,
    };
    let mut all = References::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if line.first().is_some_and(|byte| !b"#^".contains(byte))
            && let Some(space) = line.iter().position(|byte| *byte == b' ')
        {
            all.insert(line[space + 1..].to_vec(), String::from_utf8_lossy(&line[..space]).into_owned());
        }
    }
    Ok(all)
}

/// Makes a folder and those above it; new ones belong to the owner of the one they are in.
fn make_folder(folder: &Path) -> Result<(), SimError> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(folder);
    make_folder(above)?;
    fs::create_dir_all(folder).on("create", folder)?;
    owners::adopt_one(folder, above)
}

/// A lock file as `git` makes it; dropped without commit, it is removed.
#[derive(Debug)]
pub struct Lock {
    target: PathBuf,
    path: PathBuf,
    file: fs::File,
    kept: bool,
}

impl Lock {
    /// Takes the lock of `target`; `None` if somebody else has it.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn take(target: &Path) -> Result<Option<Self>, SimError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        for _ in 0..3 {
            if let Some(folder) = target.parent() {
                make_folder(folder)?;
            }
            match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Some(Self { target: target.to_owned(), path, file, kept: false })),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
                // Somebody pruned the empty folder in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).on("create", path),
            }
        }
        Ok(None)
    }

    /// Replaces the target by `text` and gives the lock back.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn commit(mut self, text: &[u8]) -> Result<(), SimError> {
        self.file.write_all(text).on("write", &self.path)?;
        fs::rename(&self.path, &self.target).on("replace", &self.target)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}
