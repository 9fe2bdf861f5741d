//! `ghevault doctor`: looks at everything that a backup needs, before one is needed.

mod attack;
mod checks;
mod vault;

use super::{
    Invocation, connect,
    source::{self, Source},
};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output,
};
use checks::{Check, Status};
use clap::Args;
use ghevault_core::appliance::{
    channel::{Channel, RemoteCommand},
    facts::{self, Facts, Role},
    fleet::{Nodes, Relay},
    gate,
    hostkeys::LeakedKeys,
};

/// Folder of an appliance's data (contract §1.8).
const DATA: &str = "/data/user";

/// Look at connection, appliance, gate, state folder and vault, and say what is wrong.
///
/// Changes nothing. The exit code is that of the first failed check.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Try, with the credentials of this host, what an attacker would try on the vault's bucket: delete, overwrite, unlock;
    /// on objects made for the purpose. Exit code 14 if anything succeeds
    #[arg(long)]
    attack: bool,
    /// With --attack: the other account's vault, to be read and written
    #[arg(long, requires = "attack", value_name = "s3:…")]
    other: Option<String>,
    /// With --attack: a ciphertext of the other account's KMS key (base64, `aws:kms:` before it or not), to be decrypted
    #[arg(long, requires = "attack", value_name = "BASE64")]
    other_ciphertext: Option<String>,
}

/// Looks.
///
/// # Errors
/// A check failed.
pub fn run(arguments: &DoctorArgs, invocation: &Invocation) -> CommandResult {
    if arguments.attack {
        return attack::run(arguments.other.as_deref(), arguments.other_ciphertext.as_deref(), invocation);
    }
    let mut first = None;
    let mut failed = |name: &'static str, error: CommandError| {
        let check = Check::fail(name, error.one_line(), error.hints.join(" "));
        first.get_or_insert(error);
        check
    };
    let mut found = Vec::new();
    let mut facts = None;
    match connected(invocation) {
        Ok(source) => {
            let channel = &source.channel;
            found.push(Check::ok(
                "connection",
                format!("{}, host key {}", source.target, channel.host_key().unwrap_or_default()),
            ));
            found.extend(checks::of_candidates(&source.candidates));
            match pinned_keys(invocation) {
                Ok(check) => found.push(check),
                Err(error) => found.push(failed("host keys", error)),
            }
            match appliance(&**channel) {
                Ok((told, checks)) => {
                    found.extend(checks);
                    found.extend(topology(&source, &told));
                    facts = Some(told);
                }
                Err(error) => found.push(failed("appliance", error)),
            }
        }
        Err(error) => found.push(failed("connection", error)),
    }
    match seal_key(invocation) {
        Ok(check) => found.push(check),
        Err(error) => found.push(failed("seal key", error)),
    }
    match vault::checks(invocation) {
        Ok(checks) => found.extend(checks),
        Err(error) => found.push(failed("vault", error)),
    }
    let unwell = found.iter().any(|check| check.status == Status::Fail);
    let value = serde_json::json!({ "ok": !unwell, "checks": found, "appliance": facts });
    invocation.screen.result(&value, || checks::text(&found));
    if !unwell {
        return Ok(());
    }
    let kind = first.map_or(Kind::Refused, |error| error.kind);
    output::complain("a backup would not succeed");
    Err(CommandError::already_reported(kind))
}

/// A channel to the appliance.
fn connected(invocation: &Invocation) -> CommandResult<Source> {
    source::open(invocation, invocation.settings.allow_replica)
}

/// Whether the pinned keys are the appliance's alone (contract §9).
fn pinned_keys(invocation: &Invocation) -> CommandResult<Check> {
    let target = connect::configured_target(&invocation.settings)?;
    let pins = connect::pins(&invocation.settings).pins(&target)?;
    Ok(checks::of_host_keys(&pins, LeakedKeys::known()))
}

/// What the appliance says, and what is to be said about that.
fn appliance(channel: &dyn Channel) -> CommandResult<(Facts, Vec<Check>)> {
    let facts = facts::probe(channel, DATA, "the appliance")?;
    let mut found = checks::of_facts(&facts, jiff::Timestamp::now().as_second());
    found.push(match gate::status(channel, &format!("{DATA}/repositories"))? {
        None => Check::ok("gate", "Git maintenance is not paused".to_owned()),
        Some((_, age_s)) => Check::warn(
            "gate",
            format!("Git maintenance has been paused for {age_s} s"),
            "Another backup is running, or one left it behind: `ghevault gate status`.",
        ),
    });
    Ok((facts, found))
}

/// The other machines of the fleet: can each be reached the way a backup reaches it?
fn topology(source: &Source, facts: &Facts) -> Vec<Check> {
    let Some(fleet) = &facts.fleet else { return Vec::new() };
    let relay = Relay::through(&*source.channel);
    let others = fleet.nodes.iter().filter(|node| node.name != fleet.own);
    others
        .map(|node| {
            let nodes: &dyn Nodes = if facts.role == Role::Cluster { &source.nodes } else { &relay };
            let asked = nodes
                .channel(node)
                .and_then(|channel| channel.run(&RemoteCommand::new("ask a node", "true"), &[]).map(|_| ()));
            checks::of_node(node, asked.map_err(CommandError::from))
        })
        .collect()
}

/// The key that signs seals on this host.
fn seal_key(invocation: &Invocation) -> CommandResult<Check> {
    let folder = &invocation.settings.state;
    let Some(source) = &invocation.settings.seal_key else {
        if !folder.join("seal.key").exists() {
            let text = format!("will be made in {} by the first backup", folder.display());
            return Ok(Check::ok("seal key", text));
        }
        return Ok(Check::ok("seal key", invocation.seal_key()?.public()));
    };
    let key = invocation.seal_key()?;
    // A key in KMS may be seen by who may not sign with it.
    key.sign("ghevault doctor\n".to_owned())?;
    Ok(Check::ok("seal key", format!("{}, `{source}`", key.public())))
}
