//! Goes through a snapshot's tree.

use super::{error::VaultResult, reader::VaultReader};
use rustic_core::{TreeId, repofile::Node};
use std::os::unix::ffi::OsStrExt;

/// See [`VaultReader::walk`]. After an error it goes on with the next entry outside the folder that could not be read.
pub struct Walk {
    reader: VaultReader,
    /// Folders that are being listed: length of their path, entries still to come.
    levels: Vec<(usize, std::vec::IntoIter<Node>)>,
    path: Vec<u8>,
    /// A folder whose entries come next.
    descend: Option<TreeId>,
}

/// One entry: its path from the root (raw bytes, `/` between names, none in front) and its node.
pub type WalkEntry = (Vec<u8>, Node);

impl Walk {
    pub(super) fn new(reader: VaultReader, root: TreeId) -> Self {
        Self { reader, levels: Vec::new(), path: Vec::new(), descend: Some(root) }
    }

    /// Leaves out what is in the folder that was returned last.
    pub fn skip_folder(&mut self) {
        self.descend = None;
    }
}

impl Iterator for Walk {
    type Item = VaultResult<WalkEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(id) = self.descend.take() {
            match self.reader.tree(&id) {
                Ok(tree) => self.levels.push((self.path.len(), tree.nodes.into_iter())),
                Err(error) => return Some(Err(error)),
            }
        }
        loop {
            let (length, nodes) = self.levels.last_mut()?;
            let length = *length;
            if let Some(node) = nodes.next() {
                self.path.truncate(length);
                if length > 0 {
                    self.path.push(b'/');
                }
                self.path.extend_from_slice(node.name().as_bytes());
                self.descend = if node.is_dir() { node.subtree } else { None };
                return Some(Ok((self.path.clone(), node)));
            }
            self.levels.pop();
        }
    }
}
