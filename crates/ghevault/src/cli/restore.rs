//! (under construction)
use super::Invocation;
use crate::error::{CommandError, CommandResult};
/// x
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {}
/// x
pub fn run(_: &RestoreArgs, _: &Invocation) -> CommandResult {
    Err(CommandError::failure("not there yet"))
}
