//! Before anything is sealed: is this still the machine that it was (contract §6.5)?

use super::run::{BackupError, BackupInputs};
use crate::appliance::{
    channel::{Channel, RemoteCommand},
    facts::{self, Facts, Role},
    fleet::{Node, Nodes, Relay},
};

/// Refuses to go on when the machine was promoted, demoted or replaced during the run.
///
/// A `failed` capture has its own error, unless this explains it better. Only a primary has to answer: elsewhere nobody can have taken its
/// place, and what was read is whole.
pub(super) fn still_the_same(
    inputs: &BackupInputs<'_>,
    facts: &Facts,
    failed: bool,
    warnings: &mut Vec<String>,
) -> Result<(), BackupError> {
    let host = inputs.settings.host.clone();
    match facts::identity(inputs.channel, &inputs.settings.data_root) {
        Ok((role, uuid)) if same((facts.role, &facts.uuid), (role, &uuid)) => {
            match rival(inputs.channel, facts) {
                None => Ok(()),
                Some(rival) => {
                    let is = format!("a former primary (`{rival}` was promoted)");
                    Err(BackupError::Changed { host, was: word(facts.role).into(), is })
                }
            }
        }
        Ok((role, uuid)) => {
            let is = if uuid == facts.uuid { word(role).to_owned() } else { "another machine".to_owned() };
            Err(BackupError::Changed { host, was: word(facts.role).into(), is })
        }
        Err(why) if facts.role == Role::Primary => {
            Err(BackupError::LostPrimary { host, why: why.to_string() })
        }
        Err(_) if failed => Ok(()),
        Err(why) => {
            warnings.push(format!("the appliance could not be asked for its role at the end: {why}"));
            Ok(())
        }
    }
}

/// Another machine of the pair that takes writes: the connected one then is a former primary, and what it holds is old.
#[must_use]
pub(super) fn rival(channel: &dyn Channel, facts: &Facts) -> Option<String> {
    let fleet = facts.fleet.as_ref().filter(|_| facts.role == Role::Primary)?;
    let relay = Relay::through(channel);
    let command = RemoteCommand::new("ask for the role", "cat /etc/github/repl-state");
    let primary = |node: &&Node| {
        let asked = relay.channel(node).and_then(|channel| channel.run(&command, &[]));
        // A machine that cannot be asked is no rival that we know of.
        asked.is_ok_and(|out| out.stdout.trim_ascii() == b"primary")
    };
    fleet.nodes.iter().filter(|node| node.name != fleet.own).find(primary).map(|node| node.name.clone())
}

/// The same machine, which did not change sides.
fn same(was: (Role, &str), is: (Role, &str)) -> bool {
    was.1 == is.1 && (was.0 == Role::Replica) == (is.0 == Role::Replica)
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Standalone => "a standalone appliance",
        Role::Primary => "the primary",
        Role::Replica => "a replica",
        Role::Cluster => "a node of a cluster",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demoted_a_promoted_and_another_machine_are_not_the_same() {
        let primary = (Role::Primary, "u");
        assert!(same(primary, primary));
        assert!(same(primary, (Role::Standalone, "u")), "replication that was torn down changes no data");
        assert!(!same(primary, (Role::Replica, "u")));
        assert!(!same((Role::Replica, "u"), primary));
        assert!(!same(primary, (Role::Primary, "v")));
    }
}
