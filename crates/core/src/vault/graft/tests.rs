//! A grafted tree is the tree that writing everything anew would give.

use super::*;
use crate::vault::memory::Bench;
use proptest::prelude::*;

/// What a folder should be.
#[derive(Clone, Debug, Default, PartialEq)]
struct Folder {
    mtime: i64,
    files: BTreeMap<Vec<u8>, u8>,
    folders: BTreeMap<Vec<u8>, Folder>,
}

fn meta(mtime: i64, mode: u32) -> Metadata {
    Metadata { mode: Some(mode), mtime: jiff::Timestamp::from_second(mtime).ok(), ..Metadata::default() }
}

fn file_node(name: &[u8], content: u8, writer: &BlobWriter) -> Node {
    let stored = writer.put_bytes(vec![content; usize::from(content)]).unwrap();
    let mut node = Node::new_node(OsStr::from_bytes(name), NodeType::File, meta(1, 0o644));
    (node.meta.size, node.content) = (stored.size, Some(stored.content));
    node
}

fn folder_node(name: &[u8], folder: &Folder, writer: &BlobWriter) -> Node {
    let mut node =
        Node::new_node(OsStr::from_bytes(name), NodeType::Dir, meta(folder.mtime, 1 << 31 | 0o755));
    node.subtree = Some(store(folder, writer));
    node
}

/// Writes everything anew.
fn store(folder: &Folder, writer: &BlobWriter) -> TreeId {
    let mut nodes: Vec<_> = folder.files.iter().map(|(name, c)| file_node(name, *c, writer)).collect();
    nodes.extend(folder.folders.iter().map(|(name, f)| folder_node(name, f, writer)));
    sort_nodes(&mut nodes);
    writer.put_tree(&Tree { nodes }).unwrap()
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_owned() } else { [path, b"/", name].concat() }
}

/// The difference of two folders as a graft. `coarse` folders are handed over finished, the rest entry by entry.
fn difference(path: &[u8], old: &Folder, new: &Folder, coarse: u8, writer: &BlobWriter, graft: &mut Graft) {
    let gone = old.files.keys().chain(old.folders.keys());
    graft.remove.extend(
        gone.filter(|n| !new.files.contains_key(*n) && !new.folders.contains_key(*n)).map(|n| join(path, n)),
    );
    for (name, content) in &new.files {
        if old.files.get(name) != Some(content) {
            graft.replace.insert(join(path, name), file_node(name, *content, writer));
        }
    }
    for (name, folder) in &new.folders {
        let path = join(path, name);
        let empty = Folder::default();
        match old.folders.get(name) {
            Some(same) if same == folder => {}
            _ if folder.mtime % 4 == i64::from(coarse % 4) => {
                graft.replace.insert(path, folder_node(name, folder, writer));
            }
            before => {
                let children = (folder.mtime % 4 == i64::from((coarse + 1) % 4) && folder.folders.is_empty())
                    .then(|| folder.files.iter().map(|(n, c)| file_node(n, *c, writer)).collect());
                if children.is_none() {
                    difference(&path, before.unwrap_or(&empty), folder, coarse, writer, graft);
                }
                let meta = meta(folder.mtime, 1 << 31 | 0o755);
                graft.directories.insert(path, DirNode { meta, children });
            }
        }
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    // few names, so that they meet again; with bytes around '/', escapes, invalid UTF-8, prefixes of each other
    prop::sample::select(vec![
        &b"a"[..],
        b"a.b",
        b"a0",
        b"a\\",
        b"a\n",
        b"\xff",
        b"\xc3\xa4",
        b"\"",
        b"~",
        b"A",
        b"a-",
        b"\x01",
        b"\xc3",
    ])
    .prop_map(<[u8]>::to_vec)
}

fn folder() -> impl Strategy<Value = Folder> {
    let leaf = (0_i64..8, prop::collection::btree_map(name(), any::<u8>(), 0..4))
        .prop_map(|(mtime, files)| Folder { mtime, files, folders: BTreeMap::new() });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let parts = (
            0_i64..8,
            prop::collection::btree_map(name(), any::<u8>(), 0..4),
            prop::collection::btree_map(name(), inner, 0..4),
        );
        parts.prop_map(|(mtime, mut files, folders)| {
            files.retain(|n, _| !folders.contains_key(n));
            Folder { mtime, files, folders }
        })
    })
}

