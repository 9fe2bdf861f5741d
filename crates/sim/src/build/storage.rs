//! Objects of the storage service (Alambic), named by their SHA-256.

use std::fs;

use sha2::{Digest, Sha256};

use crate::{
    appliance::{
        Place,
        state::{StoredObject, storage_path},
    },
    error::{OnFile, SimError},
    seed::Seed,
};

/// Stores `count` objects.
pub(super) fn write(place: &Place, seed: &Seed, count: u64) -> Result<Vec<StoredObject>, SimError> {
    let seed = seed.part("storage");
    (0..count).map(|number| create(place, &mut seed.part(&number.to_string()))).collect()
}

/// Stores one object of up to 60 kB.
///
/// # Errors
/// The file cannot be written.
pub fn create(place: &Place, seed: &mut Seed) -> Result<StoredObject, SimError> {
    let len = seed.between(100, 60_000);
    let bytes = seed.bytes(usize::try_from(len).unwrap_or(0));
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let path = storage_path(place, &sha256);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).on("create", folder)?;
    }
    fs::write(&path, bytes).on("write", path)?;
    Ok(StoredObject { sha256, bytes: len })
}
