//! Where all references of a repository pointed, as the files of one snapshot say.

use std::collections::BTreeMap;

use super::HistoryError;
use crate::{
    backup::files::refs,
    restore::{
        entry::{Entry, Kind, join},
        view::SnapshotView,
    },
};

/// References by name; values are object names, or `ref: …` for symbolic ones. Names are bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefTable {
    /// What `HEAD` says.
    pub head: Vec<u8>,
    /// Everything below `refs/`.
    pub refs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl RefTable {
    /// Reads the references of the repository at `path`; `None` when the snapshot does not have it.
    ///
    /// # Errors
    /// Its files cannot be read.
    pub fn read(view: SnapshotView<'_>, path: &[u8]) -> Result<Option<Self>, HistoryError> {
        let Some(root) = view.find(path)?.filter(Entry::is_directory) else { return Ok(None) };
        let mut table = Self::default();
        let mut loose = BTreeMap::new();
        for entry in view.children(path, &root.kind)?.0 {
            let at = join(path, &entry.name);
            match &entry.name[..] {
                b"HEAD" if entry.is_file() => table.head = content(view, &at, &entry)?.trim_ascii().to_vec(),
                b"packed-refs" if entry.is_file() => {
                    table.refs = refs::packed(&content(view, &at, &entry)?);
                }
                b"refs" => collect(view, &at, &entry.kind, b"refs", &mut loose)?,
                _ => {}
            }
        }
        // a loose reference hides a packed one
        table.refs.extend(loose);
        Ok(Some(table))
    }

    /// The digest that a backup notes of these references.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        refs::digest(&self.head, self.refs.iter().map(|(name, value)| (&name[..], &value[..])))
    }
}

fn collect(
    view: SnapshotView<'_>,
    path: &[u8],
    kind: &Kind,
    name: &[u8],
    into: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) -> Result<(), HistoryError> {
    for entry in view.children(path, kind)?.0 {
        let (path, name) = (join(path, &entry.name), join(name, &entry.name));
        match entry.kind {
            Kind::Directory(_) => collect(view, &path, &entry.kind, &name, into)?,
            Kind::File => {
                let value = content(view, &path, &entry)?.trim_ascii().to_vec();
                into.insert(name, value);
            }
            _ => {}
        }
    }
    Ok(())
}

fn content(view: SnapshotView<'_>, path: &[u8], entry: &Entry) -> Result<Vec<u8>, HistoryError> {
    let mut bytes = Vec::new();
    if entry.size <= refs::BYTES_MAX {
        view.dump(path, entry, &mut bytes)?;
    }
    Ok(bytes)
}
