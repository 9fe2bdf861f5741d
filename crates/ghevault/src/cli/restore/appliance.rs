//! Restores onto an appliance.

use super::RestoreArgs;
use crate::{
    cli::{
        Invocation, connect,
        vault::{self, Judged},
    },
    error::{CommandError, CommandResult, Kind},
    output::{
        self, human,
        table::{self, Align},
    },
};
use ghevault_core::{
    appliance::facts,
    restore::{
        appliance::{
            self as core, ApplianceOptions, ApplianceReport, Dataset, Outcome, RestorePlan, Trust,
            content::SnapshotContent,
        },
        view::SnapshotView,
    },
    seal,
    state::{RestoreRecord, StateFolder},
};
use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write};

/// A dataset that exists.
pub fn dataset(text: &str) -> Result<Dataset, String> {
    Dataset::named(text).ok_or_else(|| {
        let names: Vec<&str> = Dataset::ALL.iter().map(|dataset| dataset.name()).collect();
        format!("there is no such dataset; there are: {}", names.join(", "))
    })
}

/// Restores, or prints the plan.
///
/// # Errors
/// A guard refuses, the appliance fails; partial when single items could not be given back.
pub fn run(arguments: &RestoreArgs, host: &str, invocation: &Invocation) -> CommandResult {
    if !arguments.include.is_empty() || arguments.into_existing || arguments.compare {
        return Err(CommandError::usage("--include, --into-existing and --compare are for folders")
            .hint("Choose datasets of an appliance with --only and --skip."));
    }
    let target = connect::named_target(host)?;
    let host = target.to_string();
    let mut options = options(arguments, &host, invocation)?;
    let opened = vault::open(invocation)?;
    let judged = vault::find(&opened, arguments.snapshot())?;
    let reader = vault::reader(&opened)?;
    let view = SnapshotView::new(&reader, judged.snapshot.tree);
    let content = SnapshotContent::read(view)?;
    let channel = connect::channel(invocation, target)?;
    let facts = facts::probe(&*channel, &options.data_root, &host)?;
    let plan = core::plan(&facts, &content, &options);
    let trust = trust(&judged);
    if arguments.dry_run {
        // What would be asked later is no obstacle to looking at the plan.
        options.confirmation = Some(host);
        let remarks = check(&facts, &content, &trust, &options)?;
        let value = serde_json::json!({ "snapshot": judged.snapshot.id.to_string(), "plan": plan, "remarks": remarks });
        invocation.screen.result(&value, || plan_text(&plan, &remarks));
        return Ok(());
    }
    if options.confirmation.is_none() && facts.configured {
        options.confirmation = ask(&plan, &host, invocation);
    }
    let remarks = check(&facts, &content, &trust, &options)?;
    for remark in remarks {
        output::complain(&format!("warning: {remark}"));
    }
    let progress = invocation.screen.progress();
    let id = judged.snapshot.id.to_string();
    let report = core::run(&*channel, view, &id, &facts, &content, &plan, &options, &*progress)?;
    drop(progress);
    remember(&report, &plan, invocation);
    invocation.screen.result(&report, || text(&report));
    match report.outcome {
        Outcome::Complete => Ok(()),
        Outcome::Partial => Err(CommandError::already_reported(Kind::Partial)),
        Outcome::Failed => {
            output::complain(
                "hint: Keep the appliance in maintenance mode and run it again: only what is missing is sent.",
            );
            Err(CommandError::already_reported(Kind::Failure))
        }
    }
}

/// Remembers how fast a restore was, if it was a whole one that had to send most of its data: `advise` estimates by it.
fn remember(report: &ApplianceReport, plan: &RestorePlan, invocation: &Invocation) {
    let sent: u64 = report.steps.iter().map(|step| step.bytes).sum();
    let planned: u64 = plan.steps.iter().map(|step| step.bytes).sum();
    if report.outcome != Outcome::Complete || sent == 0 || sent < planned / 2 {
        return;
    }
    let record = RestoreRecord {
        snapshot: report.snapshot.clone(),
        host: report.host.clone(),
        bytes: sent,
        seconds: report.steps.iter().map(|step| step.seconds).sum(),
        at: jiff::Timestamp::now(),
    };
    let kept = StateFolder::open(&invocation.settings.state).and_then(|state| state.record_restored(&record));
    if let Err(error) = kept {
        output::complain(&format!("warning: the speed of this restore is not remembered: {error}"));
    }
}

