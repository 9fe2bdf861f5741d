//! The part of a run during which Git maintenance is paused (contract §3.2): on the appliance, on the replicas of a primary, and on the
//! nodes of a cluster that hold repositories or storage.

use std::{sync::Mutex, time::Duration};

use super::{
    context::Context,
    run::{BackupError, BackupInputs},
};
use crate::{
    appliance::{
        channel::{Channel, RemoteCommand},
        facts::Role,
        fleet::{Node, Nodes, Relay},
        gate::{self, Gate, GateError, GateOwner, GateSettings},
        lease::LeaseError,
    },
    state::{GateRecord, NodeGate, runs_elsewhere},
};

/// A machine on which maintenance is to be paused.
struct Post<'a> {
    name: String,
    channel: Box<dyn Channel + 'a>,
    /// Whether the run is worth nothing without it: replicas only slow maintenance down.
    needed: bool,
    /// Index among the nodes of a cluster.
    node: Option<usize>,
}

/// Repositories and storage, with Git maintenance paused; returns for how long, in seconds.
pub(super) fn gated(
    ctx: &Context<'_>,
    inputs: &BackupInputs<'_>,
    one: &(dyn Fn(&'static str) + Sync),
    warnings: &mut Vec<String>,
) -> Result<f64, BackupError> {
    let wanted: Vec<&'static str> =
        ["repositories", "storage"].into_iter().filter(|name| ctx.settings.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(0.0);
    }
    let relay = Relay::through(ctx.channel);
    let posts = posts(ctx, &relay, warnings);
    let owner = GateOwner { host: inputs.state.host_id()?, pid: std::process::id() };
    let shared = Shared::of(inputs);
    let gates = take(ctx, &posts, &owner, &shared, warnings).inspect_err(|_| ctx.settings.cancel.cancel())?;
    // A gate of several belongs into nobody's books: another shard may hold it still.
    let left = if shared.group.is_none() { write_down(ctx, inputs, &gates)? } else { inputs.state.gate()? };
    std::thread::scope(|scope| {
        for name in wanted {
            scope.spawn(move || one(name));
        }
    });
    let held = gates.first().map_or(Duration::ZERO, |(_, gate)| gate.held());
    let (mut lost, mut closed) = (None, Vec::new());
    for (post, gate) in gates {
        let mark = gate.mark().cloned();
        let Err(why) = gate.release() else { continue };
        // A machine that died with its gate closed finds it closed when it is back.
        closed.extend(mark.map(|mark| NodeGate { node: post.name.clone(), mark }));
        let text = format!("the maintenance gate on {} was lost: {why}", shown(&post.name));
        if !post.needed || ctx.machines.is_lost(&post.name) {
            ctx.machines.tell(&post.name, text.clone());
            warnings.push(text);
        } else {
            // Maintenance may have run beside us: what was read is not to be trusted as a whole.
            warnings.push(text);
            lost = Some(why);
        }
    }
    match lost {
        None if shared.group.is_some() => Ok(held.as_secs_f64()),
        None => {
            match with(left, closed, &ctx.settings.host) {
                Some(record) => inputs.state.record_gate(&record)?,
                None => inputs.state.forget_gate()?,
            }
            Ok(held.as_secs_f64())
        }
        Some(line) => Err(GateError::Lease(LeaseError::Refused {
            label: "keep Git maintenance paused".into(),
            line,
            code: "lost".into(),
        })
        .into()),
    }
}

/// By what a gate of several shards is known.
struct Shared {
    /// What the gates of all runs into this vault begin with.
    vault: String,
    /// The content of this run's gate; none for a backup by one host.
    group: Option<String>,
}

impl Shared {
    fn of(inputs: &BackupInputs<'_>) -> Self {
        let vault = format!("{}/", &inputs.vault.id()[..inputs.vault.id().len().min(16)]);
        let group = inputs.settings.shard.as_ref().map(|shard| format!("{vault}{}", shard.run));
        Self { vault, group }
    }
}

/// The record of gates that may still be closed: what `left` names, and `closed`.
fn with(left: Option<GateRecord>, closed: Vec<NodeGate>, host: &str) -> Option<GateRecord> {
    let mut closed = closed.into_iter();
    let mut record = if let Some(record) = left {
        record
    } else {
        let first = closed.next()?;
        GateRecord { node: first.node, ..GateRecord::single(host, first.mark, std::process::id()) }
    };
    record.others.extend(closed);
    Some(record)
}

fn shown(name: &str) -> &str {
    if name.is_empty() { "the appliance" } else { name }
}

/// Where maintenance is to be paused.
fn posts<'a>(ctx: &'a Context<'_>, relay: &'a Relay<'_>, warnings: &mut Vec<String>) -> Vec<Post<'a>> {
    let own = ctx.machines.fleet().own.clone();
    if ctx.machines.cluster() {
        let mut at = ctx.machines.serving("git");
        at.extend(ctx.machines.serving("storage"));
        at.sort_unstable();
        at.dedup();
        let post = |at: usize| {
            let channel = ctx.machines.channel(at)?;
            let name = ctx.machines.name(at).to_owned();
            Some(Post { name, channel: Box::new(channel), needed: true, node: Some(at) })
        };
        return at.into_iter().filter_map(post).collect();
    }
    let mut posts = vec![Post { name: own, channel: Box::new(ctx.channel), needed: true, node: None }];
    if ctx.facts.role == Role::Primary {
        for name in replicas(ctx, warnings) {
            let node = Node { name: name.clone(), ..Node::default() };
            match relay.channel(&node) {
                Ok(channel) => posts.push(Post { name, channel, needed: false, node: None }),
                Err(why) => ctx.machines.tell(&name, why.to_string()),
            }
        }
    }
    posts
}

/// The replicas, as the primary lists them; as `cluster.conf` marks them when its command fails.
fn replicas(ctx: &Context<'_>, warnings: &mut Vec<String>) -> Vec<String> {
    let command = RemoteCommand::new("list replicas", "ghe-cluster-nodes --replica");
    let why = match ctx.channel.run(&command, &[]) {
        Ok(out) if out.exit.status.success() => {
            return String::from_utf8_lossy(&out.stdout).split_whitespace().map(str::to_owned).collect();
        }
        Ok(out) => out.exit.status.to_string(),
        Err(source) => source.to_string(),
    };
    warnings
        .push(format!("`ghe-cluster-nodes --replica` failed ({why}); replicas are taken from cluster.conf"));
    let fleet = ctx.machines.fleet();
    fleet.nodes.iter().filter(|node| node.replica && node.name != fleet.own).map(|n| n.name.clone()).collect()
}

/// Pauses maintenance everywhere at once; a machine that is not needed only costs a warning.
fn take<'a>(
    ctx: &Context<'_>,
    posts: &'a [Post<'a>],
    owner: &GateOwner,
    shared: &Shared,
    warnings: &mut Vec<String>,
) -> Result<Vec<(&'a Post<'a>, Gate)>, GateError> {
    let repositories = format!("{}/repositories", ctx.settings.data_root);
    let settings = |wait| GateSettings {
        repositories: repositories.clone(),
        drain_s: ctx.settings.drain_s,
        wait,
        owner: Some(owner.clone()),
        group: shared.group.clone(),
    };
    let healed = Mutex::new(Vec::new());
    let one = |post: &Post<'_>| match Gate::take(&*post.channel, &settings(Duration::ZERO)) {
        Err(GateError::Busy { .. }) => {
            // Closed by a run of ours that died, or whose machine died, before it could write that down.
            let channel = &*post.channel;
            let left = gate::remove_left(channel, &repositories, &owner.host, runs_elsewhere)
                .map_err(LeaseError::Channel)?
                || gate::remove_left_by_group(channel, &repositories, &shared.vault, shared.group.as_deref())
                    .map_err(LeaseError::Channel)?;
            if left && let Ok(mut healed) = healed.lock() {
                healed.push(shown(&post.name).to_owned());
            }
            let wait = if post.needed { ctx.settings.gate_wait } else { Duration::ZERO };
            Gate::take(&*post.channel, &settings(wait))
        }
        other => other,
    };
    let one = &one;
    let ends: Vec<Result<Gate, GateError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = posts.iter().map(|post| scope.spawn(move || one(post))).collect();
        let ended = |_| {
            let (line, code) = ("its thread ended early".into(), "lost".into());
            Err(LeaseError::Refused { label: "pause Git maintenance".into(), line, code }.into())
        };
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(ended)).collect()
    });
    let healed = healed.into_inner().unwrap_or_default();
    warnings.extend(
        healed
            .iter()
            .map(|name| format!("a maintenance gate that an earlier run had left on {name} was removed")),
    );
    let mut gates = Vec::new();
    for (post, end) in posts.iter().zip(ends) {
        match (end, post.node) {
            (Ok(gate), _) => gates.push((post, gate)),
            // A node that cannot be reached gives nothing either: its routes come from others.
            (Err(GateError::Lease(LeaseError::Channel(why))), Some(at)) => {
                ctx.machines.lose(at, why.to_string());
            }
            (Err(why), _) if post.needed => return Err(why),
            (Err(why), _) => {
                warnings.push(format!("Git maintenance was not paused on the replica {}: {why}", post.name));
                ctx.machines.tell(&post.name, why.to_string());
            }
        }
    }
    Ok(gates)
}

