//! Looks at every host of the list at the same time, each within a short limit: who answers, in which role, and what
//! the replicas say about their data. A host that does not answer is an observation, not an error.

use std::{sync::Arc, thread, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    cluster::{self, ClusterHealth},
    repl_status::{self, ReplStatus},
};
use crate::appliance::{
    channel::{Channel, ChannelError, RemoteCommand, Running},
    facts::{self, Facts, FactsError, Role, Version},
    fleet::{self, Nodes, Relay},
    gate,
    target::Target,
};

/// How a host is reached.
pub type Connect<'a> = dyn Fn(&Target) -> Result<Arc<dyn Channel>, ChannelError> + Sync + 'a;

/// How long a look may take.
#[derive(Clone, Debug)]
pub struct ObserveSettings {
    /// Folder of an appliance's data.
    pub data_root: String,
    /// Longest time for one question to an appliance.
    pub question: Duration,
}

impl Default for ObserveSettings {
    fn default() -> Self {
        Self { data_root: "/data/user".to_owned(), question: Duration::from_secs(40) }
    }
}

/// What was seen of all hosts.
#[derive(Clone, Debug, Serialize)]
pub struct Observation {
    /// When, by this host's clock.
    pub at: Timestamp,
    /// The hosts, in the order of the list.
    pub hosts: Vec<Seen>,
}

/// What was seen of one host.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The host as it was named.
    pub host: String,
    /// How it is.
    #[serde(flatten)]
    pub state: State,
}

/// How a host is.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// It shows its pinned host key and answers.
    Answers(Box<Node>),
    /// There is no connection.
    Unreachable {
        /// Why not.
        reason: String,
    },
    /// Something is there, but it is not known what it is or does.
    Unclear {
        /// What is unclear.
        doubt: Doubt,
        /// In words.
        reason: String,
    },
}

/// Why a host that is there cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// It shows another host key than the pinned one.
    HostKeyChanged,
    /// Nobody has pinned a host key for it.
    HostKeyUnknown,
    /// It refuses our SSH key.
    NotLetIn,
    /// It lets us in but did not answer properly.
    NoAnswer,
}

/// An appliance that answers.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// Its part in replication.
    pub role: Role,
    /// Its release.
    pub version: Version,
    /// The release as printed.
    pub version_text: String,
    /// Its UUID.
    pub uuid: String,
    /// Whether it has been configured.
    pub configured: bool,
    /// Whether maintenance mode is on.
    pub maintenance: bool,
    /// Whether GitHub Actions is on.
    pub actions: bool,
    /// The pinned host key that it showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// A replica's own word about its data; of a primary, what it hears from its replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication: Option<ReplStatus>,
    /// What a machine of a cluster says of all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterHealth>,
    /// The other machines that its `cluster.conf` names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
    /// Seconds for which Git maintenance has been paused on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate_age_s: Option<i64>,
}

impl Node {
    /// Whether it serves users: a configured appliance that is no replica.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.configured && matches!(self.role, Role::Primary | Role::Standalone)
    }
}

/// A machine that another one knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Host name.
    pub name: String,
    /// UUID; empty when unknown.
    pub uuid: String,
    /// Whether it is marked as replica.
    pub replica: bool,
    /// Whether a replica still reaches it; none when it was not asked or cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<bool>,
}

/// Looks at all hosts.
#[must_use]
pub fn observe(targets: &[Target], connect: &Connect<'_>, settings: &ObserveSettings) -> Observation {
    let hosts = thread::scope(|scope| {
        let looks: Vec<_> = targets
            .iter()
            .map(|target| (target, scope.spawn(move || look(target, connect, settings))))
            .collect();
        let joined = looks.into_iter().map(|(target, look)| {
            let state = look.join().unwrap_or_else(|_| State::Unclear {
                doubt: Doubt::NoAnswer,
                reason: "looking at it failed inside this program".to_owned(),
            });
            Seen { host: target.to_string(), state }
        });
        joined.collect()
    });
    Observation { at: Timestamp::now(), hosts }
}

/// Looks at one host.
#[must_use]
pub fn look(target: &Target, connect: &Connect<'_>, settings: &ObserveSettings) -> State {
    let channel = match connect(target) {
        Ok(channel) => channel,
        Err(error) => return unreached(&error),
    };
    let limited = Limited { channel: &*channel, limit: settings.question };
    match facts::probe(&limited, &settings.data_root, &target.to_string()) {
        Ok(facts) => State::Answers(Box::new(node(&limited, &facts, settings))),
        Err(FactsError::Channel(error)) => unreached(&error),
        Err(error @ FactsError::NotAnAppliance { .. }) => {
            State::Unclear { doubt: Doubt::NoAnswer, reason: error.to_string() }
        }
    }
}

