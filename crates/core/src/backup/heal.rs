//! Gates that a dead run of this host left behind, on whichever machine of the fleet (contract §3.3, §6.5).

use super::run::{BackupError, BackupInputs};
use crate::{
    appliance::{
        channel::{Channel, ChannelError},
        facts::{Facts, FactsError, Role},
        fleet::{Node, Nodes, Relay},
        gate::{self, GateMark},
    },
    state::{GateRecord, NodeGate},
};

/// Opens the gates in our books whose process is dead, as far as their machines can be reached; a machine that was promoted
/// meanwhile is found by its name.
pub(super) fn heal_gates(
    inputs: &BackupInputs<'_>,
    facts: &Facts,
    warnings: &mut Vec<String>,
) -> Result<(), BackupError> {
    let Some(record) = inputs.state.gate()? else { return Ok(()) };
    if record.holder_lives() || !ours(&record, &inputs.settings.host, facts) {
        return Ok(());
    }
    let repositories = format!("{}/repositories", inputs.settings.data_root);
    let mut removed = Vec::new();
    // The name may lead to another machine by now; the mark tells whether it is the gate that we made.
    if record.host == inputs.settings.host
        && gate::remove(inputs.channel, &repositories, &record.mark).map_err(FactsError::Channel)?
    {
        removed.push("the appliance".to_owned());
    }
    let mut left = Vec::new();
    let first = NodeGate { node: record.node.clone(), mark: record.mark.clone() };
    for one in std::iter::once(first).chain(record.others.clone()).filter(|one| !one.node.is_empty()) {
        match remove_on(inputs, facts, &one.node, &one.mark, &repositories) {
            Ok(true) => removed.push(one.node),
            Ok(false) => {}
            Err(_) => left.push(one),
        }
    }
    removed.dedup();
    if !removed.is_empty() {
        warnings.push(format!(
            "a maintenance gate that an earlier run had left was removed on {}",
            removed.join(", ")
        ));
    }
    if left.is_empty() {
        return Ok(inputs.state.forget_gate()?);
    }
    let names: Vec<&str> = left.iter().map(|one| one.node.as_str()).collect();
    warnings.push(format!(
        "an earlier run may have left a maintenance gate on {}, which cannot be reached now",
        names.join(", ")
    ));
    let kept = GateRecord { others: left.clone(), ..record };
    Ok(inputs.state.record_gate(&kept)?)
}

/// Whether a record is about this appliance: named the same, or made on a machine of its fleet.
fn ours(record: &GateRecord, host: &str, facts: &Facts) -> bool {
    let known = |name: &str| {
        facts.fleet.as_ref().is_some_and(|fleet| fleet.own == name || fleet.node(name).is_some())
    };
    record.host == host || known(&record.node) || record.others.iter().any(|one| known(&one.node))
}

fn remove_on(
    inputs: &BackupInputs<'_>,
    facts: &Facts,
    name: &str,
    mark: &GateMark,
    repositories: &str,
) -> Result<bool, ChannelError> {
    let fleet = facts.fleet.clone().unwrap_or_default();
    if fleet.own == name {
        return gate::remove(inputs.channel, repositories, mark);
    }
    let Some(node) = fleet.node(name) else { return Ok(false) };
    with_node(inputs, facts, node, |channel| gate::remove(channel, repositories, mark))
}

/// Runs `act` on another machine: nodes of a cluster by their own host keys, replicas through the primary.
fn with_node<T>(
    inputs: &BackupInputs<'_>,
    facts: &Facts,
    node: &Node,
    act: impl FnOnce(&dyn Channel) -> Result<T, ChannelError>,
) -> Result<T, ChannelError> {
    if facts.role == Role::Cluster {
        act(&*inputs.nodes.channel(node)?)
    } else {
        act(&*Relay::through(inputs.channel).channel(node)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::facts::read_for_tests;

    #[test]
    fn a_record_belongs_to_the_appliance_by_its_name_or_by_a_machine_of_its_fleet() {
        let pair = read_for_tests(
            "state=primary\ncluster=1\nown=ghe-b\nconf=[cluster \"ghe-a\"]\nconf=hostname = ghe-a\nconf=[cluster \"ghe-b\"]\n",
        );
        let mark = GateMark { inode: 1, mtime: 2 };
        let mut record = GateRecord::single("old-name", mark.clone(), 1);
        assert!(!ours(&record, "new-name", &pair));
        assert!(ours(&record, "old-name", &pair));
        record.node = "ghe-a".into();
        assert!(ours(&record, "new-name", &pair));
        record.node = "stranger".into();
        record.others = vec![NodeGate { node: "ghe-b".into(), mark }];
        assert!(ours(&record, "new-name", &pair));
        assert!(!ours(&record, "new-name", &read_for_tests("")));
    }
}
