//! `ghevault advise`: promote or restore, with what each way costs and its commands.

mod text;
mod vault_facts;

use super::{Invocation, connect};
use crate::error::CommandResult;
use clap::Args;
use ghevault_core::failover::{
    advise::advise,
    observe::{ObserveSettings, observe},
};
use std::time::Duration;
pub(super) use text::commands as runbook;

/// Longest time for a connection: whoever asks is in a hurry, and hosts that are lost do not answer later either.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(8);

/// Say whether to promote the replica or to restore, what either way loses, how long it takes, and its exact commands.
///
/// Looks at all hosts at the same time, at what the replicas say of themselves, and at the newest complete and the newest
/// verified snapshot of the vault. Changes nothing. Works with a primary that is gone, and without access to the vault.
/// The exit code is 0 whatever the advice is; scripts read `verdict` from --json: nothing-to-do, promote, restore, wait
/// or investigate.
#[derive(Debug, Args)]
pub struct AdviseArgs {
    /// The machines of the pair, instead of the host list of the settings
    #[arg(value_name = "[USER@]HOST[:PORT]")]
    hosts: Vec<String>,
    /// Data on the primary may have been altered, deleted or encrypted: a replica has the same, so never promote
    #[arg(long)]
    suspect_tampering: bool,
}

/// Looks and advises.
///
/// # Errors
/// No host is named, or there is no SSH key.
pub fn run(arguments: &AdviseArgs, invocation: &Invocation) -> CommandResult {
    let targets = connect::targets(&arguments.hosts, &invocation.settings)?;
    let way = connect::Way::new(invocation, &targets[0])?.impatient(CONNECT_LIMIT);
    let seen = observe(&targets, &|target| way.to(target), &ObserveSettings::default());
    let vault = vault_facts::gather(invocation);
    let advice = advise(&seen, &vault, arguments.suspect_tampering);
    let value = serde_json::json!({
        "verdict": advice.verdict,
        "host": advice.host,
        "reasons": advice.reasons,
        "promote": advice.promote,
        "restore": advice.restore,
        "traps": advice.traps,
        "at": seen.at,
        "hosts": seen.hosts,
        "vault": vault,
    });
    invocation.screen.result(&value, || text::advice(&advice, &seen, &vault));
    Ok(())
}
