//! Directories that are taken as they are: search indices, MinIO (contract §5.4, §5.5).

use super::super::{
    error::StepError,
    report::Done,
    run::Context,
    sync::{Sameness, Transfer, Ways},
};
use crate::appliance::quote::quote;

/// Sends the search indices beside the running ones; applying the configuration swaps them in.
pub fn elasticsearch(context: &Context<'_>) -> Result<Done, StepError> {
    directory(context, "elasticsearch", "elasticsearch-restore", "elasticsearch", "elasticsearch")
}

/// Sends MinIO's buckets.
pub fn minio(context: &Context<'_>) -> Result<Done, StepError> {
    directory(context, "minio", "minio", "minio", "minio")
}

fn directory(
    context: &Context<'_>,
    from: &'static str,
    to: &str,
    user: &str,
    part: &'static str,
) -> Result<Done, StepError> {
    let entry = context.view.find(from.as_bytes())?.ok_or_else(|| StepError::Missing(from.into()))?;
    let to = context.data(to);
    let folder = quote(&to);
    let owner = quote(&format!("{user}:{user}"));
    context
        .remote
        .ask(&format!("make {to}"), &format!("sudo mkdir -p {folder} && sudo chown {owner} {folder}"))?;
    let transfer =
        Transfer { from: from.as_bytes(), to: &to, user, sameness: Sameness::Time, delete: true, part };
    context.sync.units(&transfer, vec![(Vec::new(), entry)], &Ways::new())
}
