//! The private folder in which a repository is made before it gets its name.

use std::{fs, path::Path};

use super::{RepositoryError, error::At};

/// A folder that only this user may enter, removed with everything in it.
pub(super) struct Scratch(tempfile::TempDir);

impl Scratch {
    /// Makes one below `parent`, which is made if it does not exist. On the target's file system, so that the result can be renamed.
    pub(super) fn below(parent: &Path) -> Result<Self, RepositoryError> {
        fs::create_dir_all(parent).at("make folder", parent)?;
        // Mode 0700 is what the library makes.
        let folder = tempfile::Builder::new().prefix(".ghevault-repository-").tempdir_in(parent);
        Ok(Self(folder.at("make a private folder in", parent)?))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}
