//! What several verbs do with a vault: open it, judge its snapshots by their seals, find the one that is meant.

use super::{Invocation, connect};
use crate::error::{CommandError, CommandResult, Kind};
use ghevault_core::{
    keys::Secret,
    seal::{self, Outcome, Seal, SealError},
    vault::{Password, Snapshot, SnapshotList, Vault, VaultError, VaultLocation, tree_hex},
};

/// The place of the vault.
///
/// # Errors
/// None is named, or it is of a kind that this release does not serve.
pub fn location(invocation: &Invocation) -> CommandResult<VaultLocation> {
    let text = invocation.settings.require_vault()?;
    VaultLocation::parse(text).map_err(|error| {
        CommandError::from_error(Kind::Usage, &error)
            .hint("A vault is a folder: a path, `local:PATH` or `file://PATH`.")
    })
}

/// The password of the vault.
///
/// # Errors
/// No source is named, or it gives none.
pub fn password(invocation: &Invocation) -> CommandResult<Password> {
    let source = invocation.settings.require_password()?;
    let secret: Secret = connect::secret(source, "the vault's password")?;
    let text = secret.password_text().ok_or_else(|| {
        CommandError::usage(format!("the vault's password from `{source}` is not UTF-8 text"))
    })?;
    Ok(Password::new(text))
}

/// Opens the vault of the settings.
///
/// # Errors
/// Exit codes 10, 12 and 13 have their origin here.
pub fn open(invocation: &Invocation) -> CommandResult<Vault> {
    let location = location(invocation)?;
    Ok(Vault::open(&location, &password(invocation)?)?)
}

/// A snapshot and what its seal says.
pub struct Judged {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Its seal.
    pub seal: Result<Seal, SealError>,
}

impl Judged {
    /// Reads the seal of a snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        let seal = seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree));
        Self { snapshot, seal }
    }

    /// What the snapshot is worth; nothing without a seal.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.seal.as_ref().ok().map(|seal| seal.manifest.outcome)
    }

    /// The outcome as a word; `unsealed` for snapshots of others, `broken` for a seal that is wrong.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match &self.seal {
            Ok(seal) => outcome_word(seal.manifest.outcome),
            Err(SealError::Missing) => "unsealed",
            Err(_) => "broken",
        }
    }
}

/// An outcome as a word.
#[must_use]
pub const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "complete",
        Outcome::Partial => "partial",
        Outcome::Failed => "failed",
    }
}

/// All snapshots with their seals, oldest first.
#[must_use]
pub fn judge(list: SnapshotList) -> Vec<Judged> {
    list.snapshots.into_iter().map(Judged::new).collect()
}

/// The snapshot that `name` means: `latest` is the newest complete one, anything else the beginning of an id.
///
/// # Errors
/// There is none, or more than one.
pub fn find(vault: &Vault, name: &str) -> CommandResult<Judged> {
    let list = vault.snapshots()?;
    if name != "latest" {
        let judged = Judged::new(list.find(name).map_err(CommandError::from)?.clone());
        if judged.outcome() != Some(Outcome::Complete) {
            tracing::warn!("snapshot {} is {}", judged.snapshot.id.short(), judged.verdict());
        }
        return Ok(judged);
    }
    for (id, reason) in &list.damaged {
        tracing::warn!("snapshot {} cannot be read: {reason}", id.short());
    }
    let all = judge(list);
    let others = all.len();
    let newest = all.into_iter().rfind(|judged| judged.outcome() == Some(Outcome::Complete));
    newest.ok_or_else(|| {
        let error = VaultError::NoSuchSnapshot { name: name.to_owned(), candidates: 0 };
        let error = CommandError::from_error(Kind::Failure, &error);
        if others == 0 {
            error.hint("The vault is empty; run `ghevault backup`.")
        } else {
            error.hint(format!(
                "Only a complete, sealed snapshot is `latest`; the vault has {others} other(s): see `ghevault snapshots`."
            ))
        }
    })
}
