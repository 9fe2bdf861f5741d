//! `ghevault key`: SSH keys and secrets under KMS, and the keys that open a vault.

pub mod kit;
mod rotate;
mod secret;
mod vault_keys;

use super::Invocation;
use crate::error::CommandResult;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Make, encrypt and rotate keys, and look after those that open a vault.
///
/// Private keys and passwords are made and encrypted in memory; only ciphertexts and public halves are printed. The one
/// exception is the recovery kit, which is printed once and kept nowhere.
#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    verb: KeyVerb,
}

#[derive(Debug, Subcommand)]
enum KeyVerb {
    /// Make an SSH key, encrypt it with a KMS key, and print `aws:kms:…` and the public half
    Create {
        /// Id, ARN or alias/NAME of the KMS key
        #[arg(long, value_name = "KEY")]
        kms_key: String,
    },
    /// Encrypt a secret with a KMS key and print `aws:kms:…`
    Encrypt {
        /// Id, ARN or alias/NAME of the KMS key
        #[arg(long, value_name = "KEY")]
        kms_key: String,
        /// Secret source
        #[arg(long, value_name = "SOURCE", default_value = "stdin:")]
        from: String,
    },
    /// Make a seal key, encrypt it with a KMS key, and print `aws:kms:…` and the public half
    Seal {
        /// Id, ARN or alias/NAME of the KMS key
        #[arg(long, value_name = "KEY")]
        kms_key: String,
    },
    /// Print the public half of the configured SSH key
    Public,
    /// Bring something under another KMS key, or make an SSH key beside the old one
    Rotate(rotate::RotateArgs),
    /// List the keys that open the vault
    List,
    /// Add a key that opens the vault
    Add {
        /// Its name
        name: String,
        /// Encrypt the vault's master key with this KMS key
        #[arg(
            long,
            value_name = "KEY",
            conflicts_with = "password_from",
            required_unless_present = "password_from"
        )]
        kms_key: Option<String>,
        /// Add a password (an escrow, for stock restic) from this secret source
        #[arg(long, value_name = "SOURCE")]
        password_from: Option<String>,
    },
    /// Remove a key of the vault; whoever knew it can still read copies of the vault's files
    Remove {
        /// Its name, or the beginning of its id
        name: String,
        /// Also the last one that opens the vault without KMS
        #[arg(long)]
        force: bool,
    },
    /// Make a recovery kit for the vault and print it once
    Recovery {
        #[command(flatten)]
        parts: kit::PartsArgs,
    },
    /// Put parts of a recovery kit together and print its key
    Join {
        /// Files with one part or several, one a line; standard input without any
        files: Vec<PathBuf>,
    },
}

/// Does it.
///
/// # Errors
/// KMS, the vault or a source refuses.
pub fn run(arguments: &KeyArgs, invocation: &Invocation) -> CommandResult {
    match &arguments.verb {
        KeyVerb::Create { kms_key } => secret::create(invocation, kms_key),
        KeyVerb::Encrypt { kms_key, from } => secret::encrypt(invocation, kms_key, from),
        KeyVerb::Seal { kms_key } => secret::seal(invocation, kms_key),
        KeyVerb::Public => secret::public(invocation),
        KeyVerb::Rotate(arguments) => rotate::run(arguments, invocation),
        KeyVerb::List => vault_keys::list(invocation),
        KeyVerb::Add { name, kms_key, password_from } => {
            vault_keys::add(invocation, name, kms_key.as_deref(), password_from.as_deref())
        }
        KeyVerb::Remove { name, force } => vault_keys::remove(invocation, name, *force),
        KeyVerb::Recovery { parts } => vault_keys::recovery(invocation, *parts),
        KeyVerb::Join { files } => kit::join(invocation, files),
    }
}
