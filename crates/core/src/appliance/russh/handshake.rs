//! From a target to an authenticated connection: TCP, key exchange against the pins, and then `authenticate.rs`.

use std::{borrow::Cow, io, net::SocketAddr, sync::Arc, time::Duration};

use ::russh::{
    Error, Limits, Preferred, SshId, cipher,
    client::{self, Handle},
    compression,
    keys::Algorithm,
    mac,
};
use tokio::{
    net::{TcpStream, lookup_host},
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{
    authenticate::authenticate,
    connection::{Connection, Watch, Witness},
    jump::Jumping,
};
use crate::appliance::{
    channel::ChannelError,
    hostkeys::{HostKey, host_key_algorithms},
    target::Target,
    transport::TransportSettings,
};

/// Receive window of a channel, in bytes: what can be on the way on a long line.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Connections that shake hands at the same time; a server drops the eleventh by default.
const HANDSHAKES_MAX: usize = 4;
/// Longest time between new session keys.
const REKEY_INTERVAL: Duration = Duration::from_hours(1);

/// AES-GCM first: it runs in hardware on both ends.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_128_CTR,
];
const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

/// Makes connections to one appliance.
pub(super) struct Dial {
    settings: TransportSettings,
    handshakes: Semaphore,
    /// The way to the appliance before the target, if the target is a node behind it.
    outer: Option<Jumping>,
}

impl Dial {
    pub(super) fn new(settings: TransportSettings) -> Self {
        let outer = settings.via.as_ref().map(|via| Jumping::through(Self::new((*via.way).clone())));
        Self { settings, handshakes: Semaphore::new(HANDSHAKES_MAX), outer }
    }

    /// What messages call the target.
    pub(super) fn named(&self) -> String {
        self.settings.named()
    }

    pub(super) fn target(&self) -> &Target {
        &self.settings.target
    }

    /// A new, authenticated connection.
    pub(super) async fn connect(&self) -> Result<Connection, ChannelError> {
        let failed = |reason: String| ChannelError::Connect { target: self.named(), reason };
        let _turn = self.handshakes.acquire().await.map_err(|error| failed(error.to_string()))?;
        let pins = self
            .settings
            .pins
            .pins_of(&self.settings.pin_name())
            .map_err(|error| failed(with_source(&error)))?;
        let limit = self.settings.connect_timeout;
        let watch = Watch::for_pins(&pins);
        let algorithms = match pins.iter().flat_map(HostKey::algorithms).collect::<Vec<_>>() {
            none if none.is_empty() => host_key_algorithms(),
            pinned => pinned,
        };
        let shaken = self.shake_hands(self.config(algorithms), watch.witness()).await?;
        let Shaken { end, outer } = shaken;
        let mut handle = match end {
            Ok(handle) => handle,
            Err(error) => return Err(self.refused(&pins, &watch, error).await),
        };
        let shown = watch.shown().ok_or_else(|| failed("it showed no host key".to_owned()))?;
        let authentication = authenticate(&self.settings, &mut handle);
        match timeout(limit, authentication).await {
            Ok(authenticated) => authenticated?,
            Err(_) => return Err(failed(format!("no answer to the authentication within {limit:?}"))),
        }
        Ok(Connection::new(handle, shown, watch, limit, outer))
    }

    /// TCP connection, or a stream through the appliance before, and key exchange.
    ///
    /// # Errors
    /// The appliance before cannot be reached; how the handshake itself ended is in the result.
    pub(super) async fn shake_hands(
        &self,
        config: client::Config,
        witness: Witness,
    ) -> Result<Shaken, ChannelError> {
        let limit = self.settings.connect_timeout;
        let Some(jumping) = &self.outer else {
            let end = shake_hands(self.target(), config, witness, limit).await;
            return Ok(Shaken { end, outer: None });
        };
        let (stream, outer) = jumping.stream(self.target(), &self.named(), limit).await?;
        let late = |_| {
            let text = format!("no SSH handshake within {limit:?}");
            Err(Error::IO(io::Error::new(io::ErrorKind::TimedOut, text)))
        };
        let shaken = timeout(limit, client::connect_stream(Arc::new(config), stream, witness)).await;
        let end = shaken.unwrap_or_else(late);
        Ok(Shaken { end, outer: Some(outer) })
    }

