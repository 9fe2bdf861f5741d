//! The pipe through which an `ssh` tells what it does.

use std::{
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe,
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use super::{
    log::{Log, Phase},
    memory_file::path_of,
};

/// Longest time for the rest of the messages after the process has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Our end of the pipe's entrance, open until `ssh` has opened its own: then only `ssh` keeps the pipe alive.
type Door = Arc<Mutex<Option<io::PipeWriter>>>;

fn close_door(door: &Door) {
    *door.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// The messages of one `ssh`, understood as they come.
pub(super) struct Messages {
    log: watch::Receiver<Log>,
    door: Door,
    reader: JoinHandle<()>,
}

impl Messages {
    /// A new pipe, and the path under which `ssh` opens it.
    pub(super) fn open() -> io::Result<(Self, PathBuf)> {
        let (exit, entrance) = io::pipe()?;
        let path = path_of(&entrance);
        let (sender, log) = watch::channel(Log::default());
        let lines = BufReader::new(pipe::Receiver::from_owned_fd(OwnedFd::from(exit))?);
        let door = Arc::new(Mutex::new(Some(entrance)));
        let reader = tokio::spawn(read(lines, Arc::clone(&door), sender));
        Ok((Self { log, door, reader }, path))
    }

    /// What is understood so far.
    pub(super) fn log(&self) -> Log {
        self.log.borrow().clone()
    }

    /// Waits for the news that the command was started; `false` after the last message.
    pub(super) async fn started(&mut self) -> bool {
        self.log.wait_for(|log| log.phase == Phase::Started).await.is_ok()
    }

    /// Waits for the last message of a process that has ended.
    pub(super) async fn rest(&mut self) {
        close_door(&self.door);
        // Something that `ssh` started may keep the pipe open.
        let _ = timeout(LAST_WORDS, async { while self.log.changed().await.is_ok() {} }).await;
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(mut lines: BufReader<pipe::Receiver>, door: Door, log: watch::Sender<Log>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        close_door(&door);
        log.send_if_modified(|log| {
            let before = log.clone();
            log.line(&String::from_utf8_lossy(&line));
            *log != before
        });
    }
}
