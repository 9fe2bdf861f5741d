//! Deletion of a reference: out of `packed-refs` first, then the loose file, both under their locks.

use std::{ffi::OsStr, fs, io, os::unix::ffi::OsStrExt};

use super::{
    journal,
    refs::{self, Lock},
};
use crate::{
    appliance::Place,
    build::owners,
    error::{OnFile, SimError},
};

/// Deletes a reference; whether it happened (a lock in the way refuses it).
///
/// # Errors
/// The repository or the journal cannot be written.
pub fn delete(place: &Place, route: &str, name: &[u8]) -> Result<bool, SimError> {
    let repository = place.repositories().join(route);
    let path = repository.join(OsStr::from_bytes(name));
    let Some(_reference) = Lock::take(&path)? else { return Ok(false) };
    let packed = repository.join("packed-refs");
    if refs::packed(&repository)?.contains_key(name) {
        let Some(lock) = Lock::take(&packed)? else { return Ok(false) };
        journal::append(place, route, name, None)?;
        lock.commit(&without(&fs::read(&packed).on("read", &packed)?, name))?;
        owners::adopt(&packed, &repository)?;
    } else {
        journal::append(place, route, name, None)?;
    }
    for file in [path, repository.join("logs").join(OsStr::from_bytes(name))] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).on("remove", file),
            _ => {}
        }
    }
    Ok(true)
}

/// The text of `packed-refs` without one reference and what it is peeled to.
fn without(text: &[u8], name: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut dropped = false;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let peeled = line.starts_with(b"^");
        if !peeled {
            let (_, named) =
                line.split_at(line.iter().position(|byte| *byte == b' ').map_or(line.len(), |at| at + 1));
            dropped = named.trim_ascii_end() == name && !line.starts_with(b"#");
        }
        if !dropped {
            kept.extend_from_slice(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_reference_leaves_packed_refs_with_its_peeled_line() {
        let text = b"# pack-refs with: peeled \naa refs/heads/a\nbb refs/tags/v1\n^cc\ndd refs/tags/v10\n";
        let kept = super::without(text, b"refs/tags/v1");
        assert_eq!(kept, b"# pack-refs with: peeled \naa refs/heads/a\ndd refs/tags/v10\n");
    }
}
