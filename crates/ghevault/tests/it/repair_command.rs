//! `repair`: what a damaged vault has lost comes back from another one with the same content; `verify --read-data` finds damage in
//! turns.

use crate::support;
use std::fs;
use support::{Desk, appliance, damage, packs};

/// A desk with a backup, and a copy of its vault beside it.
fn copied(seed: u64) -> (Desk, String) {
    let (mut appliance, _folder) = appliance(seed);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--quiet"]).exits(0);
    let second = desk.path("second").display().to_string();
    let like = desk.path("vault").display().to_string();
    desk.run(&["init", "--vault", &second, "--like", &like]).exits(0);
    desk.run(&["copy", "--to", &second, "--all", "--quiet"]).exits(0);
    (desk, second)
}

#[test]
fn a_missing_and_a_damaged_pack_come_back_from_another_vault() {
    let (desk, second) = copied(1);
    let packs = packs(&desk);
    assert!(packs.len() >= 2, "{packs:?}");
    fs::remove_file(&packs[0]).expect("removed");
    damage(&packs[packs.len() - 1]);
    desk.run(&["verify", "--depth", "2"]).exits(13);
    let report = desk.run(&["repair", "--from", &second, "--json", "--quiet"]).exits(0).json();
    assert_eq!((&report["packs"], &report["blobs_lost"]), (&2.into(), &0.into()), "{report}");
    assert!(report["blobs_fetched"].as_u64() > Some(0), "{report}");
    desk.run(&["verify", "--depth", "2"]).exits(0);
    desk.run(&["prune", "--quiet"]).exits(0);
    desk.run(&["verify", "--depth", "2"]).exits(0);
    let again = desk.run(&["repair", "--from", &second, "--quiet"]).exits(0).stdout;
    assert!(again.contains("no pack is damaged"), "{again}");
}

#[test]
fn a_missing_index_file_and_what_it_named_come_back() {
    let (desk, second) = copied(2);
    for entry in fs::read_dir(desk.path("vault/index")).expect("a folder") {
        fs::remove_file(entry.expect("an entry").path()).expect("removed");
    }
    for pack in packs(&desk) {
        fs::remove_file(pack).expect("removed");
    }
    desk.run(&["verify"]).exits(13);
    // the trees that name what is missing come back first, then what they name
    let mut runs = 0;
    while desk.run(&["verify", "--depth", "2"]).code != 0 {
        desk.run(&["repair", "--from", &second, "--quiet"]).exits(0);
        runs += 1;
        assert!(runs < 30, "it does not come to an end");
    }
}

#[test]
fn what_neither_vault_has_is_said_to_be_lost() {
    let (desk, _) = copied(3);
    let empty = desk.path("empty").display().to_string();
    desk.run(&["init", "--vault", &empty]).exits(0);
    fs::remove_file(packs(&desk).pop().expect("a pack")).expect("removed");
    let done =
        desk.run(&["repair", "--from", &empty, "--json", "--quiet"]).exits(13).complains("neither vault");
    assert!(done.json()["blobs_lost"].as_u64() > Some(0));
    let own = desk.path("vault").display().to_string();
    desk.run(&["repair", "--from", &own]).exits(1).complains("itself");
}

#[test]
fn damage_is_found_in_one_of_n_turns() {
    let (desk, _) = copied(4);
    damage(packs(&desk).last().expect("a pack"));
    let mut codes: Vec<i32> = Vec::new();
    let mut shares = Vec::new();
    for _ in 0..3 {
        let done = desk.run(&["verify", "--read-data", "1/3", "--json"]);
        shares.push(done.json()["read_data"].as_str().expect("a share").to_owned());
        codes.push(done.code);
    }
    assert_eq!(shares, ["1/3", "2/3", "3/3"]);
    codes.sort_unstable();
    assert_eq!(codes, [0, 0, 13]);
    desk.run(&["verify", "--read-data", "2/3"]).exits(2).complains("1/N");
    desk.run(&["verify", "--read-data", "1/3", "--depth", "2"]).exits(2);
}
