//! Writes Git objects as a receiving `git` does: into a quarantine folder first, then moved beside the others.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::ZlibEncoder};
use sha1::{Digest, Sha1};

use crate::{
    build::owners,
    error::{OnFile, SimError},
};

/// Objects that nobody can see yet.
#[derive(Debug)]
pub struct Quarantine {
    objects: PathBuf,
    folder: PathBuf,
    names: Vec<String>,
}

impl Quarantine {
    /// An empty quarantine in a repository; `unique` makes its name.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(repository: &Path, unique: &str) -> Result<Self, SimError> {
        let objects = repository.join("objects");
        let folder = objects.join(format!("tmp_objdir-incoming-{unique}"));
        fs::create_dir(&folder).on("create", &folder)?;
        Ok(Self { objects, folder, names: Vec::new() })
    }

    /// Adds an object of a kind (`blob`, `tree`, `commit`) and returns its name.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, kind: &str, body: &[u8]) -> Result<String, SimError> {
        let mut bytes = format!("{kind} {}\0", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        let name = hex::encode(Sha1::digest(&bytes));
        let path = self.folder.join(&name);
        let file = fs::File::create(&path).on("create", &path)?;
        let mut packed = ZlibEncoder::new(file, Compression::fast());
        packed.write_all(&bytes).and_then(|()| packed.finish()).on("write", &path)?;
        self.names.push(name.clone());
        Ok(name)
    }

    /// Moves the objects to where readers see them, in the order in which they were added.
    ///
    /// # Errors
    /// A file cannot be moved.
    pub fn migrate(mut self) -> Result<(), SimError> {
        use std::os::unix::fs::PermissionsExt;
        for name in std::mem::take(&mut self.names) {
            let fan = self.objects.join(&name[..2]);
            if !fan.is_dir() {
                fs::create_dir_all(&fan).on("create", &fan)?;
                owners::adopt(&fan, &self.objects)?;
            }
            let (from, to) = (self.folder.join(&name), fan.join(&name[2..]));
            if to.exists() {
                continue;
            }
            owners::adopt(&from, &self.objects)?;
            fs::set_permissions(&from, fs::Permissions::from_mode(0o444)).on("protect", &from)?;
            fs::rename(&from, &to).on("move", &to)?;
        }
        Ok(())
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
