//! Files of ours beside what restic knows, under `ghevault/`: leases, wrapped keys, holds.
//!
//! They are created once and never overwritten, so that the same code works on a bucket whose writer may create and read
//! but neither overwrite nor delete. What changes gets a new name; readers take the highest.

use super::error::VaultResult;
use bytes::Bytes;
use jiff::Timestamp;

/// Folder inside a vault for what restic does not know.
pub(super) const OWN_FOLDER: &str = "ghevault";

/// One file in a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnFile {
    /// Its name inside its folder.
    pub name: String,
    /// When it was written, by the store's clock.
    pub modified: Timestamp,
}

/// A place that keeps them. Names of folders and files are plain: letters, digits, `-`, `.`, `_`.
pub(crate) trait OwnStore: Send + Sync + 'static {
    /// The vault in words.
    fn place(&self) -> String;
    /// Why there can be no vault here (no such folder, no such bucket); `None` when there may be one.
    fn absent(&self) -> VaultResult<Option<String>>;
    /// Files of `folder` whose names are greater than `after`, by name; a folder that does not exist is empty.
    fn list_own(&self, folder: &str, after: &str) -> VaultResult<Vec<OwnFile>>;
    /// The first `most` of [`OwnStore::list_own`].
    fn first_own(&self, folder: &str, after: &str, most: usize) -> VaultResult<Vec<OwnFile>> {
        let mut files = self.list_own(folder, after)?;
        files.truncate(most);
        Ok(files)
    }
    /// A whole file; `None` when there is none.
    fn read_own(&self, folder: &str, name: &str) -> VaultResult<Option<Bytes>>;
    /// Creates a file, durably and atomically; `false` when it exists, whose content then stays.
    fn create_own(&self, folder: &str, name: &str, content: &[u8]) -> VaultResult<bool>;
    /// Removes a file; one that is gone already is fine.
    fn remove_own(&self, folder: &str, name: &str) -> VaultResult<()>;
    /// Contents of the lock files of stock restic; what vanishes meanwhile is left out.
    fn restic_locks(&self) -> VaultResult<Vec<Bytes>>;
    /// Removes what interrupted writes left; only for the holder of the lease. Returns how many there were.
    fn clean(&self) -> VaultResult<usize>;
}
