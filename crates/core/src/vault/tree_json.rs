//! Writes a tree as restic's JSON, byte for byte as rustic does under `TZ=UTC`, whatever the zone of this process.
//!
//! rustic's own serialiser formats time stamps in the process's zone, so the same folder would get another tree id after a
//! change of daylight saving time.

use super::{
    error::{VaultError, VaultResult},
    format::hash,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Timestamp, tz::Offset};
use rustic_core::{
    TreeId,
    repofile::{Metadata, Node, NodeType, Tree},
};
use std::{borrow::Cow, ffi::OsStr, io::Write};

/// The tree's bytes and its id. The nodes are written in the order given: by name, see [`sort_nodes`].
pub(super) fn encode_tree(tree: &Tree) -> VaultResult<(Vec<u8>, TreeId)> {
    let mut out = Vec::with_capacity(64 + tree.nodes.len() * 384);
    write_tree(&mut out, tree).map_err(|_| VaultError::Internal("a tree does not serialise"))?;
    let id = TreeId::from(hash(&out));
    Ok((out, id))
}

/// Brings siblings into restic's order: by the bytes of their unescaped names.
pub(super) fn sort_nodes(nodes: &mut [Node]) {
    nodes.sort_by(|a, b| a.name().as_encoded_bytes().cmp(b.name().as_encoded_bytes()));
}

/// Why these nodes are no folder: a name that could lead elsewhere, or names that are not in strictly rising order.
pub(super) fn disorder(nodes: &[Node], ordered: bool) -> Option<String> {
    let mut before: Option<Cow<'_, OsStr>> = None;
    for node in nodes {
        let name = node.name();
        let bytes = name.as_encoded_bytes();
        if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') || bytes.contains(&0) {
            return Some(format!("\"{}\" is no name for an entry", node.name));
        }
        if ordered && before.is_some_and(|b| b.as_encoded_bytes() >= bytes) {
            return Some(format!("\"{}\" is out of order or there twice", node.name));
        }
        before = Some(name);
    }
    None
}

fn write_tree(out: &mut Vec<u8>, tree: &Tree) -> std::io::Result<()> {
    out.extend_from_slice(b"{\"nodes\":[");
    for (at, node) in tree.nodes.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_node(out, node)?;
    }
    out.extend_from_slice(b"]}\n");
    Ok(())
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) -> std::io::Result<()> {
    write!(out, ",\"{key}\":")?;
    serde_json::to_writer(&mut *out, value).map_err(Into::into)
}

fn write_node(out: &mut Vec<u8>, node: &Node) -> std::io::Result<()> {
    out.extend_from_slice(b"{\"name\":");
    serde_json::to_writer(&mut *out, &node.name)?;
    match &node.node_type {
        NodeType::File => text(out, "type", "file")?,
        NodeType::Dir => text(out, "type", "dir")?,
        NodeType::Symlink { linktarget, linktarget_raw } => {
            text(out, "type", "symlink")?;
            text(out, "linktarget", linktarget)?;
            if let Some(raw) = linktarget_raw {
                text(out, "linktarget_raw", &STANDARD.encode(raw))?;
            }
        }
        NodeType::Dev { device } => {
            text(out, "type", "dev")?;
            write!(out, ",\"device\":{device}")?;
        }
        NodeType::Chardev { device } => {
            text(out, "type", "chardev")?;
            write!(out, ",\"device\":{device}")?;
        }
        NodeType::Fifo => text(out, "type", "fifo")?,
        NodeType::Socket => text(out, "type", "socket")?,
    }
    write_metadata(out, &node.meta)?;
    match &node.content {
        None => out.extend_from_slice(b",\"content\":null"),
        Some(content) => {
            out.extend_from_slice(b",\"content\":[");
            for (at, id) in content.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write!(out, "\"{}\"", &*id.to_hex())?;
            }
            out.push(b']');
        }
    }
    if let Some(subtree) = &node.subtree {
        write!(out, ",\"subtree\":\"{}\"", &*subtree.to_hex())?;
    }
    out.push(b'}');
    Ok(())
}

fn write_metadata(out: &mut Vec<u8>, meta: &Metadata) -> std::io::Result<()> {
    if let Some(mode) = meta.mode {
        write!(out, ",\"mode\":{mode}")?;
    }
    for (key, time) in [("mtime", meta.mtime), ("atime", meta.atime), ("ctime", meta.ctime)] {
        if let Some(time) = time {
            write!(out, ",\"{key}\":\"{}\"", in_utc(time))?;
        }
    }
    for (key, id) in [("uid", meta.uid), ("gid", meta.gid)] {
        if let Some(id) = id {
            write!(out, ",\"{key}\":{id}")?;
        }
    }
    for (key, name) in [("user", &meta.user), ("group", &meta.group)] {
        if let Some(name) = name {
            text(out, key, name)?;
        }
    }
    let numbers =
        [("inode", meta.inode), ("device_id", meta.device_id), ("size", meta.size), ("links", meta.links)];
    for (key, number) in numbers {
        if number != 0 {
            write!(out, ",\"{key}\":{number}")?;
        }
    }
    if !meta.extended_attributes.is_empty() {
        out.extend_from_slice(b",\"extended_attributes\":");
        serde_json::to_writer(&mut *out, &meta.extended_attributes)?;
    }
    Ok(())
}

