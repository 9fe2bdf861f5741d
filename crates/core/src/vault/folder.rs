//! A store in a folder: temporary file, sync, rename, sync of the folder.
//!
//! The backend of rustic's own crate writes under the final name, so a crash could leave a truncated pack under a valid
//! name; this one cannot. Temporary files live in `ghevault/tmp`, beside what restic knows, and are cleaned by the next
//! writer that holds the lease.

use super::{
    error::{VaultError, VaultResult},
    own::{OWN_FOLDER, OwnFile, OwnStore},
    store::{Store, file_name, kind_word},
};
use bytes::Bytes;
use jiff::Timestamp;
use rustic_core::{
    Id,
    repofile::{ALL_FILE_TYPES, FileType},
};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn temporary_folder(&self) -> PathBuf {
        self.root.join(OWN_FOLDER).join("tmp")
    }

    fn path(&self, kind: FileType, id: &Id) -> PathBuf {
        self.root.join(file_name(kind, id))
    }

    /// As restic has it: files are the owner's alone, unless the group may read the configuration; then it may read all.
    fn file_mode(&self) -> u32 {
        let config = fs::metadata(self.root.join("config")).map_or(0, |m| m.mode());
        0o600 | (config & 0o040)
    }

    /// A complete and synced temporary file that is to become `path`.
    fn temporary(&self, prefix: &str, path: &Path, content: &[Bytes]) -> VaultResult<NamedTempFile> {
        let folder = self.temporary_folder();
        fs::create_dir_all(&folder).map_err(|e| VaultError::io("create folder", &folder, e))?;
        let mut file = tempfile::Builder::new()
            .prefix(&format!("{prefix}-"))
            .tempfile_in(&folder)
            .map_err(|e| VaultError::io("create", folder.join("(temporary)"), e))?;
        let failed = |e| VaultError::io("write", path, e);
        // not at creation: there the process's mask would interfere
        file.as_file().set_permissions(fs::Permissions::from_mode(self.file_mode())).map_err(failed)?;
        for part in content {
            file.write_all(part).map_err(failed)?;
        }
        file.as_file().sync_all().map_err(failed)?;
        Ok(file)
    }

    fn list_folder(folder: &Path, found: &mut Vec<(Id, u64)>) -> VaultResult<()> {
        for entry in fs::read_dir(folder).map_err(|e| VaultError::io("list", folder, e))? {
            let entry = entry.map_err(|e| VaultError::io("list", folder, e))?;
            let Some(id) = entry.file_name().to_str().filter(|n| n.len() == 64).and_then(|n| n.parse().ok())
            else {
                continue;
            };
            match entry.metadata() {
                Ok(meta) if meta.is_file() => found.push((id, meta.len())),
                Ok(_) => {}
                // removed between listing and asking: it is gone, and nothing is wrong
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(VaultError::io("examine", entry.path(), error)),
            }
        }
        Ok(())
    }

    fn open(&self, kind: FileType, id: &Id) -> VaultResult<(File, PathBuf)> {
        let path = self.path(kind, id);
        match File::open(&path) {
            Ok(file) => Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(VaultError::damaged(kind_word(kind), file_name(kind, id), "the file is missing"))
            }
            Err(error) => Err(VaultError::io("open", path, error)),
        }
    }
}

/// Makes the entries of a folder durable.
fn sync_folder(folder: &Path) -> VaultResult<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| VaultError::io("sync", folder, e))
}

impl Store for FolderStore {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn create(&self) -> VaultResult<()> {
        let make =
            |path: PathBuf| fs::create_dir_all(&path).map_err(|e| VaultError::io("create folder", &path, e));
        make(self.root.clone())?;
        for kind in ALL_FILE_TYPES {
            make(self.root.join(kind.dirname()))?;
        }
        make(self.root.join("locks"))?; // stock restic expects it
        for byte in 0..=u8::MAX {
            make(self.root.join("data").join(hex::encode([byte])))?;
        }
        make(self.temporary_folder())?;
        sync_folder(&self.root.join("data"))?;
        sync_folder(&self.root)
    }

