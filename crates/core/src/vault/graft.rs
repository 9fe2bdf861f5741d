//! Makes the tree of a new snapshot out of the parent's: changed units put in, vanished ones taken out.
//!
//! Only the folders on the way from the root to a change are read and written; everything else is referred to by id. The
//! result is the tree that writing everything anew would give, byte for byte.
//!
//! Order of effects: first [`Graft::remove`], then [`Graft::directories`], then [`Graft::replace`].

use super::{
    error::{VaultError, VaultResult},
    reader::VaultReader,
    tree_json::sort_nodes,
    writer::BlobWriter,
};
use rustic_core::{
    TreeId,
    repofile::{Metadata, Node, NodeType, Tree},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
};

/// Mode of folders that nobody described: Go's directory bit and 0755.
const DEFAULT_MODE: u32 = 1 << 31 | 0o755;

/// What differs from the parent's tree. Paths are raw bytes from the root, `/` between names, none at either end.
#[derive(Clone, Debug, Default)]
pub struct Graft {
    /// Finished entries: files with their content, folders with their subtree. The node's name is the path's last part.
    pub replace: BTreeMap<Vec<u8>, Node>,
    /// Entries that are gone, with all that was in them. One that is not there is no error.
    pub remove: BTreeSet<Vec<u8>>,
    /// Folders with new metadata, existing or not; the empty path is the root, which has none.
    pub directories: BTreeMap<Vec<u8>, DirNode>,
}

/// A folder, described.
#[derive(Clone, Debug, Default)]
pub struct DirNode {
    /// Its metadata.
    pub meta: Metadata,
    /// All its entries, finished (then nothing below it may be in the graft); `None`: those that it had, changed as the
    /// rest of the graft says.
    pub children: Option<Vec<Node>>,
}

/// A folder on the way to a change.
#[derive(Default)]
struct Touched {
    /// Entries that go in here, by name.
    put: BTreeMap<Vec<u8>, Node>,
    /// Names that go.
    drop: BTreeSet<Vec<u8>>,
    /// The parent's version: its tree (unless it is new) and its entries.
    old: Option<(TreeId, Vec<Node>)>,
    /// Metadata of the parent's version.
    old_meta: Option<Metadata>,
}

