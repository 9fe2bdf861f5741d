//! The keys that open the vault: listed, added, removed.

use super::{kit, secret};
use crate::{
    cli::{Invocation, connect, vault},
    error::{CommandError, CommandResult, Kind},
    output::table::{self, Align},
};
use ghevault_core::vault::{KeyEntry, KeySort};
use serde_json::json;

/// `ghevault key list`.
pub fn list(invocation: &Invocation) -> CommandResult {
    let (keys, damaged) = vault::keys(invocation)?.list()?;
    for error in &damaged {
        tracing::warn!("{error}");
    }
    let rows: Vec<[String; 4]> = keys.iter().map(row).collect();
    let value =
        json!({ "keys": keys, "damaged": damaged.iter().map(ToString::to_string).collect::<Vec<_>>() });
    invocation.screen.result(&value, || {
        let columns = [
            ("Name", Align::Left),
            ("Kind", Align::Left),
            ("Made", Align::Left),
            ("KMS key or id", Align::Left),
        ];
        let mut text = table::render(columns, &rows);
        if !keys.iter().any(offline) {
            text.push_str("\nNothing opens this vault without KMS: make a kit with `ghevault key recovery`.");
        }
        text
    });
    Ok(())
}

fn row(key: &KeyEntry) -> [String; 4] {
    let made = key.created.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M").to_string());
    let id = || key.id.as_ref().map_or_else(String::new, |id| id.chars().take(8).collect());
    let (kind, what) = match &key.sort {
        KeySort::Kms { kms_key, generation } => ("kms", format!("{kms_key} (generation {generation})")),
        KeySort::Password => ("password", id()),
        KeySort::Recovery => ("recovery", id()),
    };
    [key.name.clone(), kind.to_owned(), made, what]
}

/// Whether a key opens the vault without KMS.
fn offline(key: &KeyEntry) -> bool {
    !matches!(key.sort, KeySort::Kms { .. })
}

/// `ghevault key add`.
pub fn add(
    invocation: &Invocation,
    name: &str,
    kms_key: Option<&str>,
    password_from: Option<&str>,
) -> CommandResult {
    let ring = vault::keys(invocation)?;
    match (kms_key, password_from) {
        (Some(kms_key), _) => {
            ring.add_kms(name, kms_key, &*connect::kms(invocation)?)?;
        }
        (None, Some(source)) => {
            let password = vault::password_from(invocation, &secret::source(source)?, "the new password")?;
            ring.add_password(name, &password)?;
        }
        (None, None) => {
            return Err(CommandError::usage("neither a KMS key nor a password is named")
                .hint("Give --kms-key KEY or --password-from SOURCE."));
        }
    }
    invocation.screen.result(&json!({ "added": name }), || format!("the vault has a new key \"{name}\""));
    Ok(())
}

/// `ghevault key remove`.
pub fn remove(invocation: &Invocation, name: &str, force: bool) -> CommandResult {
    let ring = vault::keys(invocation)?;
    let (keys, _) = ring.list()?;
    let mut left = keys.iter().filter(|key| {
        key.name != name && !key.id.as_ref().is_some_and(|id| name.len() >= 4 && id.starts_with(name))
    });
    if !force && !left.any(offline) {
        return Err(CommandError::new(
            Kind::Refused,
            format!("without \"{name}\" nothing opens the vault when KMS is gone"),
        )
        .hint("Make a kit first (`ghevault key recovery`), or give --force."));
    }
    let removed = ring.remove(name)?;
    invocation.screen.result(&json!({ "removed": removed }), || {
        format!(
            "removed the key \"{}\". The master key stays the same: whoever had both the key and the vault's files can read what was in them.",
            removed.name
        )
    });
    Ok(())
}

/// `ghevault key recovery`.
pub fn recovery(invocation: &Invocation, parts: kit::PartsArgs) -> CommandResult {
    let kit = kit::Kit::new(parts)?;
    let opened = vault::open(invocation)?;
    vault::keys(invocation)?.add_password(&kit.name(), &vault::kit_password(&kit.key))?;
    let mut value = kit.value();
    value["vault"] = json!(opened.id());
    invocation.screen.result(&value, || kit.sheets(&opened.location().to_string(), opened.id()));
    Ok(())
}
