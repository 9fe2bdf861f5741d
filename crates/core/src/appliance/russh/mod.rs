//! The transport in this process: SSH by the russh crate.
//!
//! russh re-opens a channel's window when bytes arrive, not when they are read, and its session waits for the channel's
//! buffer: one channel that nobody reads stalls its whole connection, keep-alives included. Therefore every bulk command
//! has a connection of its own, where stalling is exactly right, and what runs on the shared control connection is
//! buffered by us and never waited for.

mod authenticate;
mod connection;
mod handshake;
mod jump;
mod scan;
mod session;

use std::sync::{Arc, Mutex, PoisonError};

use self::{
    connection::{Connection, StartError},
    handshake::Dial,
};
use super::{
    channel::{Channel, ChannelError, RemoteCommand, Running},
    transport::{Bridge, Transport, TransportSettings, launch},
};

pub use self::scan::{scan, scan_way};

/// SSH connections to one appliance: one for control, one more for each bulk command.
pub struct RusshTransport {
    bridge: Arc<Bridge>,
    shared: Arc<Shared>,
}

/// What the tasks of a transport have in common.
struct Shared {
    dial: Dial,
    control: tokio::sync::Mutex<Option<Arc<Connection>>>,
    shown: Mutex<Option<String>>,
}

impl RusshTransport {
    /// A transport that connects with its first command.
    ///
    /// # Errors
    /// No runtime could be started.
    pub fn new(settings: TransportSettings) -> Result<Self, ChannelError> {
        let bridge = Arc::new(Bridge::start(&settings.named())?);
        let shared = Shared {
            dial: Dial::new(settings),
            control: tokio::sync::Mutex::new(None),
            shown: Mutex::new(None),
        };
        Ok(Self { bridge, shared: Arc::new(shared) })
    }
}

impl Channel for RusshTransport {
    fn start(&self, command: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
        let shared = Arc::clone(&self.shared);
        launch(&self.bridge, command, |owned| async move { Ok(shared.session(&owned).await?.split()) })
    }

    fn host_key(&self) -> Option<String> {
        self.shared.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Transport for RusshTransport {
    fn target(&self) -> String {
        self.shared.dial.named()
    }
}

impl Shared {
    /// A session in which `command` was started, on the connection that suits it.
    async fn session(&self, command: &RemoteCommand) -> Result<session::Session, ChannelError> {
        let label = &command.label;
        if command.bulk {
            let connection = self.connect().await?;
            return connection.start(command).await.map_err(|error| error.into_error(label));
        }
        let connection = self.control(None).await?;
        match Arc::clone(&connection).start(command).await {
            Ok(session) => Ok(session),
            // The control connection died unnoticed, and nothing was started on it: one new connection.
            Err(StartError::Dead { .. }) => {
                let connection = self.control(Some(&connection)).await?;
                connection.start(command).await.map_err(|error| error.into_error(label))
            }
            // The server allows no further session on this connection.
            Err(StartError::NoSession { .. }) => {
                let connection = self.connect().await?;
                connection.start(command).await.map_err(|error| error.into_error(label))
            }
            Err(error) => Err(error.into_error(label)),
        }
    }

    /// The shared control connection; a new one if there is none, if it ended, or if it is the one found `dead`.
    async fn control(&self, dead: Option<&Arc<Connection>>) -> Result<Arc<Connection>, ChannelError> {
        let mut control = self.control.lock().await;
        if let Some(connection) = control.as_ref() {
            let usable = !connection.is_closed() && dead.is_none_or(|dead| !Arc::ptr_eq(dead, connection));
            if usable {
                return Ok(Arc::clone(connection));
            }
        }
        if let Some(lost) = control.take() {
            tracing::warn!(target = %self.dial.named(), reason = lost.end(), "the control connection was lost");
        }
        let connection = self.connect().await?;
        *control = Some(Arc::clone(&connection));
        Ok(connection)
    }

    async fn connect(&self) -> Result<Arc<Connection>, ChannelError> {
        let connection = self.dial.connect().await?;
        let shown = connection.host_key().fingerprint();
        tracing::debug!(target = %self.dial.named(), host_key = shown, "connected");
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(Arc::new(connection))
    }
}