    fn config(&self, host_keys: Vec<Algorithm>) -> client::Config {
        let settings = &self.settings;
        let mut config = base_config(host_keys);
        config.keepalive_interval = Some(settings.keepalive_interval);
        config.keepalive_max = settings.keepalives_missed_max;
        let bytes = settings.rekey_bytes.min(1 << 30);
        config.limits = Limits::new(bytes, bytes, REKEY_INTERVAL);
        config
    }

    /// Tells a host key that is not ours from everything else that ends a handshake.
    async fn refused(&self, pins: &[HostKey], watch: &Watch, error: Error) -> ChannelError {
        let shown = match (watch.shown(), &error) {
            (Some(shown), Error::UnknownKey) => Some(shown),
            // It has no key of the pinned kinds any more: look which it has instead.
            (_, Error::NoCommonAlgo { kind: ::russh::AlgorithmKind::Key, .. }) => {
                let watch = Watch::for_pins(&[]);
                let config = self.config(host_key_algorithms());
                let _ = self.shake_hands(config, watch.witness()).await;
                watch.shown()
            }
            _ => None,
        };
        let target = self.named();
        match shown {
            None => ChannelError::Connect { target, reason: reason(&error) },
            Some(shown) if pins.is_empty() => {
                ChannelError::HostKeyUnknown { target, shown: shown.fingerprint() }
            }
            Some(shown) => {
                let pinned = pins.iter().map(HostKey::fingerprint).collect::<Vec<_>>().join(", ");
                ChannelError::HostKeyChanged { target, pinned, shown: shown.fingerprint() }
            }
        }
    }
}

/// How a handshake ended, and the connection that carries it.
pub(super) struct Shaken {
    pub(super) end: Result<Handle<Witness>, Error>,
    pub(super) outer: Option<Arc<Connection>>,
}

/// What all our connections have in common, with the host key algorithms that are welcome.
pub(super) fn base_config(host_keys: Vec<Algorithm>) -> client::Config {
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-ghevault_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW_BYTES,
        preferred: Preferred {
            key: Cow::Owned(host_keys),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        nodelay: true,
        ..client::Config::default()
    }
}

/// TCP connection and key exchange; the handle that results is not authenticated.
pub(super) async fn shake_hands(
    target: &Target,
    config: client::Config,
    witness: Witness,
    limit: Duration,
) -> Result<Handle<Witness>, Error> {
    let by = Instant::now() + limit;
    let too_late =
        |what: &str| Error::IO(io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {limit:?}")));
    let stream = tcp(target, limit).await?;
    stream.set_nodelay(true)?;
    tokio::time::timeout_at(by, client::connect_stream(Arc::new(config), stream, witness))
        .await
        .map_err(|_| too_late("no SSH handshake"))?
}

/// Tries the addresses of a name one after the other, each with its share of the time.
async fn tcp(target: &Target, limit: Duration) -> io::Result<TcpStream> {
    let by = Instant::now() + limit;
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no TCP connection within {limit:?}"));
    let found = tokio::time::timeout_at(by, lookup_host((target.host(), target.port())));
    let addresses: Vec<SocketAddr> = found.await.map_err(|_| late())??.collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        let left = by.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = late(),
        }
    }
    Err(last)
}

/// One line about an error, for people.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::IO(error) => error.to_string(),
        Error::Disconnect | Error::HUP => "it closed the connection during the SSH handshake".to_owned(),
        Error::Version => "it does not speak SSH 2".to_owned(),
        other => other.to_string(),
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
