//! One file per kind of step; [`act`] is their table.

mod actions;
mod audit_log;
mod frame;
mod git_hooks;
mod keys;
mod mssql;
mod mysql;
mod nodes;
mod redis;
mod repositories;
mod routed;
mod search;
mod secrets;
mod settings;
mod spread;

use super::{error::StepError, plan::Step, remote::Remote, report::Done, run::Scene};
use crate::{appliance::quote::quote, restore::view::ViewError};

pub use actions::start as start_actions;

/// Does one step.
///
/// # Errors
/// The step could not be done. Items that alone could not be restored are problems in what it returns.
pub fn act(step: Step, scene: &Scene<'_>) -> Result<Done, StepError> {
    match step {
        Step::ClientStamp => frame::client_stamp(scene),
        Step::Secrets => secrets::restore(scene),
        Step::License => settings::license(scene),
        Step::Settings => settings::settings(scene),
        Step::Saml => settings::saml(scene),
        Step::CaCertificates => settings::ca_certificates(scene),
        Step::EnsureServices => frame::ensure_services(scene),
        Step::Uuid => frame::uuid(scene),
        Step::Mysql(importer) => mysql::restore(scene, importer),
        Step::ActionsStop => actions::stop(scene),
        Step::Mssql => mssql::restore(scene),
        Step::ActionsFiles => actions::files(scene),
        Step::Minio => search::minio(scene),
        Step::MigrationSentinel => frame::migration_sentinel(scene),
        Step::Redis => redis::restore(scene),
        Step::Repositories => repositories::restore(scene),
        Step::Gists => routed::gists(scene),
        Step::Pages => routed::pages(scene),
        Step::AuthorizedKeys => keys::authorized_keys(scene),
        Step::Storage => routed::storage(scene),
        Step::GitHooks => git_hooks::restore(scene),
        Step::Elasticsearch => search::elasticsearch(scene),
        Step::AuditLog => audit_log::restore(scene),
        Step::HoldConnect => frame::hold_connect(scene),
        Step::NomadCleanup => frame::nomad_cleanup(scene),
        Step::ConfigApply => frame::config_apply(scene),
        Step::ClearConnect => frame::clear_connect(scene),
        Step::StaleNodes => nodes::remove_stale(scene),
        Step::SshHostKeys => keys::ssh_host_keys(scene),
        // The storyline does these two itself.
        Step::StopSchedules | Step::Complete => Ok(Done::default()),
    }
}

/// A small file of the snapshot's root, whole and of the right length.
fn small(scene: &Scene<'_>, name: &str) -> Result<Vec<u8>, StepError> {
    let path = name.as_bytes();
    let entry = scene.view.find(path)?.ok_or_else(|| StepError::Missing(name.into()))?;
    if entry.size > super::content::SMALL {
        let limit = super::content::SMALL;
        return Err(ViewError::TooLarge { path: name.into(), size: entry.size, limit }.into());
    }
    let mut content = Vec::new();
    let found = scene.view.dump(path, &entry, &mut content)?;
    if found == entry.size {
        return Ok(content);
    }
    Err(StepError::Length { path: name.into(), expected: entry.size, found })
}

/// Makes a folder below the appliance's data as `user`; a fresh appliance may lack the top one, which only root can make.
fn make_folder(scene: &Scene<'_>, below: &str, user: &str) -> Result<(), StepError> {
    make_folder_at(scene.remote, scene, below, user)
}

/// The same on another machine.
fn make_folder_at(remote: &Remote<'_>, scene: &Scene<'_>, below: &str, user: &str) -> Result<(), StepError> {
    let top = quote(&scene.data(below.split('/').next().unwrap_or(below)));
    let (folder, owner) = (quote(&scene.data(below)), quote(&format!("{user}:")));
    let script = format!(
        "{{ [ -e {top} ] || {{ sudo mkdir -p {top} && sudo chown {owner} {top}; }}; }} && sudo -u {} mkdir -p {folder}",
        quote(user)
    );
    remote.ask(&format!("make {below}"), &script).map(drop)
}

/// Pipes a small file of the snapshot's root into a command.
fn pipe(scene: &Scene<'_>, name: &str, label: &str, script: &str) -> Result<Done, StepError> {
    let content = small(scene, name)?;
    scene.remote.work(label, script, &content)?;
    Ok(Done::one(content.len() as u64))
}