    fn exists(&self, kind: FileType, id: &Id) -> VaultResult<bool> {
        let path = self.path(kind, id);
        path.try_exists().map_err(|e| VaultError::io("examine", path, e))
    }

    fn list(&self, kind: FileType) -> VaultResult<Vec<(Id, u64)>> {
        let folder = self.root.join(kind.dirname());
        let mut found = Vec::new();
        match kind {
            FileType::Config => {
                let path = self.root.join("config");
                match fs::metadata(&path) {
                    Ok(meta) => found.push((Id::default(), meta.len())),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(VaultError::io("examine", path, error)),
                }
            }
            FileType::Pack => {
                for entry in fs::read_dir(&folder).map_err(|e| VaultError::io("list", &folder, e))? {
                    let entry = entry.map_err(|e| VaultError::io("list", &folder, e))?;
                    if entry.path().is_dir() {
                        Self::list_folder(&entry.path(), &mut found)?;
                    }
                }
            }
            _ => Self::list_folder(&folder, &mut found)?,
        }
        Ok(found)
    }

    fn read(&self, kind: FileType, id: &Id) -> VaultResult<Bytes> {
        let (mut file, path) = self.open(kind, id)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(|e| VaultError::io("read", path, e))?;
        Ok(content.into())
    }

    fn read_part(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> VaultResult<Bytes> {
        let (mut file, path) = self.open(kind, id)?;
        let mut content = vec![0; length];
        file.seek(SeekFrom::Start(offset)).map_err(|e| VaultError::io("read", &path, e))?;
        match file.read_exact(&mut content) {
            Ok(()) => Ok(content.into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(VaultError::damaged(
                kind_word(kind),
                file_name(kind, id),
                "the file is shorter than it should be",
            )),
            Err(error) => Err(VaultError::io("read", path, error)),
        }
    }

    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> VaultResult<()> {
        let path = self.path(kind, id);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(|e| VaultError::io("create folder", folder, e))?;
        let file = self.temporary(kind.dirname(), &path, content)?;
        let placed = if kind == FileType::Config {
            file.persist_noclobber(&path).map_err(|e| match e.error.kind() {
                io::ErrorKind::AlreadyExists => VaultError::AlreadyExists { location: self.location() },
                _ => VaultError::io("write", &path, e.error),
            })
        } else {
            file.persist(&path).map_err(|e| VaultError::io("write", &path, e.error))
        }?;
        drop(placed);
        sync_folder(folder)
    }

    fn remove(&self, kind: FileType, id: &Id) -> VaultResult<()> {
        let path = self.path(kind, id);
        fs::remove_file(&path).map_err(|e| VaultError::io("remove", &path, e))
    }
}

impl OwnStore for FolderStore {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn absent(&self) -> VaultResult<Option<String>> {
        match fs::metadata(&self.root) {
            Ok(meta) if meta.is_dir() => Ok(None),
            Ok(_) => Ok(Some("it is not a folder".into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Some("there is no such folder".into())),
            Err(e) => Err(VaultError::io("examine", &self.root, e)),
        }
    }

    fn list_own(&self, folder: &str, after: &str) -> VaultResult<Vec<OwnFile>> {
        let folder = self.root.join(OWN_FOLDER).join(folder);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| VaultError::io("list", &folder, e))?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| VaultError::io("list", &folder, e))?;
            let Some(name) = entry.file_name().to_str().filter(|name| *name > after).map(str::to_owned)
            else {
                continue;
            };
            match entry.metadata().and_then(|meta| meta.modified()) {
                Ok(modified) => {
                    let modified = Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH);
                    files.push(OwnFile { name, modified });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(VaultError::io("examine", entry.path(), error)),
            }
        }
        files.sort();
        Ok(files)
    }

