//! `ghevault vault extend-locks`: longer locks for everything that snapshots need.

use super::{Invocation, forget::LEASE, vault};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{self, human},
};
use clap::Args;
use ghevault_core::{
    progress::Event,
    vault::{ExtendReport, LapsedLock},
};
use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};
use std::fmt::Write as _;

/// The arguments of `vault extend-locks`.
#[derive(Debug, Args)]
pub struct ExtendArgs {
    /// Lock until this time
    #[arg(long, value_name = "TIME", value_parser = vault::moment, required_unless_present_any = ["span", "check"])]
    until: Option<Timestamp>,
    /// Lock for this long from now on, e.g. 90d or 26w; what is locked for at most an hour less is left alone
    #[arg(long = "for", value_name = "SPAN", conflicts_with = "until", value_parser = ahead)]
    span: Option<Timestamp>,
    /// Only look for files that snapshots need and whose lock has ended (with --until or --for: will have ended then);
    /// exit code 13 if there are any
    #[arg(long, conflicts_with = "dry_run")]
    check: bool,
    /// Only show what it would cost
    #[arg(long)]
    dry_run: bool,
}

impl ExtendArgs {
    /// Whether nothing is done but shown.
    pub const fn only_shows(&self) -> bool {
        self.check || self.dry_run
    }
}

/// The moment that lies so far ahead of now.
fn ahead(text: &str) -> Result<Timestamp, String> {
    let span: Span = text.parse().map_err(|_| "not a span such as 90d or 26w".to_owned())?;
    let moment = Timestamp::now().to_zoned(TimeZone::UTC).checked_add(span);
    moment.map(|moment| moment.timestamp()).map_err(|_| "too far ahead".to_owned())
}

/// Locks, or looks.
///
/// # Errors
/// The vault is in no bucket, the identity may not lock, or a lock has ended.
pub fn run(arguments: &ExtendArgs, invocation: &Invocation) -> CommandResult {
    let until = arguments.until.or(arguments.span);
    let opened = vault::open(invocation)?;
    let progress = invocation.screen.progress();
    if arguments.check {
        let lapsed = opened.lapsed_locks(until.unwrap_or_else(Timestamp::now), None, &|_, _| {})?.lapsed;
        drop(progress);
        let value = serde_json::json!({ "ok": lapsed.is_empty(), "lapsed": lapsed });
        invocation.screen.result(&value, || lapsed_text(&lapsed));
        if lapsed.is_empty() {
            return Ok(());
        }
        output::complain("hint: Run `ghevault vault extend-locks` as the identity that may lock.");
        return Err(CommandError::already_reported(Kind::Damage));
    }
    let until = until.unwrap_or_else(Timestamp::now);
    let plan = opened.extend_plan(until)?;
    if arguments.dry_run {
        invocation.screen.result(&plan, || plan_text(&plan));
        return Ok(());
    }
    if !invocation.screen.quiet {
        output::complain(plan_text(&plan).trim_end());
    }
    let lease = opened.lock_for_writing("extend-locks", LEASE)?;
    let token = invocation.interrupt.cooperative();
    progress.event(Event::Started { part: PART, bytes_expected: None });
    let tell = |_, _| progress.event(Event::Advanced { part: PART, bytes: 0, items: 1 });
    // the moment that a span means moves on; what a run that was killed has locked should count all the same
    let slack = match arguments.span {
        Some(until) => (until.duration_since(Timestamp::now()) / 20).min(SignedDuration::from_hours(1)),
        None => SignedDuration::ZERO,
    };
    let report = opened.extend_locks(until, slack, &lease, &|| token.is_cancelled(), &tell);
    progress.event(Event::Ended { part: PART, ok: report.is_ok() });
    drop(progress);
    let report = report?;
    invocation.screen.result(&report, || {
        format!(
            "{} file(s) locked until {until}, {} were locked long enough",
            human::count(report.extended),
            human::count(report.already)
        )
    });
    if report.interrupted {
        output::complain("error: extend-locks was interrupted\nhint: Run it again: it goes on.");
        return Err(CommandError::already_reported(Kind::Interrupted));
    }
    Ok(())
}

/// The part named in progress events.
const PART: &str = "extend-locks";

fn plan_text(plan: &ExtendReport) -> String {
    format!(
        "{} file(s) are needed; locking them until {} takes {} requests of class GET and at most {} of class PUT",
        human::count(plan.files),
        plan.until,
        human::count(plan.get_requests),
        human::count(plan.put_requests)
    )
}

fn lapsed_text(lapsed: &[LapsedLock]) -> String {
    if lapsed.is_empty() {
        return "everything that snapshots need is locked".to_owned();
    }
    let mut text = String::new();
    for row in lapsed {
        let ended =
            row.ended.map_or_else(|| "has no lock".to_owned(), |at| format!("its lock ended at {at}"));
        let needed: Vec<String> = row.snapshots.iter().map(ghevault_core::vault::SnapshotId::short).collect();
        let by = if needed.is_empty() { "the whole vault".to_owned() } else { needed.join(", ") };
        let _ = writeln!(text, "{}: {ended}; needed by {by}", row.file);
    }
    text
}
