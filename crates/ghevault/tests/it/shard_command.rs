//! `backup --shard` and `--join`: exit codes, what is shown of parts, what they are good for and what not.

use crate::support;
use ghevault_core::{
    backup::shard::owner,
    vault::{Password, Vault, VaultLocation},
};
use ghevault_sim::build::git;
use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};
use support::{Desk, appliance};

#[test]
fn shards_and_a_join_make_one_complete_snapshot_that_everything_takes_for_one() {
    let (mut appliance, _folder) = appliance(51);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    // As an Indexed Job starts them: all at once, counted from 0.
    let children: Vec<_> = (0..3)
        .map(|index| {
            desk.set("JOB_COMPLETION_INDEX", &index.to_string());
            desk.start(&["backup", "--json", "--shard", "auto/3", "--run", "nightly"])
        })
        .collect();
    desk.unset("JOB_COMPLETION_INDEX");
    let mut ids = Vec::new();
    for (index, child) in children.into_iter().enumerate() {
        let done = support::Done::of(&child.wait_with_output().expect("it ends")).exits(0);
        let part = done.json();
        assert_eq!(part["part"]["run"], "nightly");
        assert_eq!(part["part"]["index"], index + 1);
        ids.push(part["snapshot"].as_str().expect("an id").to_owned());
    }
    assert!(!appliance.gate_exists());

    let listed = desk.run(&["snapshots", "--json"]).exits(0).json();
    let rows = listed.as_array().expect("rows");
    assert!(rows.iter().all(|row| row["outcome"] == "part" && row["part"]["whole"] == true), "{listed}");
    assert!(desk.run(&["snapshots"]).exits(0).stdout.contains("part 2/3 of run nightly"));
    // No state of the appliance: not by its name, not as the newest, not for the objective.
    let target = desk.path("restored").display().to_string();
    desk.run(&["restore", &ids[0], "--to", &target]).exits(14).complains("no state of the appliance");
    desk.run(&["restore", "latest", "--to", &target]).exits(1);
    let status = desk.run(&["status", "--json"]).json();
    assert_eq!(status["objective"]["last_complete"], serde_json::Value::Null, "{status}");

    let joined = desk.run(&["backup", "--join", "--json"]).exits(0).json();
    assert_eq!((&joined["outcome"], &joined["run"]["name"]), (&"complete".into(), &"nightly".into()));
    assert_eq!(joined["run"]["parts"]["3"], ids[2].as_str());
    assert_eq!(joined["bytes_read"].as_u64().map(|bytes| bytes > 0), Some(true));
    let again = desk.run(&["backup", "--join", "--run", "nightly", "--json"]).exits(0).json();
    assert_eq!((&again["already_joined"], &again["snapshot"]), (&true.into(), &joined["snapshot"]));
    desk.run(&["backup", "--join", "--run", "nightly"]).exits(0);
    desk.run(&["backup", "--join"]).exits(14).complains("no run waits for its end");
    desk.run(&["restore", "latest", "--to", &target]).exits(0);
    desk.run(&["verify"]).exits(0);
    let status = desk.run(&["status", "--json"]).json();
    assert!(status["objective"]["last_complete"].is_string(), "{status}");

    let plan = desk.run(&["forget", "--keep-daily", "3", "--json"]).exits(0).json();
    assert_eq!(plan["forgotten"].as_array().map(Vec::len), Some(3), "{plan}");
    desk.run(&["prune"]).exits(0);
    desk.run(&["verify", "--depth", "2"]).exits(0);
}

