//! `ghevault witness pulse`: where references point now, on the boards.

use super::{BoardArgs, writable};
use crate::{
    cli::{
        Invocation,
        source::{self, Source},
        vault,
    },
    error::{CommandError, CommandResult},
    output::human,
};
use ghevault_core::{
    appliance::{
        channel::Channel,
        facts::{self, Facts, Role},
        fleet::{Node, Nodes as _},
    },
    pulse::{self, Known, Tips},
    state::StateFolder,
    witness::{self, PublicKey},
};
use jiff::Timestamp;

/// Folder of an appliance's data (contract §1.8).
const DATA: &str = "/data/user";
/// What the pulse before said, in the state folder.
const FILE: &str = "pulse.json";

/// Reads, signs, publishes.
///
/// # Errors
/// The appliance, a board, the vault or the state folder cannot be used.
pub fn run(boards: &BoardArgs, invocation: &Invocation) -> CommandResult {
    let boards = writable(boards, invocation)?;
    let source = source::open(invocation, invocation.settings.allow_replica)?;
    let state = StateFolder::open(&invocation.settings.state)?;
    let key = invocation.seal_key()?;
    let of = witness::origin(vault::open(invocation)?.id(), &PublicKey::parse(&key.public())?);
    let facts = facts::probe(&*source.channel, DATA, &source.target.to_string())?;
    let mut known: Known = state.recall(FILE)?.unwrap_or_default();
    let started = Timestamp::now();
    let tips = tips(&source, &facts, &invocation.settings.niceness)?;
    let read = (started, Timestamp::now());
    if tips.is_empty() && !known.digests.is_empty() {
        return Err(CommandError::failure("the appliance shows no repository at all, and had some before")
            .hint("Look at it with `ghevault doctor`. Nothing was published."));
    }
    let beat = pulse::publish(&boards, (&of, &facts.uuid), &key, read, &tips, &mut known)?;
    state.keep(FILE, &known)?;
    invocation.screen.result(&beat, || {
        format!(
            "{} references of {} repositories were read in {}; {} of them {}",
            human::count(beat.references as u64),
            human::count(beat.repositories as u64),
            human::seconds(beat.ended.duration_since(beat.started).as_secs_f64()),
            human::count(beat.told as u64),
            if beat.full { "are told, as in every first pulse" } else { "changed since the last pulse" }
        )
    });
    Ok(())
}

/// The references of the connected machine; of a cluster those of all nodes that have any. One round trip to each.
fn tips(source: &Source, facts: &Facts, nice: &str) -> CommandResult<Tips> {
    let mut tips = pulse::read(&*source.channel, DATA, nice)?;
    let Some(fleet) = facts.fleet.as_ref().filter(|_| facts.role == Role::Cluster) else { return Ok(tips) };
    let serves = |node: &&Node| node.serves("git") && !node.offline;
    for node in fleet.nodes.iter().filter(serves).filter(|node| node.name != fleet.own) {
        let channel: Box<dyn Channel> = source.nodes.channel(node)?;
        // Several nodes have the same repository, and one that lags must not make it look moved: the first one counts.
        for (path, table) in pulse::read(&*channel, DATA, nice)? {
            tips.entry(path).or_insert(table);
        }
    }
    Ok(tips)
}
