//! What several verbs do with a vault: open it, judge its snapshots by their seals, find the one that is meant.

use super::{Invocation, connect};
use crate::error::{CommandError, CommandResult, Kind};
use ghevault_core::{
    backup::shard::part::{self, Part},
    keys::{RecoveryKey, SecretKind, SecretSource},
    quarantine,
    seal::{self, Outcome, Seal, SealError},
    vault::{
        KeyRing, Opener, Password, Snapshot, SnapshotList, Vault, VaultError, VaultLocation, VaultReader,
        tree_hex,
    },
};
use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

/// The place of the vault.
///
/// # Errors
/// None is named, or it is of a kind that this release does not serve.
pub fn location(invocation: &Invocation) -> CommandResult<VaultLocation> {
    let location = named_location(invocation, invocation.settings.require_vault()?)?;
    match invocation.settings.as_of {
        Some(moment) => Ok(location.as_of(moment)?),
        None => Ok(location),
    }
}

/// The place that a text names.
///
/// # Errors
/// It is of a kind that this release does not serve.
pub fn named_location(invocation: &Invocation, text: &str) -> CommandResult<VaultLocation> {
    let location = VaultLocation::parse(text).map_err(|error| {
        CommandError::from_error(Kind::Usage, &error).hint(
            "A vault is a folder (a path, `local:PATH` or `file://PATH`) or a bucket (`s3://BUCKET/PREFIX`, `s3:https://HOST/BUCKET/PREFIX`).",
        )
    })?;
    Ok(location.with_s3(invocation.settings.s3.clone()))
}

/// A moment: a time with its zone, or one of UTC, or the beginning of a day there.
///
/// # Errors
/// It is none of these, in words.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(Date::into));
    civil
        .and_then(|civil| civil.to_zoned(TimeZone::UTC))
        .map(|zoned| zoned.timestamp())
        .map_err(|_| "not a time such as 2026-03-01T12:00:00Z or 2026-03-01 12:00".to_owned())
}

/// The password of the vault, as configured.
///
/// # Errors
/// No source is named, or it gives none.
pub fn password(invocation: &Invocation) -> CommandResult<Password> {
    password_from(invocation, invocation.settings.require_password()?, "the vault's password")
}

/// A password of a source.
///
/// # Errors
/// It gives none.
pub fn password_from(invocation: &Invocation, source: &SecretSource, what: &str) -> CommandResult<Password> {
    let secret = connect::secret(invocation, source, SecretKind::Password, what)?;
    let text = secret
        .password_text()
        .ok_or_else(|| CommandError::usage(format!("{what} from `{source}` is not UTF-8 text")))?;
    Ok(Password::new(text))
}

/// Runs `work` with what opens the vault: the recovery kit, else the password, else a key in KMS.
///
/// # Errors
/// A source gives nothing, or that of `work`.
pub fn with_opener<T>(
    invocation: &Invocation,
    work: impl FnOnce(&Opener<'_>) -> Result<T, VaultError>,
) -> CommandResult<T> {
    let settings = &invocation.settings;
    if let Some(source) = &settings.recovery_key {
        let text = connect::secret(invocation, source, SecretKind::Password, "the recovery kit")?;
        let key = RecoveryKey::read(&text)?;
        return Ok(work(&Opener::Password(&kit_password(&key)))?);
    }
    if settings.password.is_some() {
        return Ok(work(&Opener::Password(&password(invocation)?))?);
    }
    let connect = || connect::kms(invocation);
    work(&Opener::Kms(&connect)).map_err(|error| match error {
        VaultError::NoKmsKey { .. } => match settings.require_password() {
            Err(missing) => missing.because_of(Some(&error)),
            Ok(_) => error.into(),
        },
        other => other.into(),
    })
}

/// The text of a recovery kit is a password of the vault.
pub fn kit_password(key: &RecoveryKey) -> Password {
    Password::new(key.text().password_text().unwrap_or_default())
}

/// Opens the vault of the settings.
///
/// # Errors
/// Exit codes 10, 12 and 13 have their origin here.
pub fn open(invocation: &Invocation) -> CommandResult<Vault> {
    let location = location(invocation)?;
    with_opener(invocation, |opener| Vault::open_with(&location, opener))
}

/// Opens another vault: with the password of the flag or of its setting, else with what opens the vault of the settings.
///
/// # Errors
/// As [`open`]; the flag names no source of a secret.
pub fn open_other(
    invocation: &Invocation,
    place: &str,
    named: Option<&str>,
    flag: &str,
    setting: Option<&SecretSource>,
) -> CommandResult<Vault> {
    let location = named_location(invocation, place)?;
    let named = named.map(|text| {
        text.parse::<SecretSource>().map_err(|reason| {
            CommandError::usage(format!("the value of {flag}: {reason}"))
                .hint("Put the secret into a file and give `file:PATH`.")
        })
    });
    match named.transpose()?.as_ref().or(setting) {
        Some(source) => {
            let password = password_from(invocation, source, "the other vault's password")?;
            Ok(Vault::open(&location, &password)?)
        }
        None => with_opener(invocation, |opener| Vault::open_with(&location, opener)),
    }
}

/// What reads a vault. Index files that cannot be read stop nobody: the packs themselves say what is in them.
///
/// # Errors
/// The store fails.
pub fn reader(vault: &Vault) -> CommandResult<VaultReader> {
    match vault.index() {
        Err(VaultError::Damaged { what: "index", .. }) => {
            let salvaged = vault.salvage()?;
            for damage in &salvaged.damages {
                tracing::warn!("{damage}; going on without it");
            }
            Ok(salvaged.reader)
        }
        other => Ok(other?),
    }
}

/// The keys of the vault of the settings.
///
/// # Errors
/// As [`open`].
pub fn keys(invocation: &Invocation) -> CommandResult<KeyRing> {
    let location = location(invocation)?;
    with_opener(invocation, |opener| KeyRing::open(&location, opener))
}

/// A snapshot and what its seal says.
pub struct Judged {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Its seal.
    pub seal: Result<Seal, SealError>,
    /// Its record, when it is a part of a sharded run and no snapshot by itself.
    pub part: Option<Result<Part, SealError>>,
}

impl Judged {
    /// Reads the seal of a snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        let seal = seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree));
        let part = part::of_snapshot(&snapshot);
        Self { snapshot, seal, part }
    }

    /// What the snapshot is worth; nothing without a seal.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.seal.as_ref().ok().map(|seal| seal.manifest.outcome)
    }

    /// The outcome as a word; `unsealed` for snapshots of others, `broken` for a seal that is wrong.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match (&self.seal, &self.part) {
            (_, Some(Ok(_))) => "part",
            (_, Some(Err(_))) => "broken",
            (Ok(seal), _) => outcome_word(seal.manifest.outcome),
            (Err(SealError::Missing), _) => "unsealed",
            (Err(_), _) => "broken",
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

