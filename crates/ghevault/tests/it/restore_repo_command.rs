//! `restore repo`: one repository as a folder, a bundle or a push; what is found, what is refused, and what damage does.

use crate::support;
use ghevault_sim::{
    build::{git, layout},
    harness::Appliance,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use support::{Desk, appliance};

/// A repository with forks, a wiki and a shared store.
const NETWORK: u64 = 1;
/// One that points to LFS objects.
const LFS: &str = "odd/large-files";

/// A desk whose vault holds one complete snapshot, and the appliance.
fn backed_up(seed: u64) -> (Desk, Appliance, tempfile::TempDir) {
    let (mut appliance, folder) = appliance(seed);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--quiet"]).exits(0);
    (desk, appliance, folder)
}

/// A file of the first network on the appliance.
fn on_appliance(appliance: &Appliance, file: &str) -> PathBuf {
    appliance.place().repositories().join(layout::network(NETWORK)).join(file)
}

/// The name that the appliance wrote into a repository.
fn name(repository: &Path) -> String {
    fs::read_to_string(repository.join("info/nwo")).expect("a name").trim().to_owned()
}

/// Runs git on a repository, with nobody's configuration.
fn git(repository: &Path, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&git::run(repository, arguments, b"").expect("git runs")).into_owned()
}

/// All references of a repository, with what they point to.
fn refs(repository: &Path) -> String {
    git(repository, &["for-each-ref"])
}

fn bare(path: &Path) -> PathBuf {
    let done = Command::new("git").args(["init", "--quiet", "--bare"]).arg(path).status().expect("git runs");
    assert!(done.success());
    path.to_owned()
}

#[test]
fn a_fork_with_its_wiki_stands_alone_and_equals_the_source() {
    let (desk, appliance, _folder) = backed_up(1);
    let source = on_appliance(&appliance, "1.git");
    let wanted = name(&source);
    let report =
        desk.run(&["restore", "repo", &wanted.to_uppercase(), "--to", "./out", "--json"]).exits(0).json();
    assert_eq!(report["outcome"], "complete", "{report}");
    let short = wanted.split_once('/').expect("a name").1;
    let restored = desk.path(&format!("out/{short}.git"));
    assert_eq!(refs(&restored), refs(&source));
    assert!(refs(&restored).contains("refs/pull/1/head"), "the appliance's own references are there too");
    assert_eq!(
        fs::read(restored.join("HEAD")).expect("restored"),
        fs::read(source.join("HEAD")).expect("a source")
    );
    assert!(!restored.join("objects/info/alternates").exists() && !restored.join("hooks").exists());
    git(&restored, &["fsck", "--strict"]);
    assert_eq!(
        refs(&desk.path(&format!("out/{short}.wiki.git"))),
        refs(&on_appliance(&appliance, "1.wiki.git"))
    );
    let left: Vec<_> = fs::read_dir(desk.path("out")).expect("a folder").collect();
    assert_eq!(left.len(), 2, "nothing else is left behind: {left:?}");
}

#[test]
fn objects_of_other_forks_are_not_given_away() {
    let (desk, appliance, _folder) = backed_up(1);
    let other = on_appliance(&appliance, "2.git");
    let secret = git(&other, &["rev-parse", "refs/heads/main"]);
    // The network's store keeps the objects of all forks.
    let script = format!(
        "cp -r {}/objects/. {1}/objects/ && rm {1}/objects/info/alternates",
        other.display(),
        on_appliance(&appliance, "network.git").display()
    );
    assert!(Command::new("sh").args(["-c", &script]).status().expect("sh runs").success());
    desk.run(&["backup", "--quiet"]).exits(0);
    let wanted = name(&on_appliance(&appliance, "1.git"));
    desk.run(&["restore", "repo", &wanted, "--to", "./mine.git", "--quiet"]).exits(0);
    git::run(&desk.path("mine.git"), &["cat-file", "-e", secret.trim()], b"")
        .expect_err("not reachable from here");
}

#[test]
fn a_bundle_is_verified_and_can_be_cloned() {
    let (desk, appliance, _folder) = backed_up(1);
    let source = on_appliance(&appliance, "1.git");
    let report =
        desk.run(&["restore", "repo", &name(&source), "--to", "./one.bundle", "--json"]).exits(0).json();
    assert!(desk.path("one.wiki.bundle").is_file(), "{report}");
    let clone = desk.path("clone.git");
    git(
        &desk.path("."),
        &[
            "clone",
            "-q",
            "--mirror",
            &desk.path("one.bundle").display().to_string(),
            &clone.display().to_string(),
        ],
    );
    assert_eq!(refs(&clone), refs(&source));
}

