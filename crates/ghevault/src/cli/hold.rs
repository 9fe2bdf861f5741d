//! `ghevault hold`: snapshots that nobody may forget.

use super::{Invocation, vault};
use crate::error::CommandResult;
use clap::Args;
use ghevault_core::retention;
use jiff::Timestamp;

/// Hold a snapshot, so that `forget` leaves it, whatever the policy says; or release it again.
///
/// A hold stands in the vault itself and counts for everybody who uses it; `ghevault snapshots` shows it. Holding again
/// replaces reason and time.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// `latest`, or the beginning of an id
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    /// Why; it is shown to whoever asks
    #[arg(long, value_name = "TEXT", required_unless_present = "release")]
    reason: Option<String>,
    /// The hold ends by itself at this time: 2027-01-31, or with a time and zone as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "release", value_parser = vault::moment)]
    until: Option<Timestamp>,
    /// End the hold
    #[arg(long)]
    release: bool,
}

/// Places or releases a hold.
///
/// # Errors
/// There is no such snapshot, it is not held, or the time is past.
pub fn run(arguments: &HoldArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let snapshot = vault::find(&opened, &arguments.snapshot)?.snapshot.id;
    let reason = arguments.reason.as_deref().unwrap_or("released");
    let now = Timestamp::now();
    let hold = if arguments.release {
        retention::release(&opened, snapshot, reason, now)?
    } else {
        retention::hold(&opened, snapshot, reason, arguments.until, now)?
    };
    invocation.screen.result(&hold, || match (hold.released, hold.until) {
        (true, _) => format!("snapshot {} is held no more", snapshot.short()),
        (false, Some(until)) => format!("snapshot {} is held until {until}", snapshot.short()),
        (false, None) => format!("snapshot {} is held until it is released", snapshot.short()),
    });
    Ok(())
}
