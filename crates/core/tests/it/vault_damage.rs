//! What happens when a vault, its place or its writer is not well: told apart, located, and never made worse.

use crate::support::vaults;
use ghevault_core::vault::{
    BlobWriter, CheckDepth, CheckReport, DamageKind, Metadata, Node, NodeType, SnapshotId, Tree, TreeId,
    Vault, VaultError,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use vaults::*;

fn the_file(scratch: &Scratch, kind: &str) -> PathBuf {
    let [one] = &files(scratch, kind)[..] else { panic!("more than one file in {kind}") };
    one.clone()
}

fn flip_a_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn cut_short(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn empty(path: &Path) {
    fs::write(path, "").unwrap();
}

type Damaging = fn(&Path);

const WAYS: [(&str, Damaging); 3] = [("flipped", flip_a_byte), ("cut", cut_short), ("emptied", empty)];

fn nested(writer: &BlobWriter, files: &[(&str, &[u8])]) -> TreeId {
    let mut node = Node::new_node("d".as_ref(), NodeType::Dir, Metadata::default());
    node.subtree = Some(tree_of(writer, files));
    writer.put_tree(&Tree { nodes: vec![node] }).unwrap()
}

fn check(scratch: &Scratch, depth: CheckDepth) -> CheckReport {
    scratch.vault.check(depth, None, &|_, _| {}).unwrap()
}

/// Kinds, and the touched paths as text.
fn told(report: &CheckReport) -> (Vec<DamageKind>, Vec<(SnapshotId, String)>) {
    let kinds = report.damages.iter().map(|d| d.kind).collect();
    let touched = report.damages.iter().flat_map(|d| &d.touched);
    (kinds, touched.map(|t| (t.snapshot, String::from_utf8(t.path.clone()).unwrap())).collect())
}

#[test]
fn what_is_no_vault_is_told_apart_from_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    for place in ["nothing", "file", "."] {
        let error = Vault::open(&folder(dir.path().join(place)), &password()).unwrap_err();
        assert!(matches!(error, VaultError::NotAVault { .. }), "{place}: {error}");
    }
    let scratch = Scratch::new();
    scratch.store(|_, w| tree_of(w, &[("a", b"x")]));
    fs::remove_file(scratch.path().join("config")).unwrap();
    for error in [
        Vault::open(&scratch.location(), &password()).unwrap_err(),
        Vault::init(&scratch.location(), &password()).unwrap_err(),
    ] {
        assert!(matches!(error, VaultError::Damaged { what: "configuration", .. }), "{error}");
    }
}

#[test]
fn a_vault_is_never_made_over_another_one() {
    let scratch = Scratch::new();
    let error = Vault::init(&scratch.location(), &password()).unwrap_err();
    assert!(matches!(error, VaultError::AlreadyExists { .. }), "{error}");
    Vault::open(&scratch.location(), &password()).unwrap();
}

#[test]
fn an_interrupted_init_can_be_repeated() {
    let scratch = Scratch::new();
    fs::remove_file(scratch.path().join("config")).unwrap();
    Vault::init(&scratch.location(), &password()).unwrap();
    assert_eq!(files(&scratch, "keys").len(), 1, "the old key would open to another master key");
    Vault::open(&scratch.location(), &password()).unwrap();
}

#[test]
fn a_wrong_password_is_not_a_damaged_key() {
    let scratch = Scratch::new();
    let wrong = ghevault_core::vault::Password::new("wrong");
    let error = Vault::open(&scratch.location(), &wrong).unwrap_err();
    assert!(matches!(error, VaultError::WrongPassword { .. }), "{error}");
    let key = the_file(&scratch, "keys");
    let sound = fs::read(&key).unwrap();
    for (way, damage) in WAYS {
        fs::write(&key, &sound).unwrap();
        damage(&key);
        let error = Vault::open(&scratch.location(), &password()).unwrap_err();
        assert!(matches!(error, VaultError::Damaged { what: "key file", .. }), "{way}: {error}");
    }
    fs::remove_file(&key).unwrap();
    let error = Vault::open(&scratch.location(), &password()).unwrap_err();
    assert!(matches!(error, VaultError::Damaged { what: "key file", .. }), "{error}");
}

#[test]
fn a_damaged_key_does_not_stop_the_others() {
    let scratch = Scratch::new();
    let first = the_file(&scratch, "keys");
    let password_file = scratch.dir.path().join("second");
    fs::write(&password_file, "second").unwrap();
    let added = scratch.restic(&["key", "add", "--new-password-file", password_file.to_str().unwrap()]);
    assert!(added.status.success());
    flip_a_byte(&first);
    let open = |text: &str| Vault::open(&scratch.location(), &ghevault_core::vault::Password::new(text));
    open("second").unwrap();
    let error = open(PASSWORD).unwrap_err();
    let name = first.file_name().unwrap().to_str().unwrap();
    assert!(
        matches!(&error, VaultError::WrongPassword { damaged_keys, .. } if damaged_keys.len() == 1),
        "{error}"
    );
    assert!(error.to_string().contains(name), "{error}");
}

#[test]
fn a_damaged_configuration_is_named() {
    let scratch = Scratch::new();
    let config = scratch.path().join("config");
    let sound = fs::read(&config).unwrap();
    for (way, damage) in WAYS {
        fs::write(&config, &sound).unwrap();
        damage(&config);
        let error = Vault::open(&scratch.location(), &password()).unwrap_err();
        assert!(matches!(error, VaultError::Damaged { what: "configuration", .. }), "{way}: {error}");
    }
}

#[test]
fn a_place_that_may_not_be_written_is_named() {
    // the kernel refuses folders here to everybody, root too
    let error = Vault::init(&folder("/sys/kernel/ghevault-test"), &password()).unwrap_err();
    assert!(matches!(&error, VaultError::Denied { path, .. } if path.contains("/sys/kernel")), "{error}");
}

#[test]
fn a_damaged_snapshot_does_not_hide_the_others() {
    let scratch = Scratch::new();
    let (first, ..) = scratch.store(|_, w| tree_of(w, &[("a", b"1")]));
    let (second, ..) = scratch.store(|_, w| tree_of(w, &[("a", b"2")]));
    let file = scratch.path().join("snapshots").join(first.to_string());
    let sound = fs::read(&file).unwrap();
    for (way, damage) in WAYS {
        fs::write(&file, &sound).unwrap();
        damage(&file);
        let list = scratch.vault.snapshots().unwrap();
        assert_eq!(list.snapshots.iter().map(|s| s.id).collect::<Vec<_>>(), [second], "{way}");
        assert!(matches!(&list.damaged[..], [(id, VaultError::Damaged { .. })] if *id == first), "{way}");
        assert!(matches!(list.find(&first.short()), Err(VaultError::Damaged { what: "snapshot", .. })));
        let (kinds, touched) = told(&check(&scratch, CheckDepth::Presence));
        assert_eq!((kinds, touched), (vec![DamageKind::Snapshot], vec![(first, String::new())]), "{way}");
    }
    assert_eq!(scratch.vault.find("latest").unwrap().id, second);
    assert!(matches!(scratch.vault.find("zz"), Err(VaultError::NoSuchSnapshot { candidates: 0, .. })));
}

#[test]
fn a_damaged_pack_is_located_and_traced_to_its_files() {
    let scratch = Scratch::new();
    let (kept, lost) = (random(1, 600_000), random(2, 600_000));
    let (first, ..) = scratch.store(|_, w| nested(w, &[("kept", &kept)]));
    let before = files(&scratch, "data");
    let (second, tree, _) = scratch.store(|_, w| nested(w, &[("kept", &kept), ("lost", &lost)]));
    let new: Vec<_> = files(&scratch, "data").into_iter().filter(|f| !before.contains(f)).collect();
    let pack = new.iter().max_by_key(|f| fs::metadata(f).unwrap().len()).unwrap();
    let name = pack.strip_prefix(scratch.path()).unwrap().to_str().unwrap().to_owned();
    let sound = fs::read(pack).unwrap();
    let costs = vec![(second, "d/lost".to_owned())];

    let content = |file: &str| {
        let reader = scratch.vault.index().unwrap();
        let node = reader.node_at(tree, file).unwrap().unwrap();
        let mut bytes = Vec::new();
        reader.dump(&node, &mut bytes).map(|_| bytes)
    };
    flip_a_byte(pack);
    assert!(check(&scratch, CheckDepth::Presence).is_sound(), "sizes say nothing about bytes");
    let report = check(&scratch, CheckDepth::Content);
    assert_eq!(told(&report), (vec![DamageKind::PackContent], costs.clone()));
    assert_eq!(report.damages[0].file, name);
    let error = content("d/lost").unwrap_err();
    assert!(matches!(&error, VaultError::Damaged { what: "pack", file, .. } if *file == name), "{error}");
    assert!(content("d/kept").unwrap() == kept);
    assert!(!scratch.restic(&["check", "--read-data"]).status.success(), "restic sees it, too");

    for damage in [cut_short as fn(&Path), empty, |p| {
        fs::write(p, [&fs::read(p).unwrap()[..], b"more"].concat()).unwrap();
    }] {
        fs::write(pack, &sound).unwrap();
        damage(pack);
        let longer = fs::metadata(pack).unwrap().len() > sound.len() as u64;
        assert_eq!(told(&check(&scratch, CheckDepth::Presence)), (vec![DamageKind::PackSize], costs.clone()));
        let expected = if longer { Vec::new() } else { costs.clone() };
        assert_eq!(told(&check(&scratch, CheckDepth::Content)), (vec![DamageKind::PackSize], expected));
        assert_eq!(content("d/lost").is_ok(), longer);
    }

    fs::remove_file(pack).unwrap();
    for depth in [CheckDepth::Presence, CheckDepth::Content] {
        assert_eq!(told(&check(&scratch, depth)), (vec![DamageKind::PackMissing], costs.clone()));
    }
    assert!(matches!(content("d/lost"), Err(VaultError::Damaged { what: "pack", .. })));
    // a check of the other snapshot alone still names the pack, and that it costs nothing there
    let report = scratch.vault.check(CheckDepth::Presence, Some(&[first]), &|_, _| {}).unwrap();
    assert_eq!(told(&report), (vec![DamageKind::PackMissing], vec![]));

    fs::write(pack, &sound).unwrap();
    assert!(check(&scratch, CheckDepth::Content).is_sound());
}

#[test]
fn damaged_trees_cost_the_folders_that_they_are() {
    let scratch = Scratch::new();
    let (first, ..) = scratch.store(|_, w| {
        w.put_data(random(1, 1000)).unwrap();
        tree_of(w, &[("a", b"1")])
    });
    let before = files(&scratch, "data");
    let (second, ..) = scratch.store(|_, w| nested(w, &[("a", b"1")]));
    // the second run wrote one pack, with the tree of the root only: the inner one is the first run's
    let pack = files(&scratch, "data").into_iter().find(|f| !before.contains(f)).unwrap();
    flip_a_byte(&pack);
    let (kinds, touched) = told(&check(&scratch, CheckDepth::Content));
    assert_eq!((kinds, touched), (vec![DamageKind::PackContent], vec![(second, String::new())]));
    assert!(scratch.vault.check(CheckDepth::Presence, Some(&[first]), &|_, _| {}).unwrap().is_sound());
}

#[test]
fn a_blob_swapped_for_another_one_of_the_vault_does_not_pass() {
    let scratch = Scratch::new();
    let (a, b) = (random(1, 300_000), random(2, 300_000));
    let mut packs = Vec::new();
    let mut tree = None;
    for content in [&a, &b] {
        let before = files(&scratch, "data");
        let (_, t, _) = scratch.store(|_, w| tree_of(w, &[("f", content)]));
        tree = Some(t);
        packs.extend(files(&scratch, "data").into_iter().filter(|f| !before.contains(f)));
    }
    packs.retain(|p| fs::metadata(p).unwrap().len() > 300_000);
    let [one, two] = &packs[..] else { panic!("{packs:?}") };
    // authentic bytes of this vault, of the right size, in the wrong place
    fs::copy(one, two).unwrap();
    let reader = scratch.vault.index().unwrap();
    let node = reader.node_at(tree.unwrap(), "f").unwrap().unwrap();
    let mut taken = Vec::new();
    let error = reader.dump(&node, &mut taken).unwrap_err();
    assert!(error.to_string().contains("hash"), "{error}");
    assert!(taken.is_empty());
    assert_eq!(told(&check(&scratch, CheckDepth::Content)).0, [DamageKind::PackContent]);
}

#[test]
fn a_damaged_index_is_named_and_what_it_costs_is_listed() {
    let scratch = Scratch::new();
    let (first, ..) = scratch.store(|_, w| tree_of(w, &[("a", b"1")]));
    let before = files(&scratch, "index");
    let (second, ..) = scratch.store(|_, w| tree_of(w, &[("a", b"1"), ("b", b"2")]));
    let index = files(&scratch, "index").into_iter().find(|f| !before.contains(f)).unwrap();
    let sound = fs::read(&index).unwrap();
    for (way, damage) in WAYS {
        fs::write(&index, &sound).unwrap();
        damage(&index);
        assert!(matches!(scratch.vault.index(), Err(VaultError::Damaged { what: "index", .. })), "{way}");
        let report = check(&scratch, CheckDepth::Presence);
        let expected = (vec![DamageKind::Index], vec![(second, String::new())]);
        assert_eq!(told(&report), expected, "{way}");
        assert_eq!(report.orphan_packs, 2);
    }
    fs::remove_file(&index).unwrap();
    let (kinds, touched) = told(&check(&scratch, CheckDepth::Presence));
    assert_eq!((kinds, touched), (vec![DamageKind::BlobMissing], vec![(second, String::new())]));
    assert!(scratch.vault.check(CheckDepth::Content, Some(&[first]), &|_, _| {}).unwrap().is_sound());
}

#[test]
fn a_damaged_key_is_reported_while_another_still_opens() {
    let scratch = Scratch::new();
    flip_a_byte(&the_file(&scratch, "keys"));
    assert_eq!(told(&check(&scratch, CheckDepth::Presence)).0, [DamageKind::Key]);
}

#[test]
fn a_file_that_is_not_as_long_as_it_says_is_found() {
    let scratch = Scratch::new();
    let (id, ..) = scratch.store(|_, w| {
        let stored = w.put_bytes(b"short".to_vec()).unwrap();
        w.put_tree(&Tree { nodes: vec![file("grown", 3_000_000, stored.content)] }).unwrap()
    });
    let found = told(&check(&scratch, CheckDepth::Presence));
    assert_eq!(found, (vec![DamageKind::FileSize], vec![(id, "grown".to_owned())]));
}

#[test]
fn strangers_in_the_folder_do_no_harm() {
    let scratch = Scratch::new();
    scratch.store(|_, w| tree_of(w, &[("a", b"1")]));
    for stranger in ["data/ab/readme", "data/stray", "index/.nfs0001", "snapshots/tmp-1", "notes"] {
        fs::write(scratch.path().join(stranger), "x").unwrap();
    }
    fs::write(scratch.path().join("data/00").join("0".repeat(64)), "left by a crash of another program")
        .unwrap();
    let report = check(&scratch, CheckDepth::Content);
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.orphan_packs, 1);
}

