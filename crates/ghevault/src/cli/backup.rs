//! (under construction)
use super::Invocation;
use crate::error::{CommandError, CommandResult};
/// x
#[derive(Debug, clap::Args)]
pub struct BackupArgs {}
/// x
pub fn run(_: &BackupArgs, _: &Invocation) -> CommandResult {
    Err(CommandError::failure("not there yet"))
}
