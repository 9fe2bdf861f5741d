//! Attacks on the appliance, and on what two vaults see of it. Each is found, as what it is, with the right exit code.

use crate::support;
use ghevault_sim::{
    build::git,
    live::{growth, refs},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use support::{Desk, two::Two};

/// All repositories, wikis and gists that have a default branch.
fn repositories(two: &Two) -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.join("HEAD").is_file() {
                found.push(path);
            } else if path.is_dir() {
                below(&path, found);
            }
        }
    }
    let mut found = Vec::new();
    below(&two.appliance.place().repositories(), &mut found);
    found.retain(|path| {
        let is_sha1 = !fs::read_to_string(path.join("config")).unwrap_or_default().contains("sha256");
        is_sha1 && !path.ends_with("network.git") && default_of(path).is_some()
    });
    found.sort();
    found
}

/// The default branch and where it points.
fn default_of(repository: &Path) -> Option<(String, String)> {
    let head = fs::read_to_string(repository.join("HEAD")).ok()?;
    let name = head.trim().strip_prefix("ref: ")?.to_owned();
    let all = refs::read_all(repository).ok()?;
    Some((name.clone(), all.get(name.as_bytes())?.clone()))
}

fn set(repository: &Path, reference: &str, to: &str) {
    git::run(repository, &["update-ref", reference, to], b"").expect("the reference is set");
}

fn delete(repository: &Path, reference: &str) {
    git::run(repository, &["update-ref", "-d", reference], b"").expect("the reference is deleted");
}

/// A commit with the tree of another one.
fn commit(repository: &Path, like: &str, parent: Option<&str>) -> String {
    let tree = format!("{like}^{{tree}}");
    let mut words = vec![
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@example.com",
        "commit-tree",
        &tree,
        "-m",
        "nothing to see",
    ];
    words.extend(parent.iter().flat_map(|parent| ["-p", *parent]));
    let made = git::run(repository, &words, b"").expect("a commit");
    String::from_utf8_lossy(&made).trim().to_owned()
}

/// Replaces the history of the default branch by one commit.
fn rewrite(path: &Path) {
    if let Some((name, at)) = default_of(path) {
        set(path, &name, &commit(path, &at, None));
    }
}

/// One attack on the appliance.
struct Attack {
    name: &'static str,
    finding: &'static str,
    act: fn(&Two),
}

/// Bytes that look like encrypted ones.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x1234_5678_9abc_def0_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).expect("removed");
    fs::write(path, bytes).expect("written");
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "a key that may enter the admin shell is added",
        finding: "key-added",
        act: |two| {
            let path = two.appliance.disk("/data/user/common/authorized_keys");
            let mut text = fs::read_to_string(&path).expect("keys");
            text.push_str(
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvilEvilEvilEvilEvilEvilEvilEvilEvilEvil0 x\n",
            );
            overwrite(&path, text.as_bytes());
        },
    },
    Attack {
        name: "a user is made a site administrator",
        finding: "admin-added",
        act: |two| {
            let entry = r#"{"_id":"evil","_source":{"action":"user.promote","user":"eve","actor":"mona","created_at":1767225600000}}"#;
            growth::audit_line(two.appliance.place(), &format!("{entry}\n")).expect("written");
        },
    },
    Attack {
        name: "a hook is added",
        finding: "hook-changed",
        act: |two| {
            let path = two.appliance.disk("/data/user/git-hooks/repos/1/evil.sh");
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, "#!/bin/sh\n").expect("a hook");
        },
    },
    Attack {
        name: "a hook's repository gets another commit",
        finding: "hook-changed",
        act: |two| rewrite(&two.appliance.disk("/data/user/git-hooks/repos/1.git")),
    },
    Attack {
        name: "the environment of hooks is replaced",
        finding: "hook-changed",
        act: |two| {
            let folder = two.appliance.disk("/data/user/git-hooks/environments/tarballs");
            overwrite(&files(&folder)[0], &noise(5000));
        },
    },
    Attack {
        name: "default branches of all repositories are rewritten",
        finding: "mass-rewind",
        act: |two| repositories(two).iter().for_each(|path| rewrite(path)),
    },
    Attack {
        name: "branches of all repositories are deleted",
        finding: "mass-deletion",
        act: |two| {
            for path in repositories(two) {
                for name in refs::read_all(&path).expect("references").keys() {
                    if name.starts_with(b"refs/heads/") {
                        delete(&path, &String::from_utf8_lossy(name));
                    }
                }
            }
        },
    },
    Attack {
        name: "repositories are deleted",
        finding: "repositories-vanished",
        act: |two| {
            for path in repositories(two).iter().take(5) {
                fs::remove_dir_all(path).expect("removed");
            }
        },
    },
    Attack {
        name: "packs are encrypted",
        finding: "objects-unreadable",
        act: |two| {
            for path in files(&two.appliance.place().repositories()) {
                let is_pack = path.extension().is_some_and(|e| e == "pack" || e == "idx");
                if is_pack {
                    let length = fs::metadata(&path).expect("a pack").len();
                    overwrite(&path, &noise(usize::try_from(length).expect("small") + 1));
                }
            }
        },
    },
    Attack {
        name: "stored objects are deleted",
        finding: "dataset-collapsed",
        act: |two| {
            for path in files(&two.appliance.disk("/data/user/storage")) {
                fs::remove_file(path).expect("removed");
            }
        },
    },
];

