//! Public key authentication, with a key in memory or through an ssh-agent.

use std::path::Path;

use ::russh::{
    Error,
    client::{AuthResult, Handle},
    keys::{
        Algorithm, HashAlg, PrivateKeyWithHashAlg,
        agent::{AgentIdentity, client::AgentClient},
    },
};

use super::connection::Witness;
use crate::{
    appliance::{channel::ChannelError, transport::TransportSettings},
    keys::{ClientKey, SshKey},
};

/// Proves who we are on a connection whose host is known.
pub(super) async fn authenticate(
    settings: &TransportSettings,
    handle: &mut Handle<Witness>,
) -> Result<(), ChannelError> {
    match &settings.key {
        ClientKey::Held(key) => with_key(settings, handle, key).await,
        ClientKey::Agent(socket) => with_agent(settings, handle, socket).await,
    }
}

async fn with_key(
    settings: &TransportSettings,
    handle: &mut Handle<Witness>,
    key: &SshKey,
) -> Result<(), ChannelError> {
    let private = key.private();
    let hash = hash_for(settings, handle, &private.algorithm()).await?;
    let key_with_hash = PrivateKeyWithHashAlg::new(private, hash);
    let answer = handle.authenticate_publickey(settings.target.user(), key_with_hash).await;
    if accepted(settings, handle, &answer.map_err(|error| lost(settings, &error))?)? {
        return Ok(());
    }
    Err(refused(settings))
}

/// Offers the agent's plain keys until one is accepted.
async fn with_agent(
    settings: &TransportSettings,
    handle: &mut Handle<Witness>,
    socket: &Path,
) -> Result<(), ChannelError> {
    let unusable = |what: &str| ChannelError::BadKey {
        reason: format!("the ssh-agent at `{}` {what}", socket.display()),
    };
    let mut agent = AgentClient::connect_uds(socket).await.map_err(|_| unusable("does not answer"))?;
    let identities = agent.request_identities().await.map_err(|_| unusable("lists no keys"))?;
    let keys = identities.into_iter().filter_map(|identity| match identity {
        AgentIdentity::PublicKey { key, .. } => Some(key),
        AgentIdentity::Certificate { .. } => None,
    });
    let mut offered = false;
    for key in keys {
        offered = true;
        let hash = hash_for(settings, handle, &key.algorithm()).await?;
        let answer = handle.authenticate_publickey_with(settings.target.user(), key, hash, &mut agent).await;
        match answer {
            Ok(answer) if accepted(settings, handle, &answer)? => return Ok(()),
            Ok(_) => {}
            // it lists a key and then does not sign with it, e.g. because somebody said no
            Err(error) => tracing::warn!(%error, "the ssh-agent did not sign"),
        }
    }
    Err(if offered { refused(settings) } else { unusable("holds no keys") })
}

/// The digest to sign with: RSA leaves a choice.
async fn hash_for(
    settings: &TransportSettings,
    handle: &mut Handle<Witness>,
    algorithm: &Algorithm,
) -> Result<Option<HashAlg>, ChannelError> {
    if !matches!(algorithm, Algorithm::Rsa { .. }) {
        return Ok(None);
    }
    // A server that does not say what it takes is old, not necessarily without SHA-2.
    let told = handle.best_supported_rsa_hash().await.map_err(|error| lost(settings, &error))?;
    Ok(told.unwrap_or(Some(HashAlg::Sha512)))
}

/// Whether the server is satisfied.
fn accepted(
    settings: &TransportSettings,
    handle: &Handle<Witness>,
    answer: &AuthResult,
) -> Result<bool, ChannelError> {
    match answer {
        AuthResult::Success => Ok(true),
        AuthResult::Failure { remaining_methods, .. }
            if handle.is_closed() && remaining_methods.is_empty() =>
        {
            let reason = "it closed the connection during the authentication".to_owned();
            Err(ChannelError::Connect { target: settings.named(), reason })
        }
        AuthResult::Failure { .. } => Ok(false),
    }
}

fn lost(settings: &TransportSettings, error: &Error) -> ChannelError {
    let reason = format!("lost during the authentication: {error}");
    ChannelError::Connect { target: settings.named(), reason }
}

fn refused(settings: &TransportSettings) -> ChannelError {
    ChannelError::Authentication {
        target: settings.named(),
        user: settings.target.user().to_owned(),
        key: settings.key.fingerprint(),
    }
}
