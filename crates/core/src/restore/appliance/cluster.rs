//! The machines of a cluster that a snapshot goes to (contract §7): who serves what, and the way to each.

use std::time::Duration;

use super::remote::Remote;
use crate::appliance::{
    channel::{Channel, ChannelError},
    fleet::{Fleet, Node, Nodes},
};

/// A machine, with the way to it.
pub struct Machine<'a> {
    /// What `cluster.conf` says of it.
    pub node: &'a Node,
    way: Way<'a>,
    idle: Duration,
}

enum Way<'a> {
    /// It is the one that we are connected to.
    Connected(&'a dyn Channel),
    Other(Box<dyn Channel + 'a>),
}

impl Machine<'_> {
    /// Commands on the machine.
    pub fn remote(&self) -> Remote<'_> {
        Remote { channel: self.channel(), idle: self.idle }
    }

    /// The way to it.
    pub fn channel(&self) -> &dyn Channel {
        match &self.way {
            Way::Connected(channel) => *channel,
            Way::Other(channel) => &**channel,
        }
    }
}

/// The machines that are not marked as offline.
pub struct Cluster<'a> {
    fleet: &'a Fleet,
    machines: Vec<Machine<'a>>,
}

impl<'a> Cluster<'a> {
    /// Knows the machines of `fleet`; nothing is sent yet.
    ///
    /// # Errors
    /// A machine has no way to it.
    pub fn reach(
        fleet: &'a Fleet,
        connected: &'a dyn Channel,
        nodes: &'a dyn Nodes,
        idle: Duration,
    ) -> Result<Self, ChannelError> {
        let machine = |node: &'a Node| {
            let own = node.name == fleet.own;
            let way = if own { Way::Connected(connected) } else { Way::Other(nodes.channel(node)?) };
            Ok(Machine { node, way, idle })
        };
        let online = fleet.nodes.iter().filter(|node| !node.offline);
        Ok(Self { fleet, machines: online.map(machine).collect::<Result<_, ChannelError>>()? })
    }

    /// The machines that serve a role.
    pub fn serving(&self, role: &str) -> Vec<&Machine<'a>> {
        self.machines.iter().filter(|machine| machine.node.serves(role)).collect()
    }

    /// The machine whose MySQL takes writes.
    pub fn mysql_master(&self) -> Option<&Machine<'a>> {
        self.named(self.fleet.mysql_master.as_deref())
    }

    /// The machine that has the databases of GitHub Actions.
    pub fn mssql_master(&self) -> Option<&Machine<'a>> {
        self.named(self.fleet.mssql_master.as_deref())
    }

    fn named(&self, name: Option<&str>) -> Option<&Machine<'a>> {
        self.machines.iter().find(|machine| Some(machine.node.name.as_str()) == name)
    }
}
