//! `witness`: two vaults of one appliance, a board between them, and those who tamper with either.

use crate::support;
use ghevault_sim::{build::git, live::refs};
use jiff::{SignedDuration, Timestamp};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};
use support::{
    Desk,
    boards::in_folders,
    two::{Two, copy_folder, finds, forge, ids, is_clean, origin_folder, public, remove},
};

#[test]
fn normal_histories_have_no_finding() {
    let two = Two::new(1);
    let shown = two.verify().exits(0).json();
    let rows = shown["origins"].as_array().expect("origins").clone();
    assert_eq!(rows.len(), 2, "{shown}");
    assert!(rows.iter().any(|row| row["key"] == "a" && row["size"] == 2 && row["cosigned"][0] == "b"));
    for _ in 0..2 {
        two.backup_and_publish(&two.a);
        two.a.run(&["forget", "--keep-minimum", "2", "--quiet"]).exits(0);
    }
    two.a.run(&["prune", "--quiet"]).exits(0);
    is_clean(two.check(&two.a));
    let again = two.publish(&two.a).exits(0).json();
    assert_eq!(again["created"], serde_json::json!([]), "nothing new, nothing hung up");
    two.backup_and_publish(&two.a);
    is_clean(two.cosign(&two.b, &two.a));
    is_clean(two.check(&two.a));
    is_clean(two.check(&two.b));
    is_clean(two.verify());
    let second = tempfile::tempdir().expect("a folder");
    let place = second.path().display().to_string();
    is_clean(two.a.run(&["witness", "publish", "--json", "--board", &place, "--board", &two.place()]));
    is_clean(two.a.run(&["witness", "check", "--json", "--board", &place]));
}

#[test]
fn no_name_of_the_appliance_is_on_the_board() {
    let two = Two::new(2);
    let host = two.a.host();
    for file in two.files(&two.a, "note").iter().chain(&two.files(&two.b, "cosigned")) {
        let text = fs::read_to_string(file).expect("text");
        let words = ["origin", "entry ", "time ", "after ", "ghevault.", "— "];
        for line in text.lines().skip(3).filter(|line| !line.is_empty()) {
            assert!(words.iter().any(|word| line.starts_with(word)), "{line}");
        }
        assert!(!text.contains(&host), "{text}");
    }
}

#[test]
fn a_removed_snapshot_is_found_by_check_and_after_the_next_backup_by_a_stranger() {
    let two = Two::new(3);
    let newest = ids(&two.a).pop().expect("a snapshot");
    remove(&two.a, &newest);
    finds(two.check(&two.a), "removed");
    two.a.run(&["backup", "--quiet"]).exits(0);
    finds(two.publish(&two.a), "removed");
    finds(two.verify(), "fork");
    finds(two.cosign(&two.b, &two.a), "fork");
}

#[test]
fn an_older_removed_snapshot_is_found() {
    let two = Two::new(4);
    remove(&two.a, &ids(&two.a)[0]);
    finds(two.check(&two.a), "removed");
    is_clean(two.check(&two.b));
}

#[test]
fn a_replayed_head_is_found() {
    let two = Two::new(5);
    for file in two.files(&two.a, "note").iter().skip(1).chain(&two.files(&two.a, "cosigned")) {
        fs::remove_file(file).expect("removed");
    }
    is_clean(two.verify());
    finds(two.cosign(&two.b, &two.a), "rollback");
    finds(two.check(&two.a), "rollback");
    for file in two.files(&two.a, "note") {
        fs::remove_file(file).expect("removed");
    }
    finds(two.verify(), "silent");
    finds(two.cosign(&two.b, &two.a), "rollback");
}

#[test]
fn a_note_whose_cosigned_copy_stands_was_removed() {
    let two = Two::new(6);
    fs::remove_file(two.files(&two.a, "note").pop().expect("a note")).expect("removed");
    finds(two.verify(), "removed");
}

#[test]
fn a_forked_chain_is_found() {
    let two = Two::new(7);
    let (vault, state) = (two.a.path("vault"), two.a.path("state"));
    let aside = tempfile::tempdir().expect("a folder");
    copy_folder(&vault, &aside.path().join("vault"));
    copy_folder(&state, &aside.path().join("state"));
    let board = aside.path().join("board");
    copy_folder(two.board.path(), &board);
    two.backup_and_publish(&two.a);
    let origin = origin_folder(two.board.path(), &two.a);
    let names = origin.file_name().expect("a name").to_owned();
    // the same vault as it was before, with another future, shown on another board
    fs::remove_dir_all(&vault).and_then(|()| fs::remove_dir_all(&state)).expect("removed");
    copy_folder(&aside.path().join("vault"), &vault);
    copy_folder(&aside.path().join("state"), &state);
    two.a.run(&["backup", "--quiet"]).exits(0);
    let place = board.display().to_string();
    two.a.run(&["witness", "publish", "--board", &place]).exits(0);
    let key = public(&two.a);
    let both = ["witness", "verify", "--json", "--board", &place, "--board", &two.place(), "--key", &key];
    finds(Desk::new().run(&both), "fork");
    finds(two.publish(&two.a), "fork");
    copy_folder(&board.join(&names), &origin);
    finds(two.verify(), "fork");
    finds(two.cosign(&two.b, &two.a), "fork");
}

