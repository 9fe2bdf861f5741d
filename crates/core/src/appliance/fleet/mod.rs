//! The machines of an installation with more than one: a high-availability pair, or a cluster (contract §6, §7).

pub mod choose;
mod jump;
mod relay;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use jump::Jump;
pub use relay::Relay;

use super::{
    channel::{Channel, ChannelError},
    git_config::GitConfig,
};

/// One machine of a fleet, as `cluster.conf` describes it (contract §7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its host name, the title of its section.
    pub name: String,
    /// Its address, IPv6 before IPv4; the host name where there is none.
    pub address: String,
    /// Its UUID; empty when the file does not tell.
    pub uuid: String,
    /// What it serves: `git`, `pages`, `storage`, `mysql`, `redis`, `elasticsearch`, `web`, `job` …
    pub roles: BTreeSet<String>,
    /// Marked as offline.
    pub offline: bool,
    /// Marked as replica of another one.
    pub replica: bool,
}

impl Node {
    /// Whether the node has a role, e.g. `git`.
    #[must_use]
    pub fn serves(&self, role: &str) -> bool {
        self.roles.contains(role)
    }

    /// The name that routes give to the node's server of a kind: `git-server-UUID` (contract §7.2).
    #[must_use]
    pub fn server(&self, kind: &str) -> String {
        format!("{kind}-server-{}", self.uuid)
    }
}

/// The machines of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// Name of the node that we are connected to (content of `/etc/github/cluster`); empty when it does not tell.
    pub own: String,
    /// Whether this is a high-availability pair rather than a cluster (`cluster.ha`).
    pub ha: bool,
    /// The node whose MySQL takes writes.
    pub mysql_master: Option<String>,
    /// The node whose Redis takes writes.
    pub redis_master: Option<String>,
    /// The node with Actions' databases.
    pub mssql_master: Option<String>,
    /// All nodes, in the order of their names.
    pub nodes: Vec<Node>,
}

impl Fleet {
    /// Reads `cluster.conf`; `own` is the content of `/etc/github/cluster`.
    #[must_use]
    pub fn parse(cluster_conf: &str, own: &str) -> Self {
        let config = GitConfig::parse(cluster_conf);
        let text = |key: &str| config.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
        let node = |name: &str| {
            let of = |key: &str| text(&format!("cluster.{name}.{key}"));
            let hostname = of("hostname").unwrap_or_else(|| name.to_owned());
            let roles = config
                .keys()
                .filter_map(|key| {
                    let role =
                        key.strip_prefix(&format!("cluster.{name}."))?.strip_suffix("-server")?.to_owned();
                    config.truth(&key).then_some(role)
                })
                .collect();
            Node {
                address: of("ipv6").or_else(|| of("ipv4")).unwrap_or_else(|| hostname.clone()),
                name: hostname,
                uuid: of("uuid").unwrap_or_default(),
                roles,
                offline: config.truth(&format!("cluster.{name}.offline")),
                replica: of("replica").is_some_and(|value| value != "false"),
            }
        };
        Self {
            own: own.trim().to_owned(),
            ha: config.truth("cluster.ha"),
            mysql_master: text("cluster.mysql-master"),
            redis_master: text("cluster.redis-master"),
            mssql_master: text("cluster.mssql-master"),
            nodes: config.subsections("cluster").into_iter().map(node).collect(),
        }
    }

    /// The node with this host name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The machine that is probably the primary of a pair when the own one is not: MySQL's master, or the one that is no replica.
    #[must_use]
    pub fn likely_primary(&self) -> Option<&str> {
        let other = |name: &&str| *name != self.own;
        let master = self.mysql_master.as_deref().filter(other);
        master.or_else(|| {
            self.nodes.iter().find(|node| !node.replica && node.name != self.own).map(|n| &*n.name)
        })
    }

    /// The node whose server of `kind` routes call `server` (`git-server-UUID`).
    #[must_use]
    pub fn serving(&self, kind: &str, server: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| !node.uuid.is_empty() && node.server(kind) == server)
    }
}

/// The way to the machines of a fleet.
pub trait Nodes: Send + Sync {
    /// A channel to a node.
    ///
    /// # Errors
    /// It cannot be reached, or shows a host key that nobody has pinned.
    fn channel<'s>(&'s self, node: &Node) -> Result<Box<dyn Channel + 's>, ChannelError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = "[cluster]\n\tmysql-master = ghe-a\n\tredis-master = ghe-b\n[cluster \"ghe-a\"]\n\thostname = ghe-a\n\
                        \tipv4 = 10.0.0.1\n\tuuid = u-a\n\tgit-server = true\n\tpages-server = true\n\
                        [cluster \"ghe-b\"]\n\thostname = ghe-b\n\tipv4 = 10.0.0.2\n\tipv6 = fd00::2\n\tuuid = u-b\n\
                        \tgit-server = true\n\tstorage-server = false\n\toffline = true\n";

    #[test]
    fn nodes_masters_and_roles_are_read() {
        let fleet = Fleet::parse(CONF, "ghe-a\n");
        assert_eq!((fleet.own.as_str(), fleet.mysql_master.as_deref()), ("ghe-a", Some("ghe-a")));
        let [a, b] = &fleet.nodes[..] else { panic!("two nodes") };
        assert!(a.serves("git") && a.serves("pages") && !a.offline);
        assert!(!b.serves("storage") && b.offline);
        assert_eq!(b.address, "fd00::2");
        assert_eq!(fleet.serving("git", "git-server-u-b"), Some(b));
        assert_eq!(fleet.serving("git", "git-server-"), None);
    }
}
