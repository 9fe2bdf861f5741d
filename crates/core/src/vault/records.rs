//! Small records of ours beside what restic knows, encrypted with the vault's key: holds, and what was forgotten.
//!
//! As all own files they are created once. A record that does not open with the vault's key was not written by somebody who
//! has its password, and is an error: to go on without it might drop what it protects.

use super::{
    error::{VaultError, VaultResult},
    format::decompress,
    open::Vault,
};
use serde::{Serialize, de::DeserializeOwned};

/// Compression level.
const LEVEL: i32 = 3;
/// Largest record, plain (bytes).
const BYTES_MAX: usize = 64 << 20;

impl Vault {
    /// All records of a folder with their names, by name.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] for one that is not what was written, the store's errors.
    pub fn records<T: DeserializeOwned>(&self, folder: &str) -> VaultResult<Vec<(String, T)>> {
        let mut records = Vec::new();
        for file in self.own.list_own(folder, "")? {
            // one that vanished since was replaced by a later one, which the next listing shows
            let Some(sealed) = self.own.read_own(folder, &file.name)? else { continue };
            let damaged =
                |why: &str| VaultError::damaged("record", format!("ghevault/{folder}/{}", file.name), why);
            let packed = self
                .cipher
                .open(&sealed)
                .ok_or_else(|| damaged("it was not written with this vault's key"))?;
            let json = decompress(&packed, BYTES_MAX).ok_or_else(|| damaged("it does not decompress"))?;
            let record =
                serde_json::from_slice(&json).map_err(|e| damaged(&format!("it does not parse: {e}")))?;
            records.push((file.name, record));
        }
        Ok(records)
    }

    /// Creates a record; `false` when one of that name exists, which then stays.
    ///
    /// # Errors
    /// The store's.
    pub fn add_record<T: Serialize>(&self, folder: &str, name: &str, record: &T) -> VaultResult<bool> {
        let failed = |_| VaultError::Internal("a record does not serialise");
        let json = serde_json::to_vec(record).map_err(failed)?;
        let packed =
            zstd::bulk::compress(&json, LEVEL).map_err(|_| VaultError::Internal("compression failed"))?;
        self.own.create_own(folder, name, &self.cipher.seal(&packed)?)
    }

    /// Removes a record that a later one stands for; one that cannot be removed stays, and is no harm.
    pub fn drop_record(&self, folder: &str, name: &str) {
        if let Err(error) = self.own.remove_own(folder, name) {
            tracing::debug!(%error, "a record that counts no more stays");
        }
    }
}
