//! What is looked at before anything is read: may this appliance be backed up, into this vault, by this host?

use super::{run::BackupError, settings::BackupSettings};
use crate::{
    appliance::{
        channel::Channel,
        facts::{self, Facts, Role},
    },
    seal::Seal,
    vault::Snapshot,
};

/// Refuses what must not be backed up; returns what is merely worth knowing.
pub(super) fn guard(facts: &Facts, settings: &BackupSettings) -> Result<Vec<String>, BackupError> {
    let mut warnings = Vec::new();
    let refuse = |reason: String| Err(BackupError::Refused { reason });
    if facts.version < facts::OLDEST {
        return refuse(format!(
            "GitHub Enterprise Server {} is older than {}",
            facts.version_text,
            facts::OLDEST
        ));
    }
    if facts.version > facts::NEWEST_KNOWN {
        warnings.push(format!(
            "GitHub Enterprise Server {} is newer than any release that this program knows; look at what it adds",
            facts.version_text
        ));
    }
    match facts.role {
        Role::Replica if !settings.allow_replica => {
            let fleet = facts.fleet.as_ref();
            let primary = fleet.and_then(|fleet| fleet.likely_primary());
            let likely = primary.map_or_else(String::new, |name| format!(", probably `{name}`"));
            return refuse(format!(
                "this is a high-availability replica; back up its primary{likely}, or allow replicas"
            ));
        }
        Role::Replica => {
            warnings.push("a replica was backed up; its data may be in a transient state".into());
        }
        Role::Cluster | Role::Primary | Role::Standalone => {}
    }
    if facts.backup_service_running {
        return refuse("the appliance's own Backup Service is running; both would use the same gate".into());
    }
    for (name, needed) in facts::COMMANDS {
        if *needed && !facts.has(name) {
            return refuse(format!("the appliance lacks the command `{name}`"));
        }
    }
    Ok(warnings)
}

/// A vault belongs to one appliance; after a promotion the UUID differs and the host key stays (contract §6.1). Tells
/// whether it looks like one.
pub(crate) fn same_appliance(
    sealed: &[(&Snapshot, Seal)],
    facts: &Facts,
    channel: &dyn Channel,
    settings: &BackupSettings,
    warnings: &mut Vec<String>,
) -> Result<bool, BackupError> {
    let Some((_, seal)) = sealed.last() else { return Ok(false) };
    let before = &seal.manifest;
    if before.uuid == facts.uuid {
        return Ok(false);
    }
    let nodes = before.topology.as_ref().map_or(&[][..], |topology| &topology.nodes);
    let known = |uuid: &str| !uuid.is_empty() && nodes.iter().any(|node| node.uuid == uuid);
    // Any node of a cluster stands for it.
    let fleet = facts.fleet.as_ref().filter(|_| facts.role == Role::Cluster);
    if fleet.is_some_and(|fleet| fleet.nodes.iter().any(|node| known(&node.uuid))) {
        return Ok(false);
    }
    let text =
        format!("the appliance's UUID is {}, the vault's last snapshot is of {}", facts.uuid, before.uuid);
    if known(&facts.uuid) {
        let was = &before.host;
        warnings.push(format!("{text}: the replica was promoted since ({was} was backed up then)"));
        return Ok(true);
    }
    if channel.host_key().is_some_and(|key| key == before.host_key) {
        warnings
            .push(format!("{text}; its host key is the same, so this looks like a promotion or a restore"));
        return Ok(true);
    }
    if settings.allow_other_appliance {
        warnings.push(text);
        return Ok(true);
    }
    Err(BackupError::Refused { reason: format!("{text}: this vault belongs to another appliance") })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of an appliance with every command that a backup needs, and more.
    fn answers(more: &str) -> Facts {
        let commands: Vec<String> = facts::COMMANDS.iter().map(|(name, _)| format!("has={name}")).collect();
        facts::read_for_tests(&format!("{}\n{more}", commands.join("\n")))
    }

    fn refusal(facts: &Facts) -> String {
        guard(facts, &BackupSettings::new("h")).expect_err("it is refused").to_string()
    }

    #[test]
    fn a_plain_appliance_is_backed_up_without_a_word() {
        assert_eq!(guard(&answers(""), &BackupSettings::new("h")).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_replica_is_refused_unless_it_is_allowed_by_name() {
        let replica = answers("state=replica\n");
        assert!(refusal(&replica).contains("replica"));
        let pair = "state=replica\ncluster=1\nown=ghe-b\nconf=[cluster]\nconf=mysql-master = ghe-a\nconf=[cluster \"ghe-a\"]\nconf=hostname = ghe-a\n";
        assert!(refusal(&answers(pair)).contains("probably `ghe-a`"));
        let allowed = BackupSettings { allow_replica: true, ..BackupSettings::new("h") };
        assert_eq!(guard(&replica, &allowed).unwrap().len(), 1);
    }

    #[test]
    fn a_running_backup_service_and_a_missing_command_are_refused() {
        assert!(refusal(&answers("service=1\n")).contains("Backup Service"));
        assert!(refusal(&facts::read_for_tests("")).contains("lacks the command"));
    }

    #[test]
    fn a_release_that_is_too_old_is_refused_and_one_that_is_too_new_is_told() {
        let mut facts = answers("");
        facts.version = facts::Version::new(3, 8, 9);
        assert!(refusal(&facts).contains("older"));
        facts.version = facts::Version::new(3, 22, 0);
        assert!(guard(&facts, &BackupSettings::new("h")).unwrap()[0].contains("newer"));
    }
}
