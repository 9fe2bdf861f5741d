//! The command line: global flags, one file per verb, and the dispatch between them.

#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are the text of the help"
)]

mod advise;
mod after;
mod backup;
mod bundle;
mod compare;
mod completions;
mod connect;
mod copy;
mod daemon;
mod diff;
mod doctor;
mod drill;
mod examples;
mod export;
mod extend_locks;
mod failover;
mod findings;
mod forget;
mod gate;
mod hold;
mod import;
mod init;
mod journal;
mod key;
mod manual;
mod notify;
mod operate;
#[cfg(feature = "otlp")]
mod otlp;
mod post;
mod prune;
mod refs;
mod repair;
mod restore;
mod schedule;
mod schema;
mod shard;
mod snapshots;
mod source;
mod status;
mod trust;
mod vault;
mod vault_verb;
mod verify;
mod witness;

use crate::{
    config::{
        Settings,
        layer::Layer,
        locate::Home,
        settings::{self, flag},
    },
    error::{CommandError, CommandResult},
    output::{self, Screen},
    process::Interrupt,
};
use clap::{Args, FromArgMatches, Parser, Subcommand};
use ghevault_core::{
    aws::{Aws, AwsFailure},
    seal::SealKey,
    state::{RunDetails, Task},
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Backs up GitHub Enterprise Server from the outside into a restic-format vault, and gives it back.
#[derive(Debug, Parser)]
#[command(name = "ghevault", version, max_term_width = 110, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What stands below the help.
const AFTER_HELP: &str = "\
Settings come from flags, then the environment (GHEVAULT_HOST, GHEVAULT_SSH_KEY, GHEVAULT_PASSWORD, GHEVAULT_VAULT, \
GHEVAULT_STATE), then ghevault.toml, then an existing backup.config of backup-utils.

Exit codes: 0 complete, 1 error, 2 usage or configuration, 3 partial, 10 no vault, 11 vault locked, 12 wrong password, \
13 damage or tampering found, 14 refused by a guard, policy or version rule, 130 interrupted.";

/// Flags of every verb.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Configuration file [default: ghevault/ghevault.toml in the user's configuration folder or in /etc]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The appliance; several with commas between are the machines of one pair or cluster [GHEVAULT_HOST]
    #[arg(long, global = true, value_name = "[USER@]HOST[:PORT],…")]
    host: Option<String>,
    /// Secret source of the private SSH key: file:PATH, env:NAME, aws:kms:…, taupage:, agent: [GHEVAULT_SSH_KEY]
    #[arg(long, global = true, value_name = "SOURCE")]
    ssh_key: Option<String>,
    /// Secret source of the vault's password: file:PATH, env:NAME, aws:kms:…, stdin: [GHEVAULT_PASSWORD]
    #[arg(long, global = true, value_name = "SOURCE")]
    password: Option<String>,
    /// Secret source of the recovery kit's key or parts, in place of password and KMS [GHEVAULT_RECOVERY_KEY]
    #[arg(long, global = true, value_name = "SOURCE")]
    recovery_key: Option<String>,
    /// The vault: a folder or URL of a restic repository [GHEVAULT_VAULT]
    #[arg(long, global = true, value_name = "PATH|URL")]
    vault: Option<String>,
    /// Look at a vault in a bucket as it was at this moment, past delete markers and later versions; nothing is written then
    #[arg(long, global = true, value_name = "TIME", value_parser = vault::moment)]
    as_of: Option<jiff::Timestamp>,
    /// Folder for pinned host keys, seal keys and records [GHEVAULT_STATE]
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<String>,
    /// SSH implementation: russh (built in) or openssh (the ssh program)
    #[arg(long, global = true, value_name = "NAME")]
    transport: Option<String>,
    /// Most bytes per second to read from the appliance, e.g. 30MiB
    #[arg(long, global = true, value_name = "RATE")]
    bwlimit: Option<String>,
    /// Results as JSON on stdout; an error is then the last line: {"error":…,"hint":…,"exit_code":…}
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log lines on stderr: text or json
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl GlobalArgs {
    /// Flags, environment and files, merged.
    ///
    /// # Errors
    /// A file or value is unusable.
    pub fn settings(&self) -> CommandResult<Settings> {
        let mut layer = Layer::default();
        flag(&mut layer, "host", "--host", self.host.as_ref());
        flag(&mut layer, "ssh_key", "--ssh-key", self.ssh_key.as_ref());
        flag(&mut layer, "password", "--password", self.password.as_ref());
        flag(&mut layer, "recovery_key", "--recovery-key", self.recovery_key.as_ref());
        flag(&mut layer, "vault", "--vault", self.vault.as_ref());
        flag(&mut layer, "state", "--state", self.state.as_ref());
        flag(&mut layer, "transport", "--transport", self.transport.as_ref());
        flag(&mut layer, "bwlimit", "--bwlimit", self.bwlimit.as_ref());
        flag(&mut layer, "log_format", "--log-format", self.log_format.as_ref());
        let environment = |name: &str| std::env::var(name).ok();
        let mut settings =
            settings::load(layer, self.config.as_deref(), environment, &Home::from_environment())?;
        settings.as_of = self.as_of;
        Ok(settings)
    }

    /// The same flags for another invocation, with another configuration file if one is given.
    #[must_use]
    pub fn again(&self, config: Option<&Path>) -> Vec<OsString> {
        let mut flags = Vec::new();
        let config = config.or(self.config.as_deref()).map(|path| path.as_os_str().to_owned());
        let text = |value: &Option<String>| value.as_ref().map(OsString::from);
        for (flag, value) in [
            ("--config", config),
            ("--host", text(&self.host)),
            ("--ssh-key", text(&self.ssh_key)),
            ("--password", text(&self.password)),
            ("--vault", text(&self.vault)),
            ("--state", text(&self.state)),
            ("--transport", text(&self.transport)),
            ("--bwlimit", text(&self.bwlimit)),
        ] {
            if let Some(value) = value {
                flags.extend([flag.into(), value]);
            }
        }
        flags
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    Trust(trust::TrustArgs),
    Init(init::InitArgs),
    Key(key::KeyArgs),
    Doctor(doctor::DoctorArgs),
    Backup(backup::BackupArgs),
    Snapshots(snapshots::SnapshotsArgs),
    Refs(refs::RefsArgs),
    Diff(diff::DiffArgs),
    Findings(findings::FindingsArgs),
    Ack(findings::AckArgs),
    Hold(hold::HoldArgs),
    Forget(forget::ForgetArgs),
    Prune(prune::PruneArgs),
    Copy(copy::CopyArgs),
    Repair(repair::RepairArgs),
    Verify(verify::VerifyArgs),
    Drill(drill::DrillArgs),
    Witness(witness::WitnessArgs),
    Compare(compare::CompareArgs),
    Restore(restore::RestoreArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Gate(gate::GateArgs),
    Advise(advise::AdviseArgs),
    Failover(failover::FailoverArgs),
    Vault(vault_verb::VaultArgs),
    Schedule(schedule::ScheduleArgs),
    Status(status::StatusArgs),
    Daemon(daemon::DaemonArgs),
    Notify(notify::NotifyArgs),
    SupportBundle(bundle::BundleArgs),
    Completions(completions::CompletionsArgs),
    Manual(manual::ManualArgs),
    Schema(schema::SchemaArgs),
}

impl Verb {
    /// Whether this process stays: its log is its output.
    #[must_use]
    pub const fn is_daemon(&self) -> bool {
        matches!(self, Self::Daemon(_))
    }
}

/// What every verb gets.
#[derive(Debug)]
pub struct Invocation {
    /// All settings.
    pub settings: Settings,
    /// The flags that the settings came from, so that they can be read again.
    pub global: GlobalArgs,
    /// How to talk.
    pub screen: Screen,
    /// What signals do.
    pub interrupt: Interrupt,
    /// The connection to AWS, made when it is first needed.
    aws: OnceLock<Aws>,
    /// The key that signs, loaded when it is first needed.
    seal_key: OnceLock<Arc<SealKey>>,
    /// What the history will say of this run.
    details: Mutex<RunDetails>,
}

impl Invocation {
    /// What a verb gets.
    #[must_use]
    pub fn new(settings: Settings, global: GlobalArgs, screen: Screen, interrupt: Interrupt) -> Self {
        Self {
            settings,
            global,
            screen,
            interrupt,
            aws: OnceLock::new(),
            seal_key: OnceLock::new(),
            details: Mutex::default(),
        }
    }

    /// Puts down what the history shall say of this run.
    pub fn note(&self, details: RunDetails) {
        *self.details.lock().unwrap_or_else(PoisonError::into_inner) = details;
    }

    /// What was put down.
    fn details(&self) -> RunDetails {
        self.details.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection to AWS: one for all that this invocation does.
    ///
    /// # Errors
    /// No region, or no threads.
    pub fn aws(&self) -> Result<Aws, AwsFailure> {
        if let Some(aws) = self.aws.get() {
            return Ok(aws.clone());
        }
        let aws = Aws::connect(&self.settings.aws)?;
        Ok(self.aws.get_or_init(|| aws).clone())
    }

    /// The key that signs for this host, loaded once.
    ///
    /// # Errors
    /// It cannot be had from where the settings say that it is.
    pub fn seal_key(&self) -> CommandResult<Arc<SealKey>> {
        if let Some(key) = self.seal_key.get() {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(connect::seal_key(self)?);
        Ok(Arc::clone(self.seal_key.get_or_init(|| key)))
    }
}

/// Parses the command line; help, version and errors are shown here and give the exit code.
pub fn parse() -> Result<Cli, ExitCode> {
    let parsed =
        examples::command().try_get_matches().and_then(|mut found| Cli::from_arg_matches_mut(&mut found));
    parsed.map_err(|error| {
        let _ = error.print();
        if !error.use_stderr() {
            return ExitCode::SUCCESS;
        }
        let wrong = CommandError::usage("the command line is not understood").hint("Run `ghevault --help`.");
        if std::env::args_os().any(|argument| argument == "--json") {
            output::json_line(&wrong.to_json());
        }
        ExitCode::from(wrong.kind.exit_code())
    })
}

/// Runs a verb that tells of the program itself and needs no settings.
pub fn about(cli: &Cli) -> Option<CommandResult> {
    match &cli.verb {
        Verb::Completions(arguments) => Some(completions::run(arguments)),
        Verb::Manual(arguments) => Some(manual::run(arguments, cli.global.json)),
        Verb::Schema(arguments) => Some(schema::run(arguments)),
        _ => None,
    }
}

/// Runs a verb.
///
/// # Errors
/// The verb's.
pub fn dispatch(verb: Verb, invocation: &Invocation) -> CommandResult {
    match verb {
        Verb::Trust(arguments) => trust::run(&arguments, invocation),
        Verb::Init(arguments) => init::run(&arguments, invocation),
        Verb::Key(arguments) => key::run(&arguments, invocation),
        Verb::Doctor(arguments) => doctor::run(&arguments, invocation),
        // A part is no snapshot: it says nothing about the age of the last complete one.
        Verb::Backup(arguments) if arguments.is_part() => backup::run(&arguments, invocation),
        Verb::Backup(arguments) => {
            journal::recorded(Task::Backup, invocation, || backup::run(&arguments, invocation))
        }
        Verb::Snapshots(arguments) => snapshots::run(&arguments, invocation),
        Verb::Refs(arguments) => refs::run(&arguments, invocation),
        Verb::Diff(arguments) => diff::run(&arguments, invocation),
        Verb::Findings(arguments) => findings::run(&arguments, invocation),
        Verb::Ack(arguments) => findings::acknowledge(&arguments, invocation),
        Verb::Hold(arguments) => hold::run(&arguments, invocation),
        Verb::Forget(arguments) if arguments.only_shows() => forget::run(&arguments, invocation),
        Verb::Forget(arguments) => {
            journal::recorded(Task::Forget, invocation, || forget::run(&arguments, invocation))
        }
        Verb::Prune(arguments) if arguments.only_shows() => prune::run(&arguments, invocation),
        Verb::Prune(arguments) => {
            journal::recorded(Task::Prune, invocation, || prune::run(&arguments, invocation))
        }
        Verb::Copy(arguments) => copy::run(&arguments, invocation),
        Verb::Repair(arguments) => repair::run(&arguments, invocation),
        Verb::Drill(arguments) if arguments.only_shows() => drill::run(&arguments, invocation),
        Verb::Drill(arguments) => {
            journal::recorded(Task::Drill, invocation, || drill::run(&arguments, invocation))
        }
        Verb::Verify(arguments) => {
            journal::recorded(Task::Verify, invocation, || verify::run(&arguments, invocation))
        }
        Verb::Witness(arguments) if arguments.is_pulse() => {
            journal::recorded(Task::Pulse, invocation, || witness::run(&arguments, invocation))
        }
        Verb::Witness(arguments) if arguments.is_round() => {
            journal::recorded(Task::Witness, invocation, || witness::run(&arguments, invocation))
        }
        Verb::Witness(arguments) => witness::run(&arguments, invocation),
        Verb::Compare(arguments) => {
            journal::recorded(Task::Compare, invocation, || compare::run(&arguments, invocation))
        }
        Verb::Restore(arguments) => restore::run(&arguments, invocation),
        Verb::Export(arguments) => export::run(&arguments, invocation),
        Verb::Import(arguments) => import::run(&arguments, invocation),
        Verb::Gate(arguments) => gate::run(&arguments, invocation),
        Verb::Advise(arguments) => advise::run(&arguments, invocation),
        Verb::Failover(arguments) => failover::run(&arguments, invocation),
        Verb::Vault(arguments) if arguments.extends() => {
            journal::recorded(Task::Locks, invocation, || vault_verb::run(&arguments, invocation))
        }
        Verb::Vault(arguments) => vault_verb::run(&arguments, invocation),
        Verb::Schedule(arguments) => schedule::run(&arguments, invocation),
        Verb::Status(arguments) => status::run(&arguments, invocation),
        Verb::Daemon(arguments) => daemon::run(&arguments, invocation),
        Verb::Notify(arguments) => notify::run(&arguments, invocation),
        Verb::SupportBundle(arguments) => bundle::run(&arguments, invocation),
        // Dealt with by `about`.
        Verb::Completions(_) | Verb::Manual(_) | Verb::Schema(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use crate::config::option;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_in_the_table_of_options_exists_and_names_its_variable() {
        let command = Cli::command();
        for row in option::all() {
            let Some(flag) = row.flag else { continue };
            let known = command.get_arguments().any(|argument| {
                argument.get_long().is_some_and(|long| flag == format!("--{long}"))
                    && argument.is_global_set()
            });
            assert!(known, "{flag} is in the table but not on the command line");
        }
    }
}