#[test]
fn what_does_not_fit_is_refused_with_what_to_do() {
    let (mut appliance, _folder) = appliance(52);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--shard", "1/2"]).exits(2).complains("--run");
    desk.run(&["backup", "--shard", "3/2", "--run", "r"]).exits(2).complains("names no shard");
    desk.run(&["backup", "--shard", "auto/2", "--run", "r"]).exits(2).complains("JOB_COMPLETION_INDEX");
    desk.run(&["backup", "--shard", "1/2", "--run", "a b"]).exits(2).complains("no name of a run");
    desk.run(&["backup", "--run", "r"]).exits(2).complains("there is no --shard");
    desk.run(&["backup", "--join", "--full"]).exits(2).complains("--full");
    desk.run(&["backup", "--join", "--run", "r"]).exits(14).complains("no run `r` was begun");
    desk.run(&["backup", "--shard", "1/2", "--run", "r"]).exits(0);
    desk.run(&["backup", "--shard", "1/3", "--run", "r"]).exits(14).complains("same N");
    // A missing part: what lacks by name, and what to do, each time that it is asked.
    for already in [serde_json::Value::Null, true.into()] {
        let partial = desk.run(&["backup", "--join", "--json"]).exits(3);
        let partial = partial.complains("hint: ").complains("`ghevault backup --shard 2/2 --run r`").json();
        assert_eq!((&partial["outcome"], &partial["already_joined"]), (&"partial".into(), &already));
        let told = partial["datasets"].to_string();
        assert!(told.contains("shard 2/2: its part is missing"), "{told}");
        assert!(told.contains("/nw/"), "the routes that lack: {told}");
    }
    desk.run(&["verify"]).exits(3);
    desk.run(&["backup", "--shard", "2/2", "--run", "r"]).exits(0);
    let done = desk.run(&["backup", "--join", "--run", "r", "--json"]).exits(0);
    assert_eq!((&done.json()["outcome"], done.stderr.contains("hint: ")), (&"complete".into(), false));
    desk.run(&["backup", "--shard", "2/2", "--run", "r"]).exits(14).complains("joined already");
}

#[test]
fn one_repository_comes_back_from_a_joined_snapshot_that_is_verified_to_the_last_byte() {
    let (mut appliance, _folder) = appliance(54);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    for place in ["1/2", "2/2"] {
        desk.run(&["backup", "--shard", place, "--run", "r", "--quiet"]).exits(0);
    }
    let joined = desk.run(&["backup", "--join", "--json"]).exits(0).json();
    // The parts are still there, and are no fault.
    let report = desk.run(&["verify", "--depth", "2", "--json"]).exits(0).json();
    let rows = report["snapshots"].as_array().expect("rows");
    let of = |verdict: &str| rows.iter().filter(|row| row["verdict"] == verdict).count();
    assert_eq!((of("sealed"), of("part"), rows.len()), (1, 2, 3), "{report}");
    // A repository of each shard: one would come back whatever the join does with the other.
    let root = appliance.place().repositories();
    let found = Command::new("find")
        .args([
            ".",
            "-path",
            "*/nw/*.git/info/nwo",
            "-not",
            "-path",
            "*.wiki.git/*",
            "-not",
            "-path",
            "*/network.git/*",
        ])
        .current_dir(&root)
        .output()
        .expect("find runs");
    let mut of_shard = BTreeMap::new();
    for line in String::from_utf8_lossy(&found.stdout).lines() {
        let path = line.trim_start_matches("./").trim_end_matches("/info/nwo").to_owned();
        of_shard.entry(owner(format!("repositories/{path}").as_bytes(), 2)).or_insert(path);
    }
    assert_eq!(of_shard.len(), 2, "both shards have repositories");
    for (shard, path) in of_shard {
        let source = root.join(path);
        let name = fs::read_to_string(source.join("info/nwo")).expect("a name");
        let (snapshot, to) = (joined["snapshot"].as_str().expect("an id"), format!("./of-{shard}.git"));
        let arguments = ["restore", "repo", name.trim(), "--at", snapshot, "--to", &to, "--json"];
        let done = desk.run(&arguments).exits(0);
        assert_eq!(done.json()["outcome"], "complete");
        assert!(!done.stderr.contains("index of names"), "the names of all shards are joined: {done:?}");
        let refs = |path: &Path| git::run(path, &["for-each-ref"], b"").expect("git runs");
        assert_eq!(refs(&desk.path(&to)), refs(&source));
        git::run(&desk.path(&to), &["fsck", "--strict"], b"").expect("whole");
    }
}

#[test]
fn others_wait_while_a_shard_writes() {
    let (mut appliance, _folder) = appliance(53);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let location = VaultLocation::parse(desk.path("vault").to_str().expect("text")).expect("a place");
    let vault = Vault::open(&location, &Password::new("correct horse")).expect("it opens");
    let lease = vault.lock_for_part("shard 1/2", "r", Duration::from_mins(5)).expect("a lease");
    for other in [
        &["backup"][..],
        &["prune"],
        &["forget", "--keep-daily", "3"],
        &["backup", "--join", "--run", "r"],
        &["backup", "--shard", "1/2", "--run", "other"],
    ] {
        desk.run(other).exits(11).complains("shard 1/2");
    }
    desk.run(&["backup", "--shard", "2/2", "--run", "r"]).exits(0);
    lease.check().expect("it holds still");
    drop(lease);
    desk.run(&["prune"]).exits(0);
}
