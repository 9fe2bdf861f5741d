//! `forget`, `hold` and `prune`: what goes, what must stay, and what is said about it.

use crate::support;
use std::{fs, process::Command};
use support::{Desk, appliance, damage};

/// A desk whose vault holds three complete snapshots; their ids, oldest first.
fn three_backups() -> (Desk, Vec<String>) {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    for round in 0..3 {
        // What nothing else has is what forgetting one frees.
        appliance.mutate(3, round).expect("lived");
        desk.run(&["backup", "--quiet"]).exits(0);
    }
    let ids = ids_of(&desk);
    assert_eq!(ids.len(), 3);
    (desk, ids)
}

fn ids_of(desk: &Desk) -> Vec<String> {
    let list = desk.run(&["snapshots", "--json"]).exits(0).json();
    let id = |row: &serde_json::Value| row["id"].as_str().expect("an id").to_owned();
    list.as_array().expect("a list").iter().map(id).collect()
}

fn restic_check(desk: &Desk) {
    let check = Command::new("restic")
        .args(["--no-cache", "--quiet", "-r"])
        .arg(desk.path("vault"))
        .arg("--password-file")
        .arg(desk.path("password"))
        .args(["check", "--read-data"])
        .output()
        .expect("restic runs");
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn rules_and_holds_decide_and_space_is_freed() {
    let (desk, ids) = three_backups();
    let reason = "an audit of 2027";
    desk.run(&["hold", &ids[0], "--reason", reason]).exits(0);
    let shown = desk.run(&["snapshots"]).exits(0).stdout;
    assert!(shown.contains(reason), "{shown}");
    assert_eq!(desk.run(&["snapshots", "--json"]).json()[0]["hold"]["reason"], reason);
    let planned = desk.run(&["forget", "--keep-daily", "1", "--dry-run"]).exits(0).stdout;
    for text in
        [format!("keep {}", &ids[0][..8]), format!("would forget {}", &ids[1][..8]), "daily, newest".into()]
    {
        assert!(planned.contains(&text), "{text}: {planned}");
    }
    assert_eq!(ids_of(&desk).len(), 3, "a dry run changes nothing");
    let done = desk.run(&["forget", "--keep-daily", "1", "--json"]).exits(0).json();
    assert_eq!(done["forgotten"], serde_json::json!([ids[1]]));
    assert_eq!(ids_of(&desk), [ids[0].clone(), ids[2].clone()]);
    let again = desk.run(&["forget", "--keep-daily", "1", "--json"]).exits(0).json();
    assert_eq!(again["forgotten"], serde_json::json!([]));
    desk.run(&["hold", &ids[0], "--release"]).exits(0);
    desk.run(&["hold", &ids[0], "--release"]).exits(1).complains("is not held");
    desk.run(&["forget", "--keep-daily", "1"]).exits(0);
    assert_eq!(ids_of(&desk), [ids[2].clone()]);
    let dry = desk.run(&["prune", "--max-unused", "0", "--dry-run", "--json"]).exits(0).json();
    assert!(dry["freed_bytes"].as_u64() > Some(0), "{dry}");
    let done = desk.run(&["prune", "--max-unused", "0", "--json"]).exits(0).json();
    assert!(done["freed_bytes"].as_u64() > Some(0), "{done}");
    restic_check(&desk);
    desk.run(&["verify", "--depth", "2"]).exits(0);
}

#[test]
fn the_chain_goes_on_over_what_was_forgotten() {
    let (mut appliance, _folder) = appliance(2);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    for _ in 0..3 {
        desk.run(&["backup", "--quiet"]).exits(0);
        desk.run(&["forget", "--keep-minimum", "2", "--quiet"]).exits(0);
    }
    desk.run(&["backup", "--quiet"]).exits(0);
    let plan = desk.run(&["forget", "--keep-minimum", "2", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(plan["remarks"], serde_json::json!([]), "no fork and no gap: {plan}");
    let keeps =
        plan["decisions"].as_array().expect("decisions").iter().filter(|row| row["keep"] == true).count();
    assert_eq!(keeps, 2);
}

#[test]
fn without_rules_nothing_is_forgotten() {
    let desk = Desk::with_vault();
    let done = desk.run(&["forget", "--json"]).exits(2).complains("retention.keep_daily");
    assert_eq!(done.json()["exit_code"], 2);
    desk.write(".config/ghevault/ghevault.toml", "[retention]\nkeep_daily = 7\ntimezone = \"UTC\"\n");
    desk.run(&["forget"]).exits(0);
    desk.write(
        ".config/ghevault/ghevault.toml",
        "[retention]\nkeep_daily = 7\ntimezone = \"Nowhere/City\"\n",
    );
    desk.run(&["forget"]).exits(2).complains("time zone");
}

#[test]
fn named_snapshots_go_unless_they_must_stay() {
    let (desk, ids) = three_backups();
    desk.run(&["forget", &ids[2]]).exits(14).complains("newest complete");
    desk.run(&["forget", "latest"]).exits(14).complains("never forgotten");
    desk.run(&["forget", &ids[0], "--keep-minimum", "3"]).exits(14).complains("the minimum");
    desk.run(&["hold", &ids[0], "--reason", "court", "--until", "2999-01-01"]).exits(0);
    desk.run(&["hold", &ids[1], "--reason", "court", "--until", "1999-01-01"])
        .exits(2)
        .complains("ended already");
    desk.run(&["forget", &ids[0]]).exits(14).complains("court");
    desk.run(&["forget", &ids[1]]).exits(0);
    assert_eq!(ids_of(&desk), [ids[0].clone(), ids[2].clone()]);
}

#[test]
fn snapshots_of_other_programs_are_forgotten_only_by_name() {
    let desk = Desk::with_vault();
    desk.foreign_snapshot();
    let foreign = ids_of(&desk).remove(0);
    let done = desk.run(&["forget", "--keep-daily", "1", "--json"]).exits(0).json();
    assert_eq!(done["forgotten"], serde_json::json!([]));
    desk.run(&["forget", &foreign]).exits(0);
    assert_eq!(ids_of(&desk), [] as [String; 0]);
}

#[test]
fn prune_stops_at_damage() {
    let desk = Desk::with_vault();
    desk.foreign_snapshot();
    let index =
        fs::read_dir(desk.path("vault/index")).expect("a vault").next().expect("an index").expect("one");
    damage(&index.path());
    let done = desk.run(&["prune", "--json"]).exits(13).complains("ghevault verify");
    assert_eq!(done.json()["exit_code"], 13);
    desk.run(&["prune", "--max-unused", "much"]).exits(2);
}
