//! A notice board in a folder: one folder per origin.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use super::board::{Board, BoardError};

/// Most bytes that are read of one file; a longer one is no note.
const BYTES_MAX: u64 = 64 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct FolderBoard {
    root: PathBuf,
}

impl FolderBoard {
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

fn failed(action: &'static str, place: &std::path::Path) -> impl FnOnce(io::Error) -> BoardError {
    let place = place.display().to_string();
    move |source| BoardError::Io { action, place, source }
}

/// Names below a folder that are text and not hidden; a folder that is not there has none.
fn names(folder: &std::path::Path) -> Result<Vec<String>, BoardError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed("list", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed("list", folder))?.file_name();
        names.extend(name.to_str().filter(|name| !name.starts_with('.')).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

impl Board for FolderBoard {
    fn place(&self) -> String {
        format!("dir:{}", self.root.display())
    }

    fn origins(&self) -> Result<Vec<String>, BoardError> {
        fs::metadata(&self.root).map_err(failed("examine", &self.root))?;
        Ok(names(&self.root)?.into_iter().filter(|name| self.root.join(name).is_dir()).collect())
    }

    fn names(&self, origin: &str) -> Result<Vec<String>, BoardError> {
        names(&self.root.join(origin))
    }

    fn read(&self, origin: &str, name: &str) -> Result<Option<String>, BoardError> {
        let path = self.root.join(origin).join(name);
        let meta = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed("examine", &path))?,
        };
        let mut bytes = Vec::new();
        if meta.is_file() {
            let file = fs::File::open(&path).map_err(failed("open", &path))?;
            file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(failed("read", &path))?;
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn create(&self, origin: &str, name: &str, text: &str) -> Result<bool, BoardError> {
        let folder = self.root.join(origin);
        let path = folder.join(name);
        fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&folder)
            .map_err(failed("create a file in", &folder))?;
        // a board is public: others read it under their own names
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.as_file().sync_all())
            .map_err(failed("write", &path))?;
        match file.persist_noclobber(&path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(failed("write", &path)(error.error)),
        }
        fs::File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", &folder))?;
        Ok(true)
    }
}
