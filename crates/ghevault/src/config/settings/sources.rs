//! Where settings come from: which source wins, and an existing `backup.config`.

use super::{Settings, typed};
use crate::{
    config::{
        backup_config, backup_utils,
        layer::{Layer, Origin},
        locate::{self, Home},
        toml_file,
    },
    error::{CommandError, CommandResult},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Merges all sources: flags over environment over `ghevault.toml` over `backup.config` over defaults.
///
/// # Errors
/// A file or value is unusable; the text names it.
pub fn load(
    flags: Layer,
    config: Option<&Path>,
    lookup: impl Fn(&str) -> Option<String>,
    home: &Home,
) -> CommandResult<Settings> {
    let environment = Layer::from_environment(&lookup);
    let named = config.map(Path::to_owned).or_else(|| set(&lookup, "GHEVAULT_CONFIG").map(PathBuf::from));
    let mut merged = flags.over(environment);
    let config_file = locate::file(named.as_deref(), &home.config_candidates())?;
    if let Some(path) = &config_file {
        merged = merged.over(toml_file::read(path)?);
    }
    let mut notes = Vec::new();
    if let Some(path) = backup_config_path(&merged, home)? {
        let imported = read_backup_config(&path, &lookup)?;
        notes = imported.notes;
        merged = merged.over(imported.layer);
    }
    Ok(Settings { config_file, ..typed(&merged, home, notes)? })
}

/// A variable that is set to something; an empty one counts as unset.
fn set(lookup: &impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    lookup(name).filter(|value| !value.is_empty())
}

/// The `backup.config` that holds, if any.
fn backup_config_path(merged: &Layer, home: &Home) -> CommandResult<Option<PathBuf>> {
    match merged.get("backup_config") {
        Some(value) if value.text == "none" => Ok(None),
        Some(value) => locate::file(Some(Path::new(&value.text)), &[]),
        None => locate::file(None, &home.backup_config_candidates()),
    }
}

/// Reads and translates a `backup.config`; `GHE_HOSTNAME` of the environment wins over the file's (contract §8.1).
fn read_backup_config(
    path: &Path,
    lookup: &impl Fn(&str) -> Option<String>,
) -> CommandResult<backup_utils::Imported> {
    let text = fs::read_to_string(path).map_err(|error| {
        CommandError::usage(format!("cannot read {}", path.display()))
            .because_of(Some(&error))
            .hint("GHE_BACKUP_CONFIG names it; `none` leaves it out.")
    })?;
    let outer = |name: &str| if name == "HOME" { lookup(name) } else { None };
    let mut script = backup_config::parse(&text, outer);
    if let Some(host) = lookup("GHE_HOSTNAME").filter(|host| !host.is_empty()) {
        script.assignments.push(backup_config::Assignment {
            name: "GHE_HOSTNAME".to_owned(),
            value: host,
            line: 0,
        });
    }
    let imported = backup_utils::import(&script, path);
    if imported.refusals.is_empty() {
        return Ok(imported);
    }
    let mut error = CommandError::usage(format!("{} cannot be used as it is", path.display()));
    error.causes = imported.refusals;
    Err(error.hint("Set `backup_config = \"none\"` in ghevault.toml (or GHE_BACKUP_CONFIG=none) to leave the file alone."))
}

/// Where a flag's value came from, for layers made from the command line.
pub fn flag(layer: &mut Layer, key: &str, name: &'static str, value: Option<&String>) {
    if let Some(text) = value {
        layer.set(key, text.clone(), Origin::Flag(name));
    }
}
