//! Others judge what we write: stock `restic` and `rustic_core` read our vaults, and agree with every id in them.

use crate::support::vaults;
use ghevault_core::vault::{
    BlobWriter, CheckDepth, Graft, SnapshotDraft, Tree, TreeId, Vault, VaultError, VaultLocation,
    VaultReader, sort_nodes,
};
use rustic_backend::BackendOptions;
use rustic_core::{
    BackupOptions, CheckOptions, Credentials, LimitOption, OpenStatus, PathList, PruneOptions, Repository,
    RepositoryOptions, SnapshotOptions, repofile::SnapshotFile,
};
use std::{fs, path::Path};
use vaults::*;

/// rustic's own repository on a folder, through rustic's own backend.
fn rustic(path: &Path) -> Repository<OpenStatus> {
    let backends = BackendOptions::default().repository(path.to_str().unwrap()).to_backends().unwrap();
    let options = RepositoryOptions::default().no_cache(true);
    Repository::new(&options, &backends).unwrap().open(&Credentials::password(PASSWORD)).unwrap()
}

fn rustic_backup(vault: &Path, source: &Path) -> SnapshotFile {
    let source = PathList::from_string(source.to_str().unwrap()).unwrap();
    let options = SnapshotOptions::default().host("ghe-prod".to_owned());
    let repository = rustic(vault).to_indexed_ids().unwrap();
    repository.backup(&BackupOptions::default(), &source, options.to_snapshot().unwrap()).unwrap()
}

fn rustic_finds_it_sound(vault: &Path) -> bool {
    rustic(vault).check(CheckOptions::default().read_data(true)).unwrap().is_ok().is_ok()
}

/// Stores a tree of `reader` again: names and metadata from there, content from the files themselves.
fn store_again(reader: &VaultReader, root: TreeId, at: &Path, writer: &BlobWriter) -> TreeId {
    let mut nodes = reader.tree(&root).unwrap().nodes;
    nodes.reverse(); // our order must come from us
    for node in &mut nodes {
        let path = at.join(node.name());
        if let Some(inside) = node.subtree {
            node.subtree = Some(store_again(reader, inside, &path, writer));
        } else if node.is_file() {
            let stored = writer.put_file(&mut fs::File::open(path).unwrap()).unwrap();
            assert_eq!(stored.size, node.meta.size);
            node.content = Some(stored.content);
        }
    }
    sort_nodes(&mut nodes);
    writer.put_tree(&Tree { nodes }).unwrap()
}

#[test]
fn rustic_and_restic_agree_with_every_byte_of_a_nasty_folder() {
    let scratch = Scratch::new();
    let source = scratch.dir.path().join("source");
    nasty_source(&source);

    // rustic's backup, and ours beside it by a writer that does not know what rustic stored
    let lease = scratch.lease();
    let empty = scratch.vault.index().unwrap();
    let theirs = rustic_backup(&scratch.path(), &source);
    let reader = scratch.vault.index().unwrap();
    let writer = scratch.vault.writer(&empty, &lease).unwrap();
    let ours = store_again(&reader, theirs.tree, Path::new("/"), &writer);
    let stats = writer.finish().unwrap();
    assert_eq!(ours, theirs.tree, "chunks, nodes or their order differ");
    assert!(stats.data_blobs > 40 && stats.tree_blobs > 15, "{stats:?}");

    // only our packs are left, and they hold everything
    rustic(&scratch.path()).delete_snapshots(&[theirs.id]).unwrap();
    let source_path = source.to_str().unwrap().to_owned();
    let draft = SnapshotDraft { paths: vec![source_path.clone()], ..draft(ours) };
    let open = ghevault_core::vault::Collector::new().verdict().unwrap();
    let id = scratch.vault.commit(&draft, &open, &lease).unwrap();
    drop(lease);
    let report = scratch.vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.damages);
    assert!(rustic_finds_it_sound(&scratch.path()));
    assert!(scratch.restic(&["check", "--read-data"]).status.success());

    // restic restores it byte for byte
    let target = scratch.dir.path().join("restored");
    assert!(
        scratch.restic(&["restore", &id.to_string(), "--target", target.to_str().unwrap()]).status.success()
    );
    let restored = target.join(source.strip_prefix("/").unwrap());
    // restic 0.14 knows no raw link targets
    let diff = std::process::Command::new("diff")
        .args(["--recursive", "--no-dereference", "--exclude=raw-link"])
        .args([&source, &restored])
        .output()
        .unwrap();
    assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));

    // restic can build upon it
    let output = scratch.restic(&["backup", "--json", "--host", "ghe-prod", &source_path]);
    let summary: serde_json::Value =
        serde_json::from_slice(output.stdout.trim_ascii().rsplit(|b| *b == b'\n').next().unwrap()).unwrap();
    assert_eq!((&summary["files_new"], &summary["files_changed"]), (&0.into(), &0.into()), "{summary}");
    assert!(summary["files_unmodified"].as_u64().unwrap() > 200, "{summary}");

    // and we read what restic wrote
    let snapshots = scratch.vault.snapshots().unwrap();
    assert_eq!((snapshots.snapshots.len(), snapshots.damaged.len()), (2, 0));
    let reader = scratch.vault.index().unwrap();
    let newest = snapshots.find("latest").unwrap();
    assert_eq!(newest.parent, Some(id));
    let mut files = 0;
    for entry in reader.walk(newest.tree) {
        let (path, node) = entry.unwrap();
        if node.is_file() {
            let mut content = Vec::new();
            assert_eq!(reader.dump(&node, &mut content).unwrap(), node.meta.size);
            let on_disk = Path::new("/").join(name(&path));
            assert!(fs::read(on_disk).unwrap() == content);
            files += 1;
        }
    }
    assert_eq!(Some(files), summary["files_unmodified"].as_u64());
}