/// A folder that differs from another one in places.
fn changed(folder: &Folder, other: &Folder, pick: &mut impl FnMut() -> u8) -> Folder {
    match pick() % 8 {
        0 => return other.clone(),
        1..=3 => return folder.clone(),
        _ => {}
    }
    let mut new = folder.clone();
    new.mtime = (new.mtime + 1) % 8;
    let names: Vec<_> = folder.files.keys().chain(folder.folders.keys()).cloned().collect();
    for name in names {
        match pick() % 6 {
            0 => {
                new.files.remove(&name);
                new.folders.remove(&name);
            }
            1 => {
                // renamed, unless something stands there
                let to = [&name[..], b"2"].concat();
                if let Some(moved) = new.folders.remove(&name) {
                    new.folders.insert(to, moved);
                }
            }
            2 => {
                // a file becomes a folder and a folder a file
                if let Some(content) = new.files.remove(&name) {
                    new.folders
                        .insert(name.clone(), Folder { mtime: i64::from(content % 8), ..other.clone() });
                } else if new.folders.remove(&name).is_some() {
                    new.files.insert(name.clone(), pick());
                }
            }
            _ => {
                if let Some(inner) = folder.folders.get(&name) {
                    new.folders.insert(name.clone(), changed(inner, other, pick));
                }
            }
        }
    }
    new
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_history_of_grafts_gives_the_trees_of_full_writes(
        first in folder(),
        others in prop::collection::vec((folder(), prop::collection::vec(any::<u8>(), 40)), 1..6),
    ) {
        let bench = Bench::new();
        let mut state = Folder::default();
        let mut root = None;
        let mut history = vec![first];
        for (other, dice) in others {
            let mut dice = dice.into_iter().cycle();
            let next = changed(history.last().unwrap(), &other, &mut || dice.next().unwrap());
            history.push(next);
        }
        for (step, next) in history.into_iter().enumerate() {
            let reader = bench.reader();
            let writer = bench.writer(&reader);
            let mut graft = Graft::default();
            difference(b"", &state, &next, u8::try_from(step % 4).unwrap(), &writer, &mut graft);
            let nothing = graft.is_empty();
            let new_root = graft.apply(&reader, &writer, root).unwrap();
            writer.finish().unwrap();
            // everything that it refers to is there
            let reader = bench.reader();
            for entry in reader.walk(new_root) {
                entry.unwrap();
            }
            let writer = bench.writer(&reader);
            prop_assert_eq!(new_root, store(&next, &writer), "step {}", step);
            prop_assert!(!nothing || root.is_none() || root == Some(new_root));
            prop_assert_eq!(writer.finish().unwrap().packs, 0, "the full write adds nothing");
            (state, root) = (next, Some(new_root));
        }
    }
}

