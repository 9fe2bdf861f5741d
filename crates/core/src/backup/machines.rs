//! The machines behind the appliance during one run: how to reach those that are needed, and what was wrong with the others.

use std::{collections::BTreeMap, sync::Mutex};

use super::run::BackupError;
use crate::{
    appliance::{
        channel::{Channel, ChannelError, RemoteCommand},
        facts::{Facts, FactsError, Role},
        fleet::{Fleet, Node, Nodes},
    },
    seal::{SealedNode, Topology},
};

/// A node that answered, with its release; or why it did not.
type Dialed<'a> = Result<(Box<dyn Channel + 'a>, String), ChannelError>;

/// The machines of one run.
pub struct Machines<'a> {
    role: Role,
    fleet: Fleet,
    /// Channels to the nodes of a cluster, in the order of the fleet; none to those that cannot be used.
    channels: Vec<Option<Box<dyn Channel + 'a>>>,
    /// By name: why nothing, or not everything, comes from it.
    trouble: Mutex<BTreeMap<String, String>>,
    /// Nodes that stopped answering during the run.
    lost: Mutex<Vec<usize>>,
}

impl<'a> Machines<'a> {
    /// Connects to all nodes of a cluster that are not marked as offline; elsewhere there is nothing to connect.
    ///
    /// # Errors
    /// A node shows a host key that nobody has pinned or another than the pinned one, or runs another release.
    pub fn open(
        facts: &Facts,
        connected: &'a dyn Channel,
        nodes: &'a dyn Nodes,
    ) -> Result<Self, BackupError> {
        let fleet = facts.fleet.clone().unwrap_or_default();
        let mut machines = Self {
            role: facts.role,
            channels: Vec::new(),
            trouble: Mutex::default(),
            lost: Mutex::default(),
            fleet,
        };
        if facts.role != Role::Cluster {
            return Ok(machines);
        }
        if machines.fleet.nodes.is_empty() {
            return Err(BackupError::Refused {
                reason: "this is a node of a cluster, but its cluster.conf names no nodes".into(),
            });
        }
        let own = &machines.fleet.own;
        let dial = |node: &Node| -> Dialed<'a> {
            if node.offline {
                let reason = "it is marked as offline".into();
                return Err(ChannelError::Connect { target: node.name.clone(), reason });
            }
            let channel: Box<dyn Channel + 'a> =
                if node.name == *own { Box::new(connected) } else { nodes.channel(node)? };
            let release = release(&*channel)?;
            Ok((channel, release))
        };
        let dial = &dial;
        let opened: Vec<Dialed<'a>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                machines.fleet.nodes.iter().map(|node| scope.spawn(move || dial(node))).collect();
            let ended = |_| {
                let reason = "its thread ended early".into();
                Err(ChannelError::Connect { target: "a node".into(), reason })
            };
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(ended)).collect()
        });
        let mut releases: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (node, end) in machines.fleet.nodes.clone().iter().zip(opened) {
            machines.channels.push(match end {
                Ok((channel, release)) => {
                    releases.entry(release).or_default().push(node.name.clone());
                    Some(channel)
                }
                Err(
                    source @ (ChannelError::HostKeyUnknown { .. }
                    | ChannelError::HostKeyChanged { .. }
                    | ChannelError::Authentication { .. }),
                ) => return Err(FactsError::Channel(source).into()),
                Err(ChannelError::Connect { reason, .. }) => {
                    machines.tell(&node.name, reason);
                    None
                }
                Err(source) => {
                    machines.tell(&node.name, source.to_string());
                    None
                }
            });
        }
        if releases.len() > 1 {
            let each: Vec<String> = releases
                .iter()
                .map(|(release, names)| format!("{release} on {}", names.join(", ")))
                .collect();
            let reason = format!("the nodes of the cluster run different releases: {}", each.join("; "));
            return Err(BackupError::Refused { reason });
        }
        Ok(machines)
    }

    /// Whether the appliance is a cluster, and its data are spread over nodes.
    #[must_use]
    pub fn cluster(&self) -> bool {
        self.role == Role::Cluster
    }

    /// The fleet.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The channel to a node, unless it cannot be used or was lost.
    #[must_use]
    pub fn channel(&self, at: usize) -> Option<&dyn Channel> {
        if self.lost.lock().is_ok_and(|lost| lost.contains(&at)) {
            return None;
        }
        self.channels.get(at)?.as_deref()
    }

    /// Nodes with a role that can be used, by index.
    #[must_use]
    pub fn serving(&self, role: &str) -> Vec<usize> {
        let able = |at: &usize| self.fleet.nodes[*at].serves(role) && self.channel(*at).is_some();
        (0..self.fleet.nodes.len()).filter(able).collect()
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, at: usize) -> &str {
        self.fleet.nodes.get(at).map_or("", |node| &node.name)
    }

    /// A node stopped answering: nothing more is asked of it in this run.
    pub fn lose(&self, at: usize, why: impl Into<String>) {
        if let Ok(mut lost) = self.lost.lock()
            && !lost.contains(&at)
        {
            lost.push(at);
        }
        self.tell(self.name(at), why);
    }

    /// Whether a node stopped answering during the run.
    #[must_use]
    pub fn is_lost(&self, name: &str) -> bool {
        self.lost.lock().is_ok_and(|lost| lost.iter().any(|at| self.name(*at) == name))
    }

    /// Remembers what is wrong with a machine; what was told first counts.
    pub fn tell(&self, name: &str, why: impl Into<String>) {
        if let Ok(mut trouble) = self.trouble.lock() {
            trouble.entry(name.to_owned()).or_insert_with(|| why.into());
        }
    }

    /// What is wrong with which machine.
    #[must_use]
    pub fn trouble(&self) -> BTreeMap<String, String> {
        self.trouble.lock().map(|trouble| trouble.clone()).unwrap_or_default()
    }

    /// Problems of a dataset that lives on nodes with `role`: each node that should have served and did not, by name.
    #[must_use]
    pub fn problems(&self, role: &str) -> Vec<String> {
        let trouble = self.trouble();
        let serves = |name: &str| self.fleet.node(name).is_some_and(|node| node.serves(role));
        trouble
            .iter()
            .filter(|(name, _)| self.cluster() && serves(name))
            .map(|(name, why)| format!("node `{name}` gave nothing, or not all: {why}"))
            .collect()
    }

    /// The machines as a manifest tells them; `None` for a single appliance.
    #[must_use]
    pub fn sealed(&self) -> Option<Topology> {
        let role = match self.role {
            Role::Standalone => return None,
            Role::Primary => "primary",
            Role::Replica => "replica",
            Role::Cluster => "cluster",
        };
        let mut trouble = self.trouble();
        let mut nodes: Vec<SealedNode> = self
            .fleet
            .nodes
            .iter()
            .map(|node| SealedNode {
                name: node.name.clone(),
                uuid: node.uuid.clone(),
                trouble: trouble.remove(&node.name),
            })
            .collect();
        // Machines that no cluster.conf names, e.g. a replica that only the command knows.
        nodes.extend(trouble.into_iter().map(|(name, why)| SealedNode {
            name,
            uuid: String::new(),
            trouble: Some(why),
        }));
        Some(Topology { role: role.into(), nodes })
    }
}

/// The release that a node runs; also proves that it answers.
fn release(channel: &dyn Channel) -> Result<String, ChannelError> {
    let out = channel.run(&RemoteCommand::new("ask a node for its release", "ghe-version"), &[])?;
    let text = String::from_utf8_lossy(&out.stdout);
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Ok(number.unwrap_or("an unknown release").to_owned())
}
