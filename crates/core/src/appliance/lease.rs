//! A state of the appliance that lasts only while we live.
//!
//! A lease is one remote shell: it enters the state, says `held`, and reads heartbeats. End of input, hang-up or silence make it
//! leave the state, whatever happened to us: a killed process, a lost network, a lost host. The Git maintenance gate and the
//! flush threshold of the search indices are such states.

use std::{
    io::{BufRead, BufReader, Write},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::channel::{Channel, ChannelError, RemoteCommand, Running};

/// Longest silence after which the appliance ends a lease by itself, in seconds.
pub const SILENCE_S_MAX: u64 = 45;

/// How often a heartbeat is sent.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The two snippets of shell that make a lease; both run in bash as the admin user.
#[derive(Clone, Debug)]
pub struct LeaseScript {
    /// Names the lease in errors.
    pub label: String,
    /// Runs before everything: functions, variables, refusals (`exit N` after a line on stdout).
    pub prepare: String,
    /// Enters the state. From here on `leave` runs on every way out.
    pub enter: String,
    /// Leaves the state; must be harmless when `enter` failed half-way.
    pub leave: String,
}

/// Why a lease could not be had or was lost.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The remote shell could not be started or followed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The remote shell refused; its own line and exit code say why.
    #[error("`{label}` was refused ({code}): {line}")]
    Refused {
        /// The lease.
        label: String,
        /// What the script printed.
        line: String,
        /// How it ended.
        code: String,
    },
}

/// A held lease; dropping it leaves the state.
pub struct Lease {
    stop: Option<mpsc::Sender<()>>,
    beat: Option<thread::JoinHandle<Result<(), String>>>,
    since: Instant,
    said: String,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("since", &self.since).field("said", &self.said).finish_non_exhaustive()
    }
}

/// The whole remote shell of a lease.
#[must_use]
pub fn shell_text(script: &LeaseScript) -> String {
    let LeaseScript { prepare, enter, leave, .. } = script;
    format!(
        "set -u\n{prepare}\nleave() {{ trap - EXIT; {leave}\n}}\ntrap leave EXIT\ntrap 'exit 0' HUP INT TERM PIPE\n\
         {enter}\nprintf 'held %s\\n' \"${{said-}}\"\n\
         while IFS= read -r -t {SILENCE_S_MAX} beat; do [ \"$beat\" = end ] && break; done\nexit 0\n"
    )
}

impl Lease {
    /// Enters the state.
    ///
    /// # Errors
    /// The script refused, or the appliance cannot be reached.
    pub fn take(channel: &dyn Channel, script: &LeaseScript, within: Duration) -> Result<Self, LeaseError> {
        let text = format!("exec bash -c {}", super::quote::quote(&shell_text(script)));
        let mut command = RemoteCommand::bulk(script.label.clone(), text, within);
        // Silence on stdout is normal while it is held; the heartbeat's writes tell a dead connection.
        command.idle = None;
        let mut running = channel.start(&command)?;
        let (Some(stdin), Some(stdout)) = (running.take_stdin(), running.take_stdout()) else {
            return Err(ended(script, "its streams are not available"));
        };
        let (line_out, line_in) = mpsc::channel();
        // The reader outlives the first line: it must keep the stream drained until the end.
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = String::new();
            let read = reader.read_line(&mut line);
            let _ = line_out.send(read.map(|_| line));
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
        });
        let line = match line_in.recv_timeout(within) {
            Ok(Ok(line)) => line,
            Ok(Err(source)) => return Err(ended(script, &source.to_string())),
            Err(_) => {
                return Err(ChannelError::Timeout {
                    label: script.label.clone(),
                    what: "did not start",
                    after: within,
                }
                .into());
            }
        };
        let Some(said) = line.strip_prefix("held ") else {
            drop(stdin);
            let exit = running.wait()?;
            let line = if line.trim().is_empty() {
                String::from_utf8_lossy(&exit.stderr).into_owned()
            } else {
                line
            };
            return Err(LeaseError::Refused {
                label: script.label.clone(),
                line: line.trim().to_owned(),
                code: exit.status.to_string(),
            });
        };
        let (stop, stopped) = mpsc::channel();
        let beat = thread::spawn(move || heartbeat(running, stdin, &stopped));
        Ok(Self { stop: Some(stop), beat: Some(beat), since: Instant::now(), said: said.trim().to_owned() })
    }

    /// What the script put into `$said`.
    #[must_use]
    pub fn said(&self) -> &str {
        &self.said
    }

    /// Whether the remote shell is still there, as far as we know.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.beat.as_ref().is_some_and(|beat| !beat.is_finished())
    }

    /// How long the lease has been held.
    #[must_use]
    pub fn held(&self) -> Duration {
        self.since.elapsed()
    }

    /// Leaves the state and waits until the appliance has said so.
    ///
    /// # Errors
    /// The lease had been lost before (the text says how); the appliance leaves the state by itself then.
    pub fn release(mut self) -> Result<Duration, String> {
        let ended = self.end();
        ended.map(|()| self.since.elapsed())
    }

    fn end(&mut self) -> Result<(), String> {
        drop(self.stop.take());
        match self.beat.take().map(thread::JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err("its thread ended early".into()),
            None => Ok(()),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn ended(script: &LeaseScript, reason: &str) -> LeaseError {
    ChannelError::Ended { label: script.label.clone(), reason: reason.into() }.into()
}

fn heartbeat(
    running: Box<dyn Running>,
    mut stdin: Box<dyn Write + Send>,
    stopped: &mpsc::Receiver<()>,
) -> Result<(), String> {
    loop {
        if let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(HEARTBEAT) {
            if let Err(source) = stdin.write_all(b"alive\n").and_then(|()| stdin.flush()) {
                return Err(format!("the heartbeat failed: {source}"));
            }
            continue;
        }
        let _ = stdin.write_all(b"end\n").and_then(|()| stdin.flush());
        drop(stdin);
        let exit = running.wait().map_err(|source| source.to_string())?;
        if exit.status.success() {
            return Ok(());
        }
        return Err(format!("{}: {}", exit.status, String::from_utf8_lossy(&exit.stderr).trim()));
    }
}
