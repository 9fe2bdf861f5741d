//! Reading one snapshot: its directories, its files, and an ordered walk over both.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use super::entry::{Entry, Kind, join, show};
use crate::{
    causes,
    vault::{Node, TreeId, VaultError, VaultReader},
};

/// Where trees and file contents come from: the vault's reader, or a stand-in in tests.
pub trait Source: Send + Sync {
    /// The nodes of a tree, in the order of the tree.
    ///
    /// # Errors
    /// The tree is missing or damaged.
    fn tree(&self, id: &TreeId) -> Result<Vec<Node>, SourceError>;

    /// Writes the whole content of a file to `out`.
    ///
    /// # Errors
    /// A part of the content is missing or damaged, or `out` fails.
    fn dump(&self, node: &Node, out: &mut dyn Write) -> Result<(), SourceError>;

    /// How many bytes a file's content really has, if that can be told without reading it.
    fn length(&self, node: &Node) -> Option<u64> {
        let _ = node;
        None
    }
}

impl Source for VaultReader {
    fn tree(&self, id: &TreeId) -> Result<Vec<Node>, SourceError> {
        Ok(VaultReader::tree(self, id)?.nodes)
    }

    fn dump(&self, node: &Node, out: &mut dyn Write) -> Result<(), SourceError> {
        VaultReader::dump(self, node, out)?;
        Ok(())
    }

    fn length(&self, node: &Node) -> Option<u64> {
        node.content.iter().flatten().map(|id| self.data_size(id)).sum()
    }
}

/// Something in the vault could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

impl From<VaultError> for SourceError {
    fn from(error: VaultError) -> Self {
        Self(causes::on_one_line(&error))
    }
}

/// Why a part of a snapshot could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// A directory's tree cannot be read.
    #[error("cannot read directory `{path}` of the snapshot")]
    Directory {
        /// The directory, `/` for the root.
        path: String,
        /// The vault's answer.
        source: SourceError,
    },
    /// A file's content cannot be read.
    #[error("cannot read file `{path}` of the snapshot")]
    File {
        /// The file.
        path: String,
        /// The vault's answer.
        source: SourceError,
    },
    /// A file is larger than what may be held in memory for it.
    #[error("file `{path}` of the snapshot has {size} bytes, expected at most {limit}")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

/// What a walk calls for each entry, with its path; the answer is whether to go into a directory.
pub type Visit<'v, E> = dyn FnMut(&[u8], &Entry) -> Result<bool, E> + 'v;

/// One snapshot's tree.
#[derive(Clone, Copy)]
pub struct SnapshotView<'a> {
    source: &'a dyn Source,
    root: TreeId,
}

impl<'a> SnapshotView<'a> {
    /// The view of the tree `root` in `source`.
    #[must_use]
    pub fn new(source: &'a dyn Source, root: TreeId) -> Self {
        Self { source, root }
    }

    /// The root directory as an entry's kind.
    #[must_use]
    pub fn root(&self) -> Kind {
        Kind::Directory(Some(self.root))
    }

    /// The entries of a directory (of nothing for any other kind), and what is wrong with names in it: impossible ones
    /// and second ones are no entries.
    ///
    /// # Errors
    /// The directory's tree cannot be read.
    pub fn children(&self, path: &[u8], kind: &Kind) -> Result<(Vec<Entry>, Vec<String>), ViewError> {
        let Kind::Directory(Some(tree)) = kind else { return Ok((Vec::new(), Vec::new())) };
        let nodes = self.source.tree(tree).map_err(|source| ViewError::Directory {
            path: if path.is_empty() { "/".into() } else { show(path) },
            source,
        })?;
        let (mut entries, mut bad) = (Vec::with_capacity(nodes.len()), Vec::new());
        let mut names = HashSet::with_capacity(nodes.len());
        for node in nodes {
            match Entry::decode(node) {
                // A link and a directory of one name would lead a later entry out of the target.
                Ok(entry) if !names.insert(entry.name.clone()) => {
                    bad.push(format!("the snapshot has the name `{}` twice", show(&entry.name)));
                }
                Ok(entry) => entries.push(entry),
                Err(name) => bad.push(name.to_string()),
            }
        }
        Ok((entries, bad))
    }