#[test]
fn an_edited_note_and_a_forged_key_are_found() {
    let two = Two::new(8);
    let note = two.files(&two.a, "note").pop().expect("a note");
    let text = fs::read_to_string(&note).expect("text");
    fs::write(&note, text.replacen("time 2", "time 1", 1)).expect("written");
    finds(two.verify(), "forged");
    fs::write(&note, "garbage").expect("written");
    finds(two.verify(), "edited");
    let other = two.files(&two.a, "note").remove(0);
    fs::copy(other, &note).expect("copied");
    finds(two.verify(), "swapped");
    fs::write(&note, &text).expect("written");
    is_clean(two.verify());
    fs::write(note.with_file_name("README"), "by somebody else").expect("written");
    is_clean(two.verify());
    // B's note under A's name
    let foreign = two.files(&two.b, "note").pop().expect("a note");
    fs::copy(&foreign, note.with_file_name(foreign.file_name().expect("a name"))).expect("copied");
    finds(two.verify(), "swapped");
}

#[test]
fn a_back_dated_snapshot_is_found() {
    let two = Two::new(9);
    let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 7);
    forge(&two.a, |manifest| {
        manifest.started = long_ago.to_string();
        manifest.previous = None;
    });
    finds(two.check(&two.a), "back-dated");
    finds(two.publish(&two.a), "back-dated");
    finds(two.verify(), "back-dated");
}

#[test]
fn a_rewritten_chain_is_found() {
    let two = Two::new(10);
    let first = ids(&two.a).remove(0);
    let newest = ids(&two.a).pop().expect("a snapshot");
    // the newest snapshot in a new dress, after the first one
    forge(&two.a, |manifest| manifest.version = "9.9.9".into());
    remove(&two.a, &newest);
    assert!(ids(&two.a).contains(&first));
    finds(two.check(&two.a), "removed");
    finds(two.check(&two.a), "fork");
}

#[test]
fn a_damaged_snapshot_file_is_found() {
    let two = Two::new(11);
    support::damage(&two.a.path(&format!("vault/snapshots/{}", ids(&two.a)[0])));
    finds(two.check(&two.a), "swapped");
}

#[test]
fn another_vault_in_its_place_is_found() {
    let two = Two::new(12);
    fs::remove_dir_all(two.a.path("vault")).expect("removed");
    two.a.run(&["init"]).exits(0);
    two.a.run(&["backup", "--quiet"]).exits(0);
    finds(two.check(&two.a), "silent");
}

#[test]
fn what_is_missing_is_told() {
    let desk = Desk::with_vault();
    desk.run(&["witness", "publish"]).exits(2).complains("no notice board");
    desk.run(&["witness", "verify", "--board", "/nowhere"]).exits(2).complains("no public seal key");
    desk.run(&["witness", "verify", "--board", "/b", "--key", "short"]).exits(2).complains("44 characters");
    let key = public(&desk);
    desk.run(&["witness", "verify", "--board", "/nowhere", "--key", &key]).exits(1).complains("/nowhere");
    desk.run(&["witness", "verify", "--board", "ftp://b", "--key", &key]).exits(2).complains("ftp://b");
    let text =
        format!("[witness]\nboard = [\"dir:{0}\"]\nkeys = [\"{key}=me\"]\n", desk.path("board").display());
    desk.write(".config/ghevault/ghevault.toml", &text);
    fs::create_dir(desk.path("board")).expect("a folder");
    desk.run(&["witness", "publish"]).exits(0);
    desk.run(&["witness", "verify"]).exits(13).complains("finding");
}

