//! `ghevault export`: a snapshot as a directory of GitHub's backup-utils.

use super::{Invocation, vault};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{self, human},
};
use clap::Args;
use ghevault_core::restore::{
    export::{self, ExportOptions},
    view::SnapshotView,
};
use std::path::PathBuf;

/// Write a snapshot as a backup-utils snapshot directory, for `ghe-restore` and the appliance's Backup Service.
///
/// DIR gets a directory named by the snapshot's time, and the link `current`. While it is written it carries the file
/// `incomplete`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// `latest`, or the beginning of a snapshot's id
    snapshot: String,
    /// The data directory (GHE_DATA_DIR of backup-utils)
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// Name of the directory, instead of the snapshot's time
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Exports.
///
/// # Errors
/// No such snapshot, an export of this name exists, no space; partial when single files could not be written.
pub fn run(arguments: &ExportArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let judged = vault::find(&opened, &arguments.snapshot)?;
    let reader = vault::reader(&opened)?;
    let snapshot = &judged.snapshot;
    let options = ExportOptions {
        name: arguments.name.clone(),
        version: judged.seal.as_ref().ok().map(|seal| seal.manifest.version.clone()),
        ..ExportOptions::default()
    };
    let view = SnapshotView::new(&reader, snapshot.tree);
    let progress = invocation.screen.progress();
    let id = snapshot.id.to_string();
    let report = export::run(view, &id, snapshot.time, &arguments.to, &options, &*progress)?;
    invocation.screen.result(&report, || {
        format!(
            "exported snapshot {} to {}: {} files, {}",
            snapshot.id.short(),
            report.path.display(),
            human::count(report.restored.files),
            human::bytes(report.restored.bytes)
        )
    });
    if report.restored.complete() {
        return Ok(());
    }
    output::problems(&report.restored);
    Err(CommandError::already_reported(Kind::Partial))
}
