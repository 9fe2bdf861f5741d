//! Nodes of the source that the restored database still knows (contract §5.4, step 19).

use super::super::{error::StepError, report::Done, run::Scene};
use crate::appliance::quote::quote;

/// Removes every node but the restored appliance from the registries. A node that resists is a remark: the appliance
/// works without its removal.
pub fn remove_stale(scene: &Scene<'_>) -> Result<Done, StepError> {
    let Some(uuid) = &scene.content.uuid else { return Ok(Done::default()) };
    let listed = scene.remote.work(
        "list the nodes of the registry",
        "set -o pipefail; ghe-spokes server show --json | jq -r '.[].host'",
        &[],
    )?;
    let mut done = Done::default();
    for node in stale(&String::from_utf8_lossy(&listed), uuid) {
        match scene.remote.work(&format!("remove the stale node {node}"), &removal(&node), &[]) {
            Ok(_) => done.removed += 1,
            Err(error @ StepError::Failed { .. }) => done.warnings.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The UUIDs of git servers other than the restored one.
fn stale(listed: &str, restored: &str) -> Vec<String> {
    listed
        .lines()
        .filter_map(|host| host.trim().strip_prefix("git-server-"))
        .filter(|uuid| *uuid != restored && !uuid.is_empty())
        .map(str::to_owned)
        .collect()
}

fn removal(uuid: &str) -> String {
    let name = |prefix: &str| quote(&format!("{prefix}{uuid}"));
    let (git, storage, pages) = (name("git-server-"), name("storage-server-"), name("pages-server-"));
    let (queue, member) = (name("resque:queue:maint_git-server-"), name("maint_git-server-"));
    let commands = [
        format!("ghe-spokes server evacuate {git} 'Removing replica'"),
        format!("ghe-spokes server destroy {git}"),
        format!("ghe-storage destroy-host {storage} --force"),
        format!("ghe-dpages offline {pages}"),
        format!("ghe-dpages remove {pages}"),
        format!("ghe-redis-cli del {queue}"),
        format!("ghe-redis-cli srem resque:queues {member}"),
    ];
    // All are tried; the first failure is told.
    let tried: Vec<String> =
        commands.iter().map(|command| format!("{command} </dev/null >/dev/null || bad=1")).collect();
    format!("bad=\n{}\n[ -z \"$bad\" ]", tried.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::{removal, stale};

    #[test]
    fn only_other_git_servers_are_stale() {
        let listed = "git-server-a\ngit-server-b\nstorage-server-c\ngit-server-\n";
        assert_eq!(stale(listed, "a"), ["b"]);
    }

    #[test]
    fn a_foreign_name_stays_one_word() {
        assert!(removal("x; rm").contains("'git-server-x; rm'"));
    }
}
