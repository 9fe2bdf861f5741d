//! (under construction)
use super::Invocation;
use crate::error::{CommandError, CommandResult};
/// x
#[derive(Debug, clap::Args)]
pub struct ExportArgs {}
/// x
pub fn run(_: &ExportArgs, _: &Invocation) -> CommandResult {
    Err(CommandError::failure("not there yet"))
}
