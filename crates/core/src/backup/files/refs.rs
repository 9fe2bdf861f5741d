//! The ref digest of a repository: where every reference and `HEAD` pointed, in 32 bytes.
//!
//! SHA-256 over the line `HEAD VALUE` and one line `VALUE NAME` per reference, sorted by name, where a loose reference hides a packed one
//! of the same name (contract §3.1). Anyone can make it again from a restored repository.

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt};

use sha2::{Digest, Sha256};

use super::{
    capture::Content,
    fetch::Fate,
    resolve::{Child, Pending},
};
use crate::vault::{Node, VaultError};

/// Largest file that counts as references; a `packed-refs` of a million references has about 100 MB.
pub const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Whether a file holds references, by its place: `HEAD`, `packed-refs`, and everything below `refs`.
#[must_use]
pub fn holds_refs(path: &[u8]) -> bool {
    if !path.starts_with(b"repositories/") {
        return false;
    }
    path.ends_with(b".git/HEAD")
        || path.ends_with(b".git/packed-refs")
        || memchr::memmem::find(path, b".git/refs/").is_some()
}

/// References as they are read, and the digest over them.
#[derive(Debug, Default)]
pub struct Refs {
    head: Vec<u8>,
    packed: BTreeMap<Vec<u8>, Vec<u8>>,
    loose: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Refs {
    /// Reads the references of a pending repository; `read` gives the content of a file that the parent snapshot has.
    ///
    /// # Errors
    /// `read` fails.
    pub fn of(
        repository: &Pending,
        contents: &[Fate<Content>],
        read: &dyn Fn(&Node) -> Result<Vec<u8>, VaultError>,
    ) -> Result<Self, VaultError> {
        let mut refs = Self::default();
        for child in &repository.children {
            match child {
                Child::Folder(folder) if folder.node.name().as_bytes() == b"refs" => {
                    refs.folder(folder, b"refs", contents, read)?;
                }
                Child::Folder(_) => {}
                Child::Ready(node) | Child::Wanted(node, _) => {
                    let name = node.name().as_bytes().to_vec();
                    if name == b"HEAD" || name == b"packed-refs" {
                        let bytes = content_of(child, contents, read)?;
                        if name == b"HEAD" {
                            refs.head = bytes.trim_ascii().to_vec();
                        } else {
                            refs.add_packed(&bytes);
                        }
                    }
                }
            }
        }
        Ok(refs)
    }

    fn folder(
        &mut self,
        folder: &Pending,
        prefix: &[u8],
        contents: &[Fate<Content>],
        read: &dyn Fn(&Node) -> Result<Vec<u8>, VaultError>,
    ) -> Result<(), VaultError> {
        for child in &folder.children {
            match child {
                Child::Folder(inner) => {
                    let name = [prefix, b"/", inner.node.name().as_bytes()].concat();
                    self.folder(inner, &name, contents, read)?;
                }
                Child::Ready(node) | Child::Wanted(node, _) if node.is_file() => {
                    let name = [prefix, b"/", node.name().as_bytes()].concat();
                    let value = content_of(child, contents, read)?.trim_ascii().to_vec();
                    self.loose.insert(name, value);
                }
                Child::Ready(_) | Child::Wanted(..) => {}
            }
        }
        Ok(())
    }

    fn add_packed(&mut self, bytes: &[u8]) {
        self.packed.extend(packed(bytes));
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut all: BTreeMap<&[u8], &[u8]> = self.packed.iter().map(|(n, v)| (&n[..], &v[..])).collect();
        all.extend(self.loose.iter().map(|(n, v)| (&n[..], &v[..])));
        digest(&self.head, all.into_iter())
    }
}

/// References of a `packed-refs` file: lines `OID NAME`; comments and peeled tags are no references.
#[must_use]
pub fn packed(bytes: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let lines =
        bytes.split(|b| *b == b'\n').filter(|line| !line.starts_with(b"#") && !line.starts_with(b"^"));
    let pair = |line: &[u8]| {
        let at = memchr::memchr(b' ', line)?;
        Some((line[at + 1..].to_vec(), line[..at].to_vec()))
    };
    lines.filter_map(pair).collect()
}

/// The digest over `HEAD` and references (name and value), sorted by name.
#[must_use]
pub fn digest<'a>(head: &[u8], refs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [b"HEAD ", head, b"\n"] {
        hash.update(part);
    }
    for (name, value) in refs {
        for part in [value, b" ", name, b"\n"] {
            hash.update(part);
        }
    }
    hash.finalize().into()
}

/// The content of a file: as it was just fetched, or from the parent snapshot.
pub(super) fn content_of(
    child: &Child,
    contents: &[Fate<Content>],
    read: &dyn Fn(&Node) -> Result<Vec<u8>, VaultError>,
) -> Result<Vec<u8>, VaultError> {
    match child {
        Child::Ready(node) => read(node),
        Child::Wanted(_, at) => Ok(match &contents[*at] {
            Fate::Stored(content) | Fate::Unsteady(content) => content.bytes.clone().unwrap_or_default(),
            _ => Vec::new(),
        }),
        Child::Folder(_) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_with_references_are_kept_in_memory() {
        let repo = "repositories/c/nw/c4/ca/42/1/1.git";
        for path in ["HEAD", "packed-refs", "refs/heads/a/b"] {
            assert!(holds_refs(format!("{repo}/{path}").as_bytes()), "{path}");
        }
        for path in ["config", "logs/HEAD", "objects/pack/x", "info/refs"] {
            assert!(!holds_refs(format!("{repo}/{path}").as_bytes()), "{path}");
        }
        assert!(!holds_refs(b"storage/x.git/refs/y"));
    }

    #[test]
    fn a_loose_reference_hides_a_packed_one_and_peeled_lines_do_not_count() {
        let mut packed = Refs { head: b"ref: refs/heads/main".to_vec(), ..Refs::default() };
        packed.add_packed(b"# pack-refs with: peeled\naa refs/heads/main\nbb refs/tags/v1\n^cc\n");
        let mut loose = Refs { head: packed.head.clone(), ..Refs::default() };
        loose.add_packed(b"99 refs/heads/main\nbb refs/tags/v1\n");
        loose.loose.insert(b"refs/heads/main".to_vec(), b"aa".to_vec());
        assert_eq!(packed.digest(), loose.digest());
        loose.head = b"ref: refs/heads/other".to_vec();
        assert_ne!(packed.digest(), loose.digest());
    }
}
