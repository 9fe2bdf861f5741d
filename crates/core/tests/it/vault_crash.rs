//! Writers that are killed, that run out of space, that lost their right: the vault stays sound and nobody waits.

use crate::support::vaults;
use ghevault_core::vault::{BlobWriter, CheckDepth, TreeId, Vault, VaultError, VaultReader};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use vaults::*;

/// Runs this very test again in another process, which sees `CHILD` in its environment.
fn again(arguments: &[&str], child: &Path) -> Command {
    let test = std::thread::current().name().unwrap().to_owned();
    let exe = std::env::current_exe().unwrap();
    let mut command = match arguments {
        [] => Command::new(exe),
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            command.args(rest).arg(exe);
            command
        }
    };
    command.args(["--exact", &test, "--nocapture"]).env(CHILD, child);
    command
}

const CHILD: &str = "GHEVAULT_TEST_CHILD";

#[test]
fn a_killed_writer_blocks_nobody_and_damages_nothing() {
    if let Some(path) = std::env::var_os(CHILD) {
        let vault = Vault::open(&folder(path), &password()).unwrap();
        let lease = vault.lock_for_writing("doomed", Duration::from_hours(1)).unwrap();
        let writer = vault.writer(&vault.index().unwrap(), &lease).unwrap();
        for seed in 0.. {
            writer.put_data(random(seed, 4_000_000)).unwrap();
        }
    }
    let scratch = Scratch::new();
    let (_, tree, _) = scratch.store(|_, w| tree_of(w, &[("a", b"1")]));
    let before = files(&scratch, "data").len();
    let mut child = again(&[], &scratch.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while files(&scratch, "data").len() < before + 2 {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "the child wrote no packs");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    let busy = scratch.vault.lock_for_writing("us", LEASE).unwrap_err();
    assert!(matches!(&busy, VaultError::Locked { holder, .. } if holder.contains("doomed")), "{busy}");
    child.kill().unwrap();
    child.wait().unwrap();

    fs::write(scratch.path().join("ghevault/tmp/data-cut"), "half a pack").unwrap();
    let report = scratch.vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap();
    assert!(report.is_sound() && report.orphan_packs >= 2, "{report:?}");
    let (_, again, _) = scratch.store(|_, w| tree_of(w, &[("a", b"1")]));
    assert_eq!(tree, again);
    assert_eq!(files(&scratch, "ghevault/tmp"), Vec::<PathBuf>::new());
    // restic grumbles about packs without an index, and finds no error
    assert!(scratch.restic(&["check", "--read-data"]).status.success());
}

#[test]
fn a_full_disk_is_named_and_leaves_a_sound_vault() {
    if let Some(path) = std::env::var_os(CHILD) {
        full_disk(Path::new(&path));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // a disk of 48 MiB of our own, gone with the process
    let script = format!("mount -t tmpfs -o size=48m none '{0}' && exec \"$@\"", dir.path().display());
    let unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"];
    let output = again(&unshare, dir.path()).output().expect("unshare (util-linux) must be installed");
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", shown(&output.stdout), shown(&output.stderr));
    assert!(shown(&output.stdout).contains("1 passed"), "{}", shown(&output.stdout));
}

fn full_disk(path: &Path) {
    let vault = Vault::init(&folder(path.join("vault")), &password()).unwrap();
    let lease = vault.lock_for_writing("test", LEASE).unwrap();
    let reader = vault.index().unwrap();
    let store = |fill: &dyn Fn(&VaultReader, &BlobWriter) -> Result<TreeId, VaultError>| {
        let writer = vault.writer(&reader, &lease).unwrap();
        fill(&reader, &writer).and_then(|tree| writer.finish().map(|_| tree))
    };
    let tree = store(&|_, w| Ok(tree_of(w, &[("a", b"1")]))).unwrap();
    let open = || ghevault_core::vault::Collector::new().verdict().unwrap();
    vault.commit(&draft(tree), &open(), &lease).unwrap();
    let error = store(&|_, w| {
        for seed in 0..30 {
            w.put_data(random(seed, 4_000_000))?;
        }
        Ok(tree_of(w, &[("a", b"2")]))
    })
    .unwrap_err();
    let VaultError::Full { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), ErrorKind::StorageFull);
    let report = vault.check(CheckDepth::Content, None, &|_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(
        fs::read_dir(path.join("vault/ghevault/tmp")).unwrap().count(),
        0,
        "the half-written pack is gone"
    );
}

#[test]
fn nothing_is_committed_without_its_tree_or_its_lease() {
    let scratch = Scratch::new();
    let lease = scratch.lease();
    let open = || ghevault_core::vault::Collector::new().verdict().unwrap();
    let nowhere: TreeId = rustic_core::Id::random().into();
    let error = scratch.vault.commit(&draft(nowhere), &open(), &lease).unwrap_err();
    assert!(matches!(error, VaultError::Missing { what: "tree", .. }), "{error}");

    let writer = scratch.vault.writer(&scratch.vault.index().unwrap(), &lease).unwrap();
    let tree = tree_of(&writer, &[("a", b"1")]);
    writer.finish().unwrap();
    let leases = files(&scratch, "ghevault/leases");
    fs::remove_file(&leases[0]).unwrap();
    let error = scratch.vault.commit(&draft(tree), &open(), &lease).unwrap_err();
    assert!(matches!(error, VaultError::LeaseLost { .. }), "{error}");
    assert!(scratch.vault.snapshots().unwrap().snapshots.is_empty());
}

#[test]
fn a_failing_source_is_not_the_vaults_fault() {
    struct Cut;
    impl std::io::Read for Cut {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("connection closed"))
        }
    }
    let scratch = Scratch::new();
    let lease = scratch.lease();
    let writer = scratch.vault.writer(&scratch.vault.index().unwrap(), &lease).unwrap();
    let begun = random(1, 3_000_000);
    let error = writer.put_file(&mut std::io::Read::chain(&begun[..], Cut)).unwrap_err();
    assert!(matches!(error, VaultError::Stream(_)), "{error}");
    writer.put_bytes(b"others go on".to_vec()).unwrap();
    writer.finish().unwrap();
}
