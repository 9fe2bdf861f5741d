//! `ghevault gate`: looks at the pause of Git maintenance on the appliance, and removes one that was left behind.

use super::{Invocation, connect};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::human,
};
use clap::{Args, Subcommand};
use ghevault_core::{appliance::gate, state::StateFolder};
use std::time::Duration;

/// Folder of the repositories on an appliance (contract §2.11).
const REPOSITORIES: &str = "/data/user/repositories";

/// Look at the pause of Git maintenance on the appliance, or end it.
///
/// A backup pauses maintenance with a lease that ends by itself when the client dies. The file may still stand after a
/// crash of the appliance, or belong to backup-utils.
#[derive(Debug, Args)]
pub struct GateArgs {
    #[command(subcommand)]
    verb: GateVerb,
}

#[derive(Debug, Subcommand)]
enum GateVerb {
    /// Say whether maintenance is paused, by whom and since when
    Status,
    /// End the pause
    Release {
        /// Also when it is not known to be ours; first make sure that nothing else backs this appliance up
        #[arg(long)]
        force: bool,
    },
}

/// Looks, or releases.
///
/// # Errors
/// The appliance cannot be asked, or the gate is somebody else's.
pub fn run(arguments: &GateArgs, invocation: &Invocation) -> CommandResult {
    let target = connect::configured_target(&invocation.settings)?;
    let host = target.to_string();
    let channel = connect::channel(invocation, target)?;
    let state = StateFolder::open(&invocation.settings.state)?;
    let found = gate::status(&*channel, REPOSITORIES)?;
    let Some((mark, age_s)) = found else {
        let value = serde_json::json!({ "paused": false });
        invocation.screen.result(&value, || format!("Git maintenance on {host} is not paused"));
        return Ok(());
    };
    let record = state.gate()?.filter(|record| record.host == host && record.mark == mark);
    let age = Duration::from_secs(u64::try_from(age_s).unwrap_or_default());
    let owner = match &record {
        Some(record) => format!("by process {} of this host", record.pid),
        None => "not by a backup of this host".to_owned(),
    };
    let GateVerb::Release { force } = arguments.verb else {
        let value =
            serde_json::json!({ "paused": true, "age_seconds": age.as_secs(), "ours": record.is_some() });
        invocation.screen.result(&value, || {
            format!("Git maintenance on {host} has been paused for {}, {owner}", human::duration(age))
        });
        return Ok(());
    };
    if record.is_none() && !force {
        return Err(CommandError::new(
            Kind::Refused,
            format!("Git maintenance on {host} has been paused for {}, {owner}", human::duration(age)),
        )
        .hint("If nothing else backs this appliance up now, run `ghevault gate release --force`."));
    }
    let removed = gate::remove(&*channel, REPOSITORIES, &mark)?;
    if record.is_some() {
        state.forget_gate()?;
    }
    if !removed {
        return Err(CommandError::failure(format!(
            "the gate on {host} changed meanwhile and was not removed"
        ))
        .hint("Run `ghevault gate status`."));
    }
    let value = serde_json::json!({ "paused": false, "released": true });
    invocation.screen.result(&value, || format!("Git maintenance on {host} is no longer paused"));
    Ok(())
}
