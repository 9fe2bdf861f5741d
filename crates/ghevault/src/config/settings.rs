//! The merged options as types; every refusal names the value's origin.

use super::{
    amount, backup_config, backup_utils,
    layer::{Layer, Origin, Value},
    locate::{self, Home},
    option, toml_file,
};
use crate::error::{CommandError, CommandResult};
use ghevault_core::{
    backup::mssql::Cadence,
    keys::{SecretError, SecretSource},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Which SSH implementation connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// In process.
    #[default]
    Russh,
    /// The `ssh` program.
    Openssh,
}

/// What a backup reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum BackupSource {
    /// The appliance's data, dataset by dataset.
    #[default]
    Datasets,
    /// The newest finished snapshot of the appliance's own Backup Service.
    BackupService,
}

/// All settings of one invocation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The appliance as named: the first of [`Settings::hosts`].
    pub host: Option<Value>,
    /// The machines under which the appliance may be found, e.g. both of a high-availability pair, in the order given.
    pub hosts: Vec<Value>,
    /// Source of the SSH key.
    pub ssh_key: Option<SecretSource>,
    /// Source of the vault's password.
    pub password: Option<SecretSource>,
    /// The vault as named.
    pub vault: Option<String>,
    /// Folder of pins, keys and records.
    pub state: PathBuf,
    /// The SSH implementation.
    pub transport: Transport,
    /// Further arguments for the `ssh` program.
    pub ssh_options: Vec<String>,
    /// Most bytes per second to read.
    pub bytes_per_s_max: Option<u64>,
    /// Datasets that a backup leaves out.
    pub backup_skip: Vec<String>,
    /// What a backup reads.
    pub backup_source: BackupSource,
    /// Longest wait for a running Backup Service.
    pub service_wait: Duration,
    /// Words before remote commands of a backup.
    pub niceness: String,
    /// Longest wait for Git maintenance.
    pub drain: Duration,
    /// Whether a replica may be backed up.
    pub allow_replica: bool,
    /// How old backups of Actions' databases may become.
    pub mssql_cadence: Cadence,
    /// Secrets that may be unset.
    pub unset_secrets: Vec<String>,
    /// Program that backs up an external database.
    pub external_mysql_script: Option<PathBuf>,
    /// Program that restores an external database.
    pub restore_external_mysql_script: Option<PathBuf>,
    /// Default target of a restore.
    pub restore_host: Option<String>,
    /// Datasets that a restore leaves alone.
    pub restore_skip: Vec<String>,
    /// Whether the Management Console's password is restored.
    pub restore_console_password: bool,
    /// Whether log lines are JSON.
    pub log_json: bool,
    /// File for the log.
    pub log_file: Option<PathBuf>,
    /// What the user should know about the configuration.
    pub notes: Vec<String>,
}

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
    if let Some(path) = locate::file(named.as_deref(), &home.config_candidates())? {
        merged = merged.over(toml_file::read(&path)?);
    }
    let mut notes = Vec::new();
    if let Some(path) = backup_config_path(&merged, home)? {
        let imported = read_backup_config(&path, &lookup)?;
        notes = imported.notes;
        merged = merged.over(imported.layer);
    }
    typed(&merged, home, notes)
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
        CommandError::usage(format!("cannot read {}", path.display())).because_of(Some(&error))
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