#[test]
fn lfs_objects_come_along_and_a_missing_one_makes_it_partial() {
    let (desk, appliance, _folder) = backed_up(1);
    let report = desk.run(&["restore", "repo", LFS, "--to", "./large.git", "--json"]).exits(0).json();
    assert_eq!(report["lfs"]["objects"], 2, "{report}");
    let objects = walk(&desk.path("large.git/lfs/objects"));
    assert_eq!(objects.len(), 2);
    for object in objects {
        let hash = object.file_name().expect("a name").to_string_lossy().into_owned();
        let stored = appliance.disk(&format!(
            "/data/user/storage/{}/{}/{}/{hash}",
            &hash[..1],
            &hash[..2],
            &hash[2..4]
        ));
        assert_eq!(fs::read(&object).expect("restored"), fs::read(&stored).expect("stored"));
        // For the next backup this one is gone.
        let _ = fs::remove_file(stored);
    }
    desk.run(&["backup", "--quiet"]);
    let at = newest(&desk);
    let done = desk.run(&["restore", "repo", LFS, "--at", &at, "--to", "./holes.git", "--json"]).exits(3);
    assert_eq!(done.json()["problems"].as_array().map(Vec::len), Some(2), "{done:?}");
}

#[test]
fn an_older_snapshot_gives_back_what_was_deleted_since() {
    let (desk, appliance, _folder) = backed_up(1);
    let gists = appliance.place().repositories();
    let gist = walk(&gists)
        .into_iter()
        .find(|path| {
            path.ends_with("HEAD")
                && path.to_string_lossy().contains("/gist/")
                && path.with_file_name("config").exists()
        })
        .and_then(|head| head.parent().map(Path::to_path_buf))
        .expect("a gist");
    let wanted = format!("gist/{}", gist.file_stem().expect("a name").to_string_lossy());
    let older = desk.run(&["restore", "repo", &wanted, "--to", "./before.git", "--json"]).exits(0).json();
    let before = refs(&gist);
    fs::remove_dir_all(&gist).expect("deleted");
    desk.run(&["backup", "--quiet"]);
    let id = older["snapshot"].as_str().expect("an id");
    let newest = newest(&desk);
    assert_ne!(newest, id);
    desk.run(&["restore", "repo", &wanted, "--at", &newest, "--to", "./gone.git"]).exits(1).complains("--at");
    desk.run(&["restore", "repo", &wanted, "--at", id, "--to", "./again.git", "--quiet"]).exits(0);
    assert_eq!(refs(&desk.path("again.git")), before);
}

/// The id of the newest snapshot, whatever it is worth.
fn newest(desk: &Desk) -> String {
    let files = walk(&desk.path("vault/snapshots"));
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|facts| facts.modified()).expect("a time");
    let newest = files.into_iter().max_by_key(modified).expect("a snapshot");
    newest.file_name().expect("an id").to_string_lossy().into_owned()
}

#[test]
fn a_name_that_is_not_there_gets_its_neighbours_named() {
    let (desk, appliance, _folder) = backed_up(1);
    let wanted = name(&on_appliance(&appliance, "1.git"));
    let typo = format!("{wanted}x");
    let done = desk.run(&["restore", "repo", &typo, "--to", "./out", "--json"]).exits(1);
    assert!(done.json()["hint"].as_str().is_some_and(|hint| hint.contains(&wanted)), "{done:?}");
    assert!(!desk.path("out").exists());
}

#[test]
fn two_repositories_of_one_name_are_told_apart_by_their_paths() {
    let (desk, appliance, _folder) = backed_up(1);
    let source = on_appliance(&appliance, "1.git");
    let twin = on_appliance(&appliance, "2.git");
    fs::write(twin.join("info/nwo"), fs::read(source.join("info/nwo")).expect("a name")).expect("renamed");
    desk.run(&["backup", "--quiet"]).exits(0);
    let wanted = name(&source);
    desk.run(&["restore", "repo", &wanted, "--to", "./out"]).exits(2).complains("/2.git");
    let path = format!("repositories/{}/2.git", layout::network(NETWORK));
    desk.run(&["restore", "repo", &path, "--to", "./out.git", "--quiet"]).exits(0);
    assert_eq!(refs(&desk.path("out.git")), refs(&twin));
}

