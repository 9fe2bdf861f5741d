//! `ghevault completions`: what a shell needs to complete the command line.

use crate::error::{CommandError, CommandResult};
use clap::Args;
use clap_complete::Shell;
use std::io::Write;

/// Print completions for a shell.
///
/// For bash: `ghevault completions bash >/etc/bash_completion.d/ghevault`; for zsh a file `_ghevault` in a folder of `fpath`; for fish
/// `~/.config/fish/completions/ghevault.fish`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints.
///
/// # Errors
/// Nobody reads stdout.
pub fn run(arguments: &CompletionsArgs) -> CommandResult {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::examples::command(), "ghevault", &mut text);
    std::io::stdout()
        .write_all(&text)
        .map_err(|error| CommandError::failure("cannot print the completions").because_of(Some(&error)))
}
