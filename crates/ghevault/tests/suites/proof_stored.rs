//! Attacks on what is stored: on a vault and on a board. Each is found, as what it is, with the right exit code.

use crate::support;
use ghevault_core::{
    compare,
    seal::SealKey,
    witness::{Note, PublicKey},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    fs,
    path::{Path, PathBuf},
};
use support::{
    Desk, Done, damage,
    two::{Two, finds, forge, forge_with, ids, origin_folder, public, remove},
};

/// One attack: what is done, and how it is found.
struct Attack {
    name: &'static str,
    act: fn(&Two),
    found: fn(&Two),
}

/// Plays all attacks, each on the same stage.
fn play(seed: u64, attacks: &[Attack]) {
    let two = Two::new(seed);
    let kept = two.keep();
    for attack in attacks {
        println!("{}", attack.name);
        (attack.act)(&two);
        (attack.found)(&two);
        two.put_back(&kept);
    }
    two.check(&two.a).exits(0);
    two.verify().exits(0);
}

/// Files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// The largest pack of A.
fn pack(two: &Two) -> PathBuf {
    let packs = files(&two.a.path("vault/data"));
    packs.into_iter().max_by_key(|path| fs::metadata(path).expect("a pack").len()).expect("a pack")
}

fn writable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
}

fn verify(two: &Two, depth: &str) -> Done {
    two.a.run(&["verify", "--json", "--depth", depth])
}

/// Puts a file that is no such file beside the others.
fn garbage(two: &Two, folder: &str) {
    fs::write(two.a.path(&format!("vault/{folder}/{}", "ab".repeat(32))), "garbage").expect("written");
}

/// Every sealed snapshot comes back.
fn still_restores(two: &Two) {
    let id = ids_of_files(two)[0].clone();
    let target = tempfile::tempdir().expect("a folder");
    let to = target.path().join("out").display().to_string();
    two.a.run(&["restore", &id, "--to", &to, "--quiet"]).exits(0);
}

fn ids_of_files(two: &Two) -> Vec<String> {
    let name = |path: PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    files(&two.a.path("vault/snapshots"))
        .into_iter()
        .map(name)
        .filter(|name| !name.starts_with("abab"))
        .collect()
}

/// The sheets of A, oldest first.
fn sheets(two: &Two) -> Vec<PathBuf> {
    let origin = origin_folder(two.board.path(), &two.a);
    files(Path::new(&format!("{}.refs", origin.display())))
}

