//! One moment of a living appliance: changes share a lock, and whoever copies the appliance as it stands holds it alone.
//!
//! The lock is a file's, because changes are made by processes of their own, too, some of them in other namespaces.

use std::fs::File;

use crate::{
    appliance::Place,
    error::{OnFile, SimError},
};

/// Held while something is changed; nobody copies meanwhile.
///
/// # Errors
/// The lock's file cannot be made.
pub fn of_change(place: &Place) -> Result<File, SimError> {
    let (file, path) = opened(place)?;
    file.lock_shared().on("lock", path)?;
    Ok(file)
}

/// Held while the appliance is copied; nothing changes meanwhile.
///
/// # Errors
/// The lock's file cannot be made.
pub fn of_copy(place: &Place) -> Result<File, SimError> {
    let (file, path) = opened(place)?;
    file.lock().on("lock", path)?;
    Ok(file)
}

fn opened(place: &Place) -> Result<(File, std::path::PathBuf), SimError> {
    let path = place.root().join("life.lock");
    let file = File::options().create(true).append(true).open(&path).on("create", &path)?;
    Ok((file, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_go_on_beside_each_other_and_a_copy_waits_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path());
        let changes = [of_change(&place).unwrap(), of_change(&place).unwrap()];
        let (other, _) = opened(&place).unwrap();
        assert!(other.try_lock().is_err());
        drop(changes);
        let copy = of_copy(&place).unwrap();
        assert!(other.try_lock_shared().is_err());
        drop(copy);
        other.try_lock_shared().unwrap();
    }
}
