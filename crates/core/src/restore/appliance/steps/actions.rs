//! GitHub Actions around its databases: stopping and starting it, its files, the logins of its services (contract §5.5).

use super::{
    super::{error::StepError, report::Done, run::Scene},
    search,
};

/// Longest-lived services first; the cache's exists only where its database does.
const SERVICES: [&str; 3] = ["mps", "token", "actions"];

/// Stops GitHub Actions, so that nothing writes to what is replaced.
pub fn stop(scene: &Scene<'_>) -> Result<Done, StepError> {
    scene.remote.work("stop GitHub Actions", "ghe-actions-stop </dev/null", &[])?;
    Ok(Done::default())
}

/// Starts GitHub Actions after a restore that has failed; releases up to 3.2 want to be forced.
pub fn start(scene: &Scene<'_>) -> Result<(), StepError> {
    let script = "force=; ghe-actions-start --help </dev/null 2>&1 | grep -q force && force=-f\n\
                  ghe-actions-start $force </dev/null";
    scene.remote.work("start GitHub Actions", script, &[]).map(drop)
}

/// Sends the files and lets the services log in to the databases again.
pub fn files(scene: &Scene<'_>) -> Result<Done, StepError> {
    let mut done = search::directory(scene, "actions", "actions", "actions", "actions")?;
    let cache = scene.content.actions_cache.then_some("artifactcache");
    for service in SERVICES.into_iter().chain(cache) {
        let script = format!("ghe-actions-console -s {service} -c \"Repair-DatabaseLogins\" </dev/null");
        scene.remote.work(&format!("repair the database logins of {service}"), &script, &[])?;
    }
    done.warnings.push("self-hosted runners must be restarted, or registered again".into());
    Ok(done)
}
