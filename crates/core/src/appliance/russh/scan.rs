//! Looks at the host keys that an appliance shows, without trusting or authenticating anything.

use std::time::Duration;

use ::russh::{AlgorithmKind, Error};

use super::{
    connection::Watch,
    handshake::{base_config, reason, shake_hands},
};
use crate::appliance::{
    channel::ChannelError,
    hostkeys::{HostKey, KEY_KINDS},
    target::Target,
    transport::Bridge,
};

/// The host keys of `target`, one handshake for each kind (Ed25519, ECDSA, RSA).
///
/// # Errors
/// No connection, or no SSH server there; never an empty list.
pub fn scan(target: &Target, connect_timeout: Duration) -> Result<Vec<HostKey>, ChannelError> {
    let bridge = Bridge::start(&target.to_string())?;
    let failed = |reason: String| ChannelError::Connect { target: target.to_string(), reason };
    let wanted = target.clone();
    bridge
        .wait(async move { handshakes(&wanted, connect_timeout).await })
        .unwrap_or_else(|| Err("the scan was shut down".to_owned()))
        .map_err(failed)
}

async fn handshakes(target: &Target, limit: Duration) -> Result<Vec<HostKey>, String> {
    let mut keys = Vec::new();
    for kind in KEY_KINDS {
        let watch = Watch::for_pins(&[]);
        let outcome = shake_hands(target, base_config(kind.to_vec()), watch.witness(), limit).await;
        match (watch.shown(), outcome) {
            (Some(key), _) => keys.push(key),
            (None, Err(Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. })) => {}
            (None, Err(error)) => return Err(reason(&error)),
            (None, Ok(_)) => return Err("it showed no host key".to_owned()),
        }
    }
    if keys.is_empty() {
        return Err("it shows no host key of a kind that can be pinned".to_owned());
    }
    Ok(keys)
}
