//! The daemon in real time, under fire; and its metrics before Prometheus' own judge.
//!
//! `OPERATION_KILLS` (8) and `OPERATION_SEED` (1) choose how often the daemon is killed and when; a failure names them. With
//! `OPERATION_EVERY_S` it is killed so many seconds after each start, and not at a moment of the first six.

use crate::{
    operation_daemon::{daemon, end, log, status, until},
    support,
};
use ghevault_sim::{
    appliance::faults::{Action, Fault},
    seed::Seed,
};
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};
use support::{Desk, appliance, run::number};

const SECONDS: &str = "[schedule]\nbackup = \"*/2 * * * * *\"\nverify = \"*/7 * * * * *\"\n[objective]\nrpo = \"30min\"\n[daemon]\nlisten = \"none\"\n";

#[test]
fn a_daemon_that_is_killed_again_and_again_ends_with_a_right_state_and_a_complete_snapshot() {
    let (kills, seed) = (number("OPERATION_KILLS", 8), number("OPERATION_SEED", 1));
    let every_s = number("OPERATION_EVERY_S", 0);
    let (mut appliance, _folder) = appliance(seed);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.configure(SECONDS);
    let mut random = Seed::new(seed).part("moments");
    for round in 0..kills {
        let mut child = daemon(&desk);
        let moment = 500 + random.below(6_000);
        std::thread::sleep(Duration::from_millis(if every_s > 0 { every_s * 1000 } else { moment }));
        assert!(
            child.try_wait().expect("a status").is_none(),
            "seed {seed}, round {round}: it ended by itself"
        );
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    let goes_on = || {
        let before = log(&desk).matches("\"complete\"").count();
        let child = daemon(&desk);
        until(&desk, "\"complete\"", before + 1, Duration::from_mins(2));
        end(child);
        fs::read_to_string(desk.path("state/schedule.json")).expect("a ledger")
    };
    // A run that outlived its killed daemon may end after the last look of the next one: then it is dealt with by the one after that.
    let mut ledger = goes_on();
    if ledger.contains("\"running\"") {
        ledger = goes_on();
    }
    assert!(!appliance.gate_exists());
    let status = status(&desk);
    assert_eq!(status["unreadable"], 0, "{status}");
    assert!(status["live"].as_array().is_some_and(Vec::is_empty), "{status}");
    assert!(!ledger.contains("\"running\""), "{ledger}");
    // Never two backups at the same time, and every complete one is there.
    let mut backups: Vec<(String, String)> = status["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .filter(|run| run["task"] == "backup" && run["snapshot"].is_string())
        .map(|run| (run["began"].to_string(), run["ended"].to_string()))
        .collect();
    backups.sort();
    assert!(backups.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{backups:#?}");
    let complete = status["counts"]["backup"]["complete"].as_u64().expect("a count");
    let snapshots = desk.run(&["snapshots", "--json"]).exits(0).json();
    let there = snapshots.as_array().expect("rows").len() as u64;
    // One that was killed between its snapshot and its line in the history is there and not counted.
    assert!(complete >= 2 && there >= complete && there <= complete + kills, "{complete} of {there}");
    desk.run(&["verify", "--depth", "2"]).exits(0);
}

#[test]
fn an_appliance_that_hangs_and_disappears_is_backed_up_when_it_is_back() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.configure(&SECONDS.replace("[objective]", "deadline_s = 5\n[objective]"));
    let child = daemon(&desk);
    until(&desk, "\"complete\"", 0, Duration::from_mins(1));
    appliance.set_faults(vec![Fault::at_door("sudo find repositories", Action::Hang)]).expect("a fault");
    until(&desk, "\"overdue\":true", 0, Duration::from_mins(1));
    let address = desk.host().parse().expect("an address");
    appliance.close();
    until(&desk, "\"code\":1,", 1, Duration::from_mins(1));
    appliance.set_faults(vec![]).expect("no fault");
    appliance.open_embedded_at(address).expect("a door");
    let before = log(&desk).matches("\"result\":\"complete\"").count();
    until(&desk, "\"result\":\"complete\"", before + 1, Duration::from_mins(2));
    end(child);
    assert!(!appliance.gate_exists());
    assert_eq!(status(&desk)["objective"]["health"], "good");
}

#[test]
fn the_metrics_are_clean_before_promtool() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.configure(SECONDS);
    desk.run(&["backup"]).exits(0);
    desk.run(&["verify"]).exits(0);
    let metrics = desk.run(&["status", "--metrics"]).exits(0).stdout;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    promtool.stdin.take().expect("a pipe").write_all(metrics.as_bytes()).expect("written");
    let said = promtool.wait_with_output().expect("it ends");
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && text.trim().is_empty(), "{text}\n{metrics}");
}

/// Resident memory of a process in KiB and the time it has used in hundredths of a second.
fn costs(pid: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("memory");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<u64>().expect("ticks");
    (resident.trim().trim_end_matches(" kB").parse().expect("a number"), ticks(11) + ticks(12))
}

#[test]
fn an_idle_daemon_costs_next_to_nothing() {
    let mut desk = Desk::with_vault();
    desk.configure("[schedule]\nbackup = \"0 0 1 1 *\"\n[daemon]\nlisten = \"127.0.0.1:0\"\n");
    let mut child = daemon(&desk);
    until(&desk, "serving the status page", 0, Duration::from_mins(1));
    let (_, before) = costs(child.id());
    std::thread::sleep(Duration::from_mins(1));
    let (resident, after) = costs(child.id());
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(resident < 40 << 10, "{resident} KiB");
    // 0.1 % of a minute is 6 hundredths of a second.
    assert!(after - before <= 6, "{} hundredths of a second in a minute", after - before);
}
