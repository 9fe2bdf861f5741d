//! What is looked at before anything is read: may this appliance be backed up, into this vault, by this host?

use super::{
    run::{BackupError, BackupInputs},
    settings::BackupSettings,
};
use crate::{
    appliance::{
        channel::Channel,
        facts::{self, Facts, Role},
        gate,
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
            return refuse(
                "this is a high-availability replica; back up the primary, or allow replicas".into(),
            );
        }
        Role::Replica => {
            warnings.push("a replica was backed up; its data may be in a transient state".into());
        }
        Role::Cluster => {
            return refuse("this is a node of a cluster, which this release does not back up".into());
        }
        Role::Primary => {
            warnings.push("the appliance has replicas; their Git maintenance was not paused".into());
        }
        Role::Standalone => {}
    }
    if facts.backup_service_running {
        return refuse("the appliance's own Backup Service is running; both would use the same gate".into());
    }
    for (name, needed) in facts::COMMANDS {
        if *needed && !facts.has(name) {
            return refuse(format!("the appliance lacks the command `{name}`"));
        }
    }
    if facts.flag("app.actions.enabled") {
        warnings.push("Actions is enabled; its files and databases are not captured by this release".into());
    }
    if facts.flag("app.minio.enabled") {
        warnings.push("MinIO is enabled; its files are not captured by this release".into());
    }
    Ok(warnings)
}

/// A vault belongs to one appliance; after a promotion the UUID differs and the host key stays (contract §6.1).
pub(crate) fn same_appliance(
    sealed: &[(&Snapshot, Seal)],
    facts: &Facts,
    channel: &dyn Channel,
    settings: &BackupSettings,
    warnings: &mut Vec<String>,
) -> Result<(), BackupError> {
    let Some((_, seal)) = sealed.last() else { return Ok(()) };
    let before = &seal.manifest;
    if before.uuid == facts.uuid {
        return Ok(());
    }
    let text =
        format!("the appliance's UUID is {}, the vault's last snapshot is of {}", facts.uuid, before.uuid);
    if channel.host_key().is_some_and(|key| key == before.host_key) {
        warnings
            .push(format!("{text}; its host key is the same, so this looks like a promotion or a restore"));
        return Ok(());
    }
    if settings.allow_other_appliance {
        warnings.push(text);
        return Ok(());
    }
    Err(BackupError::Refused { reason: format!("{text}: this vault belongs to another appliance") })
}

/// Removes a gate that a dead run of this host left behind (contract §3.3).
pub(super) fn heal_gate(inputs: &BackupInputs<'_>, warnings: &mut Vec<String>) -> Result<(), BackupError> {
    let Some(record) = inputs.state.gate()? else { return Ok(()) };
    if record.host != inputs.settings.host || runs_elsewhere(record.pid) {
        return Ok(());
    }
    let repositories = format!("{}/repositories", inputs.settings.data_root);
    let removed =
        gate::remove(inputs.channel, &repositories, &record.mark).map_err(facts::FactsError::Channel)?;
    if removed {
        warnings.push("a maintenance gate that an earlier run had left was removed".into());
    }
    inputs.state.forget_gate()?;
    Ok(())
}

/// Whether the process that recorded a gate is still there, and is not this one: in a container every run has the same number.
fn runs_elsewhere(pid: u32) -> bool {
    if pid == std::process::id() {
        return false;
    }
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // A process of somebody else is no run of ours.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
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
        let allowed = BackupSettings { allow_replica: true, ..BackupSettings::new("h") };
        assert_eq!(guard(&replica, &allowed).unwrap().len(), 1);
    }

    #[test]
    fn a_cluster_a_running_backup_service_and_a_missing_command_are_refused() {
        assert!(refusal(&answers("cluster=1\n")).contains("cluster"));
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
