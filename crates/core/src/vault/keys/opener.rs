//! What opens a vault.

use super::wrapped;
use crate::{
    keys::{KeyService, KmsError, KmsErrorKind},
    vault::{
        Password,
        error::{VaultError, VaultResult},
        own::OwnStore,
        rustic::WipedCredentials,
    },
};
use std::sync::Arc;

/// What opens a vault.
pub enum Opener<'a> {
    /// A password: the vault's own, an escrow, or the text of the recovery kit.
    Password(&'a Password),
    /// A key in KMS; connected to only if the vault has one.
    Kms(&'a dyn Fn() -> Result<Arc<dyn KeyService>, KmsError>),
}

impl<'a> From<&'a Password> for Opener<'a> {
    fn from(password: &'a Password) -> Self {
        Self::Password(password)
    }
}

/// The credentials for rustic, and the vault's id if they are bound to one.
pub(in crate::vault) fn credentials(
    opener: &Opener<'_>,
    location: &str,
    own: &dyn OwnStore,
) -> VaultResult<(WipedCredentials, Option<String>)> {
    let connect = match opener {
        Opener::Password(password) => return Ok((WipedCredentials::new(password), None)),
        Opener::Kms(connect) => connect,
    };
    let (keys, damaged) = wrapped::list(own)?;
    if keys.is_empty() {
        return Err(damaged
            .into_iter()
            .next()
            .unwrap_or_else(|| VaultError::NoKmsKey { location: location.to_owned() }));
    }
    let unusable = |error: &KmsError| VaultError::kms("open the vault", error);
    let service = connect().map_err(|error| unusable(&error))?;
    let mut errors: Vec<KmsError> = Vec::new();
    let mut broken = None;
    for key in &keys {
        match key.unwrap(&*service) {
            Ok(Ok(master)) => return Ok((WipedCredentials::master(master), Some(key.vault.clone()))),
            Ok(Err(error)) => broken = Some(error),
            Err(error) => {
                tracing::info!(key = key.name, kms_key = key.kms_key, %error, "this key does not open the vault");
                errors.push(error);
            }
        }
    }
    // keys of other accounts are refused as a matter of course; what else went wrong says more
    let ordinary = |error: &KmsError| matches!(error.kind, KmsErrorKind::Denied | KmsErrorKind::NoSuchKey);
    let telling = errors.iter().find(|error| !ordinary(error)).or(errors.first());
    Err(match (telling, broken) {
        (Some(error), _) => unusable(error),
        (None, Some(broken)) => broken,
        (None, None) => VaultError::Internal("no key was tried"),
    })
}
