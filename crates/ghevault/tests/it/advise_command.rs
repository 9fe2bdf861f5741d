//! `advise`: the situations of a pair, as a script and as a person in a hurry meets them.

use crate::support;
use ghevault_sim::harness::Appliance;
use support::{Desk, pair::Pair};

fn verdict(desk: &Desk, arguments: &[&str]) -> (String, serde_json::Value) {
    let json = desk.run(&[&["advise", "--json"], arguments].concat()).exits(0).json();
    (json["verdict"].as_str().unwrap_or_default().to_owned(), json)
}

#[test]
fn a_pair_is_followed_from_all_is_well_to_split_brain() {
    let mut desk = Desk::with_vault();
    let mut pair = Pair::trusted_by(&mut desk);
    desk.run(&["backup", "--quiet"]).exits(0);
    let (word, json) = verdict(&desk, &[]);
    assert_eq!(
        (word.as_str(), json["host"].as_str()),
        ("nothing-to-do", Some(pair.primary.as_str())),
        "{json}"
    );
    assert!(json["vault"]["verified"].is_null(), "{json}");
    assert_eq!(json["hosts"][1]["replication"]["level"], "ok", "{json}");
    desk.run(&["verify", "--quiet"]).exits(0);
    let (_, json) = verdict(&desk, &[]);
    assert_eq!(json["vault"]["verified"]["id"], json["vault"]["newest"]["id"], "{json}");
    assert_eq!(json["restore"]["verified"][1], 1, "{json}");

    assert_eq!(verdict(&desk, &["--suspect-tampering"]).0, "restore");
    pair.fleet.first().set_maintenance(true).expect("maintenance");
    assert_eq!(verdict(&desk, &[]).0, "wait");

    let uuid = pair.fleet.first().disk("/data/user/common/uuid");
    let uuid = std::fs::read_to_string(uuid).expect("a UUID").trim().to_owned();
    pair.lose_the_primary();
    let (word, json) = verdict(&desk, &[]);
    assert_eq!((word.as_str(), json["host"].as_str()), ("promote", Some(pair.replica.as_str())), "{json}");
    let commands = json["promote"]["commands"].to_string();
    let promote = format!("ghevault failover promote {0} --confirm {0}", pair.replica);
    assert!(commands.contains(&promote), "{commands}");
    assert!(commands.contains(&format!("ghe-repl-teardown -u {uuid}")), "{commands}");
    let screen = desk.run(&["advise"]).exits(0).stdout;
    assert!(screen.starts_with(&format!("PROMOTE {}\n", pair.replica)), "{screen}");

    pair.replica_says(
        "git",
        "CRITICAL: git replication is behind the primary by 150 repositories and/or gists",
    );
    let (word, json) = verdict(&desk, &[]);
    let stores = &json["promote"]["data_loss"]["stores"];
    assert_eq!((word.as_str(), stores), ("promote", &serde_json::json!(["git"])));
    assert!(json["promote"]["commands"].to_string().contains("--accept-data-loss git"), "{json}");

    pair.fleet.run("ghe-replica", "ghe-repl-stop").expect("stopped");
    assert_eq!(verdict(&desk, &[]).0, "restore");

    pair.fleet.promote("ghe-replica").expect("promoted");
    pair.fleet.start_node("ghe-primary").expect("back");
    let (word, json) = verdict(&desk, &[]);
    assert_eq!(word, "investigate", "{json}");
    assert!(json["reasons"][0].as_str().is_some_and(|reason| reason.contains("split brain")), "{json}");
}

#[test]
fn without_a_vault_the_pair_is_judged_all_the_same() {
    let mut desk = Desk::new();
    let mut pair = Pair::trusted_by(&mut desk);
    pair.lose_the_primary();
    let (word, json) = verdict(&desk, &[]);
    assert_eq!(word, "promote", "{json}");
    assert!(json["vault"]["problem"].is_string() && json["restore"].is_null(), "{json}");
    let (word, json) = verdict(&desk, &[&pair.replica]);
    assert_eq!(word, "investigate", "its primary was not looked at: {json}");
    assert!(json["reasons"][0].as_str().is_some_and(|reason| reason.contains("ghe-primary")), "{json}");
    desk.unset("GHEVAULT_HOST");
    desk.run(&["advise"]).exits(2);
}

#[test]
fn a_primary_that_shows_another_host_key_is_no_lost_primary() {
    let mut desk = Desk::new();
    let mut pair = Pair::trusted_by(&mut desk);
    let primary: &mut Appliance = pair.fleet.node_mut("ghe-primary").expect("a primary");
    primary.change_host_keys().expect("other keys");
    pair.lose_the_primary();
    pair.fleet.start_node("ghe-primary").expect("back");
    let (word, json) = verdict(&desk, &[]);
    let doubt = &json["hosts"][0]["doubt"];
    assert_eq!((word.as_str(), doubt), ("investigate", &"host-key-changed".into()), "{json}");
}
