//! One option at a time: its text as a type, or an error that says what it should be and where it was set.

use crate::{
    config::{layer::Layer, option},
    error::{CommandError, CommandResult},
};
use ghevault_core::keys::{SealKeySource, SecretError, SecretSource};

/// The value of an option through `parse`, or an error that says what it should be and where it was set.
pub(in crate::config) fn parsed<T>(
    merged: &Layer,
    key: &str,
    what: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> CommandResult<Option<T>> {
    let Some(value) = merged.get(key).filter(|value| !value.text.is_empty()) else { return Ok(None) };
    parse(&value.text).map(Some).ok_or_else(|| {
        let error = CommandError::usage(format!("{} is `{}`, not {what}", value.origin, value.text));
        match option::find(key) {
            Some(row) => error.hint(format!("`{key}` is {}; default {}.", row.meaning, row.default)),
            None => error,
        }
    })
}

/// A secret source; the value itself is not repeated in errors, it might be the secret.
pub(in crate::config) fn secret(merged: &Layer, key: &str) -> CommandResult<Option<SecretSource>> {
    let Some(value) = merged.get(key).filter(|value| !value.text.is_empty()) else { return Ok(None) };
    value.text.parse().map(Some).map_err(|reason: SecretError| {
        CommandError::usage(format!("the value of {}: {reason}", value.origin))
            .hint("Put the secret into a file and give `file:PATH`.")
    })
}

/// Where the seal key is; the value is not repeated in errors.
pub(super) fn seal_key(merged: &Layer) -> CommandResult<Option<SealKeySource>> {
    let Some(value) = merged.get("seal.key").filter(|value| !value.text.is_empty()) else { return Ok(None) };
    value.text.parse().map(Some).map_err(|reason: SecretError| {
        CommandError::usage(format!("the value of {}: {reason}", value.origin)).hint(
            "`ghevault key seal --kms-key KEY` makes one; `aws:kms-key:KEY` names a key that KMS signs with.",
        )
    })
}

/// The error for a setting that a command needs and nobody gave.
pub(super) fn missing(what: &str, key: &str) -> CommandError {
    let row = option::find(key);
    let ways = row
        .map(|row| [row.env.map(|name| format!("set {name}")), row.flag.map(|flag| format!("give {flag}"))]);
    let mut ways: Vec<String> = ways.into_iter().flatten().flatten().collect();
    ways.push(format!("write `{key} = …` into ghevault.toml"));
    let meaning = row.map(|row| row.meaning).unwrap_or_default();
    CommandError::usage(format!("no {what} is named"))
        .hint(format!("Needed is {meaning}: {}.", ways.join(", or ")))
}
