//! `ghevault init`: makes an empty vault.

use super::{
    Invocation, connect,
    key::kit::{Kit, PartsArgs},
    vault,
};
use crate::{
    error::{CommandError, CommandResult},
    output,
};
use clap::Args;
use ghevault_core::vault::{DemandState, NewKeys, Password, Vault, VaultLocation};
use std::fmt::Write as _;

/// Make an empty vault: a restic repository with one password, or with a key in KMS.
///
/// Any restic opens it with the same password: `restic -r VAULT snapshots`. With --kms-key no password lies on the host: KMS
/// opens the vault, and a recovery kit is printed for the day when KMS is gone. Its text is a password for restic, too.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Id, ARN or alias/NAME of the KMS key that opens the vault every day
    #[arg(long, value_name = "KEY")]
    kms_key: Option<String>,
    /// What the vault calls that key
    #[arg(long, value_name = "NAME", default_value = "daily", requires = "kms_key")]
    key_name: String,
    /// Make no recovery kit: without KMS, and without a password, the vault is lost
    #[arg(long, requires = "kms_key", conflicts_with = "parts")]
    no_recovery: bool,
    #[command(flatten)]
    parts: PartsArgs,
    /// Cut files in the same places as this vault does, so that `copy` and backups into both share data
    #[arg(long, value_name = "PATH|URL")]
    like: Option<String>,
    /// Secret source of that vault's password [default: what opens the new vault]
    #[arg(long, value_name = "SOURCE", requires = "like")]
    like_password: Option<String>,
}

/// Makes it.
///
/// # Errors
/// A vault exists already, or the place cannot be written.
pub fn run(arguments: &InitArgs, invocation: &Invocation) -> CommandResult {
    let Some(kms_key) = &arguments.kms_key else {
        return with_password(arguments, invocation);
    };
    let location = vault::location(invocation)?;
    let service = connect::kms(invocation)?;
    let kit = if arguments.no_recovery { None } else { Some(Kit::new(arguments.parts)?) };
    let configured = match invocation.settings.password {
        Some(_) => Some(vault::password(invocation)?),
        None => None,
    };
    let kit_key = kit.as_ref().map(|kit| (kit.name(), vault::kit_password(&kit.key)));
    let mut passwords: Vec<(Option<&str>, &Password)> = Vec::new();
    passwords.extend(configured.as_ref().map(|password| (None, password)));
    passwords.extend(kit_key.as_ref().map(|(name, password)| (Some(name.as_str()), password)));
    let keys = NewKeys { kms: Some((&arguments.key_name, kms_key, &*service)), passwords: &passwords };
    let made = Vault::init_like(&location, &keys, like(arguments, invocation)?.as_ref())?;
    let place = made.location().to_string();
    let mut value = serde_json::json!({ "vault": place, "id": made.id(), "kms_key": kms_key });
    if let Some(kit) = &kit {
        value["recovery"] = kit.value();
    }
    complain_of_bucket(&location);
    if passwords.is_empty() {
        output::complain("warning: nothing opens this vault without KMS");
    }
    invocation.screen.result(&value, || {
        let mut text = format!("made the vault {} at {location}\n", short(&made));
        if let Some(kit) = &kit {
            let _ = write!(
                text,
                "Print this kit now and keep it away from this account: it is shown once and kept nowhere.\n\n{}",
                kit.sheets(&place, made.id())
            );
        }
        text
    });
    Ok(())
}

/// A vault with one password, as restic makes it.
fn with_password(arguments: &InitArgs, invocation: &Invocation) -> CommandResult {
    if arguments.parts.any() {
        return Err(CommandError::usage("--parts and --threshold belong to --kms-key")
            .hint("For a vault with a password `ghevault key recovery` makes the kit afterwards."));
    }
    let location = vault::location(invocation)?;
    let password = vault::password(invocation)?;
    let keys = NewKeys { kms: None, passwords: &[(None, &password)] };
    let made = Vault::init_like(&location, &keys, like(arguments, invocation)?.as_ref())?;
    complain_of_bucket(&location);
    let value = serde_json::json!({ "vault": made.location().to_string(), "id": made.id() });
    invocation.screen.result(&value, || {
        format!(
            "made the vault {} at {location}\nKeep its password in a second place: without it nobody can read the vault.",
            short(&made)
        )
    });
    Ok(())
}

/// Warns of what a bucket lacks; what this identity may not see stands in one line.
fn complain_of_bucket(location: &VaultLocation) {
    let Ok(bucket) = location.bucket() else { return };
    let demands = match bucket.demands() {
        Ok(demands) => demands,
        Err(error) => {
            return output::complain(&format!("warning: the bucket's settings cannot be read: {error}"));
        }
    };
    for one in demands.iter().filter(|one| one.state == DemandState::Unmet) {
        output::complain(&format!(
            "warning: the bucket does not protect the vault: not met: {} ({})",
            one.what, one.found
        ));
    }
    let unknown: Vec<&str> =
        demands.iter().filter(|one| one.state == DemandState::Unknown).map(|one| one.what).collect();
    if !unknown.is_empty() {
        output::complain(&format!(
            "warning: this identity may not see whether {}\nhint: Run `ghevault vault check` as one that may read the bucket's settings.",
            unknown.join("; ")
        ));
    }
}

/// The vault whose chunker parameters the new one gets.
fn like(arguments: &InitArgs, invocation: &Invocation) -> CommandResult<Option<Vault>> {
    let Some(like) = &arguments.like else { return Ok(None) };
    let named = arguments.like_password.as_deref();
    vault::open_other(invocation, like, named, "--like-password", None).map(Some)
}

fn short(vault: &Vault) -> &str {
    &vault.id()[..8.min(vault.id().len())]
}
