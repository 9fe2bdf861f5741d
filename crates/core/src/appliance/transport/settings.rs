//! What a transport needs to know.

use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use crate::{
    appliance::{hostkeys::PinStore, target::Target},
    keys::SshKey,
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
    /// The key to show.
    pub key: SshKey,
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
}

impl TransportSettings {
    /// The way to `target` with the usual limits.
    #[must_use]
    pub fn new(target: Target, key: SshKey, pins: PinStore) -> Self {
        Self {
            target,
            key,
            pins,
            kind: TransportKind::default(),
            bandwidth: None,
            connect_timeout: CONNECT_TIMEOUT,
            keepalive_interval: KEEPALIVE_INTERVAL,
            keepalives_missed_max: KEEPALIVES_MISSED_MAX,
            rekey_bytes: REKEY_BYTES,
            ssh_program: PathBuf::from("ssh"),
            ssh_options: Vec::new(),
        }
    }
}
