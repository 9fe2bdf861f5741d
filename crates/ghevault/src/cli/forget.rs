//! `ghevault forget`: drops snapshots that no rule keeps.

use super::{Invocation, vault};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{self, human},
};
use clap::Args;
use ghevault_core::{
    retention::{self, Decision, ForgetReport, Gathered, Policy, RetentionPlan},
    vault::{SnapshotId, Vault},
};
use jiff::Timestamp;
use std::{fmt::Write as _, time::Duration};

/// How long a dead run blocks the vault for the next one, at most.
pub const LEASE: Duration = Duration::from_mins(2);

/// Drop snapshots that no rule keeps, or those that are named.
///
/// Only snapshots that are sealed as complete count. Their order comes from the chain of seals, not from clocks. The
/// newest complete snapshot, snapshots on hold, those of other programs and those with a broken seal always stay. Space is
/// freed by `ghevault prune`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    #[command(flatten)]
    rules: RuleArgs,
    /// Snapshots of which a forerunner was removed by another program without a record follow the others by their times
    #[arg(long)]
    join_gaps: bool,
    /// Only show what would stay and go, and why
    #[arg(long)]
    dry_run: bool,
    /// Forget exactly these instead: the beginnings of their ids
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,
}

impl ForgetArgs {
    /// Whether nothing is done but shown.
    pub const fn only_shows(&self) -> bool {
        self.dry_run
    }
}

/// The rules as flags; each goes before the setting of the same name.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What is kept (settings: retention.*)")]
pub struct RuleArgs {
    /// The last snapshot of each of the newest N hours that have one
    #[arg(long, value_name = "N")]
    keep_hourly: Option<u32>,
    /// The same for days
    #[arg(long, value_name = "N")]
    keep_daily: Option<u32>,
    /// The same for weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<u32>,
    /// The same for months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<u32>,
    /// The same for years
    #[arg(long, value_name = "N")]
    keep_yearly: Option<u32>,
    /// The newest N complete snapshots, whatever the other rules say
    #[arg(long, value_name = "N")]
    keep_minimum: Option<u32>,
    /// The newest N partial snapshots, beside those that are newer than the newest complete one
    #[arg(long, value_name = "N")]
    keep_partial: Option<u32>,
    /// Time zone in which hours, days, weeks, months and years begin, e.g. Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Public seal key whose snapshots count; several times
    #[arg(long, value_name = "BASE64")]
    seal_key: Vec<String>,
}

impl RuleArgs {
    fn policy(&self, settings: &Policy, join_gaps: bool) -> CommandResult<Policy> {
        let rule = |flag: Option<u32>, setting: u32| flag.unwrap_or(setting);
        let zone = match &self.timezone {
            Some(name) => crate::config::retention::zone(name).ok_or_else(|| {
                CommandError::usage(format!("--timezone is `{name}`, not the name of a time zone"))
            })?,
            None => settings.zone.clone(),
        };
        Ok(Policy {
            hourly: rule(self.keep_hourly, settings.hourly),
            daily: rule(self.keep_daily, settings.daily),
            weekly: rule(self.keep_weekly, settings.weekly),
            monthly: rule(self.keep_monthly, settings.monthly),
            yearly: rule(self.keep_yearly, settings.yearly),
            minimum: rule(self.keep_minimum, settings.minimum),
            partial: rule(self.keep_partial, settings.partial),
            zone,
            trusted_keys: if self.seal_key.is_empty() {
                settings.trusted_keys.clone()
            } else {
                self.seal_key.clone()
            },
            join_gaps,
        })
    }
}

/// Forgets.
///
/// # Errors
/// No rule says what to keep, a named snapshot must stay, or the vault refuses.
pub fn run(arguments: &ForgetArgs, invocation: &Invocation) -> CommandResult {
    let policy = arguments.rules.policy(&invocation.settings.retention.policy, arguments.join_gaps)?;
    if arguments.snapshots.is_empty() && !policy.has_rules() {
        return Err(CommandError::usage("no rule says which snapshots to keep").hint(
            "Set `retention.keep_daily` and the like in ghevault.toml, give --keep-daily and the like, or name snapshots.",
        ));
    }
    let opened = vault::open(invocation)?;
    if arguments.dry_run {
        let (plan, _) = decide(&opened, &policy, &arguments.snapshots)?;
        let report = ForgetReport { plan, dry_run: true, forgotten: Vec::new() };
        invocation.screen.result(&report, || text(&report));
        return Ok(());
    }
    let lease = opened.lock_for_writing("forget", LEASE)?;
    let (plan, gathered) = decide(&opened, &policy, &arguments.snapshots)?;
    let progress = invocation.screen.progress();
    let by_name = !arguments.snapshots.is_empty();
    let token = invocation.interrupt.cooperative();
    let cancelled = || token.is_cancelled();
    let report = retention::carry_out(&opened, plan, &gathered, by_name, &lease, &cancelled, &*progress)?;
    drop(progress);
    invocation.screen.result(&report, || text(&report));
    Ok(())
}

/// What stays and what goes.
fn decide(opened: &Vault, policy: &Policy, names: &[String]) -> CommandResult<(RetentionPlan, Gathered)> {
    let now = Timestamp::now();
    let gathered = retention::gather(opened, now)?;
    let (candidates, ghosts, holds) = (&gathered.candidates, &gathered.ghosts, &gathered.holds);
    if names.is_empty() {
        return Ok((retention::plan(policy, candidates, ghosts, holds, now), gathered));
    }
    let ids = chosen(opened, names)?;
    Ok((retention::named(policy, &ids, candidates, ghosts, holds, now)?, gathered))
}

/// The named snapshots; a word such as `latest` is none, so that nothing is forgotten by a slip.
fn chosen(opened: &Vault, names: &[String]) -> CommandResult<Vec<SnapshotId>> {
    let list = opened.snapshots()?;
    let id = |name: &String| -> CommandResult<SnapshotId> {
        if name == "latest" {
            return Err(CommandError::new(Kind::Refused, "`latest` is never forgotten"));
        }
        if let Some((id, _)) = list.damaged.iter().find(|(id, _)| id.to_string() == *name) {
            // one that cannot be read is named in full
            return Ok(*id);
        }
        Ok(list.find(name)?.id)
    };
    names.iter().map(id).collect()
}

/// The result for people.
fn text(report: &ForgetReport) -> String {
    let mut text = String::new();
    let word = |decision: &Decision| match (decision.keep, report.dry_run) {
        (true, _) => "keep",
        (false, true) => "would forget",
        (false, false) if report.forgotten.contains(&decision.snapshot) => "forgot",
        (false, false) => "left",
    };
    for decision in &report.plan.decisions {
        let _ = writeln!(
            text,
            "{} {}  {}  {}: {}",
            word(decision),
            decision.snapshot.short(),
            decision.time.strftime("%Y-%m-%d %H:%M:%SZ"),
            decision.worth,
            decision.reasons.join(", ")
        );
    }
    for remark in &report.plan.remarks {
        match remark.snapshot {
            Some(id) => output::complain(&format!("note: snapshot {}: {}", id.short(), remark.text)),
            None => output::complain(&format!("note: {}", remark.text)),
        }
    }
    let going = report.plan.going().count() as u64;
    let staying = report.plan.decisions.len() as u64 - going;
    let (going, staying) = (human::count(going), human::count(staying));
    let _ = if report.dry_run {
        writeln!(text, "{going} snapshot(s) would go, {staying} would stay; nothing was changed")
    } else {
        writeln!(
            text,
            "{going} snapshot(s) are forgotten, {staying} stay; `ghevault prune` frees their space"
        )
    };
    text
}
