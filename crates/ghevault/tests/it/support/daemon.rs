//! A daemon that is started, listened to and ended.

use super::Desk;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout},
    time::{Duration, Instant},
};

/// A process that ends with the test.
pub struct Ends(pub Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address of this machine at which nobody listens now.
pub fn free_address() -> String {
    let probe = TcpListener::bind("127.0.0.1:0").expect("a port");
    probe.local_addr().expect("an address").to_string()
}

/// A daemon and its log; killed when dropped.
pub struct Daemon {
    /// The process.
    pub child: Child,
    log: BufReader<ChildStdout>,
    /// Lines of the log that were read.
    pub seen: Vec<String>,
}

impl Daemon {
    /// Starts it.
    pub fn start(desk: &Desk) -> Self {
        let mut child = desk.start(&["daemon"]);
        let log = BufReader::new(child.stdout.take().expect("a log"));
        Self { child, log, seen: Vec::new() }
    }

    /// Reads the log up to a line that has all of these; the test's own time limit bounds it.
    #[track_caller]
    pub fn until(&mut self, words: &[&str]) -> serde_json::Value {
        loop {
            let mut line = String::new();
            let length = self.log.read_line(&mut line).expect("the log");
            assert!(length > 0, "the log ended before {words:?}: {:#?}", self.seen);
            self.seen.push(line.clone());
            if words.iter().all(|word| line.contains(word)) {
                return serde_json::from_str(&line).expect("a JSON line");
            }
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signalled");
    }

    /// It promises ten seconds (the suite `operation` holds it to them); a loaded machine may take longer.
    pub fn ends(mut self) -> i32 {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status.code().unwrap_or(-1);
            }
            assert!(since.elapsed() < Duration::from_mins(1), "it does not end: {:#?}", self.seen);
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it answers to a request, with its headers.
pub fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