#[test]
fn a_push_fills_an_empty_repository_and_no_other() {
    let (desk, appliance, _folder) = backed_up(1);
    let source = on_appliance(&appliance, "1.git");
    let (target, wiki) = (bare(&desk.path("new/x.git")), bare(&desk.path("new/x.wiki.git")));
    let url = format!("file://{}", target.display());
    let report = desk.run(&["restore", "repo", &name(&source), "--to", &url, "--json"]).exits(0).json();
    assert!(report["repository"]["refs_left"].as_u64() > Some(0), "{report}");
    assert!(!refs(&target).contains("refs/pull/") && refs(&target).contains("refs/heads/main"));
    assert_eq!(refs(&wiki), refs(&on_appliance(&appliance, "1.wiki.git")));
    desk.run(&["restore", "repo", &name(&source), "--to", &url])
        .exits(14)
        .complains("not empty")
        .complains("--force");
    desk.run(&["restore", "repo", &name(&source), "--to", &url, "--force", "--all-refs", "--quiet"]).exits(0);
    assert_eq!(refs(&target), refs(&source));
    desk.run(&["restore", "repo", &name(&source), "--to", "ext::sh -c id"]).exits(2);
}

#[test]
fn a_pack_that_is_gone_is_named_with_the_repository_and_nothing_is_left() {
    let (desk, appliance, _folder) = backed_up(1);
    let mut packs = walk(&desk.path("vault/data"));
    packs.sort_by_key(|path| fs::metadata(path).map(|facts| facts.len()).unwrap_or_default());
    fs::remove_file(packs.last().expect("a pack")).expect("removed");
    let wanted = name(&on_appliance(&appliance, "1.git"));
    let done = desk.run(&["restore", "repo", &wanted, "--to", "./out", "--json"]).exits(13);
    assert!(done.json()["error"].as_str().is_some_and(|text| text.contains(&wanted)), "{done:?}");
    assert_eq!(fs::read_dir(desk.path("out")).map_or(0, Iterator::count), 0);
}

#[test]
fn nothing_that_a_snapshot_holds_is_executed_or_followed() {
    let (desk, appliance, _folder) = backed_up(1);
    let source = on_appliance(&appliance, "1.git");
    let trap = desk.path("trap");
    let script = format!("#!/bin/sh\ntouch {}\n", trap.display());
    let program = desk.write("evil", &script);
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    fs::remove_file(source.join("hooks")).expect("a link");
    fs::create_dir(source.join("hooks")).expect("a folder");
    for hook in ["post-checkout", "pre-push", "reference-transaction", "post-index-change"] {
        fs::copy(&program, source.join("hooks").join(hook)).expect("a hook");
    }
    let config = format!(
        "[core]\n\tbare = true\n\tfsmonitor = {0}\n\tsshCommand = {0}\n\thooksPath = {1}\n[alias]\n\trepack = !{0}\n[include]\n\tpath = /etc/passwd\n",
        program.display(),
        source.join("hooks").display()
    );
    fs::write(source.join("config"), config).expect("written");
    std::os::unix::fs::symlink("/etc/passwd", source.join("refs/heads/link")).expect("a link");
    desk.run(&["backup", "--quiet"]).exits(0);
    desk.run(&["restore", "repo", &name(&source), "--to", "./safe.git", "--json"]).exits(0);
    let target = bare(&desk.path("new.git"));
    let url = format!("file://{}", target.display());
    desk.run(&["restore", "repo", &name(&source), "--to", &url, "--no-wiki", "--quiet"]).exits(0);
    assert!(!trap.exists(), "something was executed");
    let restored = desk.path("safe.git");
    assert!(
        !restored.join("hooks").exists() && fs::symlink_metadata(restored.join("refs/heads/link")).is_err()
    );
    assert!(!fs::read_to_string(restored.join("config")).expect("ours").contains("fsmonitor"));
}

#[test]
fn a_target_that_is_there_and_a_host_without_git_are_told_before_anything_is_read() {
    let (desk, appliance, _folder) = backed_up(1);
    let wanted = name(&on_appliance(&appliance, "1.git"));
    desk.write("mine.git/HEAD", "x");
    desk.run(&["restore", "repo", &wanted, "--to", "./mine.git"]).exits(14).complains("exists already");
    let mut command = desk.command(&["restore", "repo", &wanted, "--to", "./other.git"]);
    let output = command.env("PATH", "/nonexistent").output().expect("the program starts");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Install git"), "{output:?}");
}

#[test]
fn a_plan_reads_little_and_writes_nothing() {
    let (desk, appliance, _folder) = backed_up(1);
    let wanted = name(&on_appliance(&appliance, "1.git"));
    let plan =
        desk.run(&["restore", "repo", &wanted, "--to", "./out", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(plan["name"], wanted);
    assert!(plan["bytes"].as_u64() > Some(0) && !desk.path("out").exists(), "{plan}");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .flat_map(|entry| {
            let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if folder { walk(&entry.path()) } else { vec![entry.path()] }
        })
        .collect()
}
