//! (under construction)
use super::Invocation;
use crate::error::{CommandError, CommandResult};
/// x
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {}
/// x
pub fn run(_: &VerifyArgs, _: &Invocation) -> CommandResult {
    Err(CommandError::failure("not there yet"))
}
