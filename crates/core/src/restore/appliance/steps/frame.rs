//! The steps around the datasets: stamps, services, identity, configuration (contract §5.4).

use super::{
    super::{error::StepError, report::Done, run::Scene},
    small,
};
use crate::appliance::quote::quote;

/// Tells the appliance which client works on it; a failure is only a remark.
pub fn client_stamp(scene: &Scene<'_>) -> Result<Done, StepError> {
    let file = quote(&format!("of={}", scene.data("common/backup-utils-version")));
    let stamp = format!("{}\n", scene.options.client_version);
    let told = scene.remote.told(
        "stamp the client's version",
        &format!("sudo dd {file} 2>/dev/null"),
        stamp.as_bytes(),
    );
    let warnings = match told {
        Ok(_) => Vec::new(),
        Err(StepError::Failed { .. }) => vec!["the client's version could not be stamped".to_owned()],
        Err(error) => return Err(error),
    };
    Ok(Done { warnings, ..Done::default() })
}

/// Starts the databases, which an unconfigured appliance does not run.
pub fn ensure_services(scene: &Scene<'_>) -> Result<Done, StepError> {
    let script =
        "sudo ghe-service-ensure-mysql </dev/null && sudo ghe-service-ensure-elasticsearch </dev/null";
    scene.remote.work("start MySQL and Elasticsearch", script, &[])?;
    Ok(Done::default())
}

/// Gives the appliance its identity and lets consul forget the old one.
pub fn uuid(scene: &Scene<'_>) -> Result<Done, StepError> {
    let file = quote(&scene.data("common/uuid"));
    let uuid = small(scene, "uuid")?;
    scene.remote.told("set the appliance's identity", &format!("sudo sponge {file} 2>/dev/null"), &uuid)?;
    let raft = quote(&scene.data("consul/raft"));
    let script = format!("sudo systemctl stop consul >/dev/null 2>&1; sudo rm -rf {raft}");
    scene.remote.ask("reset consul", &script)?;
    Ok(Done::one(uuid.len() as u64))
}

/// Marks the audit log as migrated.
pub fn migration_sentinel(scene: &Scene<'_>) -> Result<Done, StepError> {
    let file = quote(&scene.data("common/es-scan-complete"));
    scene.remote.ask("mark the audit log as migrated", &format!("sudo touch {file}"))?;
    Ok(Done::default())
}

/// Keeps GitHub Connect's jobs from running before the configuration is done.
pub fn hold_connect(scene: &Scene<'_>) -> Result<Done, StepError> {
    let script = "now=$(date +%s).0000000; ghe-redis-cli mset timer:UpdateConnectInstallationInfo $now \
                  timer:UploadEnterpriseServerUserAccountsJob $now timer:UploadConnectMetricsJob $now \
                  timer:GitHubConnectPushNewContributionsJob $now";
    scene.remote.ask("hold GitHub Connect's jobs", script)?;
    Ok(Done::default())
}

/// Cleans up what runs under nomad.
pub fn nomad_cleanup(scene: &Scene<'_>) -> Result<Done, StepError> {
    let program = if scene.cluster.is_some() { "ghe-cluster-nomad-cleanup" } else { "ghe-nomad-cleanup" };
    scene.remote.work("clean up nomad", &format!("{program} 2>&1 >/dev/null"), &[])?;
    Ok(Done::default())
}

/// Applies the configuration: migrations, services, the search indices' swap.
pub fn config_apply(scene: &Scene<'_>) -> Result<Done, StepError> {
    let program = if scene.cluster.is_some() { "ghe-cluster-config-apply" } else { "ghe-config-apply" };
    scene.remote.work("apply the configuration", program, &[])?;
    Ok(Done::default())
}

/// Clears GitHub Connect's settings, which belong to the source.
pub fn clear_connect(scene: &Scene<'_>) -> Result<Done, StepError> {
    let script = "if [ -f /usr/local/share/enterprise/ghe-reset-gh-connect ]; then \
                  /usr/local/share/enterprise/ghe-reset-gh-connect -y </dev/null; fi";
    scene.remote.work("clear GitHub Connect's settings", script, &[])?;
    Ok(Done::default())
}
