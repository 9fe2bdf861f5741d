//! What a transport needs to know.

use std::{num::NonZeroU64, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    appliance::{
        hostkeys::PinStore,
        target::{Target, TargetError},
    },
    keys::ClientKey,
};

/// Longest time for a TCP connection and for each of the handshake's parts.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Silence after which the other side is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered questions after which a connection counts as dead.
const KEEPALIVES_MISSED_MAX: usize = 3;
/// Bytes under one session key, in either direction; more would be unsafe with some ciphers.
const REKEY_BYTES: usize = 1 << 30;

/// Which SSH implementation carries the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportKind {
    /// In this process; the key never leaves its memory.
    #[default]
    Russh,
    /// The `ssh` program, for sites with bastions, certificates or a certified build.
    OpenSsh,
}

/// Everything that describes the way to one appliance.
#[derive(Clone, Debug)]
pub struct TransportSettings {
    /// Whom to reach.
    pub target: Target,
    /// What to show.
    pub key: ClientKey,
    /// The host keys to accept.
    pub pins: PinStore,
    /// Which implementation.
    pub kind: TransportKind,
    /// Bytes per second for all bulk streams together; `None`: no limit.
    pub bandwidth: Option<NonZeroU64>,
    /// Longest time for the connection, and again for the authentication.
    pub connect_timeout: Duration,
    /// Silence after which a keep-alive is sent.
    pub keepalive_interval: Duration,
    /// Unanswered keep-alives after which the connection is given up.
    pub keepalives_missed_max: usize,
    /// Bytes in one direction after which russh asks for new session keys; at most 1 GiB.
    pub rekey_bytes: usize,
    /// The OpenSSH client.
    pub ssh_program: PathBuf,
    /// Further arguments for the OpenSSH client, e.g. `-o`, `ProxyJump=bastion`. They cannot weaken the host key check.
    pub ssh_options: Vec<String>,
    /// The connected appliance through which the target, a node of its fleet, is reached.
    pub via: Option<Via>,
}

/// A node behind a connected appliance: which, and the way to that appliance.
#[derive(Clone, Debug)]
pub struct Via {
    /// Name of the node.
    pub node: String,
    /// The way to the appliance.
    pub way: Arc<TransportSettings>,
}

impl TransportSettings {
    /// The way to `target` with the usual limits.
    #[must_use]
    pub fn new(target: Target, key: impl Into<ClientKey>, pins: PinStore) -> Self {
        Self {
            target,
            key: key.into(),
            pins,
            kind: TransportKind::default(),
            bandwidth: None,
            connect_timeout: CONNECT_TIMEOUT,
            keepalive_interval: KEEPALIVE_INTERVAL,
            keepalives_missed_max: KEEPALIVES_MISSED_MAX,
            rekey_bytes: REKEY_BYTES,
            ssh_program: PathBuf::from("ssh"),
            ssh_options: Vec::new(),
            via: None,
        }
    }

    /// The way to a node of the fleet through this appliance, at the port of its own admin shell. The node's keys are pinned under its
    /// name and the appliance's.
    ///
    /// # Errors
    /// `address` is neither a host name nor an address.
    pub fn towards(&self, node: &str, address: &str) -> Result<Self, TargetError> {
        let place = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let target = Target::parse(&format!("{}@{place}:{}", self.target.user(), self.target.port()))?;
        let via = Via { node: node.to_lowercase(), way: Arc::new(self.clone()) };
        Ok(Self { target, via: Some(via), ..self.clone() })
    }

    /// The name under which the host keys are pinned: OpenSSH's, for a node `NODE@` in front of the appliance's.
    #[must_use]
    pub fn pin_name(&self) -> String {
        match &self.via {
            None => self.target.known_hosts_name(),
            Some(via) => format!("{}@{}", via.node, via.way.pin_name()),
        }
    }

    /// What messages call the target.
    #[must_use]
    pub fn named(&self) -> String {
        match &self.via {
            None => self.target.to_string(),
            Some(via) => format!("{} through {}", via.node, via.way.target),
        }
    }
}
