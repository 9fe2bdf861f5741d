//! Ref digests in a real vault: what a later snapshot hides, what is missing, what is damaged.

use crate::support::vaults;
use std::collections::{BTreeMap, HashMap};

use ghevault_core::{
    backup::{
        layers::{self, Shape},
        pages,
    },
    vault::{BlobWriter, Graft, Metadata, Node, NodeType, TreeId, VaultError},
};
use vaults::*;

type Digests = BTreeMap<Vec<u8>, [u8; 32]>;

fn file(writer: &BlobWriter, name: &str, content: &[u8]) -> Node {
    let stored = writer.put_bytes(content.to_vec()).unwrap();
    let mut node = Node::new_node(std::ffi::OsStr::new(name), NodeType::File, Metadata::default());
    (node.meta.size, node.content) = (stored.size, Some(stored.content));
    node
}

/// The next snapshot, as a backup writes its digests.
fn next(scratch: &Scratch, parent: Option<TreeId>, now: &Digests) -> TreeId {
    let store = |reader: &_, writer: &BlobWriter| {
        let (before, shape) = match parent {
            Some(tree) => (
                pages::read_all(reader, tree, pages::REFS).unwrap(),
                pages::shape(reader, tree, pages::REFS).unwrap(),
            ),
            None => (HashMap::new(), Shape::default()),
        };
        let plan = layers::plan(&shape, &before, now);
        let path = |name: &String| format!("{}/{name}", pages::REFS).into_bytes();
        let mut graft = Graft { remove: plan.remove.iter().map(path).collect(), ..Graft::default() };
        for (name, content) in &plan.write {
            graft.replace.insert(path(name), file(writer, name, content));
        }
        graft.apply(reader, writer, parent).unwrap()
    };
    scratch.store(store).1
}

/// The same tree with one page replaced, or without it.
fn changed(scratch: &Scratch, tree: TreeId, page: &str, content: Option<&[u8]>) -> TreeId {
    let path = format!("{}/{page}", pages::REFS).into_bytes();
    let store = |reader: &_, writer: &BlobWriter| {
        let mut graft = Graft::default();
        match content {
            Some(content) => drop(graft.replace.insert(path, file(writer, page, content))),
            None => drop(graft.remove.insert(path)),
        }
        graft.apply(reader, writer, Some(tree)).unwrap()
    };
    scratch.store(store).1
}

fn path(number: u8) -> Vec<u8> {
    format!("repositories/a/nw/aa/bb/cc/{number}/{number}.git").into_bytes()
}

/// A base, and two pages of changes: the first is full, so that the second begins.
fn layered(scratch: &Scratch) -> (TreeId, Digests) {
    let mut now: Digests = (0..=255).map(|number| (path(number), [1; 32])).collect();
    let first = next(scratch, None, &now);
    now.extend((0..64).map(|number| (path(number), [2; 32])));
    let second = next(scratch, Some(first), &now);
    now.insert(path(3), [3; 32]);
    let third = next(scratch, Some(second), &now);
    (third, now)
}

#[test]
fn a_later_page_hides_an_earlier_one_for_whoever_asks() {
    let scratch = Scratch::new();
    let (tree, now) = layered(&scratch);
    let reader = scratch.vault.index().unwrap();
    assert_eq!(pages::shape(&reader, tree, pages::REFS).unwrap().since.len(), 2);
    let all: HashMap<Vec<u8>, [u8; 32]> = pages::read_all(&reader, tree, pages::REFS).unwrap();
    assert_eq!(all, now.into_iter().collect());
    for (number, digest) in [(3, 3), (4, 2), (200, 1)] {
        let one = pages::read_one(&reader, tree, pages::REFS, &path(number)).unwrap();
        assert_eq!(one, Some(vec![digest; 32]));
    }
    assert_eq!(pages::read_one(&reader, tree, pages::REFS, b"repositories/none.git").unwrap(), None);
}

#[test]
fn a_page_that_is_missing_or_damaged_is_told_and_never_an_absence() {
    let scratch = Scratch::new();
    let (tree, _) = layered(&scratch);
    let trees = [
        changed(&scratch, tree, "since-01", None),
        changed(&scratch, tree, "since-02", Some(b"garbage")),
        changed(&scratch, tree, "odd", Some(b"")),
        changed(&scratch, tree, "00", Some(b"")),
    ];
    let reader = scratch.vault.index().unwrap();
    for tree in trees {
        let one = pages::read_one(&reader, tree, pages::REFS, &path(3)).unwrap_err();
        let all = pages::read_all::<[u8; 32]>(&reader, tree, pages::REFS).unwrap_err();
        for error in [one, all] {
            assert!(matches!(error, VaultError::Damaged { what: "page", .. }), "{error}");
            assert!(error.to_string().contains("ghevault/refs"), "{error}");
        }
    }
    let short = changed(&scratch, tree, "since-02", Some(b"00ff x\0"));
    let reader = scratch.vault.index().unwrap();
    assert!(pages::read_all::<[u8; 32]>(&reader, short, pages::REFS).is_err(), "a digest has 32 bytes");
}
