//! `ghevault manual`: manual pages out of the same declarations as the help.

use crate::{
    error::{CommandError, CommandResult},
    output,
};
use clap::{Args, Command};
use clap_mangen::Man;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Write the manual pages into a folder.
///
/// One page for `ghevault` and one for each verb, `ghevault-backup.1` and so on: `man -l FILE` shows them.
#[derive(Debug, Args)]
pub struct ManualArgs {
    /// The folder, e.g. /usr/local/share/man/man1
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Writes.
///
/// # Errors
/// The folder cannot be written to.
pub fn run(arguments: &ManualArgs, json: bool) -> CommandResult {
    let folder = &arguments.to;
    let mut command = super::examples::command();
    command.build();
    let mut pages = Vec::new();
    let written = fs::create_dir_all(folder).and_then(|()| write(&command, "ghevault", folder, &mut pages));
    written.map_err(|error| {
        CommandError::failure(format!("cannot write the manual to {}", folder.display()))
            .because_of(Some(&error))
            .hint("Name a folder that this user may write to.")
    })?;
    if json {
        output::json_line(&serde_json::json!({ "pages": pages }));
    } else {
        output::print_line(&format!("{} pages are in {}", pages.len(), folder.display()));
    }
    Ok(())
}

/// The page of a command and those of its own commands.
fn write(command: &Command, name: &str, folder: &Path, pages: &mut Vec<String>) -> io::Result<()> {
    let mut text = Vec::new();
    // The name as it is typed stands in the synopsis, that of the page in the title.
    let typed = command.clone().display_name(name.to_owned());
    Man::new(typed).title(name.to_uppercase()).render(&mut text)?;
    let file = format!("{name}.1");
    fs::write(folder.join(&file), text)?;
    pages.push(file);
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        write(verb, &format!("{name}-{}", verb.get_name()), folder, pages)?;
    }
    Ok(())
}