fn name(path: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(path)
}

#[test]
fn restic_lists_our_snapshots_with_what_we_say_about_them() {
    let scratch = Scratch::new();
    let (id, ..) = scratch.store(|_, writer| tree_of(writer, &[("a", b"x"), ("b", b"")]));
    let output = scratch.restic(&["snapshots", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let listed = &listed[0];
    assert_eq!(listed["id"], id.to_string());
    assert_eq!(listed["time"], "2025-11-22T10:00:00Z");
    assert_eq!(listed["hostname"], "ghe-prod");
    assert_eq!(listed["tags"], serde_json::json!(["complete"]));
    assert_eq!(listed["paths"], serde_json::json!(["/"]));
    let ls = scratch.restic(&["ls", "latest"]);
    assert!(String::from_utf8(ls.stdout).unwrap().ends_with("/a\n/b\n"));
}

#[test]
fn a_second_run_stores_nothing_twice_and_equal_blobs_once() {
    let scratch = Scratch::new();
    let big = random(1, 5_000_000);
    let fill = |_: &VaultReader, writer: &BlobWriter| {
        tree_of(writer, &[("a", &big), ("same", &big), ("small", b"s"), ("small too", b"s")])
    };
    let (_, first, stats) = scratch.store(fill);
    assert_eq!(stats.data_bytes_raw, 5_000_001);
    let (_, second, again) = scratch.store(fill);
    assert_eq!(first, second);
    assert_eq!(again, ghevault_core::vault::WriteStats::default());
}

#[test]
fn many_threads_may_put_the_same_blobs() {
    let scratch = Scratch::new();
    let (_, tree, stats) = scratch.store(|_, writer| {
        let trees: Vec<_> = std::thread::scope(|scope| {
            let put = || {
                let contents: Vec<_> = (0..300_u64).map(|n| random(n, 3000)).collect();
                let names: Vec<_> = (0..300).map(|n| format!("{n:03}")).collect();
                let files: Vec<_> =
                    names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
                tree_of(writer, &files)
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(put)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(trees.iter().all(|t| *t == trees[0]));
        trees[0]
    });
    assert_eq!((stats.data_blobs, stats.tree_blobs), (300, 1));
    assert_eq!(scratch.vault.index().unwrap().walk(tree).count(), 300);
    assert!(scratch.restic(&["check", "--read-data"]).status.success());
}

#[test]
fn a_vault_that_restic_made_is_ours_to_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vault");
    assert!(restic(&path, &["init", "--repository-version", "2"]).status.success());
    let source = dir.path().join("source");
    nasty_source(&source);
    assert!(restic(&path, &["backup", source.to_str().unwrap()]).status.success());
    let vault = Vault::open(&VaultLocation::Folder(path.clone()), &password()).unwrap();
    let lease = vault.lock_for_writing("test", LEASE).unwrap();
    let before = vault.find("latest").unwrap();
    let reader = vault.index().unwrap();
    let writer = vault.writer(&reader, &lease).unwrap();
    let again = store_again(&reader, before.tree, Path::new("/"), &writer);
    let unread = Graft::default().apply(&reader, &writer, Some(again)).unwrap_err();
    assert!(matches!(unread, VaultError::Missing { .. }), "a tree that is only queued cannot be read yet");
    let stats = writer.finish().unwrap();
    assert_eq!(stats.data_blobs, 0, "restic's chunks are ours");
    let reader = vault.index().unwrap();
    let writer = vault.writer(&reader, &lease).unwrap();
    let stored = writer.put_bytes(b"grafted".to_vec()).unwrap();
    let mut graft = Graft::default();
    graft.replace.insert(b"new/file".to_vec(), file("file", stored.size, stored.content));
    let root = graft.apply(&reader, &writer, Some(before.tree)).unwrap();
    writer.finish().unwrap();
    let open = ghevault_core::vault::Collector::new().verdict().unwrap();
    let id = vault.commit(&draft(root), &open, &lease).unwrap().to_string();
    assert!(restic(&path, &["check", "--read-data"]).status.success());
    let dump = restic(&path, &["dump", &id, "/new/file"]);
    assert_eq!(dump.stdout, b"grafted");
}

#[test]
fn format_1_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    assert!(restic(dir.path(), &["init", "--repository-version", "1"]).status.success());
    let error = Vault::open(&VaultLocation::Folder(dir.path().into()), &password()).unwrap_err();
    assert!(matches!(error, VaultError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("format version 1"), "{error}");
}

#[test]
fn prune_by_rustic_and_by_restic_leaves_what_snapshots_need() {
    let scratch = Scratch::new();
    let kept = random(1, 700_000);
    let (old, ..) = scratch.store(|_, w| tree_of(w, &[("kept", &kept), ("gone", &random(2, 3_000_000))]));
    let (_, tree, _) = scratch.store(|_, w| tree_of(w, &[("kept", &kept), ("new", b"n")]));
    let read = || {
        let reader = scratch.vault.index().unwrap();
        let node = reader.node_at(tree, "kept").unwrap().unwrap();
        let mut content = Vec::new();
        reader.dump(&node, &mut content).unwrap();
        assert!(content == kept);
    };

    let repository = rustic(&scratch.path());
    repository.delete_snapshots(&[old.to_string().parse::<rustic_core::Id>().unwrap().into()]).unwrap();
    let options = PruneOptions::default().max_repack(LimitOption::Unlimited);
    let plan = repository.prune_plan(&options).unwrap();
    repository.prune(&options, plan).unwrap();
    read();
    // what rustic marked for deletion is not relied on any more
    let (_, _, stats) = scratch.store(|_, w| tree_of(w, &[("gone", &random(2, 3_000_000))]));
    assert_eq!(stats.data_bytes_raw, 3_000_000);
    let report = scratch.vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.damages);

    assert!(scratch.restic(&["prune", "--max-unused", "0"]).status.success());
    read();
    assert!(scratch.restic(&["check", "--read-data"]).status.success());
    let report = scratch.vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap();
    assert!(report.is_sound() && report.orphan_packs == 0, "{report:?}");
}

#[test]
fn an_abandoned_writer_leaves_a_sound_vault() {
    let scratch = Scratch::new();
    scratch.store(|_, w| tree_of(w, &[("a", b"x")]));
    let lease = scratch.lease();
    let reader = scratch.vault.index().unwrap();
    let writer = scratch.vault.writer(&reader, &lease).unwrap();
    for n in 0..50 {
        writer.put_data(random(n, 1_000_000)).unwrap();
    }
    drop((writer, lease));
    assert!(scratch.restic(&["check", "--read-data"]).status.success());
    let report = scratch.vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.damages);
    assert_eq!(scratch.vault.snapshots().unwrap().snapshots.len(), 1);
}

#[test]
fn an_exclusive_lock_of_restic_is_honoured() {
    let scratch = Scratch::new();
    scratch.store(|_, w| tree_of(w, &[("a", &random(1, 30_000_000))]));
    // a check holds an exclusive lock; stopped in the middle it holds it for as long as we look
    let mut check = std::process::Command::new("restic")
        .args(["--no-cache", "--repo", scratch.path().to_str().unwrap(), "check", "--read-data"])
        .env("RESTIC_PASSWORD", PASSWORD)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let locks = || {
        let entries = fs::read_dir(scratch.path().join("locks")).unwrap();
        entries.filter(|e| e.as_ref().unwrap().file_name().len() == 64).count()
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while locks() == 0 {
        assert!(
            std::time::Instant::now() < deadline && check.try_wait().unwrap().is_none(),
            "restic took no lock"
        );
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    let signal = |name: &str| {
        let status =
            std::process::Command::new("kill").args([name, &check.id().to_string()]).status().unwrap();
        assert!(status.success());
    };
    signal("-STOP");
    assert_eq!(locks(), 1, "restic was faster than the signal");
    let error = scratch.vault.lock_for_writing("us", LEASE).unwrap_err();
    assert!(matches!(&error, VaultError::Locked { holder, .. } if holder.starts_with("restic")), "{error}");
    signal("-CONT");
    assert!(check.wait().unwrap().success());
    scratch.lease();
}