#[test]
fn ancestors_that_nobody_described_are_made_and_empty_ones_stay() {
    let bench = Bench::new();
    let reader = bench.reader();
    let writer = bench.writer(&reader);
    let mut graft = Graft::default();
    graft.replace.insert(b"x/y/f".to_vec(), file_node(b"f", 3, &writer));
    let root = graft.apply(&reader, &writer, None).unwrap();
    writer.finish().unwrap();
    let reader = bench.reader();
    let made = reader.node_at(root, "x/y").unwrap().unwrap();
    assert_eq!(made.meta.mode, Some(1 << 31 | 0o755));

    let writer = bench.writer(&reader);
    let remove = BTreeSet::from([b"x/y/f".to_vec(), b"no/such/thing".to_vec()]);
    let root = Graft { remove, ..Graft::default() }.apply(&reader, &writer, Some(root)).unwrap();
    writer.finish().unwrap();
    let reader = bench.reader();
    assert!(reader.node_at(root, "x/y").unwrap().is_some());
    assert!(reader.node_at(root, "x/y/f").unwrap().is_none());
    assert!(reader.node_at(root, "no").unwrap().is_none());

    let writer = bench.writer(&reader);
    let remove = BTreeSet::from([b"x".to_vec()]);
    let root = Graft { remove, ..Graft::default() }.apply(&reader, &writer, Some(root)).unwrap();
    assert_eq!(root, writer.put_tree(&Tree::default()).unwrap());
}

#[test]
fn a_removed_folder_does_not_shine_through_what_replaces_it() {
    let bench = Bench::new();
    let reader = bench.reader();
    let writer = bench.writer(&reader);
    let mut graft = Graft::default();
    graft.replace.insert(b"u/old".to_vec(), file_node(b"old", 1, &writer));
    let root = graft.apply(&reader, &writer, None).unwrap();
    writer.finish().unwrap();
    let reader = bench.reader();
    let writer = bench.writer(&reader);
    let mut graft = Graft { remove: BTreeSet::from([b"u".to_vec()]), ..Graft::default() };
    graft.replace.insert(b"u/new".to_vec(), file_node(b"new", 2, &writer));
    let root = graft.apply(&reader, &writer, Some(root)).unwrap();
    writer.finish().unwrap();
    let names: Vec<_> = bench.reader().walk(root).map(|e| e.unwrap().0).collect();
    assert_eq!(names, [b"u".to_vec(), b"u/new".to_vec()]);
}

#[test]
fn contradictions_are_refused() {
    let bench = Bench::new();
    let reader = bench.reader();
    let writer = bench.writer(&reader);
    let file = |name: &[u8]| file_node(name, 1, &writer);
    let refused = |replace: &[(&[u8], Node)], remove: &[&[u8]], directories: &[&[u8]]| {
        let graft = Graft {
            replace: replace.iter().map(|(p, n)| (p.to_vec(), n.clone())).collect(),
            remove: remove.iter().map(|p| p.to_vec()).collect(),
            directories: directories.iter().map(|p| (p.to_vec(), DirNode::default())).collect(),
        };
        matches!(graft.apply(&reader, &writer, None), Err(VaultError::Invalid(_)))
    };
    assert!(refused(&[(b"a", file(b"b"))], &[], &[]), "another name");
    assert!(refused(&[(b"a", file(b"a")), (b"a/b", file(b"b"))], &[], &[]), "inside a finished entry");
    assert!(refused(&[(b"a", file(b"a"))], &[b"a/b"], &[]), "removed inside a finished entry");
    assert!(refused(&[(b"a", file(b"a"))], &[], &[b"a"]), "finished and described");
    for path in [&b"/a"[..], b"a/", b"a//b", b"..", b"a/./b", b""] {
        assert!(refused(&[], &[path], &[]), "{path:?}");
    }
    let unfinished = Node::new_node(OsStr::new("a"), NodeType::Dir, Metadata::default());
    assert!(refused(&[(b"a", unfinished)], &[], &[]), "a folder without a subtree");
}

#[test]
fn an_entry_whose_content_is_nowhere_is_refused() {
    let bench = Bench::new();
    let reader = bench.reader();
    let writer = bench.writer(&reader);
    let mut node = Node::new_node(OsStr::new("a"), NodeType::File, Metadata::default());
    node.content = Some(vec![rustic_core::Id::random().into()]);
    let graft = Graft { replace: BTreeMap::from([(b"a".to_vec(), node)]), ..Graft::default() };
    assert!(matches!(graft.apply(&reader, &writer, None), Err(VaultError::Missing { .. })));
}
