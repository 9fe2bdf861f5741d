//! A daemon in real time: started, waited for, ended.

use crate::support;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use support::Desk;

/// A daemon whose log goes to a file of the desk.
pub fn daemon(desk: &Desk) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(desk.path("log")).expect("a log");
    desk.command(&["daemon"]).stdout(log).stderr(Stdio::inherit()).spawn().expect("it starts")
}

pub fn log(desk: &Desk) -> String {
    fs::read_to_string(desk.path("log")).unwrap_or_default()
}

/// Waits until the log says something more often than `before`.
pub fn until(desk: &Desk, word: &str, more_than: usize, within: Duration) {
    let since = Instant::now();
    while log(desk).matches(word).count() <= more_than {
        assert!(since.elapsed() < within, "`{word}` does not come:\n{}", log(desk));
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn end(mut child: Child) {
    kill_process(Pid::from_child(&child), Signal::TERM).expect("signalled");
    let since = Instant::now();
    while child.try_wait().expect("a status").is_none() {
        assert!(since.elapsed() < Duration::from_secs(10), "it does not end within 10 s");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().expect("a status").code(), Some(0));
}

pub fn status(desk: &Desk) -> serde_json::Value {
    desk.run(&["status", "--json"]).exits(0).json()
}
