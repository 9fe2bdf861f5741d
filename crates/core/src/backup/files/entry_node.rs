//! Turns an entry of the listing into the vault's node for it.

use std::{collections::HashMap, ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use crate::{
    appliance::listing::{Entry, Kind},
    vault::{Metadata, Node, NodeType},
};

/// Names of the appliance's users and groups by number.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    /// User names.
    pub users: HashMap<u32, String>,
    /// Group names.
    pub groups: HashMap<u32, String>,
}

impl Owners {
    /// Reads lines of `passwd` and `group` files: the name is the first field, the number the third.
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        let read = |text: &str| {
            text.lines()
                .filter_map(|line| {
                    let mut fields = line.split(':');
                    let name = fields.next()?;
                    Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
                })
                .collect()
        };
        Self { users: read(passwd), groups: read(group) }
    }
}

/// The node of an entry, without content or subtree.
#[must_use]
pub fn node_of(entry: &Entry, owners: &Owners) -> Node {
    let name = entry.path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let node_type = match entry.kind {
        Kind::Folder => NodeType::Dir,
        Kind::Link => NodeType::from_link(Path::new(OsStr::from_bytes(&entry.target))),
        Kind::Fifo => NodeType::Fifo,
        Kind::Socket => NodeType::Socket,
        Kind::File | Kind::Other => NodeType::File,
    };
    let folder = entry.kind == Kind::Folder;
    let meta = Metadata {
        mode: Some(go_mode(entry.kind, entry.mode)),
        mtime: Some(entry.mtime),
        atime: Some(entry.mtime),
        ctime: Some(entry.ctime),
        uid: Some(entry.uid),
        gid: Some(entry.gid),
        user: owners.users.get(&entry.uid).cloned(),
        group: owners.groups.get(&entry.gid).cloned(),
        inode: entry.inode,
        // The device only has to tell hard links apart; all data stands on one file system (contract §4).
        device_id: u64::from(!folder && entry.links > 1),
        size: if folder { 0 } else { entry.size },
        links: if folder { 0 } else { entry.links },
        extended_attributes: Vec::new(),
    };
    Node::new_node(OsStr::from_bytes(name), node_type, meta)
}

/// restic keeps modes in the form of Go's `os.FileMode`.
fn go_mode(kind: Kind, mode: u32) -> u32 {
    let kind = match kind {
        Kind::Folder => 1 << 31,
        Kind::Link => 1 << 27,
        Kind::Fifo => 1 << 25,
        Kind::Socket => 1 << 24,
        Kind::File | Kind::Other => 0,
    };
    let flag = |bit: u32, go: u32| if mode & bit == 0 { 0 } else { 1 << go };
    (mode & 0o777) | kind | flag(0o4000, 23) | flag(0o2000, 22) | flag(0o1000, 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::listing::{Record, parse};

    fn node(facts: &[u8], path: &[u8]) -> Node {
        let owners = Owners::parse("git:x:500:501::/:/bin/sh\n", "git:x:501:\n");
        node_of(&parse(Record { facts, path }).unwrap(), &owners)
    }

    #[test]
    fn modes_are_those_of_go() {
        assert_eq!(node(b"d2775 0 0 0 0.0 0.0 1 2 ", b"a").meta.mode, Some(0x8000_0000 | 0x40_0000 | 0o775));
        assert_eq!(node(b"f4755 0 0 0 0.0 0.0 1 1 ", b"a").meta.mode, Some(0x80_0000 | 0o755));
    }

    #[test]
    fn owners_have_names_where_the_appliance_knows_them() {
        let known = node(b"f644 500 501 1 0.0 0.0 1 1 ", b"x/y");
        assert_eq!((known.meta.user.as_deref(), known.meta.group.as_deref()), (Some("git"), Some("git")));
        assert_eq!(node(b"f644 7 7 1 0.0 0.0 1 1 ", b"y").meta.user, None);
        assert_eq!(known.name().as_bytes(), b"y");
    }

    #[test]
    fn link_targets_are_bytes() {
        let link = node(b"l777 0 0 2 0.0 0.0 1 1 \xff/x", b"l");
        assert_eq!(link.node_type.to_link().as_os_str().as_bytes(), b"\xff/x");
    }
}
