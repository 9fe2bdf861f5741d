//! `ghevault init`: makes an empty vault.

use super::{Invocation, vault};
use crate::error::CommandResult;
use clap::Args;
use ghevault_core::vault::Vault;

/// Make an empty vault: a restic repository with one password.
///
/// Any restic opens it with the same password: `restic -r VAULT snapshots`.
#[derive(Debug, Args)]
pub struct InitArgs {}

/// Makes it.
///
/// # Errors
/// A vault exists already, or the place cannot be written.
pub fn run(_: &InitArgs, invocation: &Invocation) -> CommandResult {
    let location = vault::location(invocation)?;
    let made = Vault::init(&location, &vault::password(invocation)?)?;
    let value = serde_json::json!({ "vault": made.location().to_string(), "id": made.id() });
    invocation.screen.result(&value, || {
        format!(
            "made the vault {} at {location}\nKeep its password in a second place: without it nobody can read the vault.",
            &made.id()[..8.min(made.id().len())]
        )
    });
    Ok(())
}
