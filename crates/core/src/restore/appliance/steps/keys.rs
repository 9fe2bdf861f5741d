//! SSH keys: the administrators' and the appliance's own.

use super::{
    super::{error::StepError, report::Done, run::Scene},
    pipe, small,
};

/// Imports the keys of the appliance's administrators.
pub fn authorized_keys(scene: &Scene<'_>) -> Result<Done, StepError> {
    pipe(scene, "authorized-keys.json", "import administrators' SSH keys", "ghe-import-authorized-keys")
}

/// Imports the appliance's host keys: the very last call, on the connection that stands, because every new connection
/// will show the new key (contract §5.4, step 21).
pub fn ssh_host_keys(scene: &Scene<'_>) -> Result<Done, StepError> {
    let content = small(scene, "ssh-host-keys.tar")?;
    scene.remote.told("import SSH host keys", "ghe-import-ssh-host-keys", &content)?;
    Ok(Done::one(content.len() as u64))
}