/// Copies a folder with owners, times and links, in place of what is there.
fn copied(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(done.success());
}

/// Plays attacks, each on the same appliance and vault.
fn play(seed: u64, attacks: &[Attack]) {
    let two = Two::new(seed);
    let (kept, aside) = (two.keep(), tempfile::tempdir().expect("a folder"));
    let root = two.appliance.place().root().to_owned();
    let parts = ["disk", "stores"];
    for part in parts {
        copied(&root.join(part), &aside.path().join(part));
    }
    for attack in attacks {
        println!("{}", attack.name);
        (attack.act)(&two);
        let done = two.a.run(&["backup", "--json", "--quiet"]).exits(13).complains("look like an attack");
        let report = done.json();
        let findings = report["findings"].as_array().unwrap_or_else(|| panic!("{}: {report}", attack.name));
        let is_it = |one: &Value| one["kind"] == attack.finding && one["severity"] == "high";
        assert!(findings.iter().any(is_it), "{}: {report}", attack.name);
        two.put_back(&kept);
        for part in parts {
            copied(&aside.path().join(part), &root.join(part));
        }
    }
}

#[test]
fn attacks_on_an_appliances_access_and_hooks_are_found() {
    play(20, &ATTACKS[..4]);
}

#[test]
fn attacks_on_an_appliances_repositories_are_found() {
    play(21, &ATTACKS[4..8]);
}

#[test]
fn attacks_on_an_appliances_data_are_found() {
    play(22, &ATTACKS[8..]);
}

#[test]
fn what_is_in_quarantine_is_never_latest_until_it_is_acknowledged() {
    let two = Two::new(23);
    let latest = |reason: &str| {
        let held = two.a.run(&["hold", "latest", "--reason", reason, "--json"]).exits(0).json();
        let id = held["snapshot"].as_str().expect("an id").to_owned();
        two.a.run(&["hold", &id, "--release", "--json"]).exits(0);
        id
    };
    let good = latest("which one is it");
    (ATTACKS[0].act)(&two);
    let bad = two.a.run(&["backup", "--json", "--quiet"]).exits(13).json()["snapshot"].clone();
    let bad = bad.as_str().expect("an id").to_owned();
    // waiting does not make it normal
    let later = two.a.run(&["backup", "--json", "--quiet"]).exits(13).json()["snapshot"].clone();
    let later = later.as_str().expect("an id").to_owned();
    two.a.run(&["findings"]).exits(13).complains("2 snapshot(s) look like an attack");
    assert_eq!(latest("and now"), good);
    for name in [&good, &bad, &later] {
        two.a.run(&["forget", name]).exits(14).complains("quarantine");
    }
    two.a.run(&["forget", "--keep-minimum", "1", "--keep-daily", "1", "--quiet"]).exits(0);
    let left = two.a.run(&["snapshots", "--json"]).exits(0).stdout;
    assert!([&good, &bad, &later].iter().all(|id| left.contains(id.as_str())), "{left}");
    two.a.run(&["ack", &good, "--reason", "x"]).exits(1).complains("not in quarantine");
    let done = two.a.run(&["ack", &bad, "--reason", "it was us", "--json"]).exits(0).json();
    assert_eq!(done["acknowledged"][0]["reason"], "it was us");
    // the later one is the same as what was acknowledged
    two.a.run(&["findings"]).exits(0);
    assert_eq!(latest("at last"), later);
}

/// What the attacker shows to one of two vaults only.
struct Lie {
    reference: &'static str,
    tell: fn(&Path, &Side),
    unsay: fn(&Path, &Side),
}