fn is_another_story(two: &Two) {
    two.compare(&two.b, &two.a).exits(13).complains("no normal history");
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn attacks_on_a_vault_are_found() {
    play(
        1,
        &[
            Attack {
                name: "the newest snapshot is removed",
                act: |two| remove(&two.a, &ids(&two.a)[1]),
                found: |two| finds(two.check(&two.a), "removed"),
            },
            Attack {
                name: "an older snapshot is removed",
                act: |two| remove(&two.a, &ids(&two.a)[0]),
                found: |two| finds(two.check(&two.a), "removed"),
            },
            Attack {
                name: "all snapshots are removed",
                act: |two| ids(&two.a).iter().for_each(|id| remove(&two.a, id)),
                found: |two| finds(two.check(&two.a), "removed"),
            },
            Attack {
                name: "a pack is removed",
                act: |two| fs::remove_file(pack(two)).expect("removed"),
                found: |two| assert!(verify(two, "1").exits(13).stdout.contains("pack-missing")),
            },
            Attack {
                name: "a bit of a pack is flipped",
                act: |two| damage(&pack(two)),
                found: |two| {
                    let report = verify(two, "2").exits(13);
                    assert!(report.stdout.contains("pack-content"), "{report:?}");
                },
            },
            Attack {
                name: "a pack is cut",
                act: |two| {
                    let path = pack(two);
                    writable(&path);
                    let bytes = fs::read(&path).expect("a pack");
                    fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
                },
                found: |two| assert!(verify(two, "1").exits(13).stdout.contains("pack-size")),
            },
            Attack {
                name: "a pack is replaced by another one",
                act: |two| {
                    let packs = files(&two.a.path("vault/data"));
                    writable(&packs[0]);
                    fs::copy(&packs[1], &packs[0]).expect("copied");
                },
                found: |two| drop(verify(two, "2").exits(13)),
            },
            Attack {
                name: "an index file is removed",
                act: |two| fs::remove_file(&files(&two.a.path("vault/index"))[0]).expect("removed"),
                found: |two| drop(verify(two, "1").exits(13)),
            },
            Attack {
                name: "an index file that is none is added",
                act: |two| garbage(two, "index"),
                found: |two| {
                    assert!(verify(two, "1").exits(13).stdout.contains("\"index\""));
                    still_restores(two);
                },
            },
            Attack {
                name: "a snapshot file that is none is added",
                act: |two| garbage(two, "snapshots"),
                found: |two| {
                    two.a.run(&["snapshots", "--json"]).exits(13);
                    still_restores(two);
                },
            },
            Attack {
                name: "a snapshot file is changed",
                act: |two| damage(&two.a.path(&format!("vault/snapshots/{}", ids(&two.a)[0]))),
                found: |two| finds(two.check(&two.a), "swapped"),
            },
            Attack {
                name: "the seals of two snapshots are swapped",
                act: |two| forge_with(&two.a, None, |manifest| manifest.tree = "00".repeat(32)),
                found: |two| {
                    finds(two.check(&two.a), "swapped");
                    verify(two, "1").exits(13);
                },
            },
            Attack {
                name: "a snapshot is back-dated",
                act: |two| {
                    forge(&two.a, |manifest| {
                        manifest.started = (Timestamp::now() - SignedDuration::from_hours(168)).to_string();
                        manifest.previous = None;
                    });
                },
                found: |two| finds(two.check(&two.a), "back-dated"),
            },
            Attack {
                name: "the chain is forked",
                act: |two| forge(&two.a, |manifest| manifest.version = "9.9.9".into()),
                found: |two| finds(two.check(&two.a), "fork"),
            },
            Attack {
                name: "the newest snapshot is replaced by a rewritten one",
                act: |two| {
                    let newest = ids(&two.a).pop().expect("a snapshot");
                    forge(&two.a, |manifest| manifest.version = "9.9.9".into());
                    remove(&two.a, &newest);
                },
                found: |two| finds(two.check(&two.a), "removed"),
            },
            Attack {
                name: "a snapshot is sealed with another key",
                act: |two| {
                    forge_with(&two.a, Some(SealKey::generate()), |manifest| manifest.version = "9".into());
                },
                found: |two| drop(two.a.run(&["verify", "--seal-key", &public(&two.a)]).exits(13)),
            },
            Attack {
                name: "another vault stands in its place",
                act: |two| {
                    fs::remove_dir_all(two.a.path("vault")).expect("removed");
                    two.a.run(&["init"]).exits(0);
                    two.a.run(&["backup", "--quiet"]).exits(0);
                },
                found: |two| finds(two.check(&two.a), "silent"),
            },
            Attack {
                name: "a record of what was found is changed",
                act: |two| {
                    fs::create_dir_all(two.a.path("vault/ghevault/quarantine")).expect("a folder");
                    let name = format!("vault/ghevault/quarantine/{}-000009.record", "0".repeat(64));
                    fs::write(two.a.path(&name), "garbage").expect("written");
                },
                found: |two| drop(two.a.run(&["findings", "--known"]).exits(13)),
            },
        ],
    );
}

#[test]
fn attacks_on_a_board_are_found() {
    play(
        2,
        &[
            Attack {
                name: "an old head is shown again",
                act: |two| {
                    let newer = two.files(&two.a, "note").split_off(1);
                    for file in newer.iter().chain(&two.files(&two.a, "cosigned")) {
                        fs::remove_file(file).expect("removed");
                    }
                },
                found: |two| {
                    finds(two.cosign(&two.b, &two.a), "rollback");
                    finds(two.check(&two.a), "rollback");
                },
            },
            Attack {
                name: "a note is edited",
                act: |two| {
                    let note = two.files(&two.a, "note").pop().expect("a note");
                    let text = fs::read_to_string(&note).expect("text");
                    fs::write(&note, text.replacen("time 2", "time 1", 1)).expect("written");
                },
                found: |two| finds(two.verify(), "forged"),
            },
            Attack {
                name: "a note is garbage",
                act: |two| fs::write(&two.files(&two.a, "note")[0], "garbage").expect("written"),
                found: |two| finds(two.verify(), "edited"),
            },
            Attack {
                name: "a note stands under the name of another",
                act: |two| {
                    let notes = two.files(&two.a, "note");
                    fs::copy(&notes[0], &notes[1]).map(drop).expect("copied");
                },
                found: |two| finds(two.verify(), "swapped"),
            },
            Attack {
                name: "a note of another vault is put in",
                act: |two| {
                    let foreign = two.files(&two.b, "note").pop().expect("a note");
                    let to =
                        two.files(&two.a, "note")[0].with_file_name(foreign.file_name().expect("a name"));
                    fs::copy(foreign, to).map(drop).expect("copied");
                },
                found: |two| finds(two.verify(), "swapped"),
            },
            Attack {
                name: "the newest note is removed, its cosigned copy stands",
                act: |two| {
                    fs::remove_file(two.files(&two.a, "note").pop().expect("a note")).expect("removed");
                },
                found: |two| finds(two.verify(), "removed"),
            },
            Attack {
                name: "all of a vault is removed",
                act: |two| fs::remove_dir_all(origin_folder(two.board.path(), &two.a)).expect("removed"),
                found: |two| finds(two.verify(), "silent"),
            },
            Attack {
                name: "a ref sheet is edited",
                act: |two| {
                    let sheet = sheets(two).remove(0);
                    let text = fs::read_to_string(&sheet).expect("text");
                    fs::write(&sheet, text.replacen("started 2", "started 1", 1)).expect("written");
                },
                found: is_another_story,
            },
            Attack {
                name: "a ref sheet is removed",
                act: |two| fs::remove_file(&sheets(two)[0]).expect("removed"),
                found: is_another_story,
            },
            Attack {
                name: "a ref sheet stands under the name of another",
                act: |two| {
                    let sheets = sheets(two);
                    fs::copy(&sheets[0], &sheets[1]).map(drop).expect("copied");
                },
                found: is_another_story,
            },
            Attack {
                name: "a ref sheet is signed by somebody else",
                act: |two| {
                    let sheet = sheets(two).pop().expect("a sheet");
                    let text = fs::read_to_string(&sheet).expect("text");
                    let note = Note::parse(&text).expect("a note");
                    let origin = note.body.lines().next().expect("an origin").to_owned();
                    let forged = Note::sign(note.body, &origin, &SealKey::generate()).expect("signed");
                    fs::write(&sheet, forged.text()).expect("written");
                },
                found: is_another_story,
            },
        ],
    );
}

#[test]
fn sheets_hold_no_name() {
    let two = Two::new(3);
    let name = fs::read_to_string(two.repository(1).join("info/nwo")).expect("a name");
    for sheet in sheets(&two) {
        let text = fs::read_to_string(sheet).expect("text");
        for word in ["refs/", "main", "repositories/", name.trim(), &two.a.host()] {
            assert!(!text.contains(word), "{word}");
        }
    }
    let key = PublicKey::parse(&public(&two.a)).expect("a key");
    let origin = origin_folder(two.board.path(), &two.a);
    let origin = origin.file_name().expect("a name").to_string_lossy().into_owned();
    for sheet in sheets(&two) {
        let text = fs::read_to_string(sheet).expect("text");
        compare::Sheet::read(&text, &origin, &key).expect("a sheet");
    }
    two.compare(&two.b, &two.a).exits(0);
    let strange = Desk::with_vault();
    strange
        .run(&["compare", "--board", &two.place(), "--key", &public(&two.a)])
        .exits(1)
        .complains("no complete");
}
