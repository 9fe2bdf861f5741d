//! What a new snapshot stands on: the one before it, and the vault that both are in.

use std::{collections::BTreeSet, ffi::OsStr, os::unix::ffi::OsStrExt};

use jiff::Timestamp;

use crate::vault::{BlobWriter, DataId, Metadata, Node, NodeType, TreeId, VaultError, VaultReader};

/// The vault's side of a run; nothing of it needs an appliance.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The snapshot that the new one builds on.
    pub parent: Option<TreeId>,
    /// Reads it.
    pub reader: &'a VaultReader,
    /// Stores what is new.
    pub writer: &'a BlobWriter,
    /// The time stamp of everything that has none on the appliance.
    pub started: Timestamp,
}

impl Ground<'_> {
    /// The node that the parent snapshot has at `path`.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn parent_node(&self, path: &[u8]) -> Result<Option<Node>, VaultError> {
        self.parent.as_ref().map_or(Ok(None), |root| self.reader.node_at(*root, path))
    }

    /// Entries that the parent snapshot has in a folder and that are not among `names`.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn gone_from(&self, folder: &[u8], names: &BTreeSet<Vec<u8>>) -> Result<Vec<Vec<u8>>, VaultError> {
        let Some(tree) = self.parent_node(folder)?.and_then(|node| node.subtree) else {
            return Ok(Vec::new());
        };
        let nodes = self.reader.tree(&tree)?.nodes;
        let gone =
            nodes.iter().map(|node| node.name().as_bytes().to_vec()).filter(|name| !names.contains(name));
        Ok(gone.map(|name| [folder, b"/", &name].concat()).collect())
    }

    /// A file that comes from a command: the parent's node if it has the same content, else a new one.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn synthetic(&self, path: &[u8], content: Vec<DataId>, size: u64) -> Result<Node, VaultError> {
        let before = self.parent_node(path)?;
        if let Some(before) = before
            && before.is_file()
            && before.meta.size == size
            && before.content.as_ref() == Some(&content)
        {
            return Ok(before);
        }
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let mut node =
            Node::new_node(OsStr::from_bytes(name), NodeType::File, self.synthetic_meta(0o600, size));
        node.content = Some(content);
        Ok(node)
    }

    /// Facts of a file or folder that has none on the appliance.
    #[must_use]
    pub fn synthetic_meta(&self, mode: u32, size: u64) -> Metadata {
        Metadata {
            mode: Some(mode),
            mtime: Some(self.started),
            atime: Some(self.started),
            ctime: Some(self.started),
            size,
            ..Metadata::default()
        }
    }

    /// Stores bytes that are in memory as the file `path`.
    ///
    /// # Errors
    /// The vault fails.
    pub fn store_bytes(&self, path: &[u8], bytes: &[u8]) -> Result<Node, VaultError> {
        let stored = self.writer.put_file(&mut &bytes[..])?;
        self.synthetic(path, stored.content, stored.size)
    }
}
