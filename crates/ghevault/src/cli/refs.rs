//! `ghevault refs`: where the references of a repository pointed at each snapshot.

use super::{Invocation, vault};
use crate::{
    error::CommandResult,
    output::table::{self, Align},
};
use clap::Args;
use ghevault_core::history::{self, Move, MoveKind, RefHistory, Step, moves};
use std::fmt::Write as _;

/// Show where each branch and tag of a repository pointed, snapshot by snapshot.
///
/// Marked with `!`: branches that were rewound or deleted, tags that moved, another default branch. Whether a branch went
/// forward or was rewound is asked of the commits in the snapshots.
#[derive(Debug, Args)]
pub struct RefsArgs {
    /// The repository: OWNER/NAME, gist/NAME, or its path in the snapshot
    name: String,
    /// Only this reference, e.g. `main`, `v1.0` or `refs/heads/main`
    reference: Option<String>,
    /// References that the appliance keeps for itself (refs/pull/…), too
    #[arg(long)]
    all: bool,
    /// Only what happened in this snapshot and later ones
    #[arg(long, value_name = "SNAPSHOT")]
    since: Option<String>,
}

/// Tells the history.
///
/// # Errors
/// No snapshot has the repository; a snapshot cannot be read.
pub fn run(arguments: &RefsArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let list = opened.snapshots()?;
    let since = match &arguments.since {
        Some(name) => Some(list.find(name)?.time),
        None => None,
    };
    let reader = vault::reader(&opened)?;
    let mut told = history::refs::of(&reader, &list.snapshots, &arguments.name, &std::env::temp_dir())?;
    let wanted = |one: &Move| match &arguments.reference {
        Some(wanted) => is_named(&one.reference, wanted),
        None => arguments.all || !moves::is_internal(&one.reference),
    };
    for step in &mut told.steps {
        step.moves.retain(wanted);
    }
    told.steps.retain(|step| {
        (!step.moves.is_empty() || step.renamed.is_some() || !step.there)
            && since.is_none_or(|since| step.at.time >= since)
    });
    invocation.screen.result(&told, || text(&told));
    Ok(())
}

/// Whether `wanted` means the reference: in full, or without `refs/`, `refs/heads/` or `refs/tags/`.
fn is_named(reference: &str, wanted: &str) -> bool {
    reference == wanted
        || ["refs/", "refs/heads/", "refs/tags/"]
            .iter()
            .any(|start| reference.strip_prefix(start) == Some(wanted))
}

/// The history for people.
fn text(told: &RefHistory) -> String {
    let mut text = format!("{} ({} snapshots)\n", told.name, told.snapshots.len());
    let rows: Vec<[String; 6]> = told.steps.iter().flat_map(rows).collect();
    if rows.is_empty() {
        return text + "nothing happened in these snapshots\n";
    }
    let columns = [
        ("", Align::Left),
        ("time", Align::Left),
        ("snapshot", Align::Left),
        ("reference", Align::Left),
        ("what", Align::Left),
        ("from → to", Align::Left),
    ];
    text += &table::render(columns, &rows);
    for reason in told.steps.iter().flat_map(|step| &step.moves).filter_map(|one| match &one.kind {
        MoveKind::Unproven(why) => Some(format!("{}: {why}", one.reference)),
        _ => None,
    }) {
        let _ = writeln!(text, "unproven: {reason}");
    }
    text
}

fn rows(step: &Step) -> Vec<[String; 6]> {
    let time = step.at.time.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let snapshot = step.at.snapshot[..8.min(step.at.snapshot.len())].to_owned();
    let row = |mark: bool, reference: &str, what: &str, values: String| {
        let mark = if mark { "!" } else { "" };
        [mark.into(), time.clone(), snapshot.clone(), reference.into(), what.into(), values]
    };
    let mut rows = Vec::new();
    if !step.there {
        rows.push(row(true, "", "repository gone", String::new()));
    }
    if let Some(name) = &step.renamed {
        rows.push(row(false, "", "renamed", name.clone()));
    }
    rows.extend(step.moves.iter().map(|one| {
        let notable = one.kind.is_notable() && !moves::is_internal(&one.reference);
        row(notable, &one.reference, one.kind.word(), values(one))
    }));
    rows
}

/// From where to where, short.
pub fn values(one: &Move) -> String {
    let short = |value: &Option<String>| match value.as_deref() {
        Some(value) if value.len() >= 40 && value.bytes().all(|b| b.is_ascii_hexdigit()) => {
            value[..10].to_owned()
        }
        Some(value) => value.strip_prefix("ref: ").unwrap_or(value).to_owned(),
        None => "–".to_owned(),
    };
    format!("{} → {}", short(&one.from), short(&one.to))
}

#[cfg(test)]
mod tests {
    use super::is_named;

    #[test]
    fn a_reference_is_named_in_full_or_short() {
        for wanted in ["refs/heads/main", "heads/main", "main"] {
            assert!(is_named("refs/heads/main", wanted), "{wanted}");
        }
        assert!(is_named("refs/tags/v1", "v1") && is_named("HEAD", "HEAD"));
        assert!(!is_named("refs/heads/main2", "main") && !is_named("refs/heads/x/main", "main"));
    }
}
