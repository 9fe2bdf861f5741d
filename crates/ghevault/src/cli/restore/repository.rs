//! Gives one repository back.

use crate::{
    cli::{Invocation, vault},
    error::{CommandError, CommandResult, Kind},
    output::human,
};
use clap::Args;
use ghevault_core::restore::{
    repository::{self, Delivered, Destination, RemoteUrl, RepositoryOptions, RepositoryReport, find},
    view::SnapshotView,
};
use std::{fmt::Write as _, path::PathBuf};

/// Give one repository back: as a bare repository, a bundle, or a push to an empty one. Needs `git`.
///
/// A target is a URL when it has a scheme (https, ssh, file) or the form user@host:path; a bundle when it ends in `.bundle`;
/// otherwise a folder. `dir:` in front of it settles doubts. A folder whose name ends in `.git` becomes the repository; any other
/// gets NAME.git and NAME.wiki.git. LFS objects stand below `lfs/objects`, where git-lfs looks for them.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct RepositoryArgs {
    /// OWNER/NAME in any case, gist/NAME, or a path in the snapshot
    name: String,
    /// The snapshot: `latest`, or the beginning of its id
    #[arg(long, value_name = "SNAPSHOT", default_value = "latest")]
    at: String,
    /// Folder, file.bundle or URL
    #[arg(long, value_name = "DIR|FILE.bundle|URL")]
    to: String,
    /// Leave its wiki out
    #[arg(long)]
    no_wiki: bool,
    /// Leave its LFS objects out
    #[arg(long)]
    no_lfs: bool,
    /// Push the appliance's own references (refs/pull/…) too; folders and bundles have them anyway
    #[arg(long)]
    all_refs: bool,
    /// Push to a repository that is not empty, over references that are there
    #[arg(long)]
    force: bool,
    /// Print what would be read, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Tells the kinds of targets apart.
fn destination(text: &str) -> CommandResult<Destination> {
    if let Some(path) = text.strip_prefix("dir:") {
        return Ok(Destination::Folder(PathBuf::from(path)));
    }
    if RemoteUrl::looks_like(text) {
        return Ok(Destination::Remote(RemoteUrl::parse(text)?));
    }
    let path = PathBuf::from(text);
    if text.is_empty() {
        return Err(CommandError::usage("the target is empty").hint("Give `--to DIR`, a bundle or a URL."));
    }
    let bundle = path.extension().is_some_and(|ending| ending == "bundle") && !text.ends_with('/');
    Ok(if bundle { Destination::Bundle(path) } else { Destination::Folder(path) })
}

/// Gives the repository back, or prints what would be read.
///
/// # Errors
/// No such snapshot or repository, a target that is there already, damage; partial when single LFS objects or the wiki are missing.
pub fn run(arguments: &RepositoryArgs, invocation: &Invocation) -> CommandResult {
    let destination = destination(&arguments.to)?;
    let opened = vault::open(invocation)?;
    let judged = vault::find(&opened, &arguments.at)?;
    let reader = vault::reader(&opened)?;
    let index_bytes = opened.bytes_read();
    let view = SnapshotView::new(&reader, judged.snapshot.tree);
    let options = RepositoryOptions {
        wiki: !arguments.no_wiki,
        lfs: !arguments.no_lfs,
        all_refs: arguments.all_refs,
        force: arguments.force,
        ..RepositoryOptions::new(std::env::temp_dir())
    };
    let progress = invocation.screen.progress();
    let id = judged.snapshot.id.to_string();
    if arguments.dry_run {
        let named = find::find(view, &arguments.name, &*progress)?;
        let plan = repository::plan(view, &named)?;
        drop(progress);
        let files = plan.pieces().count();
        let value = serde_json::json!({
            "snapshot": id, "name": plan.name, "path": String::from_utf8_lossy(&plan.path), "head": plan.head,
            "files": files, "bytes": plan.bytes(), "to": shown(&destination), "warnings": plan.warnings,
        });
        invocation.screen.result(&value, || {
            let size = human::bytes(plan.bytes());
            format!(
                "would restore {} from snapshot {}: {files} files, {size}",
                plan.name,
                judged.snapshot.id.short()
            )
        });
        return Ok(());
    }
    let report = repository::run(view, &id, &arguments.name, &destination, &options, &*progress)?;
    drop(progress);
    let mut value =
        serde_json::to_value(&report).map_err(|error| CommandError::from_error(Kind::Failure, &error))?;
    if let Some(fields) = value.as_object_mut() {
        let outcome = if report.complete() { "complete" } else { "partial" };
        fields.insert("outcome".to_owned(), outcome.into());
        fields.insert("bytes_read".to_owned(), opened.bytes_read().into());
        fields.insert("index_bytes".to_owned(), index_bytes.into());
    }
    invocation.screen.result(&value, || text(&report, opened.bytes_read()));
    if report.complete() { Ok(()) } else { Err(CommandError::already_reported(Kind::Partial)) }
}

fn shown(destination: &Destination) -> String {
    match destination {
        Destination::Folder(path) | Destination::Bundle(path) => path.display().to_string(),
        Destination::Remote(url) => url.to_string(),
    }
}

/// The report for people.
fn text(report: &RepositoryReport, read: u64) -> String {
    let mut text = String::new();
    let line =
        |what: &Delivered| format!("{} → {} ({} references, {})", what.name, what.to, what.refs, what.head);
    let _ = writeln!(text, "{}", line(&report.repository));
    if let Some(wiki) = &report.wiki {
        let _ = writeln!(text, "{}", line(wiki));
    }
    if let Some((lfs, to)) = report.lfs.as_ref().and_then(|lfs| Some((lfs, lfs.to.as_ref()?))) {
        let _ = writeln!(text, "{} LFS objects ({}) → {to}", lfs.objects, human::bytes(lfs.bytes));
    }
    for problem in &report.problems {
        let _ = writeln!(text, "not restored: {}: {}", problem.path, problem.what);
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let outcome = if report.complete() { "complete" } else { "partial" };
    let _ = write!(text, "{outcome}, {} read in {}", human::bytes(read), human::seconds(report.seconds));
    text
}

#[cfg(test)]
mod tests {
    use super::{Destination, destination};

    #[test]
    fn targets_are_told_apart_by_their_form() {
        let kind = |text: &str| match destination(text).expect(text) {
            Destination::Folder(_) => "folder",
            Destination::Bundle(_) => "bundle",
            Destination::Remote(_) => "remote",
        };
        assert_eq!(["out", "./out.git", "dir:a.bundle", "x.bundle/"].map(kind), ["folder"; 4]);
        assert_eq!(["x.bundle", "/srv/x.bundle"].map(kind), ["bundle"; 2]);
        assert_eq!(["https://h/a/b", "git@h:a/b.git", "file:///srv/b.git"].map(kind), ["remote"; 3]);
        destination("ext::sh -c id").expect_err("a program");
        destination("").expect_err("nothing");
    }
}