impl Graft {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replace.is_empty() && self.remove.is_empty() && self.directories.is_empty()
    }

    /// Writes the folders between the root and the changes; returns the new root.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for paths or nodes that contradict each other, [`VaultError::Missing`] for an entry whose
    /// content or subtree is neither in the vault nor queued in `writer`; errors of reading and writing.
    pub fn apply(
        self,
        reader: &VaultReader,
        writer: &BlobWriter,
        parent: Option<TreeId>,
    ) -> VaultResult<TreeId> {
        self.validate(reader, writer)?;
        let mut touched = self.touched();
        let root = touched.entry(Vec::new()).or_default();
        if let Some(parent) = parent {
            root.old = Some((parent, reader.tree(&parent)?.nodes));
        }
        self.load_old(reader, &mut touched)?;
        let Self { replace, mut directories, .. } = self;
        for (path, node) in replace {
            let (folder, name) = split(&path);
            if let Some(folder) = touched.get_mut(folder) {
                folder.put.insert(name.to_owned(), node);
            }
        }
        // children come after their parents in the map, so the reverse order finishes them first
        while let Some((path, folder)) = touched.pop_last() {
            let described = directories.remove(&path);
            let exists = folder.old.is_some() || described.is_some() || !folder.put.is_empty();
            if path.is_empty() {
                return Ok(folder.finish(writer, described)?.0);
            }
            if exists {
                let (tree, meta) = folder.finish(writer, described)?;
                let (above, name) = split(&path);
                let mut node = Node::new_node(OsStr::from_bytes(name), NodeType::Dir, meta);
                node.subtree = Some(tree);
                if let Some(above) = touched.get_mut(above) {
                    above.put.insert(name.to_owned(), node);
                }
            }
        }
        Err(VaultError::Internal("a graft without a root"))
    }

    fn validate(&self, reader: &VaultReader, writer: &BlobWriter) -> VaultResult<()> {
        let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        let paths =
            self.replace.keys().chain(&self.remove).chain(self.directories.keys().filter(|p| !p.is_empty()));
        for path in paths {
            if path.split(|b| *b == b'/').any(|n| matches!(n, b"" | b"." | b"..") || n.contains(&0)) {
                return Err(VaultError::Invalid(format!("\"{}\" is no path inside a snapshot", shown(path))));
            }
            if let Some(above) = ancestors(path).find(|a| self.replace.contains_key(*a)) {
                let (path, above) = (shown(path), shown(above));
                return Err(VaultError::Invalid(format!(
                    "\"{path}\" lies inside \"{above}\", which is finished"
                )));
            }
            let wholly_given = |a: &[u8]| self.directories.get(a).is_some_and(|d| d.children.is_some());
            if let Some(above) = ancestors(path).find(|a| wholly_given(a)) {
                let (path, above) = (shown(path), shown(above));
                return Err(VaultError::Invalid(format!(
                    "\"{path}\" lies inside \"{above}\", whose entries are all given"
                )));
            }
        }
        if let Some(path) = self.directories.keys().find(|p| self.replace.contains_key(*p)) {
            return Err(VaultError::Invalid(format!("\"{}\" is both finished and described", shown(path))));
        }
        for (path, node) in &self.replace {
            if node.name().as_bytes() != split(path).1 {
                return Err(VaultError::Invalid(format!(
                    "the entry for \"{}\" has another name",
                    shown(path)
                )));
            }
            check_held(node, reader, writer)?;
        }
        for node in self.directories.values().filter_map(|d| d.children.as_ref()).flatten() {
            check_held(node, reader, writer)?;
        }
        Ok(())
    }

    /// All folders that will be written, the root among them.
    fn touched(&self) -> BTreeMap<Vec<u8>, Touched> {
        let mut touched: BTreeMap<Vec<u8>, Touched> = BTreeMap::new();
        for path in self.replace.keys().chain(&self.remove) {
            for above in ancestors(path) {
                touched.entry(above.to_owned()).or_default();
            }
        }
        for path in self.directories.keys() {
            touched.entry(path.clone()).or_default();
            for above in ancestors(path) {
                touched.entry(above.to_owned()).or_default();
            }
        }
        for path in &self.remove {
            let (folder, name) = split(path);
            touched.entry(folder.to_owned()).or_default().drop.insert(name.to_owned());
        }
        touched
    }

    /// Loads the parent's version of all touched folders, from the root downwards.
    fn load_old(&self, reader: &VaultReader, touched: &mut BTreeMap<Vec<u8>, Touched>) -> VaultResult<()> {
        let paths: Vec<_> = touched.keys().filter(|p| !p.is_empty()).cloned().collect();
        for path in paths {
            let (above, name) = split(&path);
            let old = touched.get(above).filter(|t| !t.drop.contains(name)).and_then(|t| t.old.as_ref());
            let name = OsStr::from_bytes(name);
            let Some(node) = old.and_then(|(_, nodes)| nodes.iter().find(|n| n.name() == name)) else {
                continue;
            };
            let (Some(subtree), meta) = (node.subtree, node.meta.clone()) else { continue };
            let wholly_given = self.directories.get(&path).is_some_and(|d| d.children.is_some());
            let nodes = if wholly_given { Vec::new() } else { reader.tree(&subtree)?.nodes };
            if let Some(folder) = touched.get_mut(&path) {
                (folder.old, folder.old_meta) = (Some((subtree, nodes)), Some(meta));
            }
        }
        Ok(())
    }
}

impl Touched {
    /// Writes the folder unless it is as it was; returns its tree and its metadata.
    fn finish(self, writer: &BlobWriter, described: Option<DirNode>) -> VaultResult<(TreeId, Metadata)> {
        let default = || Metadata { mode: Some(DEFAULT_MODE), ..Metadata::default() };
        let (meta, children) = match described {
            Some(dir) => (dir.meta, dir.children),
            None => (self.old_meta.unwrap_or_else(default), None),
        };
        let given = children.is_some();
        let mut nodes =
            children.unwrap_or_else(|| self.old.as_ref().map(|(_, n)| n.clone()).unwrap_or_default());
        nodes.retain(|n| {
            let name = n.name();
            !self.put.contains_key(name.as_bytes()) && !self.drop.contains(name.as_bytes())
        });
        nodes.extend(self.put.into_values());
        sort_nodes(&mut nodes);
        if let Some((id, old)) = self.old
            && !given
            && old == nodes
        {
            return Ok((id, meta));
        }
        Ok((writer.put_tree(&Tree { nodes })?, meta))
    }
}

/// Everything that an entry refers to directly must be held.
fn check_held(node: &Node, reader: &VaultReader, writer: &BlobWriter) -> VaultResult<()> {
    if node.is_dir() != node.subtree.is_some() {
        return Err(VaultError::Invalid(format!("the {} \"{}\" is not finished", node.node_type, node.name)));
    }
    if let Some(tree) = &node.subtree
        && !reader.contains_tree(tree)
        && !writer.has_queued_tree(tree)
    {
        return Err(VaultError::Missing { what: "tree", id: tree.to_hex().to_string() });
    }
    for blob in node.content.iter().flatten() {
        if !reader.contains_data(blob) && !writer.has_queued_data(blob) {
            return Err(VaultError::Missing { what: "data blob", id: blob.to_hex().to_string() });
        }
    }
    Ok(())
}

/// Folder (empty for the root) and name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}

/// All folders above a path, the nearest first, the root last; none for the root.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |p| (!p.is_empty()).then(|| split(p).0)).skip(1)
}

#[cfg(test)]
mod tests;
