//! `refs` and `diff`: every kind of move on a real repository is told as what it is, and nothing is told that did not happen.

use crate::support;
use ghevault_sim::{
    build::{git, layout},
    harness::Appliance,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};
use support::{Desk, appliance};

const NETWORK: u64 = 1;

/// A desk with a backed-up appliance, and a repository of it that has two commits `old` → `new` on a branch of our own.
struct Case {
    desk: Desk,
    appliance: Appliance,
    _folder: tempfile::TempDir,
    repository: PathBuf,
    name: String,
    old: String,
    new: String,
    beside: String,
}

impl Case {
    fn new(seed: u64) -> Self {
        let (mut appliance, folder) = appliance(seed);
        let mut desk = Desk::with_vault();
        desk.trust(&mut appliance);
        let repository = appliance.place().repositories().join(layout::network(NETWORK)).join("1.git");
        let name = fs::read_to_string(repository.join("info/nwo")).expect("a name").trim().to_owned();
        let old = commit(&repository, "old", None);
        let new = commit(&repository, "new", Some(&old));
        let beside = commit(&repository, "beside", Some(&old));
        let case = Self { desk, appliance, _folder: folder, repository, name, old, new, beside };
        case.point("refs/heads/forward", &case.old);
        case.point("refs/heads/rewound", &case.new);
        case.point("refs/heads/replaced", &case.new);
        case.point("refs/heads/gone", &case.new);
        case.point("refs/heads/still", &case.new);
        case.point("refs/tags/moved", &case.old);
        case.back_up();
        case
    }

    fn point(&self, reference: &str, at: &str) {
        git::run(&self.repository, &["update-ref", reference, at], b"").expect("the reference is set");
    }

    fn back_up(&self) -> String {
        let done = self.desk.run(&["backup", "--json", "--quiet"]);
        // what an attacker would do, such as a hook, puts the snapshot into quarantine
        assert!(matches!(done.code, 0 | 13), "{done:?}");
        done.json()["snapshot"].as_str().expect("an id").to_owned()
    }

    /// What `refs` says happened, as `REFERENCE KIND` in the order told.
    fn told(&self, arguments: &[&str]) -> Vec<String> {
        let history = self.desk.run(&[&["refs", &self.name, "--json"], arguments].concat()).exits(0).json();
        let steps = history["steps"].as_array().expect("steps").clone();
        steps.iter().flat_map(|step| moves(&step["moves"])).collect()
    }
}

fn moves(moves: &Value) -> Vec<String> {
    let one = |m: &Value| format!("{} {}", m["reference"].as_str().unwrap(), m["kind"].as_str().unwrap());
    moves.as_array().expect("moves").iter().map(one).collect()
}

fn commit(repository: &Path, text: &str, parent: Option<&str>) -> String {
    let blob = git::run(repository, &["hash-object", "-w", "--stdin"], text.as_bytes()).expect("a blob");
    let line = format!("100644 blob {}\tfile\n", String::from_utf8_lossy(&blob).trim());
    let tree = git::run(repository, &["mktree"], line.as_bytes()).expect("a tree");
    let tree = String::from_utf8_lossy(&tree).trim().to_owned();
    let mut arguments =
        vec!["-c", "user.name=x", "-c", "user.email=x@example.com", "commit-tree", &tree, "-m", text];
    arguments.extend(parent.iter().flat_map(|parent| ["-p", *parent]));
    let commit = git::run(repository, &arguments, b"").expect("a commit");
    String::from_utf8_lossy(&commit).trim().to_owned()
}

