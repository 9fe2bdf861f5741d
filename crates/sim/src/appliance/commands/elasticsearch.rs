//! `ghe-es-dump-json URL` and `ghe-es-load-json URL`: an audit-log index as JSON lines (contract §2.9).

use std::{collections::HashSet, fs, io::Cursor, path::PathBuf};

use super::{Call, Ended, call::keep};
use crate::{
    appliance::Place,
    error::{OnFile, SimError},
};

/// The file that keeps an index.
#[must_use]
pub fn index_file(place: &Place, index: &str) -> PathBuf {
    place.store("audit-log").join(format!("{}.jsonl", index.replace('/', "_")))
}

/// All indices with their sizes in bytes, by name.
///
/// # Errors
/// The store cannot be listed.
pub fn indices(place: &Place) -> Result<Vec<(String, u64)>, SimError> {
    let folder = place.store("audit-log");
    let mut indices = Vec::new();
    for entry in fs::read_dir(&folder).on("list", &folder)? {
        let entry = entry.on("list", &folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(index) = name.strip_suffix(".jsonl") {
            indices.push((index.to_owned(), entry.metadata().on("inspect", entry.path())?.len()));
        }
    }
    indices.sort();
    Ok(indices)
}

fn index_of(call: &Call) -> String {
    call.arg(0).rsplit('/').next().unwrap_or_default().to_owned()
}

pub(super) fn dump(call: &Call) -> Ended {
    let index = index_of(call);
    let file = index_file(&call.place, &index);
    if !file.exists() {
        return Err(SimError::Refused(format!("no such index [{index}]")));
    }
    call.print_file(&file)?;
    Ok(0)
}

/// Loading merges: a document that is already there stays once.
pub(super) fn load(call: &Call) -> Ended {
    let file = index_file(&call.place, &index_of(call));
    let mut text = fs::read(&file).unwrap_or_default();
    let old = text.clone();
    let known: HashSet<&[u8]> = old.split(|byte| *byte == b'\n').collect();
    for line in call.stdin()?.split(|byte| *byte == b'\n') {
        if line.is_empty() || known.contains(line) {
            continue;
        }
        if serde_json::from_slice::<serde_json::Value>(line).is_err() {
            return Err(SimError::Refused("a line is not JSON".to_owned()));
        }
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    keep(&file, &mut Cursor::new(text))?;
    Ok(0)
}
