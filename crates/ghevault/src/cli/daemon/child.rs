//! A run as a process: started, listened to, ended when its time is over.

use crate::cli::journal::{RUN_VARIABLE, TRIGGER_VARIABLE};
use ghevault_core::{schedule::decide::Order, state::Task};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Command,
    sync::mpsc::UnboundedSender,
    time::{Instant, sleep_until},
};

/// Time between SIGTERM and SIGKILL of a run that is over its deadline.
const GRACE: Duration = Duration::from_secs(30);
/// Longest line that is taken from a run, in bytes; the rest is cut.
const LINE_MAX: u64 = 16 << 10;

/// What a run says to the daemon.
#[derive(Debug)]
pub enum Message {
    /// A line of its log.
    Line(Task, String),
    /// It has ended.
    Ended(Ended),
}

/// The end of a run.
#[derive(Debug)]
pub struct Ended {
    /// The task.
    pub task: Task,
    /// Its exit code; 128 and more for a signal.
    pub code: u8,
    /// Whether it was ended because its time was over.
    pub overdue: bool,
}

/// Starts a run. Everything about it comes through `tell`; the end comes last.
///
/// # Errors
/// The system starts no process.
pub fn start(
    order: &Order,
    run: &str,
    arguments: &[OsString],
    deadline: Duration,
    tell: UnboundedSender<Message>,
) -> io::Result<u32> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("ghevault")
        .args(arguments)
        .env(RUN_VARIABLE, run)
        .env(TRIGGER_VARIABLE, order.trigger.name())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if std::env::var_os("RUST_LOG").is_none_or(|filter| filter.is_empty()) {
        command.env("RUST_LOG", "info");
    }
    let mut child = command.spawn()?;
    let pid = child.id().unwrap_or_default();
    let task = order.task;
    let lines = child.stderr.take();
    tokio::spawn(async move {
        let listener = lines.map(|lines| tokio::spawn(listen(task, lines, tell.clone())));
        let over = Instant::now() + deadline;
        let mut overdue = false;
        let status = tokio::select! {
            status = child.wait() => status,
            () = sleep_until(over) => {
                overdue = true;
                signal(pid, Signal::TERM);
                tokio::select! {
                    status = child.wait() => status,
                    () = sleep_until(over + GRACE) => {
                        signal(pid, Signal::KILL);
                        child.wait().await
                    }
                }
            }
        };
        // What it said comes before its end; but a grandchild that keeps the pipe open must not hide the end.
        if let Some(listener) = listener {
            let _ = tokio::time::timeout(Duration::from_secs(2), listener).await;
        }
        let code = status.map_or(1, code_of);
        let _ = tell.send(Message::Ended(Ended { task, code, overdue }));
    });
    Ok(pid)
}

/// Sends a signal to a process that is known to be ours.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended in this moment.
        let _ = kill_process(pid, signal);
    }
}

/// The exit code, or 128 and the signal's number, as shells say it.
fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// Hands lines over, the end of very long ones cut.
async fn listen(task: Task, lines: impl AsyncRead + Unpin, tell: UnboundedSender<Message>) {
    let mut lines = BufReader::new(lines);
    loop {
        let mut line = Vec::new();
        match (&mut lines).take(LINE_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !text.is_empty() && tell.send(Message::Line(task, text)).is_err() {
                    return;
                }
            }
        }
    }
}