#[test]
fn each_kind_of_move_is_told_as_what_the_commits_say() {
    let case = Case::new(1);
    let first = case.told(&["--since", "latest"]);
    assert!(first.iter().all(|line| line.ends_with("created") || line.starts_with("HEAD")), "{first:?}");
    case.point("refs/heads/forward", &case.new);
    case.point("refs/heads/rewound", &case.old);
    case.point("refs/heads/replaced", &case.beside);
    case.point("refs/heads/fresh", &case.new);
    case.point("refs/tags/moved", &case.new);
    case.point("refs/pull/1/head", &case.new);
    git::run(&case.repository, &["update-ref", "-d", "refs/heads/gone"], b"").expect("deleted");
    git::run(&case.repository, &["symbolic-ref", "HEAD", "refs/heads/fresh"], b"").expect("another HEAD");
    let snapshot = case.back_up();
    let expected = [
        "HEAD head-changed",
        "refs/heads/forward forward",
        "refs/heads/fresh created",
        "refs/heads/gone deleted",
        "refs/heads/replaced rewound",
        "refs/heads/rewound rewound",
        "refs/tags/moved tag-moved",
    ];
    assert_eq!(case.told(&["--since", &snapshot[..10]]), expected);
    assert_eq!(case.told(&["rewound", "--since", &snapshot[..10]]), ["refs/heads/rewound rewound"]);
    assert!(case.told(&["--all"]).contains(&"refs/pull/1/head created".to_owned()));
    let shown = case.desk.run(&["refs", &case.name]).exits(0).stdout;
    let marked: Vec<&str> = shown.lines().filter(|line| line.starts_with('!')).collect();
    assert_eq!(marked.len(), 5, "{shown}");

    // the same out of two snapshots, beside what else is different
    let hooks = case.appliance.disk("/data/user/git-hooks/repos/1/evil.sh");
    fs::create_dir_all(hooks.parent().unwrap()).expect("a folder");
    fs::write(&hooks, "#!/bin/sh\n").expect("a hook");
    let latest = case.back_up();
    let list = case.desk.run(&["snapshots", "--json"]).exits(0).json();
    let earliest = list[0]["short_id"].as_str().expect("an id").to_owned();
    let found = case.desk.run(&["diff", &earliest, &latest[..10], "--json"]).exits(0).json();
    let repositories = found["repositories"].as_array().expect("a list");
    assert_eq!(repositories.len(), 1, "{found}");
    assert_eq!(moves(&repositories[0]["moves"]), expected);
    assert_eq!(found["hooks"][0]["name"], "git-hooks/repos/1/evil.sh", "{found}");
    for nothing in ["settings", "secrets", "authorized_keys", "files"] {
        assert_eq!(found[nothing], serde_json::json!([]), "{nothing}");
    }
    let fast = case.desk.run(&["diff", &earliest, &latest[..10], "--fast"]).exits(0).stdout;
    assert!(fast.contains("unproven refs/heads/forward"), "{fast}");
}

#[test]
fn a_rewound_branch_is_found_even_when_its_commits_are_gone_from_the_appliance() {
    let case = Case::new(2);
    case.point("refs/heads/replaced", &case.beside);
    for reference in ["refs/heads/rewound", "refs/heads/gone", "refs/heads/still"] {
        git::run(&case.repository, &["update-ref", "-d", reference], b"").expect("deleted");
    }
    let loose = case.repository.join("objects").join(&case.new[..2]).join(&case.new[2..]);
    fs::remove_file(&loose).expect("the commit is garbage");
    let snapshot = case.back_up();
    let told = case.told(&["replaced", "--since", &snapshot[..10]]);
    assert_eq!(told, ["refs/heads/replaced rewound"]);
}

#[test]
fn a_repack_of_references_is_no_move() {
    let case = Case::new(3);
    git::run(&case.repository, &["pack-refs", "--all"], b"").expect("packed");
    let snapshot = case.back_up();
    assert_eq!(case.told(&["--since", &snapshot[..10]]), Vec::<String>::new());
}

#[test]
fn a_repository_that_nobody_knows_gets_its_neighbours_named() {
    let case = Case::new(4);
    let wrong = format!("{}x", case.name);
    case.desk.run(&["refs", &wrong]).exits(1).complains(&case.name);
}
