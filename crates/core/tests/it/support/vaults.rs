//! What the vault's tests share: a vault in a scratch folder, a source folder with nasty names, stock restic.

use ghevault_core::vault::{
    BlobWriter, Collector, Node, NodeType, Password, SnapshotDraft, SnapshotId, Tree, TreeId, Vault,
    VaultLocation, VaultReader, WriteLease, WriteStats, sort_nodes,
};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

pub const PASSWORD: &str = "correct horse";
pub const LEASE: Duration = Duration::from_mins(2);

pub fn password() -> Password {
    Password::new(PASSWORD)
}

pub fn random(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A vault in a scratch folder that goes away with it.
pub struct Scratch {
    pub dir: tempfile::TempDir,
    pub vault: Vault,
}

impl Scratch {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let location = VaultLocation::Folder(dir.path().join("vault"));
        let vault = Vault::init(&location, &password()).unwrap();
        Self { dir, vault }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("vault")
    }

    pub fn location(&self) -> VaultLocation {
        VaultLocation::Folder(self.path())
    }

    pub fn lease(&self) -> WriteLease {
        self.vault.lock_for_writing("test", LEASE).unwrap()
    }

    /// Runs `fill` with a writer and snapshots the tree that it returns.
    pub fn store(
        &self,
        fill: impl FnOnce(&VaultReader, &BlobWriter) -> TreeId,
    ) -> (SnapshotId, TreeId, WriteStats) {
        let lease = self.lease();
        let reader = self.vault.index().unwrap();
        let writer = self.vault.writer(&reader, &lease).unwrap();
        let tree = fill(&reader, &writer);
        let stats = writer.finish().unwrap();
        (self.commit(tree, &lease), tree, stats)
    }

    pub fn commit(&self, tree: TreeId, lease: &WriteLease) -> SnapshotId {
        self.vault.commit(&draft(tree), &Collector::new().verdict().unwrap(), lease).unwrap()
    }

    pub fn restic(&self, args: &[&str]) -> Output {
        restic(&self.path(), args)
    }
}

pub fn draft(tree: TreeId) -> SnapshotDraft {
    SnapshotDraft {
        tags: vec!["complete".into()],
        ..SnapshotDraft::new("2025-11-22T10:00:00Z".parse().unwrap(), tree, "ghe-prod")
    }
}

/// Runs stock restic on a repository; its output is shown when the test fails.
pub fn restic(repository: &Path, args: &[&str]) -> Output {
    restic_with(repository, PASSWORD, args)
}

/// The same with another password.
pub fn restic_with(repository: &Path, password: &str, args: &[&str]) -> Output {
    let output = Command::new("restic")
        .args(["--no-cache", "--repo"])
        .arg(repository)
        .args(args)
        .env("RESTIC_PASSWORD", password)
        .env("TZ", "UTC")
        .output()
        .expect("stock restic must be installed");
    println!("restic {args:?}: {}", output.status);
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output
}

pub fn file(name: &str, size: u64, content: Vec<ghevault_core::vault::DataId>) -> Node {
    let mut node =
        Node::new_node(OsStr::new(name), NodeType::File, ghevault_core::vault::Metadata::default());
    (node.meta.size, node.meta.mode, node.content) = (size, Some(0o644), Some(content));
    node
}

/// A tree with these files in it.
pub fn tree_of(writer: &BlobWriter, files: &[(&str, &[u8])]) -> TreeId {
    let mut nodes: Vec<_> = files
        .iter()
        .map(|(name, content)| {
            let stored = writer.put_bytes(content.to_vec()).unwrap();
            file(name, stored.size, stored.content)
        })
        .collect();
    sort_nodes(&mut nodes);
    writer.put_tree(&Tree { nodes }).unwrap()
}

/// A folder with sizes around the chunker's borders, and with names and kinds that trip programs.
pub fn nasty_source(at: &Path) {
    let min = 512 * 1024;
    let sizes = [0, 1, 63, 64, 65, min - 1, min, min + 1, 2 * min, 3_000_000, 9_500_000];
    fs::create_dir_all(at.join("sizes")).unwrap();
    for (seed, size) in sizes.into_iter().enumerate() {
        fs::write(at.join(format!("sizes/{size}")), random(seed as u64, size)).unwrap();
    }
    fs::write(at.join("sizes/zeros"), vec![0; 20 << 20]).unwrap();
    fs::write(at.join("sizes/text"), "the same line again\n".repeat(200_000)).unwrap();
    let names: [&[u8]; 16] = [
        b"a",
        b"a.b",
        b"a-b",
        b"a\\b",
        b"new\nline",
        b"tab\t",
        b"\"quoted\"",
        b"$(x)",
        b"-dash",
        b"*?[]",
        b"\x01\x1f",
        b"\xff\xfe",
        b"\xc3",
        "\u{e4}\u{2764}".as_bytes(),
        b"<&>",
        b"trailing ",
    ];
    for name in names {
        let folder = at.join(OsStr::from_bytes(name));
        fs::create_dir_all(&folder).unwrap();
        for inner in names {
            fs::write(folder.join(OsStr::from_bytes(inner)), [name, inner].concat()).unwrap();
        }
    }
    fs::create_dir_all(at.join("empty")).unwrap();
    symlink("../sizes/1", at.join("empty/link")).unwrap();
    symlink(OsStr::from_bytes(b"to/\xff"), at.join("raw-link")).unwrap();
    fs::hard_link(at.join("sizes/64"), at.join("hard")).unwrap();
}

pub fn folder(path: impl Into<PathBuf>) -> VaultLocation {
    VaultLocation::Folder(path.into())
}

/// All files below a folder of the vault.
pub fn files(scratch: &Scratch, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![scratch.path().join(kind)];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
