//! Others judge what we write: stock `restic` and rustic_core read our vaults, and agree with every id in them.

use ghevault_core::vault::{
    Collector, Metadata, Node, NodeType, Password, SnapshotDraft, Tree, Vault, VaultLocation, sort_nodes,
};
use std::{ffi::OsStr, process::Command, time::Duration};

#[test]
fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let location = VaultLocation::Folder(dir.path().join("v"));
    let password = Password::new("pw");
    let vault = Vault::init(&location, &password).unwrap();
    drop(vault);
    let vault = Vault::open(&location, &password).unwrap();
    let lease = vault.lock_for_writing("test", Duration::from_secs(60)).unwrap();
    let reader = vault.index().unwrap();
    let writer = vault.writer(&reader, &lease).unwrap();
    let mut tree = Tree::default();
    for i in 0..10_u32 {
        let content: Vec<u8> =
            (0..i * 400_000).map(|x| (x.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let stored = writer.put_file(&mut &content[..]).unwrap();
        let mut node = Node::new_node(OsStr::new(&format!("f{i}")), NodeType::File, Metadata::default());
        node.meta.size = stored.size;
        node.meta.mode = Some(0o644);
        node.content = Some(stored.content);
        tree.nodes.push(node);
    }
    sort_nodes(&mut tree.nodes);
    let tree = writer.put_tree(&tree).unwrap();
    let stats = writer.finish().unwrap();
    println!("{stats:?}");
    let draft = SnapshotDraft {
        time: "2026-01-01T00:00:00Z".parse().unwrap(),
        tree,
        parent: None,
        hostname: "ghe".into(),
        username: "x".into(),
        tags: vec!["a".into()],
        paths: vec!["/".into()],
        description: None,
        summary: None,
    };
    let open = Collector::new().verdict().unwrap();
    let id = vault.commit(&draft, &open, &lease).unwrap();
    println!("{id}");
    for args in [&["snapshots"][..], &["ls", "latest"], &["check", "--read-data"]] {
        let out = Command::new("restic")
            .args(["--no-cache", "-r"])
            .arg(dir.path().join("v"))
            .args(args)
            .env("RESTIC_PASSWORD", "pw")
            .output()
            .unwrap();
        println!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success());
    }
    let reader = vault.index().unwrap();
    for item in reader.walk(tree) {
        let (path, node) = item.unwrap();
        let mut out = Vec::new();
        assert_eq!(reader.dump(&node, &mut out).unwrap(), node.meta.size, "{path:?}");
    }
}
