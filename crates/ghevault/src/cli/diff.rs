//! `ghevault diff`: what is different between two snapshots.

use super::{Invocation, refs::values, vault};
use crate::error::CommandResult;
use clap::Args;
use ghevault_core::history::{
    diff::{self, Change, Changed, Difference},
    moves,
};
use std::fmt::Write as _;

/// Show what is different between two snapshots.
///
/// Repositories that came, went or were renamed, references that moved, and the names of settings, secrets, administrators'
/// keys and hooks that changed. No value of a setting or a secret is shown.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The earlier snapshot
    from: String,
    /// The later one
    to: String,
    /// Do not ask the commits what a moved branch means: quicker, and such moves are then `unproven`
    #[arg(long)]
    fast: bool,
    /// References that the appliance keeps for itself (refs/pull/…), too
    #[arg(long)]
    all: bool,
}

/// Compares.
///
/// # Errors
/// There is no such snapshot, or one cannot be read.
pub fn run(arguments: &DiffArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let from = vault::find(&opened, &arguments.from)?.snapshot;
    let to = vault::find(&opened, &arguments.to)?.snapshot;
    let reader = vault::reader(&opened)?;
    let scratch = std::env::temp_dir();
    let scratch = (!arguments.fast).then_some(scratch.as_path());
    let mut found = diff::between(&reader, &from, &to, scratch)?;
    if !arguments.all {
        for repository in &mut found.repositories {
            repository.moves.retain(|one| !moves::is_internal(&one.reference));
        }
    }
    invocation.screen.result(&found, || text(&found));
    Ok(())
}

/// The differences for people.
fn text(found: &Difference) -> String {
    if found.is_empty() {
        return "no difference".to_owned();
    }
    let mut text = String::new();
    for repository in &found.repositories {
        let was = repository.was.as_ref().map(|was| format!(" (was {was})")).unwrap_or_default();
        let _ = writeln!(text, "{} {}{was}", sign(repository.change), repository.name);
        for one in &repository.moves {
            let mark = if one.kind.is_notable() { "!" } else { " " };
            let _ = writeln!(text, "  {mark} {} {} {}", one.kind.word(), one.reference, values(one));
        }
    }
    let lists: [(&str, &[Changed]); 6] = [
        ("setting", &found.settings),
        ("secret", &found.secrets),
        ("administrator's key", &found.authorized_keys),
        ("site administrator", &found.site_admins),
        ("hook", &found.hooks),
        ("file", &found.files),
    ];
    for (what, list) in lists {
        for one in list {
            let _ = writeln!(text, "{} {what} {}", sign(one.change), one.name);
        }
    }
    text
}

fn sign(change: Change) -> char {
    match change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed => '~',
    }
}
