//! (under construction)
use super::Invocation;
use crate::error::{CommandError, CommandResult};
/// x
#[derive(Debug, clap::Args)]
pub struct SnapshotsArgs {}
/// x
pub fn run(_: &SnapshotsArgs, _: &Invocation) -> CommandResult {
    Err(CommandError::failure("not there yet"))
}
