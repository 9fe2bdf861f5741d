//! A cluster has no replica to promote: what one of its machines says of all of them, and what follows from that.

use serde::Serialize;

use super::{advise::Verdict, observe::Node, sight::Sight};
use crate::appliance::{
    channel::{Channel, RemoteCommand},
    facts::Role,
};

/// What `ghe-cluster-host-check` says when every machine is there (contract §7.2).
const READY: &str = "Cluster is ready to configure.";

/// What a machine says of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterHealth {
    /// Whether all machines are there.
    pub ready: bool,
    /// What it said otherwise, its last line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub said: String,
}

impl ClusterHealth {
    fn read(text: &str) -> Self {
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing");
        let ready = last == READY;
        Self { ready, said: if ready { String::new() } else { last.to_owned() } }
    }
}

/// Asks a machine of a cluster for the others.
pub(super) fn ask(channel: &dyn Channel) -> ClusterHealth {
    let check =
        RemoteCommand::new("ask for the cluster's machines", "ghe-cluster-host-check </dev/null 2>&1");
    match channel.run(&check, &[]) {
        Ok(output) => ClusterHealth::read(&String::from_utf8_lossy(&output.stdout)),
        Err(error) => ClusterHealth { ready: false, said: error.to_string() },
    }
}

/// The verdict where a machine of a cluster answers.
pub(super) fn judge(sight: &Sight<'_>) -> Option<(Verdict, Vec<String>)> {
    let members: Vec<(&str, &Node)> = sight.nodes().filter(|(_, node)| node.role == Role::Cluster).collect();
    if let Some((host, _)) = members.iter().find(|(_, node)| node.configured && node.maintenance) {
        let text = format!("the cluster of `{host}` is in maintenance mode: find out who set it");
        return Some((Verdict::Wait, vec![text]));
    }
    let (host, node) = members.iter().find(|(_, node)| node.configured).or(members.first())?;
    let mut reasons = Vec::new();
    match &node.cluster {
        Some(health) if health.ready && node.configured => {
            let version = &node.version_text;
            reasons.push(format!(
                "`{host}` is a node of a cluster whose machines are all there, release {version}"
            ));
            reasons.extend(lost(sight).map(|lost| format!("{lost}; the cluster reaches its machine")));
            return Some((Verdict::NothingToDo, reasons));
        }
        Some(health) if node.configured => {
            reasons.push(format!(
                "`{host}` is a node of a cluster whose machines are not all there: {}",
                health.said
            ));
        }
        _ => reasons.push(format!("`{host}` is a node of a cluster that has not been configured")),
    }
    reasons.extend(lost(sight));
    reasons.push(
        "a cluster has no replica to promote: bring its machines back or replace them after GitHub's cluster runbook; \
         the way by restore is for a cluster that has lost its data"
            .into(),
    );
    Some((Verdict::Investigate, reasons))
}

fn lost<'a>(sight: &'a Sight<'_>) -> impl Iterator<Item = String> + 'a {
    sight.unreachable().map(|(host, reason)| format!("`{host}` cannot be reached from here: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::ClusterHealth;

    #[test]
    fn only_the_exact_words_mean_that_all_machines_are_there() {
        assert!(ClusterHealth::read("Checking…\nCluster is ready to configure.\n").ready);
        let other = ClusterHealth::read("Error: Not all nodes are online!\n");
        assert_eq!(other, ClusterHealth { ready: false, said: "Error: Not all nodes are online!".into() });
        assert_eq!(ClusterHealth::read("").said, "nothing");
    }
}
