//! Our own files in a bucket.

use super::{
    super::{
        error::{VaultError, VaultResult},
        own::{OWN_FOLDER, OwnFile, OwnStore},
    },
    bucket::Bucket,
    put::Put,
};
use crate::aws::FailureKind;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Name below the vault.
fn named(folder: &str, name: &str) -> String {
    format!("{OWN_FOLDER}/{folder}/{name}")
}

impl OwnStore for Bucket {
    fn place(&self) -> String {
        Bucket::place(self)
    }

    fn absent(&self) -> VaultResult<Option<String>> {
        match self.answers() {
            Ok(()) => Ok(None),
            Err(VaultError::Service { source, .. }) if source.kind == FailureKind::NotFound => {
                Ok(Some("there is no such bucket".into()))
            }
            Err(error) => Err(error),
        }
    }

    fn list_own(&self, folder: &str, after: &str) -> VaultResult<Vec<OwnFile>> {
        let files = self.list(&named(folder, ""), after)?;
        Ok(files
            .into_iter()
            .filter(|file| !file.name.contains('/'))
            .map(|file| OwnFile { name: file.name, modified: file.modified })
            .collect())
    }

    fn first_own(&self, folder: &str, after: &str, most: usize) -> VaultResult<Vec<OwnFile>> {
        let files = self.list_first(&named(folder, ""), after, most)?;
        Ok(files.into_iter().map(|file| OwnFile { name: file.name, modified: file.modified }).collect())
    }

    fn read_own(&self, folder: &str, name: &str) -> VaultResult<Option<Bytes>> {
        self.get(&named(folder, name))
    }

    fn create_own(&self, folder: &str, name: &str, content: &[u8]) -> VaultResult<bool> {
        let name = named(folder, name);
        let content = Bytes::copy_from_slice(content);
        match self.put_new(&name, &content, &Sha256::digest(&content))? {
            Put::Written => Ok(true),
            Put::Exists { perhaps_ours: false } => Ok(false),
            Put::Exists { perhaps_ours: true } => Ok(self.get(&name)?.is_some_and(|there| there == content)),
        }
    }

    fn remove_own(&self, folder: &str, name: &str) -> VaultResult<()> {
        self.remove(&named(folder, name))
    }

    fn restic_locks(&self) -> VaultResult<Vec<Bytes>> {
        let mut locks = Vec::new();
        for file in self.list("locks/", "")? {
            locks.extend(self.get(&format!("locks/{}", file.name))?);
        }
        Ok(locks)
    }

    /// An interrupted upload leaves nothing.
    fn clean(&self) -> VaultResult<usize> {
        self.writable().map(|()| 0)
    }
}
