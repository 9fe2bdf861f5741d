//! Compares the entries of a changed unit with the parent snapshot's trees: what is known needs no fetching.

use std::{collections::HashMap, os::unix::ffi::OsStrExt};

use super::{
    entry_node::{Owners, node_of},
    fetch::Wanted,
};
use crate::{
    appliance::listing::{Entry, Kind},
    vault::{DataId, Node, Tree, TreeId, VaultError},
};

/// A folder of the new state whose contents are partly still on their way.
#[derive(Debug)]
pub struct Pending {
    /// The folder itself, without its subtree.
    pub node: Node,
    /// What stands in it, in the order of the names' bytes.
    pub children: Vec<Child>,
}

impl Pending {
    /// The entry at a path below this folder.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Child> {
        let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let found = self.children.iter().find(|child| child.node().name().as_bytes() == first.as_bytes())?;
        match (rest, found) {
            (None, found) => Some(found),
            (Some(rest), Child::Folder(folder)) => folder.at(rest),
            (Some(_), _) => None,
        }
    }
}

/// One entry of a pending folder.
#[derive(Debug)]
pub enum Child {
    /// Nothing is missing.
    Ready(Node),
    /// A folder.
    Folder(Pending),
    /// A file whose content is the n-th wanted one.
    Wanted(Node, usize),
}

impl Child {
    fn node(&self) -> &Node {
        match self {
            Self::Ready(node) | Self::Wanted(node, _) => node,
            Self::Folder(pending) => &pending.node,
        }
    }
}

/// How far facts about files of the parent snapshot are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A file with the same size, times and inode is the same.
    Facts,
    /// Times and inodes are of another disk, after a promotion or a restore: only files whose name is a hash of what they hold are
    /// believed, with the same size.
    Names,
    /// Nothing is believed; everything is read again.
    Nothing,
}

/// Reads trees of the parent snapshot.
pub trait Trees {
    /// The tree with this id.
    ///
    /// # Errors
    /// It cannot be read.
    fn tree(&self, id: &TreeId) -> Result<Tree, VaultError>;
}

/// Sorts entries so that a folder stands before its contents and siblings stand in the order of their names' bytes.
pub fn sort(entries: &mut [Entry]) {
    let key = |path: &[u8]| path.iter().map(|b| if *b == b'/' { 0 } else { *b }).collect::<Vec<u8>>();
    entries.sort_by_cached_key(|entry| key(&entry.path));
}

/// Builds the pending folder of a unit. `entries` are sorted and begin with the unit's root; `parent` is the root's subtree in the
/// parent snapshot. New files are appended to `wanted`.
///
/// # Errors
/// A tree of the parent snapshot cannot be read.
pub fn resolve(
    entries: &[Entry],
    owners: &Owners,
    trust: Trust,
    parent: Option<TreeId>,
    trees: &dyn Trees,
    wanted: &mut Vec<Wanted>,
) -> Result<Option<Pending>, VaultError> {
    let Some((root, rest)) = entries.split_first() else { return Ok(None) };
    if root.kind != Kind::Folder {
        return Ok(None);
    }
    let mut walk = Walk { owners, trust, trees, wanted, rest };
    Ok(Some(walk.folder(root, parent)?))
}

struct Walk<'a> {
    owners: &'a Owners,
    trust: Trust,
    trees: &'a dyn Trees,
    wanted: &'a mut Vec<Wanted>,
    rest: &'a [Entry],
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Entry, parent: Option<TreeId>) -> Result<Pending, VaultError> {
        let mut before: HashMap<Vec<u8>, Node> = match parent {
            None => HashMap::new(),
            Some(id) => {
                let tree = self.trees.tree(&id)?;
                tree.nodes.into_iter().map(|node| (node.name().as_bytes().to_vec(), node)).collect()
            }
        };
        let mut children = Vec::new();
        while let Some((entry, rest)) = self.rest.split_first() {
            if !is_child(&folder.path, &entry.path) {
                break;
            }
            self.rest = rest;
            let name = &entry.path[folder.path.len() + 1..];
            let known = before.remove(name);
            let mut node = node_of(entry, self.owners);
            children.push(match entry.kind {
                Kind::Folder => {
                    let subtree = known.filter(Node::is_dir).and_then(|k| k.subtree);
                    Child::Folder(self.folder(entry, subtree)?)
                }
                Kind::File => {
                    let content = known.and_then(|k| self.same_content(entry, &node, &k));
                    if entry.size == 0 {
                        node.content = Some(Vec::new());
                        Child::Ready(node)
                    } else if let Some(content) = content {
                        node.content = Some(content);
                        Child::Ready(node)
                    } else {
                        self.wanted.push(Wanted { path: entry.path.clone(), size: entry.size });
                        Child::Wanted(node, self.wanted.len() - 1)
                    }
                }
                Kind::Link | Kind::Fifo | Kind::Socket => Child::Ready(node),
                Kind::Other => continue,
            });
        }
        Ok(Pending { node: node_of(folder, self.owners), children })
    }

    /// The content of the file in the parent snapshot, if it is the same file.
    fn same_content(&self, entry: &Entry, new: &Node, old: &Node) -> Option<Vec<DataId>> {
        if self.trust == Trust::Nothing || !old.is_file() || old.meta.size != new.meta.size {
            return None;
        }
        let facts = self.trust == Trust::Facts
            && old.meta.mtime == new.meta.mtime
            && old.meta.ctime == new.meta.ctime
            && old.meta.inode == new.meta.inode;
        (facts || is_content_addressed(&entry.path)).then(|| old.content.clone()).flatten()
    }
}