#[test]
fn a_branch_that_is_rewritten_and_put_back_between_two_backups_is_found_by_a_pulse() {
    let two = Two::new(37);
    let place = two.place();
    let pulse = || two.b.run(&["witness", "pulse", "--json", "--board", &place]).exits(0).json();
    let first = pulse();
    assert_eq!(first["full"], true);
    assert!(first["references"].as_u64() > Some(20), "{first}");
    assert_eq!(pulse()["told"], 0, "nothing has moved");
    two.backup_and_publish(&two.a);
    let calm = two.compare(&two.a, &two.b).exits(0).json();
    let pulses =
        calm["compared"].as_array().expect("sides").iter().find(|side| side["theirs"] == 2).expect("pulses");
    assert!(pulses["same"].as_u64() > Some(10), "what a pulse reads is what a backup reads: {pulses}");
    let path = two.repository(1);
    let git =
        |words: &[&str]| git::run(&path, words, b"").unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let tip = refs::read_all(&path).expect("references")[&b"refs/heads/main"[..]].clone();
    let tree = format!("{tip}^{{tree}}");
    let who = ["-c", "user.name=x", "-c", "user.email=x@example.com", "commit-tree", &tree, "-m", "other"];
    let other = String::from_utf8_lossy(&git(&who)).trim().to_owned();
    git(&["update-ref", "refs/heads/main", &other]);
    assert_eq!(pulse()["told"], 1);
    git(&["update-ref", "refs/heads/main", &tip]);
    assert_eq!(pulse()["told"], 1);
    two.backup_and_publish(&two.a);
    let report = two.compare(&two.a, &two.b).exits(13).json();
    let sides = report["compared"].as_array().expect("sides");
    let found: Vec<&serde_json::Value> =
        sides.iter().flat_map(|side| side["disagreements"].as_array().expect("a list")).collect();
    let high = |one: &&&serde_json::Value| one["severity"] == "high" && one["reference"] == "refs/heads/main";
    assert_eq!(found.iter().filter(high).count(), 1, "{report:#}");
    two.b.run(&["status"]).exits(0);
    let runs = two.b.run(&["status", "--json"]).exits(0).json();
    assert_eq!(runs["counts"]["pulse"]["complete"], 4);
    assert!(!runs["runs"].as_array().expect("a list").iter().any(|run| run["task"] == "pulse"));
}

#[test]
fn two_boards_to_which_one_host_each_may_write_are_enough() {
    let (apart, folder) = in_folders(41);
    let theirs = format!("read:{}", apart.a_board);
    apart.a_round_is_clean_and_writes_to_its_own_board_alone(&theirs);
    let seen = || apart.b.run(&["status", "--json"]).exits(0).json()["witnessed"].clone();
    let (own, other) = (seen()[0].clone(), seen()[1].clone());
    assert_eq!((&own["own"], &other["own"], &other["key"]), (&true.into(), &false.into(), &"other".into()));
    assert!([&own, &other].iter().all(|one| one["findings"] == serde_json::json!([])), "{own} {other}");
    assert!(own["seals"].as_u64() >= Some(3) && other["published"].is_string(), "{own} {other}");
    let both = [&theirs[..], &format!("read:{}", apart.b_board)];
    let reader = Desk::new();
    let judged = apart.verify(&reader, both).exits(0).json();
    // B's cosignature of what A shows stands on B's own board.
    let of_a = judged["origins"].as_array().expect("rows").iter().find(|row| row["key"] == "a").expect("A's");
    assert_eq!(of_a["cosigned"], serde_json::json!(["b"]), "{judged}");
    let notes = origin_folder(&folder.path().join("of-a"), &apart.a);
    let newest = fs::read_dir(&notes).expect("notes").map(|entry| entry.expect("a note").path()).max();
    let (newest, aside) = (newest.expect("a note"), folder.path().join("aside"));
    fs::rename(&newest, &aside).expect("taken off");
    finds(apart.verify(&reader, both), "removed");
    fs::rename(&aside, &newest).expect("put back");
    is_clean(apart.verify(&reader, both));
    fs::remove_dir_all(notes).expect("removed");
    apart.what_is_gone_is_found(&theirs);
    assert!(seen()[1]["findings"][0].as_str().is_some_and(|what| what.starts_with("removed")), "{}", seen());
    finds(apart.verify(&reader, both), "silent");
}

#[test]
fn a_backup_in_turn_waits_for_the_end_of_the_other_one_as_its_checkpoint_shows_it() {
    let (mut apart, _folder) = in_folders(47);
    let boards = format!("[witness]\nboard = [\"{}\", \"read:{}\"]\n", apart.b_board, apart.a_board);
    apart.b.configure(&boards);
    let gate = apart.appliance.place().gate();
    std::fs::write(&gate, "").expect("a gate");
    let mut child = apart.b.command(&["backup", "--turn", "100"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut hears = |words: &str| said.by_ref().find(|line| line.contains(words)).expect(words);
    hears("another account is backing up the appliance");
    std::fs::remove_file(&gate).expect("removed");
    hears("another account is ending its backup");
    assert_eq!(child.try_wait().expect("a status"), None);
    apart.a.run(&["backup", "--quiet"]).exits(0);
    apart.a.run(&["witness", "publish", "--quiet", "--board", &apart.a_board]).exits(0);
    let rest: Vec<String> = said.collect();
    assert!(!rest.iter().any(|line| line.contains("all the same")), "{rest:#?}");
    assert!(child.wait().expect("its end").success(), "{rest:#?}");
    let status = apart.b.run(&["status", "--json"]).exits(0).json();
    let last =
        status["runs"].as_array().and_then(|runs| runs.iter().max_by_key(|run| run["ended"].to_string()));
    assert!(last.expect("a run")["waited_seconds"].as_f64() > Some(0.0), "{status}");
}
