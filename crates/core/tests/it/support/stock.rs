//! A vault written by stock restic, and a folder full of the things that file trees can hold.

use std::{
    fs,
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
};

use ghevault_core::{
    restore::view::{Source, SourceError},
    vault::{Node, TreeId},
};
use rustic_backend::BackendOptions;
use rustic_core::{Credentials, IndexedFullStatus, Repository, RepositoryOptions};

/// A restic repository in a scratch folder.
pub struct StockVault {
    pub scratch: tempfile::TempDir,
}

impl StockVault {
    pub fn init() -> Self {
        let vault = Self { scratch: tempfile::tempdir().expect("a scratch folder") };
        vault.restic(&["init"], vault.scratch.path());
        vault
    }

    fn repository(&self) -> PathBuf {
        self.scratch.path().join("vault")
    }

    /// Runs restic in `at` and returns what it printed.
    pub fn restic(&self, arguments: &[&str], at: &Path) -> String {
        let output = Command::new("restic")
            .arg("--repo")
            .arg(self.repository())
            .args(["--no-cache", "--quiet"])
            .args(arguments)
            .env("RESTIC_PASSWORD", "test")
            .current_dir(at)
            .output()
            .expect("restic is installed");
        assert!(output.status.success(), "restic {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Backs up what is in a folder, so that the snapshot's tree starts there.
    pub fn backup(&self, folder: &Path) {
        self.restic(&["backup", "."], folder);
    }

    /// The newest snapshot: its id, its tree, and a reader for it.
    pub fn open(&self) -> (String, TreeId, StockReader) {
        let backends = BackendOptions::default()
            .repository(self.repository().to_string_lossy())
            .to_backends()
            .expect("a local backend");
        let options = RepositoryOptions::default().no_cache(true);
        let repository = Repository::new(&options, &backends)
            .and_then(|r| r.open(&Credentials::password("test")))
            .expect("the vault opens");
        let snapshot = repository.get_snapshot_from_str("latest", |_| true).expect("there is a snapshot");
        let reader = StockReader(repository.to_indexed().expect("the index is whole"));
        (snapshot.id.to_string(), snapshot.tree, reader)
    }

    /// The pack files of the vault.
    pub fn packs(&self) -> Vec<PathBuf> {
        let mut packs = Vec::new();
        for folder in fs::read_dir(self.repository().join("data")).expect("packs").flatten() {
            packs.extend(fs::read_dir(folder.path()).expect("packs").flatten().map(|e| e.path()));
        }
        packs
    }
}

/// Reads a vault without the product's own vault module.
pub struct StockReader(Repository<IndexedFullStatus>);

impl Source for StockReader {
    fn tree(&self, id: &TreeId) -> Result<Vec<Node>, SourceError> {
        self.0.get_tree(id).map(|tree| tree.nodes).map_err(|e| SourceError(e.display_log()))
    }

    fn dump(&self, node: &Node, mut out: &mut dyn Write) -> Result<(), SourceError> {
        self.0.dump(node, &mut out).map_err(|e| SourceError(e.display_log()))
    }
}

/// Fills a folder with one of everything.
pub fn nasty_tree(root: &Path) {
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9\nline");
    let deep = root.join("repositories/a/nw/a8/3f/02/100/1.git/objects/pack");
    fs::create_dir_all(&deep).expect("folders");
    fs::create_dir_all(root.join("empty/inner")).expect("folders");
    fs::create_dir_all(root.join(odd)).expect("folders");
    let big: Vec<u8> =
        (0..5_000_000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    fs::write(deep.join("pack-1.pack"), &big).expect("a file");
    fs::write(root.join("zero"), b"").expect("a file");
    fs::write(root.join(odd).join(odd), b"odd").expect("a file");
    fs::write(root.join("quote\"back\\slash"), b"q").expect("a file");
    fs::write(root.join("setuid"), b"s").expect("a file");
    fs::write(root.join("first"), b"one file, three names").expect("a file");
    fs::hard_link(root.join("first"), root.join("empty/second")).expect("a link");
    fs::hard_link(root.join("first"), root.join(odd).join("third")).expect("a link");
    symlink("/nowhere/outside/hooks", root.join("repositories/hooks")).expect("a link");
    symlink("../line\nbreak", root.join("odd-link")).expect("a link");
    symlink("first", root.join("good-link")).expect("a link");
    let made = Command::new("mkfifo").arg(root.join("pipe")).status().expect("mkfifo");
    assert!(made.success());
    for (name, mode) in [("setuid", 0o4711), ("zero", 0o400), ("first", 0o640), ("pipe", 0o620)] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).expect("a mode");
    }
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o2750)).expect("a mode");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(root.join("zero"), Some(1234), Some(4321)).expect("an owner");
        std::os::unix::fs::lchown(root.join("odd-link"), Some(7), Some(8)).expect("an owner");
    }
    for name in ["zero", "first", "good-link", "empty", "setuid", "repositories/a"] {
        let touched = Command::new("touch")
            .args(["-h", "-d", "2001-02-03T04:05:06.123456789Z"])
            .arg(root.join(name))
            .status()
            .expect("touch");
        assert!(touched.success());
    }
    let old = Command::new("touch").args(["-d", "1969-12-31T23:59:58.5Z"]).arg(root.join("setuid")).status();
    assert!(old.expect("touch").success());
}

/// Everything below a folder in lines: path, type, mode, owner, size, time, link target, content digest, link group.
pub fn describe(root: &Path) -> Vec<String> {
    use sha2::{Digest, Sha256};
    let mut lines = Vec::new();
    let mut ahead = vec![root.to_owned()];
    let mut inodes = std::collections::BTreeMap::<u64, Vec<String>>::new();
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(&folder).expect("readable").flatten() {
            let (path, meta) = (entry.path(), entry.metadata().expect("metadata"));
            let name =
                path.strip_prefix(root).expect("below").as_os_str().as_bytes().escape_ascii().to_string();
            let content = if meta.is_file() {
                hex::encode(Sha256::digest(fs::read(&path).expect("content")))
            } else if meta.is_symlink() {
                fs::read_link(&path).expect("target").as_os_str().as_bytes().escape_ascii().to_string()
            } else {
                String::new()
            };
            if meta.is_dir() {
                ahead.push(path);
            } else if meta.nlink() > 1 {
                inodes.entry(meta.ino()).or_default().push(name.clone());
            }
            let size = if meta.is_file() { meta.len() } else { 0 };
            lines.push(format!(
                "{name} {:o} {}:{} {size} {}.{:09} {content}",
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.mtime(),
                meta.mtime_nsec()
            ));
        }
    }
    for (_, mut names) in inodes {
        names.sort();
        lines.push(format!("one file: {}", names.join(" = ")));
    }
    lines.sort();
    lines
}
