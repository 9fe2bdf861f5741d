//! (under construction)
use super::Invocation;
use crate::error::{CommandError, CommandResult};
/// x
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {}
/// x
pub fn run(_: &DoctorArgs, _: &Invocation) -> CommandResult {
    Err(CommandError::failure("not there yet"))
}
