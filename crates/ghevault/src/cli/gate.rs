//! `ghevault gate`: looks at the pause of Git maintenance on the appliance, and removes one that was left behind.

use super::{
    Invocation,
    source::{self, Source},
};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::human,
};
use clap::{Args, Subcommand};
use ghevault_core::{
    appliance::{
        channel::Channel,
        facts::{self, Facts, Role},
        fleet::{Node, Nodes, Relay},
        gate::{self, GateMark},
    },
    state::{GateRecord, StateFolder},
};
use serde::Serialize;
use std::time::Duration;

/// Folder of an appliance's data (contract §1.8).
const DATA: &str = "/data/user";

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

/// The gate on one machine.
#[derive(Debug, Serialize)]
struct Found {
    machine: String,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    ours: bool,
    /// Why it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    #[serde(skip)]
    mark: Option<GateMark>,
}

impl Found {
    fn text(&self) -> String {
        let machine = &self.machine;
        if let Some(trouble) = &self.trouble {
            return format!("Git maintenance on {machine} cannot be told: {trouble}");
        }
        let Some(age) = self.age_seconds else {
            return format!("Git maintenance on {machine} is not paused");
        };
        let owner = if self.ours { "by a backup of this host" } else { "not by a backup of this host" };
        let age = human::duration(Duration::from_secs(age));
        format!("Git maintenance on {machine} has been paused for {age}, {owner}")
    }
}

/// Looks, or releases.
///
/// # Errors
/// The appliance cannot be asked, or the gate is somebody else's.
pub fn run(arguments: &GateArgs, invocation: &Invocation) -> CommandResult {
    let source = source::open(invocation, true)?;
    let host = source.target.to_string();
    let state = StateFolder::open(&invocation.settings.state)?;
    let record = state.gate()?;
    let facts = facts::probe(&*source.channel, DATA, &host)?;
    let relay = Relay::through(&*source.channel);
    let machines = machines(&source, &relay, &host, &facts);
    let mut found: Vec<Found> = machines
        .iter()
        .map(|(machine, channel)| look(machine, channel, &host, &facts, record.as_ref()))
        .collect();
    let GateVerb::Release { force } = arguments.verb else {
        tell(&found, false, invocation);
        return Ok(());
    };
    if let Some(foreign) = found.iter().find(|one| one.paused && !one.ours && !force) {
        return Err(CommandError::new(Kind::Refused, foreign.text())
            .hint("If nothing else backs this appliance up now, run `ghevault gate release --force`."));
    }
    let mut released = false;
    for (one, (_, channel)) in found.iter_mut().zip(&machines) {
        let (Some(mark), Ok(channel)) = (&one.mark, channel) else { continue };
        if !gate::remove(&**channel, REPOSITORIES, mark)? {
            return Err(CommandError::failure(format!(
                "the gate on {} changed meanwhile and was not removed",
                one.machine
            ))
            .hint("Run `ghevault gate status`."));
        }
        released = true;
        (one.paused, one.age_seconds, one.mark) = (false, None, None);
    }
    // The books are cleared only when every machine in them could be asked.
    if record.is_some() && found.iter().all(|one| one.trouble.is_none()) {
        state.forget_gate()?;
    }
    tell(&found, released, invocation);
    Ok(())
}

/// A channel to a machine, or why there is none.
type Reached<'a> = Result<Box<dyn Channel + 'a>, String>;

/// The connected machine, then the others on which a backup pauses maintenance: replicas through the primary, nodes of a cluster.
fn machines<'a>(
    source: &'a Source,
    relay: &'a Relay<'_>,
    host: &str,
    facts: &Facts,
) -> Vec<(String, Reached<'a>)> {
    let mut machines: Vec<(String, Reached<'a>)> = vec![(host.to_owned(), Ok(Box::new(&*source.channel)))];
    let Some(fleet) = &facts.fleet else { return machines };
    for node in fleet.nodes.iter().filter(|node| node.name != fleet.own) {
        let channel = match facts.role {
            Role::Cluster if !(node.serves("git") || node.serves("storage")) => continue,
            Role::Cluster => source.nodes.channel(node).map_err(|why| why.to_string()),
            Role::Primary | Role::Replica => relayed(relay, node),
            Role::Standalone => continue,
        };
        machines.push((node.name.clone(), channel));
    }
    machines
}

/// A machine of a pair, by the appliance's own SSH.
fn relayed<'a>(relay: &'a Relay<'_>, node: &Node) -> Reached<'a> {
    relay.channel(node).map_err(|why| why.to_string())
}

fn look(
    machine: &str,
    channel: &Reached<'_>,
    host: &str,
    facts: &Facts,
    record: Option<&GateRecord>,
) -> Found {
    let mut found = Found {
        machine: machine.to_owned(),
        paused: false,
        age_seconds: None,
        ours: false,
        trouble: None,
        mark: None,
    };
    let status = match channel {
        Ok(channel) => gate::status(&**channel, REPOSITORIES).map_err(|why| why.to_string()),
        Err(why) => Err(why.clone()),
    };
    match status {
        Err(why) => found.trouble = Some(why),
        Ok(None) => {}
        Ok(Some((mark, age_s))) => {
            let own = facts.fleet.as_ref().map_or("", |fleet| fleet.own.as_str());
            let name = if machine == host { own } else { machine };
            found.ours = record.is_some_and(|record| record.made(host, name, &mark));
            found.paused = true;
            found.age_seconds = Some(u64::try_from(age_s).unwrap_or_default());
            found.mark = Some(mark);
        }
    }
    found
}

/// The result: that of the connected machine, and of all when there are several.
fn tell(found: &[Found], released: bool, invocation: &Invocation) {
    let mut value = serde_json::to_value(&found[0]).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("paused".into(), found.iter().any(|one| one.paused).into());
        if released {
            fields.insert("released".into(), true.into());
        }
        if found.len() > 1 {
            fields.insert("machines".into(), serde_json::to_value(found).unwrap_or_default());
        }
    }
    invocation.screen.result(&value, || {
        let line = |one: &Found| {
            if released && !one.paused && one.trouble.is_none() {
                return format!("Git maintenance on {} is no longer paused", one.machine);
            }
            one.text()
        };
        found.iter().map(line).collect::<Vec<_>>().join("\n")
    });
}
