//! `ghevault import`: snapshot directories of backup-utils into the vault.

use super::{Invocation, vault};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{
        complain, human,
        table::{self, Align},
    },
};
use clap::Args;
use ghevault_core::{
    import::{
        self, DataListing, ImportInputs, ImportOptions, ImportPlan, ImportReport, Step, chain::Chain, plan,
        report::Fate,
    },
    seal::{self, Outcome},
    vault::tree_hex,
};
use std::{fmt::Write as _, path::PathBuf};

/// Take over a data directory of backup-utils: each of its snapshots becomes a sealed snapshot, oldest first.
///
/// The directory is only read. Files that several snapshots share are read once. A snapshot that is in the vault already
/// is not taken again, so an import that was interrupted goes on where it was. What a snapshot lacks is named, and makes
/// it partial (exit code 3).
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The data directory (GHE_DATA_DIR of backup-utils)
    #[arg(value_name = "DATA_DIR")]
    data: PathBuf,
    /// Only this snapshot directory, or `current`; may be given several times
    #[arg(long, value_name = "NAME")]
    snapshot: Vec<String>,
    /// Take snapshots that backup-utils did not finish too, as partial ones
    #[arg(long)]
    force_incomplete: bool,
    /// Go on although the vault's last snapshot is of another appliance
    #[arg(long)]
    allow_other_appliance: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Imports.
///
/// # Errors
/// The directory is in use or is none, the vault fails; partial when a snapshot lacks something.
pub fn run(arguments: &ImportArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let listing = DataListing::read(&arguments.data)
        .map_err(|source| import::ImportError::Data { path: arguments.data.display().to_string(), source })?;
    let list = opened.snapshots()?;
    let recorded = import::recorded(&list, &opened.index()?)?;
    let ours = list
        .snapshots
        .iter()
        .rev()
        .find_map(|one| seal::read(one.description.as_deref(), &tree_hex(&one.tree)).ok())
        .map(|seal| seal.manifest.uuid);
    let options = ImportOptions {
        only: arguments.snapshot.clone(),
        force_incomplete: arguments.force_incomplete,
        allow_other_appliance: arguments.allow_other_appliance,
    };
    let plan = plan::plan(&listing, &recorded, ours.as_deref(), &options)?;
    if arguments.dry_run {
        invocation.screen.result(&plan, || plan_text(&plan));
        return Ok(());
    }
    let progress = invocation.screen.progress();
    let host = invocation.settings.host.as_ref().map(|value| value.text.clone());
    let seal_key = invocation.seal_key()?;
    let inputs = ImportInputs {
        vault: &opened,
        seal_key: &seal_key,
        host: host.as_deref(),
        cancel: &invocation.interrupt.cooperative(),
        progress: &*progress,
    };
    let report = import::run(&inputs, &plan)?;
    drop(progress);
    invocation.screen.result(&report, || text(&report));
    match report.outcome {
        Outcome::Complete => Ok(()),
        Outcome::Partial => {
            let partial = |one: &&import::Imported| {
                one.fate == Fate::Failed
                    || (one.fate == Fate::Imported && one.outcome != Some(Outcome::Complete))
            };
            let names: Vec<&str> =
                report.snapshots.iter().filter(partial).map(|one| one.name.as_str()).collect();
            complain(&format!("not complete: {}", names.join(", ")));
            Err(CommandError::already_reported(Kind::Partial))
        }
        Outcome::Failed => {
            complain("no snapshot directory could be imported");
            Err(CommandError::already_reported(Kind::Failure))
        }
    }
}

fn time_text(time: Option<jiff::Timestamp>) -> String {
    time.map(|time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default()
}

/// The plan for people.
fn plan_text(plan: &ImportPlan) -> String {
    let rows: Vec<[String; 4]> = plan
        .snapshots
        .iter()
        .map(|one| {
            let (action, note) = match &one.step {
                Step::Import { again: None } => ("import", String::new()),
                Step::Import { again: Some(id) } => ("import again", format!("{} is partial", short(id))),
                Step::Present { snapshot } => ("present", format!("is {}", short(snapshot))),
                Step::Skip { reason } => ("skip", reason.clone()),
            };
            let chain = match &one.chain {
                Chain::Members(members) => format!("MySQL chain of {}", members.len()),
                Chain::Whole | Chain::Broken(_) => String::new(),
            };
            let notes = [note, chain].into_iter().chain(one.problems.clone()).filter(|text| !text.is_empty());
            [one.name.clone(), time_text(one.time), action.to_owned(), notes.collect::<Vec<_>>().join("; ")]
        })
        .collect();
    let columns =
        [("directory", Align::Left), ("time", Align::Left), ("action", Align::Left), ("notes", Align::Left)];
    let mut text = table::render(columns, &rows);
    for warning in &plan.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// The report for people.
fn text(report: &ImportReport) -> String {
    let word = |one: &import::Imported| match (one.fate, one.outcome) {
        (Fate::Imported, Some(outcome)) => vault::outcome_word(outcome).to_owned(),
        (Fate::Imported | Fate::Present, _) => "present".to_owned(),
        (Fate::Skipped, _) => "skipped".to_owned(),
        (Fate::Failed, _) => "failed".to_owned(),
    };
    let rows: Vec<[String; 8]> = report
        .snapshots
        .iter()
        .map(|one| {
            [
                one.name.clone(),
                one.snapshot.as_deref().map(short).unwrap_or_default().to_owned(),
                word(one),
                human::count(one.files),
                human::bytes(one.bytes),
                human::bytes(one.bytes_read),
                human::bytes(one.bytes_added),
                human::seconds(one.seconds),
            ]
        })
        .collect();
    let columns = [
        ("directory", Align::Left),
        ("snapshot", Align::Left),
        ("outcome", Align::Left),
        ("files", Align::Right),
        ("size", Align::Right),
        ("read", Align::Right),
        ("added", Align::Right),
        ("time", Align::Right),
    ];
    let mut text = table::render(columns, &rows);
    for one in &report.snapshots {
        if let Some(reason) = &one.reason {
            let _ = writeln!(text, "{}: {reason}", one.name);
        }
        for (row, problem) in
            one.datasets.iter().flat_map(|row| row.problems.iter().map(move |problem| (row, problem)))
        {
            let _ = writeln!(text, "{}: {}: {problem}", one.name, row.name);
        }
        for warning in &one.warnings {
            let _ = writeln!(text, "{}: warning: {warning}", one.name);
        }
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let _ = writeln!(
        text,
        "\n{} shows {}; read {}, added {} to the vault, all in {}",
        report.data,
        human::bytes(report.bytes),
        human::bytes(report.bytes_read),
        human::bytes(report.bytes_added),
        human::seconds(report.seconds),
    );
    text
}