    /// The entry at a path, if the snapshot has it.
    ///
    /// # Errors
    /// A directory on the way cannot be read.
    pub fn find(&self, path: &[u8]) -> Result<Option<Entry>, ViewError> {
        let mut at = Vec::new();
        let mut kind = self.root();
        let mut found = None;
        for part in path.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
            let (entries, _) = self.children(&at, &kind)?;
            let Some(entry) = entries.into_iter().find(|e| e.name == part) else { return Ok(None) };
            at = join(&at, part);
            kind = entry.kind.clone();
            found = Some(entry);
        }
        Ok(found)
    }

    /// Writes the content of a file to `out` and returns its length in bytes.
    ///
    /// # Errors
    /// The content cannot be read, or `out` fails.
    pub fn dump(&self, path: &[u8], entry: &Entry, out: &mut dyn Write) -> Result<u64, ViewError> {
        let mut counted = Counted { out, bytes: 0 };
        self.source
            .dump(&entry.node, &mut counted)
            .map_err(|source| ViewError::File { path: show(path), source })?;
        Ok(counted.bytes)
    }

    /// How many bytes a file's content really has, if the source can tell without reading it.
    #[must_use]
    pub fn length(&self, entry: &Entry) -> Option<u64> {
        self.source.length(&entry.node)
    }

    /// The content of a small file, or `None` if the snapshot has no such file.
    ///
    /// # Errors
    /// It cannot be read or is larger than `limit` bytes.
    pub fn read(&self, path: &[u8], limit: u64) -> Result<Option<Vec<u8>>, ViewError> {
        let Some(entry) = self.find(path)?.filter(Entry::is_file) else { return Ok(None) };
        if entry.size > limit {
            return Err(ViewError::TooLarge { path: show(path), size: entry.size, limit });
        }
        let mut content = Vec::new();
        self.dump(path, &entry, &mut content)?;
        Ok(Some(content))
    }

    /// Calls `visit` for everything below `path` (not for it), a directory before its entries. `visit` answers
    /// whether to go into a directory.
    ///
    /// # Errors
    /// A directory cannot be read, or what `visit` returned.
    pub fn walk<E: From<ViewError>>(
        &self,
        path: &[u8],
        kind: &Kind,
        visit: &mut Visit<'_, E>,
    ) -> Result<(), E> {
        let (entries, _) = self.children(path, kind)?;
        for entry in entries {
            let below = join(path, &entry.name);
            if visit(&below, &entry)? && entry.is_directory() {
                self.walk(&below, &entry.kind, visit)?;
            }
        }
        Ok(())
    }
}

struct Counted<'w> {
    out: &'w mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, SnapshotView, Source, SourceError, TreeId, Write};
    use crate::vault::{Metadata, NodeType};

    struct Twice;

    impl Source for Twice {
        fn tree(&self, _: &TreeId) -> Result<Vec<Node>, SourceError> {
            let link = NodeType::Symlink { linktarget: "/etc".into(), linktarget_raw: None };
            let node = |name: &str, node_type| Node {
                name: name.into(),
                node_type,
                meta: Metadata::default(),
                content: None,
                subtree: None,
            };
            Ok(vec![node("a", link), node("a", NodeType::Dir), node("..", NodeType::File)])
        }

        fn dump(&self, _: &Node, _: &mut dyn Write) -> Result<(), SourceError> {
            Err(SourceError("nothing is here".into()))
        }
    }

    #[test]
    fn a_second_entry_of_a_name_and_a_way_out_are_no_entries() {
        let view = SnapshotView::new(&Twice, TreeId::default());
        let (entries, bad) = view.children(b"", &view.root()).expect("a tree");
        assert_eq!(entries.len(), 1);
        assert!(bad.len() == 2 && bad[0].contains("twice") && bad[1].contains(".."), "{bad:?}");
    }
}
