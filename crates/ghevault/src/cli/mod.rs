//! The command line: global flags, one file per verb, and the dispatch between them.

#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are the text of the help"
)]

mod advise;
mod backup;
mod connect;
mod doctor;
mod export;
mod failover;
mod gate;
mod import;
mod init;
mod restore;
mod snapshots;
mod source;
mod trust;
mod vault;
mod verify;

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
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

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
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Configuration file [default: ghevault/ghevault.toml in the user's configuration folder or in /etc]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The appliance; several with commas between are the machines of one pair or cluster [GHEVAULT_HOST]
    #[arg(long, global = true, value_name = "[USER@]HOST[:PORT],…")]
    host: Option<String>,
    /// Secret source of the private SSH key: file:PATH or env:NAME [GHEVAULT_SSH_KEY]
    #[arg(long, global = true, value_name = "SOURCE")]
    ssh_key: Option<String>,
    /// Secret source of the vault's password: file:PATH or env:NAME [GHEVAULT_PASSWORD]
    #[arg(long, global = true, value_name = "SOURCE")]
    password: Option<String>,
    /// The vault: a folder or URL of a restic repository [GHEVAULT_VAULT]
    #[arg(long, global = true, value_name = "PATH|URL")]
    vault: Option<String>,
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
        flag(&mut layer, "vault", "--vault", self.vault.as_ref());
        flag(&mut layer, "state", "--state", self.state.as_ref());
        flag(&mut layer, "transport", "--transport", self.transport.as_ref());
        flag(&mut layer, "bwlimit", "--bwlimit", self.bwlimit.as_ref());
        flag(&mut layer, "log_format", "--log-format", self.log_format.as_ref());
        let environment = |name: &str| std::env::var(name).ok();
        settings::load(layer, self.config.as_deref(), environment, &Home::from_environment())
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    Trust(trust::TrustArgs),
    Init(init::InitArgs),
    Doctor(doctor::DoctorArgs),
    Backup(backup::BackupArgs),
    Snapshots(snapshots::SnapshotsArgs),
    Verify(verify::VerifyArgs),
    Restore(restore::RestoreArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Gate(gate::GateArgs),
    Advise(advise::AdviseArgs),
    Failover(failover::FailoverArgs),
}

/// What every verb gets.
#[derive(Debug)]
pub struct Invocation {
    /// All settings.
    pub settings: Settings,
    /// How to talk.
    pub screen: Screen,
    /// What signals do.
    pub interrupt: Interrupt,
}

/// Parses the command line; help, version and errors are shown here and give the exit code.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
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

/// Runs a verb.
///
/// # Errors
/// The verb's.
pub fn dispatch(verb: Verb, invocation: &Invocation) -> CommandResult {
    match verb {
        Verb::Trust(arguments) => trust::run(&arguments, invocation),
        Verb::Init(arguments) => init::run(&arguments, invocation),
        Verb::Doctor(arguments) => doctor::run(&arguments, invocation),
        Verb::Backup(arguments) => backup::run(&arguments, invocation),
        Verb::Snapshots(arguments) => snapshots::run(&arguments, invocation),
        Verb::Verify(arguments) => verify::run(&arguments, invocation),
        Verb::Restore(arguments) => restore::run(&arguments, invocation),
        Verb::Export(arguments) => export::run(&arguments, invocation),
        Verb::Import(arguments) => import::run(&arguments, invocation),
        Verb::Gate(arguments) => gate::run(&arguments, invocation),
        Verb::Advise(arguments) => advise::run(&arguments, invocation),
        Verb::Failover(arguments) => failover::run(&arguments, invocation),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use crate::config::option::OPTIONS;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_in_the_table_of_options_exists_and_names_its_variable() {
        let command = Cli::command();
        for row in OPTIONS {
            let Some(flag) = row.flag else { continue };
            let known = command.get_arguments().any(|argument| {
                argument.get_long().is_some_and(|long| flag == format!("--{long}"))
                    && argument.is_global_set()
            });
            assert!(known, "{flag} is in the table but not on the command line");
        }
    }
}