/// Writes down where gates are closed, beside those of earlier runs that could not be opened yet; returns the record that stays when
/// those of this run are open again.
fn write_down(
    ctx: &Context<'_>,
    inputs: &BackupInputs<'_>,
    gates: &[(&Post<'_>, Gate)],
) -> Result<Option<GateRecord>, BackupError> {
    let mut marks = gates
        .iter()
        .filter_map(|(post, gate)| Some(NodeGate { node: post.name.clone(), mark: gate.mark()?.clone() }));
    let Some(first) = marks.next() else { return Ok(None) };
    let mut others: Vec<NodeGate> = marks.collect();
    let mut left = None;
    if let Some(mut before) = inputs.state.gate()? {
        before
            .others
            .retain(|gate| gate.node != first.node && others.iter().all(|new| new.node != gate.node));
        others.extend(before.others.iter().cloned());
        left = Some(before).filter(|before| !before.others.is_empty());
    }
    inputs.state.record_gate(&GateRecord {
        host: ctx.settings.host.clone(),
        mark: first.mark,
        pid: std::process::id(),
        node: first.node,
        others,
    })?;
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::gate::GateMark;

    #[test]
    fn gates_that_did_not_open_stay_in_the_books_beside_those_of_earlier_runs() {
        let gate = |node: &str, inode| NodeGate { node: node.into(), mark: GateMark { inode, mtime: 1 } };
        assert_eq!(with(None, Vec::new(), "h"), None);
        let record = with(None, vec![gate("b", 2), gate("c", 3)], "h").expect("a record");
        assert_eq!(
            (record.node.as_str(), record.mark.inode, &record.others[..]),
            ("b", 2, &[gate("c", 3)][..])
        );
        let record = with(Some(record), vec![gate("d", 4)], "h").expect("a record");
        assert_eq!(record.others, [gate("c", 3), gate("d", 4)]);
        assert_eq!(record.host, "h");
    }
}
