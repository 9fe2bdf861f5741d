//! `ghevault schema`: what the results with `--json` look like.

mod table;

use crate::{
    error::{CommandError, CommandResult},
    output,
};
use clap::Args;
use table::SCHEMAS;

/// Print the JSON Schema of what a verb prints with --json; without a name list them.
///
/// Later releases add fields and take none away.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// A verb, e.g. `backup` or `vault-check`; `error` for the last line of a verb that fails
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Prints.
///
/// # Errors
/// There is no such schema.
pub fn run(arguments: &SchemaArgs) -> CommandResult {
    let names: Vec<&str> = SCHEMAS.iter().map(|(name, _)| *name).collect();
    let Some(wanted) = &arguments.name else {
        output::print_line(&names.join("\n"));
        return Ok(());
    };
    let found = SCHEMAS.iter().find(|(name, _)| name == wanted).ok_or_else(|| {
        CommandError::usage(format!("there is no schema `{wanted}`"))
            .hint(format!("There are: {}.", names.join(", ")))
    })?;
    output::print_line(found.1.trim_end());
    Ok(())
}
