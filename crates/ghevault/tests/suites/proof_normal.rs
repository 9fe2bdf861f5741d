//! Normal histories: what people and maintenance do to an appliance is no attack. Two vaults look at all of it, and none of the
//! three (findings, witness, comparison) has anything of high severity to say.

use crate::support;
use ghevault_sim::{
    appliance::commands::{elasticsearch, mysql},
    build::git,
    live::{growth, refs},
    seed::Seed,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use support::two::{Two, is_clean};

fn run(repository: &Path, words: &[&str]) {
    git::run(repository, words, b"").unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

fn commit(repository: &Path, like: &str, parent: Option<&str>) -> String {
    let tree = format!("{like}^{{tree}}");
    let mut words =
        vec!["-c", "user.name=x", "-c", "user.email=x@example.com", "commit-tree", &tree, "-m", "work"];
    words.extend(parent.iter().flat_map(|parent| ["-p", *parent]));
    let made = git::run(repository, &words, b"").expect("a commit");
    String::from_utf8_lossy(&made).trim().to_owned()
}

fn tip(repository: &Path) -> String {
    refs::read_all(repository).expect("references")[&b"refs/heads/main"[..]].clone()
}

/// The repositories of the first networks.
fn some(two: &Two) -> Vec<PathBuf> {
    let all = (1..=60).map(|network| two.repository(network));
    all.filter(|path| {
        path.join("HEAD").is_file()
            && refs::read_all(path).is_ok_and(|all| all.contains_key(&b"refs/heads/main"[..]))
    })
    .collect()
}

fn seed(number: u64) -> Seed {
    Seed::new(number).part("normal")
}

type Step = (&'static str, fn(&Two));

const STEPS: &[Step] = &[
    ("nothing happens", |_| {}),
    ("somebody pushes to the default branch", |two| {
        let path = two.repository(1);
        run(&path, &["update-ref", "refs/heads/main", &commit(&path, &tip(&path), Some(&tip(&path)))]);
    }),
    ("everybody pushes to default branches", |two| {
        for path in some(two) {
            run(&path, &["update-ref", "refs/heads/main", &commit(&path, &tip(&path), Some(&tip(&path)))]);
        }
    }),
    ("a feature branch appears", |two| {
        run(&two.repository(1), &["update-ref", "refs/heads/feature", &tip(&two.repository(1))]);
    }),
    ("a feature branch is force-pushed", |two| {
        let path = two.repository(1);
        run(&path, &["update-ref", "refs/heads/feature", &commit(&path, &tip(&path), None)]);
    }),
    ("it is force-pushed again", |two| {
        let path = two.repository(1);
        let at = commit(&path, &tip(&path), Some(&tip(&path)));
        run(&path, &["update-ref", "refs/heads/feature", &commit(&path, &at, None)]);
    }),
    ("feature branches of all repositories are force-pushed", |two| {
        for path in some(two) {
            run(&path, &["update-ref", "refs/heads/feature", &commit(&path, &tip(&path), None)]);
        }
    }),
    ("feature branches are merged and deleted", |two| {
        for path in some(two) {
            run(&path, &["update-ref", "-d", "refs/heads/feature"]);
        }
    }),
    ("a tag is made", |two| {
        run(&two.repository(1), &["update-ref", "refs/tags/v1.0.0", &tip(&two.repository(1))]);
    }),
    ("a moving tag moves", |two| {
        run(&two.repository(1), &["update-ref", "refs/tags/nightly", &tip(&two.repository(1))]);
    }),
    ("it moves again", |two| {
        let path = two.repository(1);
        run(&path, &["update-ref", "refs/tags/nightly", &commit(&path, &tip(&path), Some(&tip(&path)))]);
    }),
    ("the default branch is renamed", |two| {
        let path = some(two).swap_remove(1);
        run(&path, &["update-ref", "refs/heads/trunk", &tip(&path)]);
        run(&path, &["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    }),
    ("one default branch is rewritten by its owner", |two| {
        let path = some(two).swap_remove(2);
        run(&path, &["update-ref", "refs/heads/main", &commit(&path, &tip(&path), None)]);
    }),
    ("a repository is renamed", |two| {
        let path = two.repository(1).join("info/nwo");
        fs::remove_file(&path).and_then(|()| fs::write(&path, "other/name\n")).expect("renamed");
    }),
    ("references are packed", |two| some(two).iter().for_each(|path| run(path, &["pack-refs", "--all"]))),
    ("repositories are packed anew", |two| {
        for path in some(two) {
            run(&path, &["repack", "-a", "-d", "-q"]);
        }
    }),
    ("a hook's repository is packed anew", |two| {
        let path = two.appliance.disk("/data/user/git-hooks/repos/1.git");
        run(&path, &["pack-refs", "--all"]);
        run(&path, &["repack", "-a", "-d", "-q", "-f"]);
    }),
    ("pull requests come and go", |two| {
        let path = two.repository(1);
        run(&path, &["update-ref", "refs/pull/7/head", &tip(&path)]);
        run(&path, &["update-ref", "refs/pull/7/merge", &commit(&path, &tip(&path), Some(&tip(&path)))]);
    }),
    ("a repository is made", |two| growth::repository(two.appliance.place(), &mut seed(1)).expect("made")),
    ("gists are made", |two| {
        (0..3).for_each(|n| growth::gist(two.appliance.place(), &mut seed(10 + n)).expect("made"));
    }),
    ("objects are stored", |two| {
        (0..4).for_each(|n| growth::object(two.appliance.place(), &mut seed(20 + n)).expect("made"));
    }),
    ("a site is published", |two| growth::page(two.appliance.place(), &mut seed(30)).expect("made")),
    ("the audit log grows", |two| growth::audit_event(two.appliance.place(), &mut seed(40)).expect("made")),
    ("a site administrator steps down", |two| {
        let entry = r#"{"_id":"bye","_source":{"action":"user.demote","user":"mona","actor":"mona"}}"#;
        growth::audit_line(two.appliance.place(), &format!("{entry}\n")).expect("written");
    }),
    ("the audit log is exported in another order", |two| {
        let place = two.appliance.place();
        let (index, _) = elasticsearch::indices(place).expect("indices").pop().expect("an index");
        let path = elasticsearch::index_file(place, &index);
        let text = fs::read_to_string(&path).expect("an index");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.reverse();
        fs::write(&path, lines.join("\n") + "\n\n").expect("written");
    }),
    ("the database grows", |two| {
        mysql::append(two.appliance.place(), "INSERT INTO `x`.`users` VALUES (1,'new','');")
            .expect("appended");
    }),
    ("a repository is deleted", |two| fs::remove_dir_all(some(two).swap_remove(2)).expect("removed")),
    ("an administrator leaves", |two| {
        let path = two.appliance.disk("/data/user/common/authorized_keys");
        let text = fs::read_to_string(&path).expect("keys");
        let fewer: Vec<&str> = text.lines().take(1).collect();
        fs::remove_file(&path).and_then(|()| fs::write(&path, fewer.join("\n") + "\n")).expect("written");
    }),
    ("a hook is removed", |two| {
        let folder = two.appliance.disk("/data/user/git-hooks/environments/tarballs/2");
        fs::remove_dir_all(folder).expect("removed");
    }),
    ("the appliance is upgraded, and brings another environment", |two| {
        two.appliance.set_version("3.12.1").expect("upgraded");
        let folder = two.appliance.disk("/data/user/git-hooks/environments/tarballs/1/0123456789ab");
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("environment.tar.gz"), b"new"))
            .expect("written");
    }),
    ("people live on", |two| two.appliance.mutate(40, 7).expect("lived")),
    ("and on", |two| two.appliance.mutate(40, 8).expect("lived")),
    ("and on with maintenance", |two| two.appliance.mutate(60, 9).expect("lived")),
];

#[test]
fn normal_histories_have_no_finding_of_high_severity() {
    let two = Two::new(70);
    for desk in [&two.a, &two.b] {
        desk.write(".config/ghevault/ghevault.toml", &format!("[witness]\nboard = [\"{}\"]\n", two.place()));
    }
    for (number, (name, act)) in STEPS.iter().enumerate() {
        println!("{name}");
        act(&two);
        let report = two.a.run(&["backup", "--json", "--quiet"]);
        assert!(matches!(report.code, 0 | 3), "{name}: {report:?}");
        let told = report.json();
        assert_eq!(told["quarantined"], false, "{name}: {told}");
        assert!(told["published"].is_array(), "{name}: {told}");
        if number % 4 == 3 {
            let report = two.b.run(&["backup", "--json", "--quiet"]);
            assert!(matches!(report.code, 0 | 3), "{name}: {report:?}");
        }
    }
    assert!(STEPS.len() >= 30);
    is_clean(two.check(&two.a));
    is_clean(two.verify());
    for (by, of) in [(&two.a, &two.b), (&two.b, &two.a)] {
        two.compare(by, of).exits(0);
    }
    two.a.run(&["findings"]).exits(0);
    let vault = two.b.path("vault").display().to_string();
    two.a.run(&["compare", "--with", &vault, "--clock-slack", "0"]).exits(0);
}

/// Copies a folder with owners, times and links.
fn copied(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().expect("cp runs");
    assert!(done.success());
}

#[test]
fn an_appliance_that_was_restored_is_no_attack() {
    let two = Two::new(71);
    let disk = two.appliance.place().repositories();
    let aside = tempfile::tempdir().expect("a folder");
    copied(&disk, aside.path());
    for path in some(&two) {
        run(&path, &["update-ref", "refs/heads/main", &commit(&path, &tip(&path), Some(&tip(&path)))]);
    }
    two.a.run(&["backup", "--quiet"]).exits(0);
    for entry in fs::read_dir(&disk).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removed");
    }
    copied(aside.path(), &disk);
    let report = two.a.run(&["backup", "--json", "--quiet"]).exits(0).json();
    let kinds: Vec<&str> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["kind"].as_str())
        .collect();
    assert!(kinds.contains(&"appliance-restored"), "{report}");
}
