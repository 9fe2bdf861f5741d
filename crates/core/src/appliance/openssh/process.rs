//! One `ssh` process as the follower sees it.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus as ProcessStatus, Stdio},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{
    arguments::SESSION_MARK,
    log::{Log, Phase, RemoteEnd},
    messages::Messages,
};
use crate::appliance::{
    channel::ExitStatus,
    transport::{Event, Remote, Sink},
};

/// Bytes read from a pipe at once.
const READ_BYTES: usize = 128 * 1024;
/// Longest time for a process to end after it was told to.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes before the mark that are looked through; a server's banner is far shorter.
const UNMARKED_BYTES_MAX: usize = 1024 * 1024;

/// An `ssh` that was spawned.
pub(super) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Stderr,
    messages: Messages,
    buffer: BytesMut,
    last: VecDeque<Event>,
}

/// The stderr pipe, and whether the remote part of it has begun.
struct Stderr {
    pipe: Option<ChildStderr>,
    buffer: BytesMut,
    marked: bool,
}

impl Process {
    /// Spawns `program` with the arguments made for the path of its log.
    pub(super) fn spawn(program: &Path, arguments: impl FnOnce(&Path) -> Vec<OsString>) -> io::Result<Self> {
        let (messages, log) = Messages::open()?;
        let mut child = Command::new(program)
            .args(arguments(&log))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for us, not for our connections.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: Stderr { pipe: child.stderr.take(), buffer: BytesMut::new(), marked: false },
            child,
            messages,
            buffer: BytesMut::new(),
            last: VecDeque::new(),
        })
    }

    /// Waits until the remote side has started the command; `false` when the process ended before.
    pub(super) async fn started(&mut self) -> bool {
        tokio::select! {
            biased;
            started = self.messages.started() => return started,
            _ = self.child.wait() => {}
        }
        // Its last messages may still be on the way.
        self.messages.rest().await;
        self.log().phase == Phase::Started
    }

    /// What is understood so far.
    pub(super) fn log(&self) -> Log {
        self.messages.log()
    }

    /// What is known of a process that ended early: its messages, and the last line of its stderr.
    pub(super) async fn autopsy(mut self) -> (Log, Option<String>) {
        let _ = self.child.start_kill();
        let _ = timeout(LAST_WORDS, self.child.wait()).await;
        self.messages.rest().await;
        let mut said = Vec::new();
        if let Some(pipe) = self.stderr.pipe.as_mut() {
            let _ = timeout(LAST_WORDS, pipe.take(64 * 1024).read_to_end(&mut said)).await;
        }
        let said = String::from_utf8_lossy(&said);
        let said = said.lines().map(str::trim).rfind(|line| !line.is_empty() && *line != SESSION_MARK);
        (self.log(), said.map(str::to_owned))
    }

    /// Its two halves.
    pub(super) fn split(mut self) -> (Self, Input) {
        let stdin = self.stdin.take();
        (self, Input { stdin })
    }

    /// The last events, once both pipes are empty and the process has ended.
    async fn verdict(&mut self, status: io::Result<ProcessStatus>) {
        self.messages.rest().await;
        if !self.stderr.marked {
            // No mark, no banner to cut off: rather too much than too little.
            let rest = std::mem::take(&mut self.stderr.buffer).freeze();
            self.last.push_back(Event::Stderr(rest));
        }
        let log = self.log();
        let code =
            status.as_ref().ok().and_then(ProcessStatus::code).and_then(|code| u32::try_from(code).ok());
        let exit = match code {
            _ if !log.complete => None,
            // The client does not tell which signal it was.
            Some(255) if log.end == Some(RemoteEnd::Signal) => {
                Some(ExitStatus::Signal("of unknown name".to_owned()))
            }
            Some(255) if log.end.is_none() => None,
            code => code.map(ExitStatus::Code),
        };
        match exit {
            Some(exit) => self.last.extend([Event::StdoutEnd, Event::Exit(exit), Event::Closed]),
            None => self.last.push_back(Event::Gone(gone(&log, status))),
        }
    }
}

fn gone(log: &Log, status: io::Result<ProcessStatus>) -> String {
    let ended = match status {
        Err(error) => format!("ssh cannot be followed: {error}"),
        Ok(status) => match status.signal() {
            Some(signal) => format!("ssh was ended by signal {signal}"),
            None => "the connection was lost".to_owned(),
        },
    };
    log.reason().map_or(ended.clone(), |reason| format!("{ended}: {reason}"))
}

impl Remote for Process {
    async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.last.pop_front() {
                return event;
            }
            if self.buffer.capacity() < READ_BYTES / 2 {
                self.buffer.reserve(READ_BYTES);
            }
            let (has_stdout, has_stderr) = (self.stdout.is_some(), self.stderr.pipe.is_some());
            tokio::select! {
                read = read_some(self.stdout.as_mut(), &mut self.buffer), if has_stdout => match read {
                    0 => self.stdout = None,
                    _ => return Event::Stdout(self.buffer.split().freeze()),
                },
                read = read_some(self.stderr.pipe.as_mut(), &mut self.stderr.buffer), if has_stderr => {
                    if read == 0 {
                        self.stderr.pipe = None;
                    }
                    if let Some(bytes) = self.stderr.remote_part() {
                        return Event::Stderr(bytes);
                    }
                }
                status = self.child.wait(), if !has_stdout && !has_stderr => self.verdict(status).await,
            }
        }
    }

    async fn close(mut self) {
        let _ = self.child.start_kill();
        let _ = timeout(LAST_WORDS, self.child.wait()).await;
    }
}

impl Stderr {
    /// What came from the remote command: everything after the mark.
    fn remote_part(&mut self) -> Option<Bytes> {
        if !self.marked {
            let mark = SESSION_MARK.as_bytes();
            let found = memchr::memmem::find(&self.buffer, mark);
            let end = match found {
                // With its line end.
                Some(at) if self.buffer.len() > at + mark.len() => at + mark.len() + 1,
                None if self.buffer.len() > UNMARKED_BYTES_MAX => 0,
                _ => return None,
            };
            let _ = self.buffer.split_to(end);
            self.marked = true;
        }
        (!self.buffer.is_empty()).then(|| self.buffer.split().freeze())
    }
}

/// Reads what is there; an error is an end like any other, the verdict comes from elsewhere.
async fn read_some<R: tokio::io::AsyncRead + Unpin>(pipe: Option<&mut R>, buffer: &mut BytesMut) -> usize {
    match pipe {
        Some(pipe) => pipe.read_buf(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

/// The stdin of an `ssh`.
pub(super) struct Input {
    stdin: Option<ChildStdin>,
}

impl Sink for Input {
    async fn send(&mut self, bytes: Bytes) -> bool {
        match self.stdin.as_mut() {
            Some(stdin) => stdin.write_all(&bytes).await.is_ok(),
            None => false,
        }
    }

    async fn end(self) {
        // Dropping the pipe is end of input.
    }
}
