//! The transport over the OpenSSH client, one `ssh` for each command.
//!
//! For sites with bastions, certificates or a certified build. `ssh` alone would not do: it exits with 255 for a lost
//! connection, for a signal and for a remote 255 alike, ends stdout silently when the connection breaks, and mixes the
//! server's banner into stderr. So its own messages go to a pipe of ours, which tells these apart, and a local
//! command marks where the remote stderr begins.

mod arguments;
mod log;
mod memory_file;
mod messages;
mod process;
mod scan;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::Semaphore, time::timeout};

use self::{
    arguments::Identity,
    log::{Phase, Refusal},
    memory_file::MemoryFile,
    process::Process,
};
use super::{
    channel::{Channel, ChannelError, RemoteCommand, Running},
    hostkeys::HostKey,
    transport::{Bridge, Transport, TransportSettings, launch},
};

use crate::keys::{ClientKey, SshKey};

pub use self::scan::scan;

/// Clients that connect at the same time; a server drops the eleventh by default.
const HANDSHAKES_MAX: usize = 4;

/// Commands on one appliance, each through an `ssh` of its own.
pub struct OpenSshTransport {
    bridge: Arc<Bridge>,
    shared: Arc<Shared>,
}

/// What the commands of a transport have in common.
struct Shared {
    settings: TransportSettings,
    key: Handed,
    handshakes: Semaphore,
    shown: Mutex<Option<String>>,
}

/// How `ssh` gets at the key.
enum Handed {
    /// In a file of our memory.
    Memory(MemoryFile),
    /// By an agent's socket.
    Agent(PathBuf),
}

impl Handed {
    fn identity(&self) -> Identity {
        match self {
            Self::Memory(file) => Identity::File(file.path()),
            Self::Agent(socket) => Identity::Agent(socket.clone()),
        }
    }
}

/// The key where only `ssh` finds it.
fn in_memory(key: &SshKey) -> Result<MemoryFile, ChannelError> {
    let text = key.openssh_text().map_err(|error| ChannelError::BadKey { reason: error.to_string() })?;
    MemoryFile::holding(text.as_bytes()).map_err(|error| ChannelError::BadKey {
        reason: format!("it cannot be kept in a memory file: {error}"),
    })
}

impl OpenSshTransport {
    /// A transport that connects with its first command. The key is put where only `ssh` finds it, never on a disk.
    ///
    /// # Errors
    /// The key cannot be handed over, or no runtime could be started.
    pub fn new(settings: TransportSettings) -> Result<Self, ChannelError> {
        let bridge = Arc::new(Bridge::start(&settings.named())?);
        let key = match &settings.key {
            ClientKey::Held(key) => Handed::Memory(in_memory(key)?),
            ClientKey::Agent(socket) => Handed::Agent(socket.clone()),
        };
        let shared =
            Shared { settings, key, handshakes: Semaphore::new(HANDSHAKES_MAX), shown: Mutex::new(None) };
        Ok(Self { bridge, shared: Arc::new(shared) })
    }
}

impl Channel for OpenSshTransport {
    fn start(&self, command: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
        let shared = Arc::clone(&self.shared);
        launch(&self.bridge, command, |owned| async move { Ok(shared.session(&owned).await?.split()) })
    }

    fn host_key(&self) -> Option<String> {
        self.shared.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Transport for OpenSshTransport {
    fn target(&self) -> String {
        self.shared.settings.named()
    }
}

impl Shared {
    /// An `ssh` in which `command` was started.
    async fn session(&self, command: &RemoteCommand) -> Result<Process, ChannelError> {
        let failed = |reason: String| ChannelError::Connect { target: self.settings.named(), reason };
        let _turn = self.handshakes.acquire().await.map_err(|error| failed(error.to_string()))?;
        let pins = self.settings.pins.pins_of(&self.settings.pin_name()).map_err(|error| {
            let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
            failed(format!("{error}{cause}"))
        })?;
        let mut process = self.spawn(&pins, command, &failed)?;
        // Once for the connection, once for the authentication.
        let limit = self.settings.connect_timeout * 2;
        match timeout(limit, process.started()).await {
            Ok(true) => {}
            Ok(false) => return Err(self.refused(&pins, process, command, &failed).await),
            Err(_) => return Err(failed(format!("no SSH session within {limit:?}"))),
        }
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = process.log().shown;
        Ok(process)
    }

    fn spawn(
        &self,
        pins: &[HostKey],
        command: &RemoteCommand,
        failed: &(dyn Fn(String) -> ChannelError + Sync),
    ) -> Result<Process, ChannelError> {
        let key = self.key.identity();
        let proxy = match &self.settings.via {
            None => None,
            Some(via) => {
                let pins =
                    via.way.pins.pins_of(&via.way.pin_name()).map_err(|error| failed(error.to_string()))?;
                Some(arguments::proxy_command(&via.way, &pins, &key, &self.settings.target))
            }
        };
        let arguments = |log: &std::path::Path| {
            arguments::arguments(&self.settings, pins, &key, log, proxy.as_deref(), &command.script)
        };
        Process::spawn(&self.settings.ssh_program, arguments)
            .map_err(|error| failed(format!("cannot run `{}`: {error}", self.settings.ssh_program.display())))
    }

    /// Why an `ssh` ended before it started the command.
    async fn refused(
        &self,
        pins: &[HostKey],
        process: Process,
        command: &RemoteCommand,
        failed: &(dyn Fn(String) -> ChannelError + Sync),
    ) -> ChannelError {
        let (log, said) = process.autopsy().await;
        let target = self.settings.named();
        let reason = log.reason().or(said);
        if log.phase >= Phase::Sent {
            let reason = reason.unwrap_or_else(|| "ssh ended".to_owned());
            return ChannelError::Ended { label: command.label.clone(), reason };
        }
        let shown = match log.refusal {
            None => return failed(reason.unwrap_or_else(|| "ssh ended without a word".to_owned())),
            Some(Refusal::ClientKey) => {
                let (user, key) = (self.settings.target.user().to_owned(), self.settings.key.fingerprint());
                return ChannelError::Authentication { target, user, key };
            }
            Some(Refusal::HostKey) => log.shown.unwrap_or_else(|| "an unknown key".to_owned()),
            Some(Refusal::HostKeyKind { offer }) => {
                let looked = self.look(command, failed).await;
                looked.unwrap_or_else(|| format!("a key of another kind ({offer})"))
            }
        };
        if pins.is_empty() {
            return ChannelError::HostKeyUnknown { target, shown };
        }
        let pinned = pins.iter().map(HostKey::fingerprint).collect::<Vec<_>>().join(", ");
        ChannelError::HostKeyChanged { target, pinned, shown }
    }

    /// The fingerprint of whatever key the host shows when any kind is welcome.
    ///
    /// Nothing gets trusted: without a matching pin `ssh` refuses to go on, and the command stays unsent.
    async fn look(
        &self,
        command: &RemoteCommand,
        failed: &(dyn Fn(String) -> ChannelError + Sync),
    ) -> Option<String> {
        let mut process = self.spawn(&[], command, failed).ok()?;
        let _ = timeout(self.settings.connect_timeout, process.started()).await;
        process.log().shown
    }
}