    fn read_own(&self, folder: &str, name: &str) -> VaultResult<Option<Bytes>> {
        let path = self.root.join(OWN_FOLDER).join(folder).join(name);
        match fs::read(&path) {
            Ok(content) => Ok(Some(content.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(VaultError::io("read", &path, error)),
        }
    }

    fn create_own(&self, folder: &str, name: &str, content: &[u8]) -> VaultResult<bool> {
        let place = self.root.join(OWN_FOLDER).join(folder);
        let path = place.join(name);
        fs::create_dir_all(&place).map_err(|e| VaultError::io("create folder", &place, e))?;
        let mut file = self.temporary(folder, &path, &[Bytes::copy_from_slice(content)])?;
        loop {
            match file.persist_noclobber(&path) {
                Ok(_) => break,
                Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                // the next writer's cleaning took our temporary file: it believed us dead
                Err(e) if e.error.kind() == io::ErrorKind::NotFound && place.is_dir() => {
                    file = self.temporary(folder, &path, &[Bytes::copy_from_slice(content)])?;
                }
                Err(e) => return Err(VaultError::io("write", &path, e.error)),
            }
        }
        sync_folder(&place)?;
        Ok(true)
    }

    fn remove_own(&self, folder: &str, name: &str) -> VaultResult<()> {
        let path = self.root.join(OWN_FOLDER).join(folder).join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(VaultError::io("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    fn restic_locks(&self) -> VaultResult<Vec<Bytes>> {
        let folder = self.root.join("locks");
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| VaultError::io("list", &folder, e))?,
        };
        let mut locks = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| VaultError::io("list", &folder, e))?.path();
            locks.extend(fs::read(&path).ok().map(Bytes::from));
        }
        Ok(locks)
    }

    fn clean(&self) -> VaultResult<usize> {
        let folder = self.temporary_folder();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other.map_err(|e| VaultError::io("list", &folder, e))?,
        };
        let mut removed = 0;
        for entry in entries {
            let path = entry.map_err(|e| VaultError::io("list", &folder, e))?.path();
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(VaultError::io("remove", &path, error)),
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, FolderStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderStore::new(dir.path());
        store.create().unwrap();
        (dir, store)
    }

    #[test]
    fn the_configuration_is_never_overwritten() {
        let (_dir, store) = store();
        let write = |text: &'static str| {
            store.write(FileType::Config, &Id::default(), &[Bytes::from_static(text.as_bytes())])
        };
        write("first").unwrap();
        assert!(matches!(write("second"), Err(VaultError::AlreadyExists { .. })));
        assert_eq!(&store.read(FileType::Config, &Id::default()).unwrap()[..], b"first");
        assert_eq!(store.clean().unwrap(), 0);
    }

    #[test]
    fn files_are_the_owners_alone_unless_the_group_may_read_the_configuration() {
        let (dir, store) = store();
        let mode_of_new = |kind, id: &Id| {
            store.write(kind, id, &[Bytes::from_static(b"x")]).unwrap();
            fs::metadata(store.path(kind, id)).unwrap().mode() & 0o777
        };
        assert_eq!(mode_of_new(FileType::Config, &Id::default()), 0o600);
        assert_eq!(mode_of_new(FileType::Pack, &Id::random()), 0o600);
        fs::set_permissions(dir.path().join("config"), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(mode_of_new(FileType::Pack, &Id::random()), 0o640);
    }

    #[test]
    fn a_part_beyond_the_end_is_damage_and_no_short_read() {
        let (_dir, store) = store();
        let id = Id::random();
        store.write(FileType::Pack, &id, &[Bytes::from_static(b"abc"), Bytes::from_static(b"def")]).unwrap();
        assert_eq!(&store.read_part(FileType::Pack, &id, 2, 3).unwrap()[..], b"cde");
        assert!(matches!(store.read_part(FileType::Pack, &id, 4, 3), Err(VaultError::Damaged { .. })));
        assert!(matches!(store.read(FileType::Pack, &Id::random()), Err(VaultError::Damaged { .. })));
        assert_eq!(store.list(FileType::Pack).unwrap(), [(id, 6)]);
        store.remove(FileType::Pack, &id).unwrap();
        assert!(store.list(FileType::Pack).unwrap().is_empty());
    }
}