/// The snapshot that `name` means: `latest` is the newest complete one that is not in quarantine, anything else the beginning of an id.
///
/// # Errors
/// There is none, or more than one.
pub fn find(vault: &Vault, name: &str) -> CommandResult<Judged> {
    let list = vault.snapshots()?;
    if name != "latest" {
        let judged = Judged::new(list.find(name).map_err(CommandError::from)?.clone());
        if let Some(part) = &judged.part {
            let of = part.as_ref().map_or_else(
                |_| "a part of a sharded run".to_owned(),
                |part| format!("part {} of run {}", part.record.place(), part.record.run),
            );
            let text =
                format!("snapshot {} is {of}, and no state of the appliance", judged.snapshot.id.short());
            return Err(CommandError::new(Kind::Refused, text).hint(
                "Join the parts first: `ghevault backup --join`. `ghevault snapshots` shows what there is.",
            ));
        }
        if judged.outcome() != Some(Outcome::Complete) {
            tracing::warn!("snapshot {} is {}", judged.snapshot.id.short(), judged.verdict());
        }
        return Ok(judged);
    }
    for (id, reason) in &list.damaged {
        tracing::warn!("snapshot {} cannot be read: {reason}", id.short());
    }
    let quarantined = quarantine::quarantined_snapshots(vault, &list)?;
    let all = judge(list);
    let others = all.len();
    let now = Timestamp::now();
    let newest =
        all.into_iter().filter(|judged| judged.outcome() == Some(Outcome::Complete)).rfind(|judged| {
            if let Some(record) = quarantined.get(&judged.snapshot.id) {
                let id = judged.snapshot.id.short();
                tracing::warn!("snapshot {id} is passed over: {}; see `ghevault findings`", record.words());
                return false;
            }
            let ahead = seal::chain::is_ahead(judged.snapshot.time, now);
            if ahead {
                let (id, time) = (judged.snapshot.id.short(), judged.snapshot.time);
                tracing::warn!(
                    "snapshot {id} says that it shows {time}, which is in the future, and is passed over"
                );
            }
            !ahead
        });
    newest.ok_or_else(|| {
        let error = VaultError::NoSuchSnapshot { name: name.to_owned(), candidates: 0 };
        let error = CommandError::from_error(Kind::Failure, &error);
        if others == 0 {
            error.hint("The vault is empty; run `ghevault backup`.")
        } else {
            error.hint(format!(
                "Only a complete, sealed snapshot that is not in quarantine is `latest`; the vault has {others} other(s): see `ghevault snapshots`."
            ))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn moments_are_read_in_utc_unless_they_have_a_zone() {
        for (text, second) in [
            ("1970-01-02", 86_400),
            ("1970-01-01 01:00", 3600),
            ("1970-01-01T01:00:00Z", 3600),
            ("1970-01-01T01:00:00+01:00", 0),
        ] {
            assert_eq!(moment(text).unwrap().as_second(), second, "{text}");
        }
        assert!(moment("yesterday").is_err());
    }
}