/// Turns texts into types.
fn typed(merged: &Layer, home: &Home, notes: Vec<String>) -> CommandResult<Settings> {
    let text = |key: &str| merged.get(key).map(|value| value.text.clone()).filter(|text| !text.is_empty());
    let list = |key: &str| -> Vec<String> {
        let separators: &[char] = if key == "ssh_options" { &['\n'] } else { &['\n', ',', ' '] };
        text(key)
            .map(|text| text.split(separators).filter(|item| !item.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default()
    };
    let truth = |key: &str, default: bool| -> CommandResult<bool> {
        parsed(merged, key, "true or false", amount::truth).map(|value| value.unwrap_or(default))
    };
    let nice = merged.get("backup.nice").map_or("nice -n 19", |value| value.text.trim());
    let ionice = merged.get("backup.ionice").map_or("ionice -c 3", |value| value.text.trim());
    let state = text("state").map(PathBuf::from).or_else(|| home.default_state()).ok_or_else(|| {
        CommandError::usage("no folder for state: neither GHEVAULT_STATE nor HOME is set")
            .hint("Set GHEVAULT_STATE.")
    })?;
    let drain_s = parsed(merged, "backup.drain_s", "a number of seconds", |text| text.parse::<u32>().ok())?;
    let service_wait_s =
        parsed(merged, "backup.service_wait_s", "a number of seconds", |text| text.parse::<u32>().ok())?;
    let mut restore_skip = list("restore.skip");
    if truth("restore.skip_audit_log", false)? {
        restore_skip.push("audit-log".to_owned());
    }
    let hosts: Vec<Value> = match merged.get("host") {
        Some(value) => {
            list("host").into_iter().map(|text| Value { text, origin: value.origin.clone() }).collect()
        }
        None => Vec::new(),
    };
    let settings = Settings {
        host: hosts.first().cloned(),
        hosts,
        ssh_key: secret(merged, "ssh_key")?,
        password: secret(merged, "password")?,
        vault: text("vault"),
        state,
        transport: parsed(merged, "transport", "`russh` or `openssh`", |text| match text {
            "russh" => Some(Transport::Russh),
            "openssh" => Some(Transport::Openssh),
            _ => None,
        })?
        .unwrap_or_default(),
        ssh_options: list("ssh_options"),
        bytes_per_s_max: parsed(merged, "bwlimit", "a rate such as `30MiB`", |text| {
            amount::bytes(text, 1).filter(|rate| *rate > 0)
        })?,
        backup_skip: list("backup.skip"),
        backup_source: parsed(
            merged,
            "backup.source",
            "`datasets` or `backup-service`",
            |text| match text {
                "datasets" => Some(BackupSource::Datasets),
                "backup-service" => Some(BackupSource::BackupService),
                _ => None,
            },
        )?
        .unwrap_or_default(),
        service_wait: Duration::from_secs(service_wait_s.unwrap_or(3600).into()),
        niceness: format!("{nice} {ionice}").trim().to_owned(),
        drain: Duration::from_secs(drain_s.unwrap_or(600).into()),
        allow_replica: truth("backup.allow_replica", false)?,
        mssql_cadence: parsed(
            merged,
            "backup.mssql_cadence",
            "three numbers of minutes such as `10080,1440,15`",
            |text| text.parse().ok(),
        )?
        .unwrap_or_default(),
        unset_secrets: list("backup.unset_secrets"),
        external_mysql_script: text("backup.external_mysql_script").map(PathBuf::from),
        restore_external_mysql_script: text("restore.external_mysql_script").map(PathBuf::from),
        restore_host: text("restore.host"),
        restore_skip,
        restore_console_password: truth("restore.console_password", true)?,
        log_json: parsed(merged, "log_format", "`text` or `json`", |text| match text {
            "text" => Some(false),
            "json" => Some(true),
            _ => None,
        })?
        .unwrap_or(false),
        log_file: text("log_file").map(PathBuf::from),
        notes,
    };
    if !settings.ssh_options.is_empty() && settings.transport == Transport::Russh {
        return Err(CommandError::usage(
            "`ssh_options` are set, but only the `ssh` program understands them",
        )
        .hint("Set `transport = \"openssh\"` (or GHEVAULT_TRANSPORT=openssh)."));
    }
    Ok(settings)
}

/// The value of an option through `parse`, or an error that says what it should be and where it was set.
fn parsed<T>(
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
fn secret(merged: &Layer, key: &str) -> CommandResult<Option<SecretSource>> {
    let Some(value) = merged.get(key).filter(|value| !value.text.is_empty()) else { return Ok(None) };
    value.text.parse().map(Some).map_err(|reason: SecretError| {
        CommandError::usage(format!("the value of {}: {reason}", value.origin))
            .hint("Put the secret into a file and give `file:PATH`.")
    })
}

impl Settings {
    /// The appliance.
    ///
    /// # Errors
    /// None is named.
    pub fn require_host(&self) -> CommandResult<&Value> {
        self.host.as_ref().ok_or_else(|| missing("appliance", "host"))
    }

    /// The vault.
    ///
    /// # Errors
    /// None is named.
    pub fn require_vault(&self) -> CommandResult<&str> {
        self.vault.as_deref().ok_or_else(|| missing("vault", "vault"))
    }

    /// Source of the SSH key.
    ///
    /// # Errors
    /// None is named.
    pub fn require_ssh_key(&self) -> CommandResult<&SecretSource> {
        self.ssh_key.as_ref().ok_or_else(|| missing("SSH key", "ssh_key"))
    }

    /// Source of the vault's password.
    ///
    /// # Errors
    /// None is named.
    pub fn require_password(&self) -> CommandResult<&SecretSource> {
        self.password.as_ref().ok_or_else(|| missing("password", "password"))
    }
}

/// The error for a setting that a command needs and nobody gave.
fn missing(what: &str, key: &str) -> CommandError {
    let row = option::find(key);
    let ways = row
        .map(|row| [row.env.map(|name| format!("set {name}")), row.flag.map(|flag| format!("give {flag}"))]);
    let mut ways: Vec<String> = ways.into_iter().flatten().flatten().collect();
    ways.push(format!("write `{key} = …` into ghevault.toml"));
    let meaning = row.map(|row| row.meaning).unwrap_or_default();
    CommandError::usage(format!("no {what} is named"))
        .hint(format!("Needed is {meaning}: {}.", ways.join(", or ")))
}

/// Where a flag's value came from, for layers made from the command line.
pub fn flag(layer: &mut Layer, key: &str, name: &'static str, value: Option<&String>) {
    if let Some(text) = value {
        layer.set(key, text.clone(), Origin::Flag(name));
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
