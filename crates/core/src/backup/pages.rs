//! Records about units, kept inside the snapshot in pages, so that a small change rewrites little.
//!
//! A page holds records `VALUE PATH NUL`, sorted by path; the page of a path is the first byte of its SHA-256, in hexadecimal.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use crate::vault::{TreeId, VaultError, VaultReader};

/// Folder of the pages with unit digests.
pub const UNITS: &str = "ghevault/units";

/// Folder of the pages with ref digests.
pub const REFS: &str = "ghevault/refs";

/// Folder of the pages with names of repositories: the value is the name.
pub const NAMES: &str = "ghevault/names";

/// Sorts records into pages: page name to content.
#[must_use]
pub fn write<'a>(records: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> BTreeMap<String, Vec<u8>> {
    let mut sorted: BTreeMap<u8, BTreeMap<&[u8], &[u8]>> = BTreeMap::new();
    for (path, value) in records {
        sorted.entry(Sha256::digest(path)[0]).or_default().insert(path, value);
    }
    sorted
        .into_iter()
        .map(|(page, records)| {
            let mut content = Vec::new();
            for (path, value) in records {
                content.extend_from_slice(hex::encode(value).as_bytes());
                content.push(b' ');
                content.extend_from_slice(path);
                content.push(0);
            }
            (format!("{page:02x}"), content)
        })
        .collect()
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

/// All records of a snapshot's folder of pages; what cannot be understood counts as absent.
///
/// # Errors
/// The vault cannot be read.
pub fn read_all<D: TryFrom<Vec<u8>>>(
    reader: &VaultReader,
    root: TreeId,
    folder: &str,
) -> Result<HashMap<Vec<u8>, D>, VaultError> {
    let mut known = HashMap::new();
    let Some(folder) = reader.node_at(root, folder)? else { return Ok(known) };
    let Some(tree) = folder.subtree else { return Ok(known) };
    for node in reader.tree(&tree)?.nodes {
        let mut content = Vec::new();
        reader.dump(&node, &mut content)?;
        for (path, digest) in read(&content).unwrap_or_default() {
            if let Ok(digest) = digest.try_into() {
                known.insert(path, digest);
            }
        }
    }
    Ok(known)
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
