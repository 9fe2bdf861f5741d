//! The journal: every value that each reference ever had, with the time from which it had it.
//!
//! A line is written before the reference changes, so whatever a reader saw on disk is in the journal.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufWriter, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::refs;
use crate::{
    appliance::{Place, log::now_us},
    error::{OnFile, SimError},
};

/// One value of one reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// Microseconds since 1970 from which the reference may have this value.
    pub time_us: u64,
    /// Route of the repository below `/data/user/repositories`.
    pub repository: String,
    /// Name of the reference; bytes that are not UTF-8 as `\xNN`.
    pub reference: String,
    /// The object id; `None`: the reference was deleted.
    pub value: Option<String>,
}

/// The text form of a reference's name; a backslash is not allowed in names, so it is unambiguous.
#[must_use]
pub fn reference_text(name: &[u8]) -> String {
    name.utf8_chunks().fold(String::new(), |mut text, chunk| {
        text.push_str(chunk.valid());
        chunk.invalid().iter().fold(text, |text, byte| text + &format!("\\x{byte:02x}"))
    })
}

/// Starts the journal with the references that exist.
///
/// # Errors
/// A repository cannot be read, or the journal cannot be written.
pub fn begin(place: &Place) -> Result<(), SimError> {
    let path = place.journal();
    let mut file = BufWriter::new(fs::File::create(&path).on("create", &path)?);
    for repository in repositories(place)? {
        for (name, value) in refs::read_all(&place.repositories().join(&repository))? {
            write_line(&mut file, &path, &entry(&repository, &name, Some(value)))?;
        }
    }
    file.flush().on("write", path)
}

fn entry(repository: &str, name: &[u8], value: Option<String>) -> Value {
    Value { time_us: now_us(), repository: repository.to_owned(), reference: reference_text(name), value }
}

fn write_line(to: &mut impl Write, path: &Path, value: &Value) -> Result<(), SimError> {
    let mut line = serde_json::to_vec(value)
        .map_err(|error| SimError::Corrupt { path: path.to_owned(), reason: error.to_string() })?;
    line.push(b'\n');
    to.write_all(&line).on("write", path)
}

/// Appends the value that a reference is about to have.
///
/// # Errors
/// The journal cannot be written.
pub fn append(place: &Place, repository: &str, name: &[u8], value: Option<String>) -> Result<(), SimError> {
    let path = place.journal();
    let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).on("open", &path)?;
    write_line(&mut file, &path, &entry(repository, name, value))
}

/// All values, by repository and reference, oldest first.
pub type Journal = BTreeMap<(String, String), Vec<Value>>;

/// Reads the journal.
///
/// # Errors
/// It cannot be read or does not parse.
pub fn read(place: &Place) -> Result<Journal, SimError> {
    let path = place.journal();
    let text = fs::read_to_string(&path).on("read", &path)?;
    let mut journal = Journal::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line)
            .map_err(|error| SimError::Corrupt { path: path.clone(), reason: error.to_string() })?;
        journal.entry((value.repository.clone(), value.reference.clone())).or_default().push(value);
    }
    Ok(journal)
}

/// Routes of all repositories on disk (members, shared stores, wikis, gists), in order.
///
/// # Errors
/// The disk cannot be listed.
pub fn repositories(place: &Place) -> Result<Vec<String>, SimError> {
    let root = place.repositories();
    let mut found = Vec::new();
    let mut folders = vec![(root.clone(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).on("list", &folder)? {
            let entry = entry.on("list", &folder)?;
            let (path, name) = (entry.path(), entry.file_name());
            if !entry.file_type().on("inspect", &path)?.is_dir() || name.to_string_lossy().starts_with("__") {
                continue;
            }
            if name.to_string_lossy().ends_with(".git") {
                let route = path.strip_prefix(&root).unwrap_or(&path);
                found.push(route.to_string_lossy().into_owned());
            } else if depth < 6 {
                folders.push((path, depth + 1));
            }
        }
    }
    found.sort();
    Ok(found)
}