/// Whether `path` lies directly or deeper below `folder`; sorted input makes the first of them a direct child.
fn is_child(folder: &[u8], path: &[u8]) -> bool {
    path.len() > folder.len() + 1 && path.starts_with(folder) && path[folder.len()] == b'/'
}

/// Whether a file's name is a hash of what it holds, so that the same name and size mean the same bytes: loose objects, packs and
/// their first index, and storage objects (contract §2.11, §2.13). After a promotion inode and ctime say nothing.
fn is_content_addressed(path: &[u8]) -> bool {
    let mut parts = path.rsplit(|b| *b == b'/');
    let (Some(name), Some(folder)) = (parts.next(), parts.next()) else { return false };
    let hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    if path.starts_with(b"storage/") {
        return name.len() == 64 && hex(name);
    }
    if !path.starts_with(b"repositories/") {
        return false;
    }
    if folder == b"pack" {
        let pack = name.strip_suffix(b".pack").or_else(|| name.strip_suffix(b".idx"));
        return pack
            .and_then(|p| p.strip_prefix(b"pack-"))
            .is_some_and(|p| (p.len() == 40 || p.len() == 64) && hex(p));
    }
    folder.len() == 2
        && hex(folder)
        && (name.len() == 38 || name.len() == 62)
        && hex(name)
        && parts.next() == Some(b"objects")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoTrees;
    impl Trees for NoTrees {
        fn tree(&self, _: &TreeId) -> Result<Tree, VaultError> {
            Ok(Tree::default())
        }
    }

    fn entry(kind: Kind, path: &str) -> Entry {
        Entry {
            path: path.as_bytes().to_vec(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 3,
            mtime: jiff::Timestamp::UNIX_EPOCH,
            ctime: jiff::Timestamp::UNIX_EPOCH,
            inode: 1,
            links: 1,
            target: Vec::new(),
        }
    }

    #[test]
    fn siblings_stand_in_the_order_of_their_bytes_and_keep_their_contents_together() {
        let mut entries = [
            entry(Kind::File, "u/a.b"),
            entry(Kind::File, "u/a/z"),
            entry(Kind::Folder, "u"),
            entry(Kind::Folder, "u/a"),
            entry(Kind::File, "u/a-"),
        ];
        sort(&mut entries);
        let paths: Vec<_> = entries.iter().map(|e| String::from_utf8_lossy(&e.path).into_owned()).collect();
        assert_eq!(paths, ["u", "u/a", "u/a/z", "u/a-", "u/a.b"]);
        let mut wanted = Vec::new();
        let pending = resolve(&entries, &Owners::default(), Trust::Facts, None, &NoTrees, &mut wanted)
            .unwrap()
            .unwrap();
        assert_eq!(pending.children.len(), 3);
        assert_eq!(wanted.len(), 3);
    }

    /// A tree with the one file that the entry names, as the parent snapshot has it.
    struct OneFile(Entry);
    impl Trees for OneFile {
        fn tree(&self, _: &TreeId) -> Result<Tree, VaultError> {
            let mut node = node_of(&self.0, &Owners::default());
            node.content = Some(vec![DataId::default()]);
            Ok(Tree { nodes: vec![node] })
        }
    }

    fn fetched(trust: Trust, path: &str, size_before: u64) -> bool {
        let (folder, _) = path.rsplit_once('/').expect("a path");
        let entries = [entry(Kind::Folder, folder), entry(Kind::File, path)];
        let before = OneFile(Entry { size: size_before, ..entry(Kind::File, path) });
        let mut wanted = Vec::new();
        resolve(&entries, &Owners::default(), trust, Some(TreeId::default()), &before, &mut wanted).unwrap();
        !wanted.is_empty()
    }

    #[test]
    fn after_a_promotion_equal_times_and_inodes_say_nothing_but_names_of_objects_do() {
        let pack = "repositories/c/nw/c4/ca/42/1/1.git/objects/pack/pack-0123456789abcdef0123456789abcdef01234567.pack";
        let head = "repositories/c/nw/c4/ca/42/1/1.git/HEAD";
        assert!(!fetched(Trust::Facts, head, 3));
        assert!(fetched(Trust::Names, head, 3));
        assert!(!fetched(Trust::Names, pack, 3));
        assert!(fetched(Trust::Names, pack, 4), "another size is another file");
        assert!(fetched(Trust::Nothing, pack, 3));
    }

    #[test]
    fn packs_and_loose_objects_are_content_addressed_but_bitmaps_are_not() {
        let repo = "repositories/c/nw/c4/ca/42/1/1.git/objects";
        let hash = "0123456789abcdef0123456789abcdef01234567";
        assert!(is_content_addressed(format!("{repo}/pack/pack-{hash}.idx").as_bytes()));
        assert!(is_content_addressed(format!("{repo}/01/{}", &hash[2..]).as_bytes()));
        assert!(!is_content_addressed(format!("{repo}/pack/pack-{hash}.bitmap").as_bytes()));
        assert!(!is_content_addressed(format!("{repo}/info/packs").as_bytes()));
        assert!(!is_content_addressed(b"repositories/c/nw/c4/ca/42/1/1.git/refs/heads/01"));
    }
}