/// The core's guard, its refusals with hints.
fn check(
    facts: &facts::Facts,
    content: &SnapshotContent,
    trust: &Trust,
    options: &ApplianceOptions,
) -> CommandResult<Vec<String>> {
    Ok(core::check(facts, content, trust, options).map_err(core::ApplianceRestoreError::from)?)
}

/// The core's options of this run.
fn options(arguments: &RestoreArgs, host: &str, invocation: &Invocation) -> CommandResult<ApplianceOptions> {
    let merged = &invocation.settings;
    let mut options = ApplianceOptions::new(host);
    options.confirmation.clone_from(&arguments.confirm);
    options.settings = arguments.settings;
    options.isolated = arguments.isolated;
    options.external_mysql_script.clone_from(&merged.restore_external_mysql_script);
    options.console_password = merged.restore_console_password;
    options.accept_incomplete = arguments.accept_incomplete;
    options.drain_s = merged.drain.as_secs();
    options.only = arguments.only.iter().copied().collect();
    let mut skip = arguments.skip.clone();
    for name in &merged.restore_skip {
        skip.push(dataset(name).map_err(|reason| {
            CommandError::usage(format!("`restore.skip` names the unknown dataset `{name}`")).hint(reason)
        })?);
    }
    if skip.contains(&Dataset::Mysql) {
        // Leaving out the database is a decision of its own, which the guard judges.
        options.skip_mysql = true;
        skip.retain(|dataset| *dataset != Dataset::Mysql);
    }
    if !skip.is_empty() {
        if options.only.is_empty() {
            options.only = Dataset::ALL.into_iter().collect();
        }
        options.only.retain(|dataset| !skip.contains(dataset));
    }
    Ok(options)
}

/// What the seal says about the snapshot.
fn trust(judged: &Judged) -> Trust {
    match &judged.seal {
        Ok(seal) if seal.manifest.outcome == seal::Outcome::Complete => Trust::Sealed,
        Ok(seal) => {
            let missing =
                seal.manifest.datasets.iter().filter(|(_, row)| row.outcome != seal::Outcome::Complete);
            Trust::Partial(missing.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "))
        }
        Err(error) => Trust::Unsealed(error.to_string()),
    }
}

/// Asks for the name of the appliance; nothing typed (or nobody there) is no confirmation.
fn ask(plan: &RestorePlan, host: &str, invocation: &Invocation) -> Option<String> {
    if invocation.screen.json || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return None;
    }
    invocation.screen.say(&plan_text(plan, &[]));
    print!("Everything on {host} will be overwritten. Type its name to go on: ");
    let _ = io::stdout().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).unwrap_or_default();
    (read > 0).then(|| answer.trim().to_owned())
}

/// The plan for people.
fn plan_text(plan: &RestorePlan, remarks: &[String]) -> String {
    let mut text = plan.to_string();
    for remark in remarks {
        let _ = writeln!(text, "warning: {remark}");
    }
    text
}

/// The report for people.
fn text(report: &ApplianceReport) -> String {
    let rows: Vec<[String; 6]> = report
        .steps
        .iter()
        .map(|row| {
            [
                row.step.words().to_owned(),
                if row.ok { "ok" } else { "FAILED" }.to_owned(),
                human::count(row.items),
                human::count(row.unchanged),
                human::bytes(row.bytes),
                human::seconds(row.seconds),
            ]
        })
        .collect();
    let columns = [
        ("step", Align::Left),
        ("", Align::Left),
        ("sent", Align::Right),
        ("there", Align::Right),
        ("size", Align::Right),
        ("time", Align::Right),
    ];
    let mut text = table::render(columns, &rows);
    for row in report.steps.iter().filter(|row| !row.ok) {
        let why = row.error.as_deref().unwrap_or("no reason is known");
        let _ = writeln!(text, "failed: {}: {why}", row.step.words());
    }
    for problem in report.problems.iter().take(20) {
        let _ = writeln!(text, "not restored: {}: {}", problem.path, problem.what);
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let outcome = match report.outcome {
        Outcome::Complete => "complete",
        Outcome::Partial => "partial",
        Outcome::Failed => "FAILED",
    };
    let _ = writeln!(text, "\nthe restore to {} is {outcome}", report.host);
    for next in &report.next {
        let _ = writeln!(text, "next: {next}");
    }
    text
}
