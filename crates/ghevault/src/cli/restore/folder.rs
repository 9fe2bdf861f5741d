//! Restores into a local folder.

use super::RestoreArgs;
use crate::{
    cli::{Invocation, vault},
    error::{CommandError, CommandResult, Kind},
    output::{self, human},
};
use ghevault_core::restore::{
    folder::{self, FolderOptions},
    select::Selection,
    view::SnapshotView,
};
use std::path::Path;

/// Restores, or prints what would be restored.
///
/// # Errors
/// No such snapshot, an unsuitable folder; partial when single entries could not be given back.
pub fn run(arguments: &RestoreArgs, path: &Path, invocation: &Invocation) -> CommandResult {
    if let Some(flag) = arguments.first_for_appliances() {
        return Err(CommandError::usage(format!("{flag} is for appliances"))
            .hint("Choose paths of a folder with --include; `host:NAME` names an appliance."));
    }
    let opened = vault::open(invocation)?;
    let judged = vault::find(&opened, arguments.snapshot())?;
    let reader = vault::reader(&opened)?;
    let view = SnapshotView::new(&reader, judged.snapshot.tree);
    let options = FolderOptions {
        selection: Selection::new(arguments.include.iter().map(|path| path.clone().into_bytes())),
        into_existing: arguments.into_existing,
        verify: arguments.compare,
        ..FolderOptions::default()
    };
    let plan = folder::plan(view, &options)?;
    let short = judged.snapshot.id.short();
    if arguments.dry_run {
        let value = serde_json::json!({
            "snapshot": judged.snapshot.id.to_string(),
            "target": path.display().to_string(),
            "plan": plan,
        });
        invocation.screen.result(&value, || {
            format!("would restore snapshot {short} to {}: {}", path.display(), human::bytes(plan.bytes))
        });
        return Ok(());
    }
    let progress = invocation.screen.progress();
    let report = folder::run(view, &plan, &judged.snapshot.id.to_string(), path, &options, &*progress)?;
    let mut value =
        serde_json::to_value(&report).map_err(|error| CommandError::from_error(Kind::Failure, &error))?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("snapshot".to_owned(), judged.snapshot.id.to_string().into());
        fields.insert("target".to_owned(), path.display().to_string().into());
        let outcome = if report.complete() { "complete" } else { "partial" };
        fields.insert("outcome".to_owned(), outcome.into());
    }
    invocation.screen.result(&value, || {
        format!(
            "restored snapshot {short} to {}: {} files, {} links, {} folders, {}; {} entries were there already",
            path.display(),
            human::count(report.files),
            human::count(report.symlinks),
            human::count(report.directories),
            human::bytes(report.bytes),
            human::count(report.skipped)
        )
    });
    if report.complete() {
        return Ok(());
    }
    output::problems(&report);
    Err(CommandError::already_reported(Kind::Partial))
}
