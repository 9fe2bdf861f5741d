//! `ghevault failover promote`: makes a replica the primary, with guards.

use super::{
    Invocation,
    advise::{CONNECT_LIMIT, runbook},
    connect, vault,
};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{self, human},
};
use clap::{Args, Subcommand};
use ghevault_core::{
    appliance::target::Target,
    failover::{
        observe::{ObserveSettings, observe},
        promote::{
            guard::{self, PromoteOptions, PromotePlan},
            report::{Outcome, PromoteReport},
            run::{self as core, Cast, PromoteSettings},
        },
    },
    state::StateFolder,
};
use std::{
    fmt::Write as _,
    io::{self, BufRead, IsTerminal, Write},
    time::Duration,
};

/// Fail over from a high-availability primary to its replica.
#[derive(Debug, Args)]
pub struct FailoverArgs {
    #[command(subcommand)]
    verb: FailoverVerb,
}

#[derive(Debug, Subcommand)]
enum FailoverVerb {
    Promote(PromoteArgs),
}

/// Promote a replica: runs `ghe-repl-promote` there, after guards.
///
/// Refused (exit code 14) unless the host is a replica with a pinned key and the release of the others, its replication is
/// in sync or the loss is accepted by name, and the primary cannot be reached, or is in maintenance mode; Git operations
/// on it are then waited for. `ghevault advise` tells whether a promotion is the right way at all.
#[derive(Debug, Args)]
struct PromoteArgs {
    /// The replica; the other machines come from the host list of the settings
    #[arg(value_name = "[USER@]HOST[:PORT]")]
    replica: String,
    /// The replica's name once more; needed when nobody is there to be asked
    #[arg(long, value_name = "HOST")]
    confirm: Option<String>,
    /// Print guards and plan, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on although these are not in sync, e.g. `git,mysql`, or `everything`: exactly what the refusal names
    #[arg(long, value_name = "STORE,…", value_delimiter = ',')]
    accept_data_loss: Vec<String>,
    /// The primary's name: promote although it serves, or although nobody can tell whether it does
    #[arg(long, value_name = "HOST")]
    despite_primary: Option<String>,
    /// Go on although the machines have different releases
    #[arg(long)]
    allow_other_release: bool,
    /// Seconds to wait for Git operations on a primary in maintenance mode to end
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    drain: u64,
    /// Seconds to wait after the last Git operation, so that replication catches up
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    settle: u64,
}

/// Runs the sub-verb.
///
/// # Errors
/// The promotion's.
pub fn run(arguments: &FailoverArgs, invocation: &Invocation) -> CommandResult {
    let FailoverVerb::Promote(arguments) = &arguments.verb;
    promote(arguments, invocation)
}

fn promote(arguments: &PromoteArgs, invocation: &Invocation) -> CommandResult {
    let replica = connect::named_target(&arguments.replica)?;
    let host = replica.to_string();
    let targets = everyone(&replica, invocation)?;
    let way = connect::Way::new(invocation, &replica)?;
    let quick = way.impatient(CONNECT_LIMIT);
    let state = StateFolder::open(&invocation.settings.state)?;
    let seen = observe(&targets, &|target| quick.to(target), &ObserveSettings::default());
    let mut options = PromoteOptions {
        host: host.clone(),
        confirmation: arguments.confirm.clone(),
        accept_data_loss: arguments.accept_data_loss.clone(),
        despite_primary: arguments.despite_primary.clone(),
        allow_other_release: arguments.allow_other_release,
        own_backup_runs: state.gate()?.is_some_and(|record| {
            let ours = |target: &Target| target.to_string() == record.host;
            record.holder_lives() && targets.iter().any(ours)
        }),
    };
    let needs_answer = options.confirmation.is_none();
    if needs_answer {
        // Whether it may be done at all is decided before anybody is asked.
        options.confirmation = Some(host.clone());
    }
    let mut plan = guard::plan(&seen, &options)?;
    if let Some(writer) = vault_writer(invocation) {
        plan.warnings
            .push(format!("{writer} is writing to the vault; a backup that runs meanwhile will fail"));
    }
    if arguments.dry_run {
        invocation.screen.result(&plan, || plan_text(&plan));
        return Ok(());
    }
    if needs_answer {
        options.confirmation = ask(&plan, invocation);
        guard::plan(&seen, &options)?;
    }
    let settings = PromoteSettings {
        drain: Duration::from_secs(arguments.drain),
        settle: Duration::from_secs(arguments.settle),
        ..PromoteSettings::default()
    };
    for warning in &plan.warnings {
        output::complain(&format!("warning: {warning}"));
    }
    let quiet = invocation.screen.quiet;
    let cast = Cast {
        connect: &|target| way.to(target),
        primary: targets.iter().find(|target| plan.primary.as_deref() == Some(&target.to_string())).cloned(),
        replica,
        state: &state,
        tell: &|line| {
            if !quiet {
                output::complain(&format!("  {line}"));
            }
        },
    };
    output::complain(&format!("promoting {host}; once it has begun, it goes on there whatever happens here"));
    let report = core::run(&plan, &cast, &settings)?;
    invocation.screen.result(&report, || text(&report));
    match report.outcome {
        Outcome::Promoted => Ok(()),
        Outcome::Failed | Outcome::Unknown => Err(CommandError::already_reported(Kind::Failure)),
    }
}

/// The replica, and the host list of the settings.
fn everyone(replica: &Target, invocation: &Invocation) -> CommandResult<Vec<Target>> {
    let listed = !invocation.settings.hosts.is_empty();
    let mut targets = if listed { connect::configured_targets(&invocation.settings)? } else { Vec::new() };
    if !targets.contains(replica) {
        targets.push(replica.clone());
    }
    Ok(targets)
}

/// Who writes to the vault, if there is one.
fn vault_writer(invocation: &Invocation) -> Option<String> {
    vault::location(invocation).ok()?.current_writer().ok()?
}

/// Asks for the replica's name; nothing typed (or nobody there) is no confirmation.
fn ask(plan: &PromotePlan, invocation: &Invocation) -> Option<String> {
    if invocation.screen.json || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return None;
    }
    invocation.screen.say(&plan_text(plan));
    print!("Type the name of the replica to promote it: ");
    let _ = io::stdout().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).unwrap_or_default();
    (read > 0).then(|| answer.trim().to_owned())
}

/// The plan for people.
fn plan_text(plan: &PromotePlan) -> String {
    let mut text = format!("promote {} (release {}), ", plan.host, plan.release);
    let _ = match &plan.primary {
        Some(primary) => writeln!(text, "primary {primary} answers"),
        None => writeln!(text, "the primary does not answer"),
    };
    let _ = writeln!(text, "replication is {}; loses {}", plan.replication.word(), plan.data_loss);
    for (index, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(text, "  {}. {}", index + 1, step.words());
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text.push_str("what follows\n");
    text + &runbook(&plan.next)
}

/// The report for people.
fn text(report: &PromoteReport) -> String {
    let host = &report.plan.host;
    let mut text = match report.outcome {
        Outcome::Promoted => format!("{host} is the primary now, after {}\n", human::seconds(report.seconds)),
        Outcome::Failed => format!("{host} was NOT promoted\n"),
        Outcome::Unknown => format!("it is NOT KNOWN whether {host} has been promoted\n"),
    };
    if let (Some(problem), false) = (&report.problem, report.outcome == Outcome::Promoted) {
        let _ = writeln!(text, "because: {problem}");
        if let Some(last) = report.said.last() {
            let _ = writeln!(text, "it said last: {last}");
        }
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text.push_str("next\n");
    text + &runbook(&report.next)
}
