//! What runs on this host now: marks that end with the process, whatever ends it.
//!
//! A mark is a lock of the file system on a small file. Nothing has to be cleaned up after a crash, and no process id is believed.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::{StateError, StateFolder, Task};

/// A run that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRun {
    /// Its id.
    pub run: String,
    /// What it is.
    pub task: Task,
    /// Its process; valid while the run is live.
    pub pid: u32,
    /// When it began.
    pub began: Timestamp,
}

/// Says that a run goes on until this is dropped or the process ends.
#[derive(Debug)]
pub struct LiveMark {
    _file: File,
}

/// Says that a daemon works with the state folder, until this is dropped or the process ends.
#[derive(Debug)]
pub struct DaemonMark {
    _file: File,
}

impl StateFolder {
    /// Says that a daemon works with this folder. `None` when another does.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn begin_daemon(&self) -> Result<Option<DaemonMark>, StateError> {
        let path = self.root.join("daemon.lock");
        let fail = |source: io::Error| StateError::Io { action: "write", path: path.clone(), source };
        let file = self.private_file("daemon.lock").map_err(fail)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(DaemonMark { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(other) => Err(fail(other.into())),
        }
    }

    /// Says that a run goes on. `None` when another of the same task does.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn begin_run(&self, live: &LiveRun) -> Result<Option<LiveMark>, StateError> {
        let name = live_name(live.task);
        let fail =
            |source: io::Error| StateError::Io { action: "write", path: self.root.join(&name), source };
        let mut file = self.private_file(&name).map_err(fail)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(other) => return Err(fail(other.into())),
        }
        let text = serde_json::to_string(live).map_err(|e| fail(io::Error::other(e)))?;
        file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(fail)?;
        Ok(Some(LiveMark { _file: file }))
    }

    /// The run of a task that goes on now, whoever started it.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn live_run(&self, task: Task) -> Result<Option<LiveRun>, StateError> {
        let name = live_name(task);
        let path = self.root.join(&name);
        let fail = |source: io::Error| StateError::Io { action: "read", path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(fail(source)),
        };
        if !is_locked(&file).map_err(fail)? {
            return Ok(None);
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(fail)?;
        // Locked a moment ago and not written yet: somebody is there, and will have a name soon.
        let unnamed = LiveRun { run: String::new(), task, pid: 0, began: Timestamp::now() };
        Ok(Some(serde_json::from_str(&text).unwrap_or(unnamed)))
    }

    pub(super) fn private_file(&self, name: &str) -> io::Result<File> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(self.root.join(name))
    }
}

fn live_name(task: Task) -> String {
    format!("live-{}.json", task.name())
}

/// Whether another open file holds the lock; looks without taking it, so that nobody who begins is disturbed.
fn is_locked(file: &File) -> io::Result<bool> {
    use std::os::linux::fs::MetadataExt;
    let inode = file.metadata()?.st_ino();
    let wanted = format!(":{inode}");
    let table = fs::read_to_string("/proc/locks")?;
    Ok(table.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.any(|word| word == "FLOCK") && words.any(|word| word.ends_with(&wanted))
    }))
}
