//! SSH keys and secrets under a KMS key.

use crate::{
    cli::{Invocation, connect},
    error::{CommandError, CommandResult},
};
use ghevault_core::{
    keys::{Ciphertext, Encrypted, Secret, SecretKind, SecretSource, SshKey},
    seal::SealKey,
};
use serde_json::json;

/// A source named on the command line.
///
/// # Errors
/// It is none.
pub fn source(text: &str) -> CommandResult<SecretSource> {
    text.parse().map_err(|error| crate::error::no_secret("the secret", &error))
}

/// Encrypts for the configuration: without encryption context, so that other tools understand it.
pub fn under(invocation: &Invocation, kms_key: &str, secret: &Secret) -> CommandResult<(String, String)> {
    let Encrypted { ciphertext, key } = connect::kms(invocation)?.encrypt(kms_key, secret, &[])?;
    Ok((Ciphertext::new(ciphertext).to_string(), key))
}

/// A new SSH key under a KMS key.
pub fn create(invocation: &Invocation, kms_key: &str) -> CommandResult {
    let key = SshKey::generate()?;
    let (ciphertext, kms_key) = under(invocation, kms_key, &key.private_text()?)?;
    let (public, fingerprint) = (key.public_line()?, key.fingerprint());
    let value =
        json!({ "ssh_key": ciphertext, "public": public, "fingerprint": fingerprint, "kms_key": kms_key });
    invocation.screen.result(&value, || {
        format!(
            "For ghevault.toml (or `kms_private_ssh_key` in Taupage's file):\n\nssh_key = \"{ciphertext}\"\n\n\
             For the appliance (Management Console, Settings, SSH access):\n\n{public} ghevault\n\nfingerprint {fingerprint}, encrypted with {kms_key}"
        )
    });
    Ok(())
}

/// A new seal key under a KMS key.
pub fn seal(invocation: &Invocation, kms_key: &str) -> CommandResult {
    let key = SealKey::generate();
    let text = key.to_text().map(|text| Secret::new(text.as_bytes().to_vec()));
    let text = text.ok_or_else(|| CommandError::failure("the new seal key has no text form"))?;
    let (ciphertext, kms_key) = under(invocation, kms_key, &text)?;
    let public = key.public();
    let value = json!({ "seal_key": ciphertext, "public": public, "kms_key": kms_key });
    invocation.screen.result(&value, || {
        format!(
            "For ghevault.toml:\n\n[seal]\nkey = \"{ciphertext}\"\n\nFor the other account (`[witness] keys`) and for `verify --seal-key`:\n\n{public}"
        )
    });
    Ok(())
}

/// Any secret under a KMS key.
pub fn encrypt(invocation: &Invocation, kms_key: &str, from: &str) -> CommandResult {
    let source = source(from)?;
    let held = connect::reach(invocation, |reach| source.load(SecretKind::Password, reach));
    let loaded = held.map_err(|error| crate::error::no_secret("the secret", &error))?;
    let (ciphertext, kms_key) = under(invocation, kms_key, &loaded.secret)?;
    invocation.screen.result(&json!({ "secret": ciphertext, "kms_key": kms_key }), || ciphertext.clone());
    Ok(())
}

/// The public half of the configured SSH key.
pub fn public(invocation: &Invocation) -> CommandResult {
    let source = connect::ssh_key_source(&invocation.settings)?;
    if matches!(source, SecretSource::Agent(_)) {
        return Err(CommandError::usage("the SSH key is held by an ssh-agent")
            .hint("`ssh-add -L` lists its public keys."));
    }
    let key = connect::ssh_key(invocation, &source)?;
    let (public, fingerprint) = (key.public_line()?, key.fingerprint());
    let value = json!({ "public": public, "fingerprint": fingerprint, "kind": key.kind() });
    invocation.screen.result(&value, || public.clone());
    Ok(())
}
