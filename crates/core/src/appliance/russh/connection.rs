//! One authenticated connection: its host key, its end, and starting a command on it.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use ::russh::{
    ChannelMsg, Disconnect, Error,
    client::{DisconnectReason, Handle, Handler},
    keys::PublicKeyOrCertificate,
};
use tokio::time::timeout;

use super::{handshake::reason, session::Session};
use crate::appliance::{
    channel::{ChannelError, RemoteCommand},
    hostkeys::HostKey,
};

/// What a connection's session tells us from its own task.
#[derive(Clone)]
pub(super) struct Watch {
    pins: Arc<[HostKey]>,
    shown: Arc<Mutex<Option<HostKey>>>,
    end: Arc<OnceLock<String>>,
}

impl Watch {
    /// A watch that accepts these keys only; with no pins it accepts none, and remembers what it was shown.
    pub(super) fn for_pins(pins: &[HostKey]) -> Self {
        Self { pins: pins.into(), shown: Arc::default(), end: Arc::default() }
    }

    /// The key that the host showed.
    pub(super) fn shown(&self) -> Option<HostKey> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The side of the watch that goes into the session.
    pub(super) fn witness(&self) -> Witness {
        Witness(self.clone())
    }

    /// Why the connection ended, if it did.
    pub(super) fn end(&self) -> String {
        self.end.get().cloned().unwrap_or_else(|| "the connection was closed".to_owned())
    }
}

/// The session's callbacks.
pub(super) struct Witness(Watch);

impl Handler for Witness {
    type Error = Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Error> {
        // A certificate was never asked for; a server that shows one anyway is judged by the key in it.
        let key = HostKey::new(&shown.public_key());
        let pinned = shown.certificate().is_none() && self.0.pins.contains(&key);
        *self.0.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(pinned)
    }

    async fn disconnected(&mut self, why: DisconnectReason<Error>) -> Result<(), Error> {
        let text = match &why {
            DisconnectReason::ReceivedDisconnect(info) => {
                format!("the appliance said: {}", info.message.trim())
            }
            DisconnectReason::Error(Error::KeepaliveTimeout) => {
                "the appliance answers no keep-alives".to_owned()
            }
            DisconnectReason::Error(Error::Disconnect | Error::HUP) => {
                "the appliance closed the connection".to_owned()
            }
            DisconnectReason::Error(error) => reason(error),
        };
        let _ = self.0.end.set(text);
        match why {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

/// Why a command was not started.
pub(super) enum StartError {
    /// The connection is dead, and the command was not sent.
    Dead {
        /// What is known of it.
        reason: String,
    },
    /// The server opens no session on this connection; the command was not sent.
    NoSession {
        /// What it said.
        reason: String,
    },
    /// The command was sent, and may have run.
    Lost {
        /// What is known of it.
        reason: String,
    },
}

impl StartError {
    pub(super) fn into_error(self, label: &str) -> ChannelError {
        let (Self::Dead { reason } | Self::NoSession { reason } | Self::Lost { reason }) = self;
        ChannelError::Ended { label: label.to_owned(), reason }
    }
}

/// An authenticated connection; it ends when it and the sessions on it are dropped.
pub(super) struct Connection {
    handle: Handle<Witness>,
    host_key: HostKey,
    watch: Watch,
    answer_limit: Duration,
    /// The connection that carries this one.
    _outer: Option<Arc<Connection>>,
}

impl Connection {
    pub(super) fn new(
        handle: Handle<Witness>,
        host_key: HostKey,
        watch: Watch,
        answer_limit: Duration,
        outer: Option<Arc<Self>>,
    ) -> Self {
        Self { handle, host_key, watch, answer_limit, _outer: outer }
    }

    /// The key that the host proved to hold.
    pub(super) fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Why it ended.
    pub(super) fn end(&self) -> String {
        self.watch.end()
    }

    /// Starts a command in a session of its own.
    pub(super) async fn start(self: Arc<Self>, command: &RemoteCommand) -> Result<Session, StartError> {
        let limit = self.answer_limit;
        let mut channel = match timeout(limit, self.handle.channel_open_session()).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(Error::ChannelOpenFailure(refusal))) => {
                let reason = format!("the appliance opens no session ({refusal:?})");
                return Err(StartError::NoSession { reason });
            }
            Ok(Err(_)) => return Err(StartError::Dead { reason: self.end() }),
            Err(_) => return Err(StartError::Dead { reason: format!("no answer within {limit:?}") }),
        };
        if channel.exec(true, command.script.as_bytes()).await.is_err() {
            return Err(StartError::Dead { reason: self.end() });
        }
        loop {
            let reason = match timeout(limit, channel.wait()).await {
                Ok(Some(ChannelMsg::Success)) => return Ok(Session::new(self, channel)),
                Ok(Some(ChannelMsg::WindowAdjusted { .. })) => continue,
                Ok(Some(ChannelMsg::Failure)) => "the appliance refuses to run the command".to_owned(),
                Ok(Some(other)) => format!("unexpected answer to the command ({other:?})"),
                Ok(None) => self.end(),
                Err(_) => format!("the appliance did not start it within {limit:?}"),
            };
            let _ = timeout(limit, channel.close()).await;
            return Err(StartError::Lost { reason });
        }
    }

    /// The handle, for streams to other machines.
    pub(super) fn handle(&self) -> &Handle<Witness> {
        &self.handle
    }

    /// Says good-bye, so that the appliance's log shows no lost connection.
    pub(super) async fn say_goodbye(&self) {
        let _ = self.handle.disconnect(Disconnect::ByApplication, "", "").await;
    }
}
