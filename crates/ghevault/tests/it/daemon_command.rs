//! `daemon`: starts, survives, ends.

use crate::support;
use ghevault_sim::appliance::faults::{Action, Fault};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use support::{
    Desk, appliance,
    daemon::{Daemon, get},
};

const EVERY_SECOND: &str = "[schedule]\nbackup = \"* * * * * *\"\n[daemon]\nlisten = \"127.0.0.1:0\"\n";
const YEARLY: &str = "[schedule]\nbackup = \"0 0 1 1 *\"\n[daemon]\nlisten = \"127.0.0.1:0\"\n";

#[test]
fn it_backs_up_by_schedule_serves_its_status_and_ends_cleanly() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.configure(EVERY_SECOND);
    let mut daemon = Daemon::start(&desk);
    let serving = daemon.until(&["serving the status page"]);
    let address = serving["fields"]["address"].as_str().expect("an address").to_owned();
    let ended = daemon.until(&["\"ended\"", "\"task\":\"backup\""]);
    assert_eq!(ended["fields"]["result"], "complete", "{:#?}", daemon.seen);
    let page = get(&address, "/");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("content-security-policy"), "{page}");
    assert!(page.contains("Backups by day"), "{page}");
    assert!(get(&address, "/healthz").ends_with("ok\n"));
    assert!(get(&address, "/metrics").contains("ghevault_backup_runs_total"));
    assert!(get(&address, "/etc/passwd").starts_with("HTTP/1.1 404"));
    // A second daemon on the same folder is refused.
    desk.run(&["daemon"]).exits(11).complains("another daemon");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0);
    let status = desk.run(&["status", "--json"]).exits(0).json();
    let complete = status["counts"]["backup"]["complete"].as_u64().expect("a count");
    let snapshots = desk.run(&["snapshots", "--json"]).exits(0).json();
    assert_eq!(snapshots.as_array().map(Vec::len), usize::try_from(complete).ok());
    assert!(!appliance.gate_exists());
}

#[test]
fn sigterm_in_the_middle_of_a_backup_opens_the_gate_and_the_next_daemon_catches_up_once() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.configure(EVERY_SECOND);
    appliance.set_faults(vec![Fault::at_door("--no-recursion", Action::Hang)]).expect("a fault");
    let daemon = Daemon::start(&desk);
    let within = Instant::now() + Duration::from_mins(1);
    while !appliance.gate_exists() {
        assert!(Instant::now() < within, "no gate");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0);
    assert!(!appliance.gate_exists());
    let status = desk.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["runs"][0]["result"], "interrupted", "{status}");
    // What was cut short is tried again at once, although nothing is due for months.
    appliance.set_faults(vec![]).expect("no fault");
    desk.configure(YEARLY);
    let mut daemon = Daemon::start(&desk);
    let started = daemon.until(&["\"started\""]);
    assert_eq!(started["fields"]["trigger"], "retry");
    assert_eq!(daemon.until(&["\"ended\""])["fields"]["result"], "complete");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0);
    assert_eq!(desk.run(&["snapshots", "--json"]).exits(0).json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_run_that_hangs_is_ended_at_its_deadline() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.configure(&EVERY_SECOND.replace("[daemon]", "deadline_s = 4\n[daemon]"));
    appliance.set_faults(vec![Fault::at_door("--no-recursion", Action::Hang)]).expect("a fault");
    let mut daemon = Daemon::start(&desk);
    let ended = daemon.until(&["\"ended\""]);
    assert_eq!((&ended["fields"]["overdue"], &ended["fields"]["result"]), (&true.into(), &"failed".into()));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0);
    assert!(!appliance.gate_exists());
}

#[test]
fn a_wrong_new_configuration_is_told_and_the_old_one_kept() {
    let mut desk = Desk::with_vault();
    desk.configure(YEARLY);
    let mut daemon = Daemon::start(&desk);
    daemon.until(&["serving the status page"]);
    desk.configure("[schedule]\nbackup = \"at tea time\"\n");
    daemon.signal(Signal::HUP);
    daemon.until(&["the old one is kept", "tea time"]);
    desk.configure(&YEARLY.replace("0 0 1 1", "0 0 2 2"));
    daemon.signal(Signal::HUP);
    daemon.until(&["read again"]);
    daemon.until(&["next activation", "0 0 2 2"]);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0);
}

#[test]
fn without_a_schedule_there_is_nothing_to_do() {
    let desk = Desk::new();
    desk.run(&["daemon"]).exits(2).complains("nothing is scheduled");
}
