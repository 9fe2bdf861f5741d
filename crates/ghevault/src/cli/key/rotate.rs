//! `ghevault key rotate`: the same secret under another KMS key, or a new SSH key beside the old one.

use super::secret;
use crate::{
    cli::{Invocation, connect, vault},
    error::{CommandError, CommandResult},
};
use clap::Args;
use ghevault_core::keys::{Ciphertext, SecretKind, SshKey};
use serde_json::json;

/// What is rotated.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Id, ARN or alias/NAME of the new KMS key
    #[arg(long, value_name = "KEY")]
    kms_key: String,
    #[command(flatten)]
    what: What,
}

/// One of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A KMS key of the vault, by its name: its master key is encrypted again, inside KMS
    #[arg(long, value_name = "NAME")]
    vault_key: Option<String>,
    /// A secret that is encrypted already: it is encrypted again, inside KMS
    #[arg(long, value_name = "SOURCE")]
    secret: Option<String>,
    /// The SSH key: a new one is made, and the old one keeps working until you take it off the appliance
    #[arg(long)]
    ssh_key_anew: bool,
}

/// Rotates it.
///
/// # Errors
/// KMS or the vault refuses, or the secret is not encrypted.
pub fn run(arguments: &RotateArgs, invocation: &Invocation) -> CommandResult {
    let (kms_key, what) = (&arguments.kms_key, &arguments.what);
    if let Some(name) = &what.vault_key {
        return vault_key(invocation, name, kms_key);
    }
    match &what.secret {
        Some(source) => re_encrypted(invocation, source, kms_key),
        None => ssh_key(invocation, kms_key),
    }
}

fn vault_key(invocation: &Invocation, name: &str, kms_key: &str) -> CommandResult {
    let ring = vault::keys(invocation)?;
    let entry = ring.rewrap(name, kms_key, &*connect::kms(invocation)?)?;
    invocation.screen.result(&entry, || {
        format!(
            "the key \"{name}\" of the vault is now under {kms_key}; keep the old KMS key as long as hosts or copies may use the old generation"
        )
    });
    Ok(())
}

fn re_encrypted(invocation: &Invocation, source: &str, kms_key: &str) -> CommandResult {
    let source = secret::source(source)?;
    let held = connect::reach(invocation, |reach| source.ciphertext(SecretKind::SshKey, reach));
    let held = held.map_err(|error| crate::error::no_secret("the secret", &error))?;
    let Some(old) = held else {
        return Err(CommandError::usage(format!("the secret from `{source}` is not encrypted"))
            .hint("`ghevault key encrypt --from SOURCE` encrypts it."));
    };
    let encrypted = connect::kms(invocation)?.re_encrypt(old.bytes(), kms_key, &[])?;
    let text = Ciphertext::new(encrypted.ciphertext).to_string();
    invocation.screen.result(&json!({ "secret": text, "kms_key": encrypted.key }), || text.clone());
    Ok(())
}

fn ssh_key(invocation: &Invocation, kms_key: &str) -> CommandResult {
    let old = connect::ssh_key(invocation, &connect::ssh_key_source(&invocation.settings)?)?;
    let new = SshKey::generate()?;
    let (ciphertext, kms_key) = secret::under(invocation, kms_key, &new.private_text()?)?;
    let (public, old_public) = (new.public_line()?, old.public_line()?);
    let value = json!({
        "ssh_key": ciphertext, "public": public, "fingerprint": new.fingerprint(), "kms_key": kms_key,
        "old_public": old_public, "old_fingerprint": old.fingerprint(),
    });
    invocation.screen.result(&value, || {
        format!(
            "1. Add this key to the appliance; leave the old one there:\n\n{public} ghevault\n\n2. Put this into the configuration:\n\n\
             ssh_key = \"{ciphertext}\"\n\n3. Run `ghevault doctor`. Then take the old key off the appliance:\n\n{old_public}"
        )
    });
    Ok(())
}
