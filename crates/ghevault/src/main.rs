//! The `ghevault` program: parses the command line, runs one verb over the core, and ends with a documented exit code.
//!
//! Nothing of the product's logic lives here: `config` makes settings, `cli` has one file per verb, `output` renders,
//! `error` decides hints and exit codes.

mod cli;
mod config;
mod error;
mod logging;
mod output;
mod process;
mod web;

use error::{CommandError, CommandResult};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = process::prepare() {
        return finish(&error, false);
    }
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let json = cli.global.json;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => finish(&error, json),
    }
}

/// Runs the verb of a parsed command line.
fn run(cli: cli::Cli) -> CommandResult {
    // What only tells of the program itself works with any configuration.
    if let Some(end) = cli::about(&cli) {
        return end;
    }
    let interrupt = process::Interrupt::install(cli.global.json)?;
    let settings = cli.global.settings()?;
    let screen = output::Screen::new(cli.global.json, cli.global.quiet);
    logging::install(&settings, screen, cli.verb.is_daemon())?;
    for note in &settings.notes {
        tracing::info!("{note}");
    }
    cli::dispatch(cli.verb, &cli::Invocation::new(settings, cli.global, screen, interrupt))
}

/// Shows an error and turns it into the exit code.
fn finish(error: &CommandError, json: bool) -> ExitCode {
    if !error.reported {
        output::complain(&error.to_string());
        if json {
            output::json_line(&error.to_json());
        }
    }
    ExitCode::from(error.kind.exit_code())
}
