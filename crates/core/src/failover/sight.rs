//! What was seen, with the questions that advice asks of it.

use jiff::Timestamp;

use super::{
    observe::{Doubt, Node, Observation, Seen, State},
    repl_status::ReplStatus,
    ways::{Behind, VaultFacts},
};
use crate::appliance::facts::Role;

/// What was seen, with the questions that are asked of it.
pub(super) struct Sight<'a> {
    pub seen: &'a [Seen],
    pub vault: &'a VaultFacts,
    pub at: Timestamp,
}

impl<'a> Sight<'a> {
    pub fn new(seen: &'a Observation, vault: &'a VaultFacts) -> Self {
        Self { seen: &seen.hosts, vault, at: seen.at }
    }

    pub fn nodes(&self) -> impl Iterator<Item = (&'a str, &'a Node)> {
        self.seen.iter().filter_map(|seen| match &seen.state {
            State::Answers(node) => Some((seen.host.as_str(), &**node)),
            _ => None,
        })
    }

    pub fn serving(&self) -> impl Iterator<Item = (&'a str, &'a Node)> {
        self.nodes().filter(|(_, node)| node.serves())
    }

    pub fn unreachable(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.seen.iter().filter_map(|seen| match &seen.state {
            State::Unreachable { reason } => Some((seen.host.as_str(), reason.as_str())),
            _ => None,
        })
    }

    pub fn unclear(&self) -> impl Iterator<Item = (&'a str, Doubt, &'a str)> {
        self.seen.iter().filter_map(|seen| match &seen.state {
            State::Unclear { doubt, reason } => Some((seen.host.as_str(), *doubt, reason.as_str())),
            _ => None,
        })
    }

    pub fn replicas(&self) -> impl Iterator<Item = (&'a str, &'a Node, &'a ReplStatus)> {
        self.nodes()
            .filter(|(_, node)| node.role == Role::Replica)
            .filter_map(|(host, node)| node.replication.as_ref().map(|status| (host, node, status)))
    }

    /// A replica that still reaches a primary, and that one's name.
    pub fn reached_by_a_replica(&self) -> Option<(&'a str, &'a str)> {
        self.replicas().find_map(|(host, node, _)| {
            node.peers.iter().find(|peer| peer.reached == Some(true)).map(|peer| (host, peer.name.as_str()))
        })
    }

    /// The replica that loses least: by level, by delay, then the newest release, then by the order of the list.
    pub fn best(&self) -> Option<(&'a str, &'a Node, &'a ReplStatus)> {
        self.replicas().min_by(|(_, a, left), (_, b, right)| {
            let key = |status: &ReplStatus| (status.level, status.delay_s().unwrap_or(0));
            key(left).cmp(&key(right)).then(b.version.cmp(&a.version))
        })
    }

    /// An appliance that was installed and never configured: the natural target of a restore.
    pub fn fresh(&self) -> Option<&'a str> {
        self.nodes().find(|(_, node)| !node.configured && node.role == Role::Standalone).map(|(host, _)| host)
    }

    pub fn replicates(&self) -> bool {
        self.nodes().any(|(_, node)| matches!(node.role, Role::Primary | Role::Replica))
    }

    /// The primary that a promotion of `replica` would leave behind.
    pub fn behind(&self, replica: &'a Node) -> Behind<'a> {
        let serving = self.serving().next();
        let peer = replica.peers.iter().find(|peer| !peer.replica && !peer.uuid.is_empty());
        let known = self.vault.newest.as_ref().map(|newest| newest.uuid.as_str());
        let uuid = match serving {
            Some((_, node)) => Some(node.uuid.as_str()),
            None => peer.map(|peer| peer.uuid.as_str()).or(known.filter(|uuid| *uuid != replica.uuid)),
        };
        let mut lost = self.unreachable();
        let host = match (serving, lost.next(), lost.next()) {
            (Some((host, _)), ..) | (None, Some((host, _)), None) => Some(host),
            _ => None,
        };
        Behind { host, uuid: uuid.filter(|uuid| !uuid.is_empty()), answers: serving.is_some() }
    }
}
