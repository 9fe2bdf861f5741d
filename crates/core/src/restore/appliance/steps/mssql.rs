//! The databases of GitHub Actions (contract §5.5): their backups are laid where the appliance's import looks for them, in a
//! cluster on the machine that has the databases.

use super::super::{
    cluster::{Cluster, Machine},
    error::StepError,
    report::Done,
    run::Scene,
};
use crate::{appliance::quote::quote, restore::entry::show};

const IMPORT: &str = "/usr/local/bin/ghe-import-mssql";

/// Uploads all backups into an emptied folder, checks their sizes, and imports them.
pub fn restore(scene: &Scene<'_>) -> Result<Done, StepError> {
    let master = scene.cluster.and_then(Cluster::mssql_master).map(Machine::remote);
    let remote = master.as_ref().unwrap_or(scene.remote);
    let label = "look for ghe-import-mssql";
    if !remote.test(label, &format!("test -e {IMPORT}"))? {
        let what = format!("that there is no `{IMPORT}`: is GitHub Actions set up on this appliance?");
        return Err(StepError::Answer { label: label.into(), what });
    }
    let directory = scene.view.find(b"mssql")?.ok_or_else(|| StepError::Missing("mssql".into()))?;
    let (files, unreadable) = scene.view.children(b"mssql", &directory.kind)?;
    if let Some(what) = unreadable.into_iter().next() {
        // One missing backup makes a gap, and half of the databases would be new.
        return Err(StepError::Missing(format!("readable file in `mssql`: {what}")));
    }
    let to = scene.data("mssql/backups");
    let folder = quote(&to);
    remote.ask("empty the folder of backups", &format!("sudo rm -rf {folder} && sudo mkdir -p {folder}"))?;
    let mut done = Done::default();
    for file in files.iter().filter(|entry| entry.is_file()) {
        let name = show(&file.name);
        let bytes =
            remote.upload(scene.view, &format!("mssql/{name}"), &format!("{to}/{name}"), |dump, feed| {
                dump(feed)
            })?;
        done.add(Done::one(bytes));
    }
    remote.ask("give the backups away", &format!("sudo chown -R mssql:mssql {folder}"))?;
    remote.work("import the databases of GitHub Actions", "ghe-import-mssql </dev/null", &[])?;
    Ok(done)
}
