//! Records about units, kept inside the snapshot in pages, so that a small change rewrites little.
//!
//! A page holds records `VALUE PATH NUL`, sorted by path, `VALUE` in hexadecimal. Which page has a path, and which hides which,
//! says [`layers`](super::layers); names stand in plain pages: the first byte of the SHA-256 of the path.
//!
//! A page that cannot be read, or has not this form, is an error: it never counts as one without records.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    os::unix::ffi::OsStrExt,
};

use sha2::{Digest, Sha256};

use super::layers::{PageName, Shape, ordered};
use crate::vault::{DataId, Node, TreeId, VaultError, VaultReader};

/// Folder of the pages with unit digests.
pub const UNITS: &str = "ghevault/units";

/// Folder of the pages with ref digests.
pub const REFS: &str = "ghevault/refs";

/// Folder of the pages with names of repositories: the value is the name.
pub const NAMES: &str = "ghevault/names";

/// The first byte of the SHA-256 of a path.
pub(super) fn slot(path: &[u8]) -> u8 {
    Sha256::digest(path)[0]
}

/// Sorts records into plain pages: page name to content.
#[must_use]
pub fn write<'a>(records: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> BTreeMap<String, Vec<u8>> {
    let mut sorted: BTreeMap<u8, BTreeMap<&[u8], &[u8]>> = BTreeMap::new();
    for (path, value) in records {
        sorted.entry(slot(path)).or_default().insert(path, value);
    }
    sorted.into_iter().map(|(page, records)| (format!("{page:02x}"), content(records))).collect()
}

/// One page with these records, which are sorted by path.
#[must_use]
pub fn content<'a>(records: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut content = Vec::new();
    for (path, value) in records {
        content.extend_from_slice(hex::encode(value).as_bytes());
        content.push(b' ');
        content.extend_from_slice(path);
        content.push(0);
    }
    content
}

/// Reads one page; `None` when it has not the expected form.
#[must_use]
pub fn read(page: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    if page.is_empty() {
        return Some(Vec::new());
    }
    page.strip_suffix(&[0])?
        .split(|b| *b == 0)
        .map(|record| {
            let at = memchr::memchr(b' ', record)?;
            Some((record[at + 1..].to_vec(), hex::decode(&record[..at]).ok()?))
        })
        .collect()
}

/// The pages of a snapshot's folder, in the order in which later ones hide earlier ones; none when there is no such folder.
fn pages_of(reader: &VaultReader, root: TreeId, folder: &str) -> Result<Vec<(PageName, Node)>, VaultError> {
    let Some(tree) = reader.node_at(root, folder)?.and_then(|node| node.subtree) else {
        return Ok(Vec::new());
    };
    let tree = reader.shared_tree(&tree)?;
    let names: Vec<Vec<u8>> = tree.nodes.iter().map(|node| node.name().as_bytes().to_vec()).collect();
    ordered(names.iter().map(|name| &name[..])).map_err(|why| damaged(folder, None, why))?;
    let found = |node: &Node| Some((PageName::parse(node.name().as_bytes())?, node.clone()));
    let mut pages: Vec<(PageName, Node)> = tree.nodes.iter().filter_map(found).collect();
    pages.sort_unstable_by_key(|(name, _)| *name);
    Ok(pages)
}

fn damaged(folder: &str, page: Option<PageName>, why: impl Into<String>) -> VaultError {
    let file = page.map_or_else(|| folder.to_owned(), |page| format!("{folder}/{page}"));
    VaultError::Damaged { what: "page", file, why: why.into() }
}

type Records = Vec<(Vec<u8>, Vec<u8>)>;

fn records(
    reader: &VaultReader,
    folder: &str,
    (name, node): &(PageName, Node),
) -> Result<Records, VaultError> {
    let mut content = Vec::new();
    reader.dump(node, &mut content)?;
    read(&content).ok_or_else(|| damaged(folder, Some(*name), "it has not the form of records"))
}

/// Looks for one path in the pages of many snapshots; a page that several of them share is read once.
pub struct Lookup<'a> {
    reader: &'a VaultReader,
    folder: &'static str,
    path: Vec<u8>,
    read: HashMap<Vec<DataId>, Option<Vec<u8>>>,
}

impl<'a> Lookup<'a> {
    /// One path in one folder of pages.
    #[must_use]
    pub fn new(reader: &'a VaultReader, folder: &'static str, path: &[u8]) -> Self {
        Self { reader, folder, path: path.to_vec(), read: HashMap::new() }
    }

