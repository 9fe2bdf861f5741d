//! One entry of a snapshot's tree, decoded: raw bytes for names, `st_mode` bits for modes.
//!
//! Trees carry Go's `os.FileMode` bits and escaped names; everything behind this file works with what a file system
//! wants. Names that could lead out of a target (`..`, a slash) never become an [`Entry`].

use std::os::unix::ffi::OsStrExt;

use jiff::Timestamp;

use crate::vault::{Node, NodeType, TreeId};

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory with its own tree; `None` when the snapshot has none for it (an empty directory).
    Directory(Option<TreeId>),
    /// A regular file.
    File,
    /// A symbolic link with its target as raw bytes.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// Something that is never restored (socket, device), with its name in words.
    Other(&'static str),
}

/// One entry of a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The last part of its path; never empty, `.`, `..`, and without a slash or NUL.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-uid, set-gid and sticky (`0o7777`), when the snapshot knows them.
    pub mode: Option<u32>,
    /// Numeric owner, when known.
    pub uid: Option<u32>,
    /// Numeric group, when known.
    pub gid: Option<u32>,
    /// Time of the last change of content.
    pub modified: Option<Timestamp>,
    /// Time of the last access.
    pub accessed: Option<Timestamp>,
    /// Bytes of a regular file.
    pub size: u64,
    /// The entry as it stands in the tree: what [`super::view::SnapshotView::dump`] needs.
    pub node: Node,
}

/// A name in a tree that cannot stand in a directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot has the impossible name `{0}`")]
pub struct BadName(pub String);

impl Entry {
    /// Decodes a tree node.
    ///
    /// # Errors
    /// The name is not a single path component.
    pub fn decode(node: Node) -> Result<Self, BadName> {
        let name = node.name().as_bytes().to_vec();
        if name.is_empty() || name == b"." || name == b".." || name.iter().any(|b| matches!(b, b'/' | 0)) {
            return Err(BadName(show(&name)));
        }
        let kind = match &node.node_type {
            NodeType::Dir => Kind::Directory(node.subtree),
            NodeType::File => Kind::File,
            link @ NodeType::Symlink { .. } => Kind::Symlink(link.to_link().as_os_str().as_bytes().to_vec()),
            NodeType::Fifo => Kind::Fifo,
            NodeType::Socket => Kind::Other("socket"),
            NodeType::Dev { .. } => Kind::Other("block device"),
            NodeType::Chardev { .. } => Kind::Other("character device"),
        };
        Ok(Self {
            name,
            kind,
            mode: node.meta.mode.map(permissions),
            uid: node.meta.uid,
            gid: node.meta.gid,
            modified: node.meta.mtime,
            accessed: node.meta.atime,
            size: node.meta.size,
            node,
        })
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Names the file among its hard links: device and inode, when there is more than one name.
    #[must_use]
    pub fn link_identity(&self) -> Option<(u64, u64)> {
        let meta = &self.node.meta;
        (self.is_file() && meta.links > 1 && meta.inode != 0).then_some((meta.device_id, meta.inode))
    }
}

/// Turns Go's `os.FileMode` into the low twelve bits of `st_mode`.
#[must_use]
pub fn permissions(go_mode: u32) -> u32 {
    let special = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];
    special.iter().filter(|(bit, _)| go_mode & bit != 0).fold(go_mode & 0o777, |mode, (_, st)| mode | st)
}

/// A path for people: as it is when it is harmless text, with escapes for control characters and foreign bytes.
#[must_use]
pub fn show(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => path.escape_ascii().to_string(),
    }
}

/// `directory/name`, or just the name below the root.
#[must_use]
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Kind, permissions, show};
    use crate::vault::{Metadata, Node, NodeType};

    fn node(name: &str, node_type: NodeType) -> Node {
        Node { name: name.into(), node_type, meta: Metadata::default(), content: None, subtree: None }
    }

    #[test]
    fn special_mode_bits_move_to_their_unix_places() {
        assert_eq!(permissions(1 << 31 | 0o755), 0o755);
        assert_eq!(permissions(1 << 23 | 1 << 22 | 1 << 20 | 0o711), 0o7711);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", "..", "a/b", r"a\x00b"] {
            assert!(Entry::decode(node(name, NodeType::File)).is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_come_back_as_bytes() {
        let entry = Entry::decode(node(r"caf\xe9\n", NodeType::File)).expect("a legal name");
        assert_eq!(entry.name, b"caf\xe9\n");
        assert_eq!(show(&entry.name), r"caf\xe9\n");
    }

    #[test]
    fn a_raw_link_target_wins_over_its_readable_form() {
        let kind = NodeType::Symlink { linktarget: "?".into(), linktarget_raw: Some(vec![0xff, b'x']) };
        let entry = Entry::decode(node("l", kind)).expect("a legal name");
        assert_eq!(entry.kind, Kind::Symlink(vec![0xff, b'x']));
    }
}
