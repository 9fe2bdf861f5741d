//! Looks at the host keys that an appliance shows, without trusting or authenticating anything.

use std::time::Duration;

use ::russh::{AlgorithmKind, Error};

use super::{
    connection::Watch,
    handshake::{Dial, base_config, reason, shake_hands},
};
use crate::appliance::{
    channel::ChannelError,
    hostkeys::{HostKey, KEY_KINDS},
    target::Target,
    transport::{Bridge, TransportSettings},
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
        .wait(async move { direct(&wanted, connect_timeout).await })
        .unwrap_or_else(|| Err("the scan was shut down".to_owned()))
        .map_err(failed)
}

async fn direct(target: &Target, limit: Duration) -> Result<Vec<HostKey>, String> {
    let mut keys = Vec::new();
    for kind in KEY_KINDS {
        let watch = Watch::for_pins(&[]);
        let outcome = shake_hands(target, base_config(kind.to_vec()), watch.witness(), limit).await;
        note(&mut keys, watch.shown(), outcome)?;
    }
    some(keys)
}

/// The host keys of a target whose way leads through another appliance, e.g. a node of a cluster.
///
/// # Errors
/// As [`scan`]; also those of the way itself, which is pinned and authenticated.
pub fn scan_way(way: &TransportSettings) -> Result<Vec<HostKey>, ChannelError> {
    let bridge = Bridge::start(&way.named())?;
    let failed = |reason: String| ChannelError::Connect { target: way.named(), reason };
    let wanted = way.clone();
    bridge
        .wait(async move { handshakes(&Dial::new(wanted)).await })
        .unwrap_or_else(|| Err(failed("the scan was shut down".to_owned())))
}

async fn handshakes(dial: &Dial) -> Result<Vec<HostKey>, ChannelError> {
    let failed = |reason: String| ChannelError::Connect { target: dial.named(), reason };
    let mut keys = Vec::new();
    for kind in KEY_KINDS {
        let watch = Watch::for_pins(&[]);
        let outcome = dial.shake_hands(base_config(kind.to_vec()), watch.witness()).await?.end;
        note(&mut keys, watch.shown(), outcome).map_err(failed)?;
    }
    some(keys).map_err(failed)
}

/// Takes the key that one handshake showed; a host need not have one of each kind.
fn note<T>(keys: &mut Vec<HostKey>, shown: Option<HostKey>, outcome: Result<T, Error>) -> Result<(), String> {
    match (shown, outcome) {
        (Some(key), _) => keys.push(key),
        (None, Err(Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. })) => {}
        (None, Err(error)) => return Err(reason(&error)),
        (None, Ok(_)) => return Err("it showed no host key".to_owned()),
    }
    Ok(())
}

fn some(keys: Vec<HostKey>) -> Result<Vec<HostKey>, String> {
    if keys.is_empty() {
        return Err("it shows no host key of a kind that can be pinned".to_owned());
    }
    Ok(keys)
}