    /// Its value in a snapshot.
    ///
    /// # Errors
    /// The vault cannot be read, or a page is missing or damaged.
    pub fn value(&mut self, root: TreeId) -> Result<Option<Vec<u8>>, VaultError> {
        let pages = pages_of(self.reader, root, self.folder)?;
        for page in pages.iter().rev().filter(|(name, _)| name.may_hold(&self.path)) {
            let content = page.1.content.clone().unwrap_or_default();
            let value = if let Some(value) = self.read.get(&content) {
                value.clone()
            } else {
                let mut records = records(self.reader, self.folder, page)?.into_iter();
                let value = records.find(|(path, _)| *path == self.path).map(|(_, value)| value);
                self.read.insert(content, value.clone());
                value
            };
            if value.is_some() {
                return Ok(value);
            }
        }
        Ok(None)
    }
}

/// The record of one path in a snapshot's folder of pages.
///
/// # Errors
/// As [`Lookup::value`].
pub fn read_one(
    reader: &VaultReader,
    root: TreeId,
    folder: &'static str,
    path: &[u8],
) -> Result<Option<Vec<u8>>, VaultError> {
    Lookup::new(reader, folder, path).value(root)
}

/// All records of a snapshot's folder of pages.
///
/// # Errors
/// The vault cannot be read, or a page is missing or damaged, or holds a value of another kind.
pub fn read_all<D: TryFrom<Vec<u8>>>(
    reader: &VaultReader,
    root: TreeId,
    folder: &str,
) -> Result<HashMap<Vec<u8>, D>, VaultError> {
    let mut known = HashMap::new();
    for page in pages_of(reader, root, folder)? {
        for (path, value) in records(reader, folder, &page)? {
            let value = value
                .try_into()
                .map_err(|_| damaged(folder, Some(page.0), "a value has not the expected length"))?;
            known.insert(path, value);
        }
    }
    Ok(known)
}

/// Whether two snapshots have the very same folder of pages.
///
/// # Errors
/// The vault cannot be read.
pub fn are_same(reader: &VaultReader, roots: [TreeId; 2], folder: &str) -> Result<bool, VaultError> {
    let [a, b] =
        roots.map(|root| reader.node_at(root, folder).map(|node| node.and_then(|node| node.subtree)));
    let (a, b) = (a?, b?);
    Ok(a.is_some() && a == b)
}

/// What a plan needs to know about the pages of a snapshot's folder.
///
/// # Errors
/// As [`Lookup::value`].
pub fn shape(reader: &VaultReader, root: TreeId, folder: &str) -> Result<Shape, VaultError> {
    let mut shape = Shape::default();
    for page in pages_of(reader, root, folder)? {
        shape.pages.push(page.0);
        if matches!(page.0, PageName::Since(_)) {
            let paths = records(reader, folder, &page)?.into_iter().map(|(path, _)| path);
            shape.since.push(paths.collect::<BTreeSet<_>>());
        }
    }
    Ok(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let records: Vec<(Vec<u8>, Vec<u8>)> = (0..1000_u32)
            .map(|n| (format!("a/{n}\n\u{e9}").into_bytes(), n.to_be_bytes().to_vec()))
            .collect();
        let pages = write(records.iter().map(|(path, value)| (&path[..], &value[..])));
        assert!(pages.len() > 200);
        let mut back: Vec<_> = pages.values().flat_map(|page| read(page).unwrap()).collect();
        back.sort();
        let mut records = records;
        records.sort();
        assert_eq!(back, records);
    }

    #[test]
    fn one_change_touches_one_page() {
        let names: Vec<String> = (0..500).map(|n| format!("unit{n}")).collect();
        let pages = |changed: &str| {
            write(names.iter().map(|n| (n.as_bytes(), if n == changed { &b"x"[..] } else { &b"y"[..] })))
        };
        let (before, after) = (pages(""), pages("unit77"));
        assert_eq!(before.iter().filter(|(name, page)| after[*name] != **page).count(), 1);
    }

    #[test]
    fn a_page_that_was_cut_is_noticed() {
        let pages = write([(&b"a"[..], &b"v"[..])]);
        let page = pages.values().next().unwrap();
        assert!(read(&page[..page.len() - 1]).is_none());
    }
}
