//! What daemons leave to others in real time: a turn each for two accounts, an appliance that has much to do, and one that is promoted.

use crate::{
    operation_daemon::{daemon, end, log, status, until},
    support,
};
use std::time::Duration;
use support::{Desk, appliance, pair::Pair};

const SECONDS: &str =
    "[schedule]\nbackup = \"*/2 * * * * *\"\n[objective]\nrpo = \"30min\"\n[daemon]\nlisten = \"none\"\n";
const COMPLETE: &str = "\"result\":\"complete\"";

#[test]
fn two_accounts_with_the_same_schedule_take_turns() {
    let (mut appliance, _folder) = appliance(1);
    let mut desks = [Desk::with_vault(), Desk::with_vault()];
    desks[0].trust(&mut appliance);
    let host = desks[0].host();
    desks[1].set("GHEVAULT_HOST", &host);
    desks[1].set("GHEVAULT_SSH_KEY", &format!("file:{}", appliance.client_key().display()));
    desks[1].run(&["trust", "--accept", &appliance.host_key().expect("a host key")]).exits(0);
    for desk in &mut desks {
        desk.configure(SECONDS);
    }
    let daemons = desks.each_ref().map(daemon);
    let waits = |desk: &Desk| log(desk).matches("another account is backing up the appliance").count();
    // Until each has had its turn some times, and one has had to wait for it.
    for desk in &desks {
        until(desk, COMPLETE, 5, Duration::from_mins(4));
    }
    for daemon in daemons {
        end(daemon);
    }
    assert!(desks.iter().map(waits).sum::<usize>() > 0, "nobody ever waited:\n{}", log(&desks[0]));
    assert!(!appliance.gate_exists());
    for desk in &desks {
        let status = status(desk);
        let runs = status["runs"].as_array().expect("runs");
        // The last one may have been ended with its daemon.
        let odd: Vec<_> =
            runs.iter().filter(|run| run["result"] != "complete" && run["result"] != "interrupted").collect();
        assert!(odd.is_empty(), "{odd:#?}");
        desk.run(&["verify", "--depth", "2", "--quiet"]).exits(0);
    }
}

#[test]
fn a_backup_waits_for_an_appliance_that_has_much_to_do_and_not_for_ever() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    // No machine that runs this test has less load.
    desk.configure(&format!("{SECONDS}[backup]\nload_max = 0.000001\nload_wait_s = 6\n"));
    let child = daemon(&desk);
    until(&desk, COMPLETE, 0, Duration::from_mins(2));
    end(child);
    let said = log(&desk);
    assert!(said.contains("the appliance has much to do"), "{said}");
    assert!(said.contains("the backup begins all the same"), "{said}");
    let status = status(&desk);
    let done = status["runs"].as_array().expect("runs").iter().find(|run| run["result"] == "complete");
    assert!(done.expect("a run")["waited_seconds"].as_f64() >= Some(6.0), "{status}");
}

#[test]
fn a_daemon_follows_a_promotion() {
    let mut desk = Desk::with_vault();
    let mut pair = Pair::trusted_by(&mut desk);
    desk.configure(SECONDS);
    let child = daemon(&desk);
    until(&desk, COMPLETE, 0, Duration::from_mins(2));
    pair.lose_the_primary();
    // The replica alone is not backed up.
    until(&desk, "\"result\":\"refused\"", 0, Duration::from_mins(2));
    pair.fleet.promote("ghe-replica").expect("promoted");
    let before = log(&desk).matches(COMPLETE).count();
    until(&desk, COMPLETE, before, Duration::from_mins(3));
    end(child);
    assert!(!pair.replica().gate_exists());
    assert_eq!(status(&desk)["objective"]["health"], "good");
}
