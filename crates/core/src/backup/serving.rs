//! Which machine serves what: a database of a cluster lives on one of its nodes (contract §7.4).

use super::{
    context::{CaptureError, Context},
    files::resolve::Trust,
};
use crate::appliance::{
    channel::Channel,
    facts::Role,
    fleet::{Fleet, Node},
};

impl Context<'_> {
    /// How far facts about files of the parent snapshot are believed in this run.
    #[must_use]
    pub fn trust(&self) -> Trust {
        if self.settings.full {
            Trust::Nothing
        } else if self.promoted {
            Trust::Names
        } else {
            Trust::Facts
        }
    }

    /// A channel to the machine that serves `role` (`mysql`, `mssql`, `redis`, `git`, …): the connected one, unless the appliance is a
    /// cluster whose master of that role is another node.
    ///
    /// # Errors
    /// No node serves the role, or its node cannot be reached or shows a host key that nobody has pinned.
    pub fn channel_serving(&self, role: &str) -> Result<Box<dyn Channel + '_>, CaptureError> {
        match (self.facts.role, &self.facts.fleet) {
            (Role::Cluster, Some(fleet)) => {
                let node = serving(fleet, role).ok_or_else(|| {
                    CaptureError::Unexpected(format!("no node of the cluster serves `{role}`"))
                })?;
                if node.name == fleet.own {
                    Ok(Box::new(self.channel))
                } else {
                    Ok(self.nodes.channel(node)?)
                }
            }
            _ => Ok(Box::new(self.channel)),
        }
    }
}

/// The node of a cluster that serves a role: its master, for roles that have one; else the connected node if it serves it; else the
/// first that is not offline.
fn serving<'f>(fleet: &'f Fleet, role: &str) -> Option<&'f Node> {
    let master = match role {
        "mysql" => fleet.mysql_master.as_deref(),
        "redis" => fleet.redis_master.as_deref(),
        "mssql" => fleet.mssql_master.as_deref(),
        _ => None,
    };
    if let Some(master) = master {
        return fleet.node(master);
    }
    let mut able: Vec<&Node> = fleet.nodes.iter().filter(|node| node.serves(role) && !node.offline).collect();
    able.sort_by_key(|node| node.name != fleet.own);
    able.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet() -> Fleet {
        let node = |name: &str, offline: bool| {
            format!(
                "[cluster \"{name}\"]\nhostname = {name}\ngit-server = true\nredis-server = true\noffline = {offline}\n"
            )
        };
        let conf = format!(
            "[cluster]\nredis-master = c\nmysql-master = gone\n{}{}{}",
            node("a", true),
            node("b", false),
            node("c", false)
        );
        Fleet::parse(&conf, "c")
    }

    fn name(role: &str) -> Option<String> {
        serving(&fleet(), role).map(|node| node.name.clone())
    }

    #[test]
    fn masters_serve_their_role_and_the_connected_node_goes_before_others() {
        assert_eq!(name("redis").as_deref(), Some("c"));
        assert_eq!(name("git").as_deref(), Some("c"));
        let elsewhere = Fleet { own: String::new(), ..fleet() };
        assert_eq!(serving(&elsewhere, "git").map(|node| node.name.as_str()), Some("b"));
    }

    #[test]
    fn a_master_that_is_no_node_and_a_role_that_nobody_has_are_not_made_up() {
        assert_eq!(name("mysql"), None);
        assert_eq!(name("pages"), None);
    }
}