#[test]
fn everything_can_be_read_without_any_index_file() {
    let scratch = Scratch::new();
    let big = random(1, 3_000_000);
    let (_, tree, _) = scratch.store(|_, w| nested(w, &[("big", &big), ("small", b"s")]));
    for (way, damage) in WAYS {
        let index = the_file(&scratch, "index");
        let sound = fs::read(&index).unwrap();
        damage(&index);
        assert!(scratch.vault.index().is_err(), "{way}");
        let salvaged = scratch.vault.salvage().unwrap();
        assert_eq!((salvaged.packs_found, salvaged.damages.len()), (2, 1), "{way}");
        fs::write(&index, sound).unwrap();
    }
    fs::remove_file(the_file(&scratch, "index")).unwrap();
    let stranger = scratch.path().join("data/00").join("0".repeat(64));
    fs::write(&stranger, "no pack at all").unwrap();
    let salvaged = scratch.vault.salvage().unwrap();
    assert_eq!((salvaged.packs_found, salvaged.damages.len()), (2, 1));
    let read = |file: &str| {
        let node = salvaged.reader.node_at(tree, file).unwrap().unwrap();
        let mut bytes = Vec::new();
        salvaged.reader.dump(&node, &mut bytes).unwrap();
        bytes
    };
    assert!(read("d/big") == big);
    assert_eq!(read("d/small"), b"s");
    let refused = scratch.vault.writer(&salvaged.reader, &scratch.lease()).map(|_| ());
    assert!(matches!(refused, Err(VaultError::Invalid(_))));
}
