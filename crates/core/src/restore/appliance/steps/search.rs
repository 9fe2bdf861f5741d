//! Directories that are taken as they are: search indices, `MinIO` (contract §5.4, §5.5).

use super::super::{
    error::StepError,
    report::Done,
    run::Scene,
    sync::{Sameness, Transfer, Ways},
};
use crate::appliance::quote::quote;

/// Sends the search indices beside the running ones; applying the configuration swaps them in.
pub fn elasticsearch(scene: &Scene<'_>) -> Result<Done, StepError> {
    directory(scene, "elasticsearch", "elasticsearch-restore", "elasticsearch", "elasticsearch")
}

/// Sends the buckets of `MinIO`.
pub fn minio(scene: &Scene<'_>) -> Result<Done, StepError> {
    directory(scene, "minio", "minio", "minio", "minio")
}

pub(super) fn directory(
    scene: &Scene<'_>,
    from: &'static str,
    to: &str,
    user: &str,
    part: &'static str,
) -> Result<Done, StepError> {
    let entry = scene.view.find(from.as_bytes())?.ok_or_else(|| StepError::Missing(from.into()))?;
    let to = scene.data(to);
    let folder = quote(&to);
    let owner = quote(&format!("{user}:{user}"));
    scene
        .remote
        .ask(&format!("make {to}"), &format!("sudo mkdir -p {folder} && sudo chown -R {owner} {folder}"))?;
    let transfer =
        Transfer { from: from.as_bytes(), to: &to, user, sameness: Sameness::Time, delete: true, part };
    scene.sync.units(&transfer, vec![(Vec::new(), entry)], &Ways::new())
}