/// `2026-11-22T10:00:00.5+00:00`.
fn in_utc(time: Timestamp) -> impl std::fmt::Display {
    time.display_with_offset(Offset::UTC)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustic_core::repofile::Node;
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

    fn kind() -> impl Strategy<Value = NodeType> {
        prop_oneof![
            Just(NodeType::File),
            Just(NodeType::Dir),
            Just(NodeType::Fifo),
            Just(NodeType::Socket),
            any::<u64>().prop_map(|device| NodeType::Dev { device }),
            any::<u64>().prop_map(|device| NodeType::Chardev { device }),
            proptest::collection::vec(1_u8.., 1..20)
                .prop_map(|target| NodeType::from_link(Path::new(OsStr::from_bytes(&target)))),
        ]
    }

    fn time() -> impl Strategy<Value = Option<Timestamp>> {
        proptest::option::of((-9_000_000_000_i64..9_000_000_000, 0_i32..1_000_000_000))
            .prop_map(|t| t.and_then(|(s, n)| Timestamp::new(s, n).ok()))
    }

    prop_compose! {
        fn metadata()(
            times in (time(), time(), time()),
            ids in (proptest::option::of(any::<u32>()), proptest::option::of(any::<u32>()), proptest::option::of(any::<u32>())),
            names in (proptest::option::of("\\PC{0,8}"), proptest::option::of("[a-z<>&\"\\\\]{0,8}")),
            numbers in (0_u64..3, any::<u64>(), 0_u64..5, 0_u64..3),
            attribute in proptest::option::of(("[a-z.]{1,9}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)))),
        ) -> Metadata {
            Metadata {
                mode: ids.2, mtime: times.0, atime: times.1, ctime: times.2, uid: ids.0, gid: ids.1,
                user: names.0, group: names.1,
                inode: numbers.0, device_id: numbers.1, size: numbers.2, links: numbers.3,
                extended_attributes: attribute.into_iter().map(|(name, value)|
                    serde_json::from_value(serde_json::json!({
                        "name": name, "value": value.map(|v| STANDARD.encode(v)),
                    })).unwrap()).collect(),
            }
        }
    }

    prop_compose! {
        fn node()(
            name in proptest::collection::vec(1_u8.., 1..20),
            kind in kind(), meta in metadata(),
            content in proptest::option::of(proptest::collection::vec(any::<[u8; 32]>(), 0..3)),
            subtree in proptest::option::of(any::<[u8; 32]>()),
        ) -> Node {
            let mut node = Node::new_node(OsStr::from_bytes(&name), kind, meta);
            node.content = content.map(|c| c.into_iter().map(|id| rustic_core::Id::new(id).into()).collect());
            node.subtree = subtree.map(|id| rustic_core::Id::new(id).into());
            node
        }
    }

    proptest! {
        #[test]
        fn bytes_and_id_are_those_of_rustic_in_utc(nodes in proptest::collection::vec(node(), 0..6)) {
            // rustic formats in the zone of the process; the cargo configuration sets it
            prop_assume!(jiff::tz::TimeZone::system().to_offset(Timestamp::UNIX_EPOCH) == Offset::UTC);
            let tree = Tree { nodes };
            let (ours, id) = encode_tree(&tree).unwrap();
            let (theirs, their_id) = tree.serialize().unwrap();
            prop_assert_eq!(String::from_utf8(ours.clone()).unwrap(), String::from_utf8(theirs).unwrap());
            prop_assert_eq!(id, their_id);
            let back: Tree = serde_json::from_slice(&ours).unwrap();
            prop_assert_eq!(back.nodes, tree.nodes);
        }
    }

    #[test]
    fn a_known_tree_has_its_known_id_in_every_time_zone() {
        const CHILD: &str = "GHEVAULT_TEST_ZONE_CHILD";
        let mtime = Timestamp::new(1_700_000_000, 5).ok();
        let meta = Metadata { mtime, ctime: mtime, mode: Some(0o644), size: 3, ..Metadata::default() };
        let tree = Tree { nodes: vec![Node::new_node(OsStr::new("file"), NodeType::File, meta)] };
        let (json, id) = encode_tree(&tree).unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(json.contains(r#""mtime":"2023-11-14T22:13:20.000000005+00:00""#), "{json}");
        assert_eq!(&*id.to_hex(), "ac80198feb721061265ce3eec19e3d5c4a7eed6ce1013f0e487a14446cb6bbc4");
        if std::env::var_os(CHILD).is_some() {
            let offset = jiff::tz::TimeZone::system().to_offset(Timestamp::UNIX_EPOCH);
            assert_ne!(offset, Offset::UTC, "the zone was not taken over");
            return;
        }
        let own_name = std::thread::current().name().unwrap().to_owned();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &own_name])
            .env(CHILD, "1")
            .env("TZ", "NST3:30") // no zone database needed
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
    }

    #[test]
    fn names_that_lead_elsewhere_and_disorder_are_noticed() {
        let nodes = |names: &[&str]| -> Vec<_> {
            names.iter().map(|n| Node::new_node(OsStr::new(n), NodeType::File, Metadata::default())).collect()
        };
        for bad in ["", ".", "..", "a/b", "/etc", "a\0"] {
            assert!(disorder(&nodes(&[bad]), false).is_some(), "{bad:?}");
        }
        assert!(disorder(&nodes(&["b", "a"]), true).is_some());
        assert!(disorder(&nodes(&["a", "a"]), true).is_some());
        assert!(disorder(&nodes(&["b", "a"]), false).is_none());
        assert!(disorder(&nodes(&["a", "a.b", "a0", "b"]), true).is_none());
    }
}
