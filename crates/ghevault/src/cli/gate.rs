//! (under construction)
use super::Invocation;
use crate::error::{CommandError, CommandResult};
/// x
#[derive(Debug, clap::Args)]
pub struct GateArgs {}
/// x
pub fn run(_: &GateArgs, _: &Invocation) -> CommandResult {
    Err(CommandError::failure("not there yet"))
}