/// What a failed connection says about a host.
fn unreached(error: &ChannelError) -> State {
    let doubt = match error {
        ChannelError::Connect { reason, .. } => return State::Unreachable { reason: reason.clone() },
        ChannelError::HostKeyChanged { .. } => Doubt::HostKeyChanged,
        ChannelError::HostKeyUnknown { .. } => Doubt::HostKeyUnknown,
        ChannelError::Authentication { .. } | ChannelError::BadKey { .. } => Doubt::NotLetIn,
        ChannelError::Ended { .. } | ChannelError::Timeout { .. } | ChannelError::Stream { .. } => {
            Doubt::NoAnswer
        }
    };
    State::Unclear { doubt, reason: error.to_string() }
}

/// Asks a node what its role makes worth asking.
fn node(channel: &dyn Channel, facts: &Facts, settings: &ObserveSettings) -> Node {
    let replication = match facts.role {
        Role::Replica => Some(replication(channel)),
        Role::Primary => Some(heard(channel)),
        Role::Standalone | Role::Cluster => None,
    };
    let gate = gate::status(channel, &format!("{}/repositories", settings.data_root));
    Node {
        role: facts.role,
        version: facts.version.clone(),
        version_text: facts.version_text.clone(),
        uuid: facts.uuid.clone(),
        configured: facts.configured,
        maintenance: facts.maintenance,
        actions: facts.flag("app.actions.enabled"),
        host_key: channel.host_key(),
        replication,
        cluster: (facts.role == Role::Cluster).then(|| cluster::ask(channel)),
        peers: peers(channel, facts),
        gate_age_s: gate.ok().flatten().map(|(_, age_s)| age_s),
    }
}

/// A replica's own word.
pub(super) fn replication(channel: &dyn Channel) -> ReplStatus {
    asked(channel, "ask the replica for its state", "ghe-repl-status -v")
}

/// What a primary hears from its replicas.
fn heard(channel: &dyn Channel) -> ReplStatus {
    asked(channel, "ask the primary for its replicas", "ghe-cluster-each --replica ghe-repl-status")
}

fn asked(channel: &dyn Channel, label: &str, script: &str) -> ReplStatus {
    match channel.run(&RemoteCommand::new(label, format!("{script} </dev/null")), &[]) {
        Ok(output) => repl_status::parse(&String::from_utf8_lossy(&output.stdout), &output.exit.status),
        Err(error) => ReplStatus::unknown(error.to_string()),
    }
}

/// The other machines of its `cluster.conf`; a single appliance has none. A replica is asked whether it
/// reaches its primary: what only this host cannot reach may well be serving.
fn peers(channel: &dyn Channel, facts: &Facts) -> Vec<Peer> {
    let Some(fleet) = &facts.fleet else { return Vec::new() };
    let other = |name: &str, uuid: &str| name != fleet.own && (uuid.is_empty() || uuid != facts.uuid);
    let nodes = fleet.nodes.iter().filter(|node| other(&node.name, &node.uuid));
    nodes
        .map(|node| Peer {
            name: node.name.clone(),
            uuid: node.uuid.clone(),
            replica: node.replica,
            reached: if facts.role == Role::Replica && !node.replica { reaches(channel, node) } else { None },
        })
        .collect()
}

/// Whether a node is reached from the connected one, and is not itself a replica by now.
fn reaches(channel: &dyn Channel, node: &fleet::Node) -> Option<bool> {
    let through = Relay::through(channel);
    let there = through.channel(node).ok()?;
    // A state file that is missing belongs to a machine that has left the pair.
    let ask = RemoteCommand::new("ask the primary", "cat /etc/github/repl-state");
    match there.run(&ask, &[]) {
        Ok(output) if output.exit.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).trim() == "primary")
        }
        Err(ChannelError::Connect { .. }) => Some(false),
        Ok(_) | Err(_) => None,
    }
}

/// A channel whose questions have a short limit.
struct Limited<'a> {
    channel: &'a dyn Channel,
    limit: Duration,
}

impl Channel for Limited<'_> {
    fn start(&self, command: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
        self.channel.start(&command.clone().within(self.limit))
    }

    fn host_key(&self) -> Option<String> {
        self.channel.host_key()
    }
}
