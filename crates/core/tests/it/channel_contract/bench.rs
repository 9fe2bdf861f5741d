//! A server, a channel to it over one of the transports, and what tests do with them.

use std::{
    io::Read,
    sync::Arc,
    time::{Duration, Instant},
};

use ghevault_core::appliance::{
    channel::{Channel, ChannelError, Exit, RemoteCommand, Running},
    transport::{TransportKind, TransportSettings, connect},
};

use crate::support::sshd::Sshd;

/// Bytes.
pub const MIB: usize = 1024 * 1024;
/// Far above what anything here takes; a test that needs it has failed.
pub const LONG: Duration = Duration::from_mins(1);

/// A server, and a channel to it.
pub struct Bench {
    /// The server.
    pub sshd: Sshd,
    /// Which transport.
    pub kind: TransportKind,
    /// The channel under test.
    pub channel: Arc<dyn Channel>,
}

impl Bench {
    /// A channel with the usual settings.
    pub fn start(kind: TransportKind) -> Self {
        Self::with(kind, "", |_| {})
    }

    /// A server with further configuration, and settings that were changed.
    pub fn with(kind: TransportKind, config: &str, change: impl FnOnce(&mut TransportSettings)) -> Self {
        let sshd = Sshd::with(&["ed25519"], config);
        let mut settings = sshd.settings();
        settings.kind = kind;
        change(&mut settings);
        let channel = connect(settings).expect("connected");
        Self { sshd, kind, channel }
    }

    /// Runs a short command.
    pub fn run(&self, script: &str) -> (String, Exit) {
        let output = self.channel.run(&RemoteCommand::new("test", script), b"").expect("ran");
        (String::from_utf8(output.stdout).expect("text"), output.exit)
    }

    /// Starts a bulk command.
    pub fn bulk(&self, script: &str) -> Box<dyn Running> {
        self.channel.start(&RemoteCommand::bulk("bulk", script, LONG)).expect("started")
    }
}

/// Reads to the end and counts.
pub fn count(mut stream: impl Read) -> std::io::Result<usize> {
    let (mut buffer, mut total) = (vec![0; 256 * 1024], 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(total),
            n => total += n,
        }
    }
}

/// Waits for something that other processes do, up to [`LONG`].
pub fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let since = Instant::now();
    while !happened() {
        assert!(since.elapsed() < LONG, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The same settings over one transport.
pub fn over(kind: TransportKind, mut settings: TransportSettings) -> TransportSettings {
    settings.kind = kind;
    settings
}

/// The error of a connection that must not come about.
pub fn refused(settings: TransportSettings) -> ChannelError {
    match connect(settings) {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

/// What a short command prints.
pub fn says(channel: &dyn Channel, script: &str) -> String {
    let output = channel.run(&RemoteCommand::new("test", script), b"").expect("ran");
    String::from_utf8(output.stdout).expect("text")
}
