//! The merged options as types; every refusal names the value's origin.

mod sources;
mod value;

pub use sources::{flag, load};
use value::seal_key;
pub(super) use value::{parsed, secret};

use super::{
    amount, aws,
    layer::{Effective, Layer, Value},
    locate::Home,
    operation::Operation,
    retention::Rules,
};
use crate::error::{CommandError, CommandResult};
use ghevault_core::{
    aws::AwsSettings,
    backup::mssql::Cadence,
    keys::{SealKeySource, SecretSource},
    vault::S3Settings,
};
use std::{path::PathBuf, time::Duration};
use value::missing;

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
    /// Source of the recovery kit.
    pub recovery_key: Option<SecretSource>,
    /// The vault as named.
    pub vault: Option<String>,
    /// Folder of Taupage's file and Kubernetes' mounts.
    pub meta: PathBuf,
    /// Region and endpoint.
    pub aws: AwsSettings,
    /// The vault's bucket, if it is in one.
    pub s3: S3Settings,
    /// The moment as of which the vault is looked at.
    pub as_of: Option<jiff::Timestamp>,
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
    /// Load per processor of the appliance above which a backup waits.
    pub load_max: Option<f64>,
    /// Jobs of Git maintenance above which a backup waits.
    pub backlog_max: Option<u64>,
    /// Longest such wait.
    pub load_wait: Duration,
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
    /// What is kept.
    pub retention: Rules,
    /// Where the key is that signs; `None`: in the state folder.
    pub seal_key: Option<SealKeySource>,
    /// The vault that is copied to.
    pub copy_to: Option<String>,
    /// Source of its password.
    pub copy_to_password: Option<SecretSource>,
    /// The `ghevault.toml` that was read.
    pub config_file: Option<PathBuf>,
    /// Schedules, objectives, and who is told.
    pub operation: Operation,
    /// Whether log lines are JSON; nobody said, when `None`.
    pub log_json: Option<bool>,
    /// Notice boards.
    pub witness_boards: Vec<String>,
    /// Public keys of those that the witness looks at.
    pub witness_keys: Vec<String>,
    /// Whether `publish` also tells where references pointed.
    pub witness_refs: bool,
    /// File for the log.
    pub log_file: Option<PathBuf>,
    /// What was set, as it may be shown.
    pub effective: Vec<Effective>,
    /// Sources of secrets that were set.
    pub secret_sources: Vec<SecretSource>,
    /// What the user should know about the configuration.
    pub notes: Vec<String>,
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
    let load_wait_s =
        parsed(merged, "backup.load_wait_s", "a number of seconds", |text| text.parse::<u32>().ok())?;
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
        recovery_key: secret(merged, "recovery_key")?,
        vault: text("vault"),
        meta: text("meta").map_or_else(|| PathBuf::from("/meta"), PathBuf::from),
        aws: aws::aws(merged),
        s3: aws::s3(merged)?,
        as_of: None,
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
        load_max: parsed(merged, "backup.load_max", "a load such as `1.5`", |text| {
            text.parse().ok().filter(|load: &f64| load.is_finite() && *load > 0.0)
        })?,
        backlog_max: parsed(merged, "backup.backlog_max", "a number of jobs", |text| text.parse().ok())?,
        load_wait: Duration::from_secs(load_wait_s.unwrap_or(900).into()),
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
        retention: Rules::typed(merged, list("retention.seal_keys"))?,
        seal_key: seal_key(merged)?,
        copy_to: text("copy.to"),
        copy_to_password: secret(merged, "copy.to_password")?,
        witness_boards: list("witness.board"),
        witness_keys: list("witness.keys"),
        witness_refs: truth("witness.refs", true)?,
        log_json: parsed(merged, "log_format", "`text` or `json`", |text| match text {
            "text" => Some(false),
            "json" => Some(true),
            _ => None,
        })?,
        config_file: None,
        operation: Operation::typed(merged)?,
        log_file: text("log_file").map(PathBuf::from),
        effective: merged.effective(),
        secret_sources: merged.secret_sources(),
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

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
