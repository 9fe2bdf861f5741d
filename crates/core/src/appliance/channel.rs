//! The one way to an appliance: run a command, stream its input and output, learn how it ended.
//!
//! Everything above this file is blocking code over `Read` and `Write`; how the bytes travel (russh, OpenSSH) is the
//! business of the implementations. A channel never retries and never guesses: an early end, a missing exit status or
//! a stall is an error.

use std::{
    fmt,
    io::{Read, Write},
    sync::Arc,
    time::Duration,
};

/// Bytes of a command's stderr that are kept (the first and the last half of it when there was more).
pub const STDERR_BYTES_MAX: usize = 256 * 1024;

/// One command line for the admin shell of an appliance, with the limits under which it runs.
#[derive(Clone, Debug)]
pub struct RemoteCommand {
    /// Names the command in errors and logs, e.g. `list repositories`.
    pub label: String,
    /// The text given to the remote login shell (bash); arguments in it were quoted by [`super::quote::quote`].
    pub script: String,
    /// Longest time from start to exit status; `None`: no limit of its own.
    pub deadline: Option<Duration>,
    /// Longest time without a byte in either direction.
    pub idle: Option<Duration>,
    /// Whether the command moves bulk data and gets a connection of its own.
    pub bulk: bool,
}

impl RemoteCommand {
    /// A short command on the shared control connection: two minutes at most, thirty seconds idle excepted.
    pub fn new(label: impl Into<String>, script: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            script: script.into(),
            deadline: Some(Duration::from_mins(2)),
            idle: None,
            bulk: false,
        }
    }

    /// A command that streams: a connection of its own, no overall limit, an error after `idle` without a byte.
    pub fn bulk(label: impl Into<String>, script: impl Into<String>, idle: Duration) -> Self {
        Self { label: label.into(), script: script.into(), deadline: None, idle: Some(idle), bulk: true }
    }

    /// The same command with another overall limit.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// How a remote command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(u32),
    /// It was ended by this signal (name without `SIG`).
    Signal(String),
}

impl ExitStatus {
    /// Whether the command exited with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }

    /// The exit code, if it exited by itself.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal(_) => None,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
        }
    }
}

/// What is left of a command after its end.
#[derive(Clone, Debug)]
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// What it wrote to stderr, at most [`STDERR_BYTES_MAX`].
    pub stderr: Vec<u8>,
}

/// A command that was run to its end, with its whole output in memory.
#[derive(Clone, Debug)]
pub struct Output {
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// How it ended.
    pub exit: Exit,
}

/// A command that is running.
///
/// Dropping it ends the command's connection or channel; the remote side then sees end of input and hang-up.
pub trait Running: Send {
    /// The command's stdin; dropping the writer is end of input. `None` on every call but the first.
    fn take_stdin(&mut self) -> Option<Box<dyn Write + Send>>;
    /// The command's stdout; end of file only after the remote side closed it properly, otherwise an error.
    /// `None` on every call but the first.
    fn take_stdout(&mut self) -> Option<Box<dyn Read + Send>>;
    /// Waits for the exit status. Stdin that was not taken is closed, stdout that was not taken is discarded.
    ///
    /// # Errors
    /// The connection ended without a status, or a limit of the command ran out.
    fn wait(self: Box<Self>) -> Result<Exit, ChannelError>;
}

/// A connection (or the means to make some) to one appliance, whose host key was checked against its pin.
pub trait Channel: Send + Sync {
    /// Starts a command.
    ///
    /// # Errors
    /// No connection, a host key that is not the pinned one, refused authentication, refused command.
    fn start(&self, command: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError>;

    /// The `SHA256:…` fingerprint of the host key that the appliance showed, once connected.
    fn host_key(&self) -> Option<String>;

    /// Runs a command with `stdin` as its whole input, and returns its whole output; any exit status is `Ok`.
    ///
    /// # Errors
    /// As [`Channel::start`] and [`Running::wait`].
    fn run(&self, command: &RemoteCommand, stdin: &[u8]) -> Result<Output, ChannelError> {
        let mut running = self.start(command)?;
        let mut input = running.take_stdin();
        let mut output = running.take_stdout();
        let mut stdout = Vec::new();
        let streamed = std::thread::scope(|scope| {
            let feeder = scope.spawn(move || {
                if let Some(writer) = input.as_mut() {
                    // A command may end without reading its input; its exit status tells.
                    let _ = writer.write_all(stdin).and_then(|()| writer.flush());
                }
                drop(input);
            });
            let read = output.as_mut().map_or(Ok(0), |reader| reader.read_to_end(&mut stdout));
            let _ = feeder.join();
            read
        });
        let exit = running.wait()?;
        streamed.map_err(|source| ChannelError::Stream { label: command.label.clone(), source })?;
        Ok(Output { stdout, exit })
    }
}

impl<C: Channel + ?Sized> Channel for Arc<C> {
    fn start(&self, command: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
        (**self).start(command)
    }

    fn host_key(&self) -> Option<String> {
        (**self).host_key()
    }
}

impl<C: Channel + ?Sized> Channel for &C {
    fn start(&self, command: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
        (**self).start(command)
    }

    fn host_key(&self) -> Option<String> {
        (**self).host_key()
    }
}

/// Why a command could not be run or followed to its end.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// No TCP connection, or the SSH handshake failed.
    #[error("cannot connect to `{target}`: {reason}")]
    Connect {
        /// The appliance as the user named it.
        target: String,
        /// What went wrong.
        reason: String,
    },
    /// Nobody has pinned a host key for this appliance yet.
    #[error("no host key is pinned for `{target}`; it shows {shown}")]
    HostKeyUnknown {
        /// The appliance as the user named it.
        target: String,
        /// The `SHA256:…` fingerprint it showed.
        shown: String,
    },
    /// The appliance shows another key than the pinned one.
    #[error("the host key of `{target}` has changed: pinned {pinned}, shown {shown}")]
    HostKeyChanged {
        /// The appliance as the user named it.
        target: String,
        /// The pinned fingerprints.
        pinned: String,
        /// The fingerprint it showed.
        shown: String,
    },
    /// The appliance does not accept the SSH key.
    #[error("`{target}` refuses the SSH key {key} for user `{user}`")]
    Authentication {
        /// The appliance as the user named it.
        target: String,
        /// The admin user.
        user: String,
        /// Fingerprint of the public half of the key that was offered.
        key: String,
    },
    /// The private key cannot be read.
    #[error("the SSH key cannot be used: {reason}")]
    BadKey {
        /// Why; never any part of the key.
        reason: String,
    },
    /// The connection ended before the command's exit status arrived.
    #[error("the connection ended during `{label}` before its exit status: {reason}")]
    Ended {
        /// The command.
        label: String,
        /// What is known of the end.
        reason: String,
    },
    /// The command's time was up, or nothing moved for too long.
    #[error("`{label}` {what} after {after:?}")]
    Timeout {
        /// The command.
        label: String,
        /// `did not end` or `stalled`.
        what: &'static str,
        /// The limit.
        after: Duration,
    },
    /// Reading or writing the command's streams failed.
    #[error("the stream of `{label}` broke")]
    Stream {
        /// The command.
        label: String,
        /// The cause.
        source: std::io::Error,
    },
}