/// Commits of a repository: its default branch, and two after it.
struct Side {
    main: String,
    base: String,
    tip: String,
}

const LIES: &[(&str, Lie)] = &[
    (
        "a branch is rewound",
        Lie {
            reference: "refs/heads/target",
            tell: |path, side| set(path, "refs/heads/target", &side.base),
            unsay: |path, side| set(path, "refs/heads/target", &side.tip),
        },
    ),
    (
        "a commit is replaced",
        Lie {
            reference: "refs/heads/target",
            tell: |path, side| set(path, "refs/heads/target", &commit(path, &side.tip, Some(&side.base))),
            unsay: |path, side| set(path, "refs/heads/target", &side.tip),
        },
    ),
    (
        "the default branch is replaced",
        Lie {
            reference: "refs/heads/main",
            tell: |path, side| set(path, "refs/heads/main", &commit(path, &side.main, None)),
            unsay: |path, side| set(path, "refs/heads/main", &side.main),
        },
    ),
    (
        "a tag is moved",
        Lie {
            reference: "refs/tags/v9.9.9",
            tell: |path, side| set(path, "refs/tags/v9.9.9", &side.tip),
            unsay: |path, side| set(path, "refs/tags/v9.9.9", &side.base),
        },
    ),
    (
        "the default branch is another one",
        Lie {
            reference: "HEAD",
            tell: |path, _| head(path, "refs/heads/target"),
            unsay: |path, _| head(path, "refs/heads/main"),
        },
    ),
    (
        "a release's tag is missing",
        Lie {
            reference: "refs/tags/v9.9.9",
            tell: |path, _| delete(path, "refs/tags/v9.9.9"),
            unsay: |path, side| set(path, "refs/tags/v9.9.9", &side.base),
        },
    ),
];

fn head(path: &Path, to: &str) {
    git::run(path, &["symbolic-ref", "HEAD", to], b"").expect("another HEAD");
}

#[test]
fn what_only_one_of_two_vaults_sees_is_found_by_both() {
    let two = Two::new(50);
    for desk in [&two.a, &two.b] {
        desk.write(".config/ghevault/ghevault.toml", &format!("[witness]\nboard = [\"{}\"]\n", two.place()));
    }
    let mut paths = repositories(&two);
    paths.retain(|path| default_of(path).is_some_and(|(name, _)| name == "refs/heads/main"));
    assert!(paths.len() >= LIES.len(), "{paths:?}");
    let side = |path: &Path| {
        let (_, main) = default_of(path).expect("a default branch");
        let base = commit(path, &main, Some(&main));
        let tip = commit(path, &main, Some(&base));
        set(path, "refs/heads/target", &tip);
        set(path, "refs/tags/v9.9.9", &base);
        Side { main, base, tip }
    };
    let sides: Vec<Side> = paths.iter().take(LIES.len()).map(|path| side(path)).collect();
    let stage = || LIES.iter().zip(&paths).zip(&sides);
    let back_up = |desk: &Desk| drop(desk.run(&["backup", "--quiet"]));
    back_up(&two.b);
    back_up(&two.a);
    two.compare(&two.a, &two.b).exits(0);
    stage().for_each(|((lie, path), side)| (lie.1.tell)(path, side));
    back_up(&two.a);
    stage().for_each(|((lie, path), side)| (lie.1.unsay)(path, side));
    back_up(&two.b);
    back_up(&two.a);
    let password = format!("file:{}", two.b.path("password").display());
    let vault = two.b.path("vault").display().to_string();
    let words = ["compare", "--json", "--clock-slack", "0", "--with", &vault, "--with-password", &password];
    for done in [two.compare(&two.a, &two.b), two.compare(&two.b, &two.a), two.a.run(&words)] {
        let report = done.exits(13).json();
        let found = report["compared"][0]["disagreements"].as_array().expect("a list").clone();
        for ((name, lie), path) in LIES.iter().zip(&paths) {
            let nwo = fs::read_to_string(path.join("info/nwo")).expect("a name");
            let shown = path.to_string_lossy();
            let is_it = |one: &Value| {
                let repository = one["repository"].as_str().expect("a name");
                one["reference"] == lie.reference
                    && one["severity"] == "high"
                    && (repository == nwo.trim() || shown.ends_with(repository))
            };
            assert!(found.iter().any(is_it), "{name} in {nwo}: {report}");
        }
    }
}
