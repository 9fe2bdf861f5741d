//! One file per kind of step; [`act`] is their table.

mod audit_log;
mod frame;
mod git_hooks;
mod keys;
mod mysql;
mod nodes;
mod redis;
mod repositories;
mod routed;
mod search;
mod secrets;
mod settings;

use super::{error::StepError, plan::Step, report::Done, run::Context};
use crate::restore::view::ViewError;

/// Does one step.
///
/// # Errors
/// The step could not be done. Items that alone could not be restored are problems in what it returns.
pub fn act(step: Step, context: &Context<'_>) -> Result<Done, StepError> {
    match step {
        Step::ClientStamp => frame::client_stamp(context),
        Step::Secrets => secrets::restore(context),
        Step::License => settings::license(context),
        Step::Settings => settings::settings(context),
        Step::Saml => settings::saml(context),
        Step::CaCertificates => settings::ca_certificates(context),
        Step::EnsureServices => frame::ensure_services(context),
        Step::Uuid => frame::uuid(context),
        Step::Mysql(importer) => mysql::restore(context, importer),
        Step::Minio => search::minio(context),
        Step::MigrationSentinel => frame::migration_sentinel(context),
        Step::Redis => redis::restore(context),
        Step::Repositories => repositories::restore(context),
        Step::Gists => routed::gists(context),
        Step::Pages => routed::pages(context),
        Step::AuthorizedKeys => keys::authorized_keys(context),
        Step::Storage => routed::storage(context),
        Step::GitHooks => git_hooks::restore(context),
        Step::Elasticsearch => search::elasticsearch(context),
        Step::AuditLog => audit_log::restore(context),
        Step::HoldConnect => frame::hold_connect(context),
        Step::NomadCleanup => frame::nomad_cleanup(context),
        Step::ConfigApply => frame::config_apply(context),
        Step::ClearConnect => frame::clear_connect(context),
        Step::StaleNodes => nodes::remove_stale(context),
        Step::SshHostKeys => keys::ssh_host_keys(context),
        // The storyline does these two itself.
        Step::StopSchedules | Step::Complete => Ok(Done::default()),
    }
}

/// A small file of the snapshot's root, whole and of the right length.
fn small(context: &Context<'_>, name: &str) -> Result<Vec<u8>, StepError> {
    let path = name.as_bytes();
    let entry = context.view.find(path)?.ok_or_else(|| StepError::Missing(name.into()))?;
    if entry.size > super::content::SMALL {
        let limit = super::content::SMALL;
        return Err(ViewError::TooLarge { path: name.into(), size: entry.size, limit }.into());
    }
    let mut content = Vec::new();
    let found = context.view.dump(path, &entry, &mut content)?;
    if found == entry.size {
        return Ok(content);
    }
    Err(StepError::Length { path: name.into(), expected: entry.size, found })
}

/// Pipes a small file of the snapshot's root into a command.
fn pipe(context: &Context<'_>, name: &str, label: &str, script: &str) -> Result<Done, StepError> {
    let content = small(context, name)?;
    context.remote.work(label, script, &content)?;
    Ok(Done::one(content.len() as u64))
}
