//! (under construction)
use super::Invocation;
use crate::error::{CommandError, CommandResult};
/// x
#[derive(Debug, clap::Args)]
pub struct InitArgs {}
/// x
pub fn run(_: &InitArgs, _: &Invocation) -> CommandResult {
    Err(CommandError::failure("not there yet"))
}
