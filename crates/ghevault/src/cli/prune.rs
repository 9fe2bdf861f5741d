//! `ghevault prune`: frees the space of what no snapshot needs.

use super::{Invocation, forget::LEASE, vault};
use crate::{
    config::amount::{self, Share},
    error::{CommandError, CommandResult, Kind},
    output::{self, human},
};
use clap::Args;
use ghevault_core::{
    progress::{Event, Progress},
    vault::{MaxUnused, PruneOptions, PruneReport, PruneStep, VaultError},
};
use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

/// Free the space of what no snapshot needs any more.
///
/// Packs without use go; packs partly in use are packed anew where that frees enough. No backup runs meanwhile; reading
/// goes on. What is damaged or missing stops it before anything is removed. Ended or killed at any moment, it leaves a
/// sound vault, and the next run goes on.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// How much unused data may stay in packs that are partly in use: a share of what is used, or a size; 0 packs all of
    /// them anew [setting: retention.max_unused; default: 5%]
    #[arg(long, value_name = "SHARE|SIZE")]
    max_unused: Option<String>,
    /// Join small packs to larger ones, too: fewer files, fewer requests
    #[arg(long)]
    join_small: bool,
    /// Go on although the vault has no snapshot, and empty it
    #[arg(long)]
    allow_empty: bool,
    /// Only show what would be freed
    #[arg(long)]
    dry_run: bool,
}

impl PruneArgs {
    /// Whether nothing is done but shown.
    pub const fn only_shows(&self) -> bool {
        self.dry_run
    }
}

/// Prunes.
///
/// # Errors
/// The vault is damaged, somebody else works on it, or it refuses.
pub fn run(arguments: &PruneArgs, invocation: &Invocation) -> CommandResult {
    let named = arguments.max_unused.as_ref().unwrap_or(&invocation.settings.retention.max_unused);
    let max_unused = match amount::share(named) {
        Some(Share::Percent(percent)) => MaxUnused::Percent(percent),
        Some(Share::Bytes(bytes)) => MaxUnused::Bytes(bytes),
        None => {
            return Err(CommandError::usage(format!(
                "--max-unused is `{named}`, not a size or a share such as `5%`"
            )));
        }
    };
    let options =
        PruneOptions { max_unused, join_small: arguments.join_small, allow_empty: arguments.allow_empty };
    let opened = vault::open(invocation)?;
    let progress = invocation.screen.progress();
    let told = Told { progress: &*progress, done: AtomicU64::new(0), total: AtomicU64::new(0) };
    let tell = |step, done, total| told.tell(step, done, total);
    progress.event(Event::Started { part: PART, bytes_expected: None });
    let report = if arguments.dry_run {
        opened.prune_plan(&options, &tell)
    } else {
        let token = invocation.interrupt.cooperative();
        let lease = opened.lock_for_writing("prune", LEASE)?;
        opened.prune(&options, &lease, &|| token.is_cancelled(), &tell)
    };
    progress.event(Event::Ended { part: PART, ok: report.is_ok() });
    drop(progress);
    let report = report.map_err(|error| match error {
        VaultError::Invalid(_) => CommandError::from_error(Kind::Refused, &error)
            .hint("If it is to be emptied, give --allow-empty. In a bucket, `--as-of TIME` shows what was there before."),
        other => other.into(),
    })?;
    invocation.screen.result(&report, || text(&report));
    if report.interrupted {
        output::complain("error: prune was interrupted\nhint: Run it again: it goes on.");
        return Err(CommandError::already_reported(Kind::Interrupted));
    }
    Ok(())
}

/// The part named in progress events.
const PART: &str = "prune";

/// Turns running totals into increments.
struct Told<'p> {
    progress: &'p dyn Progress,
    done: AtomicU64,
    total: AtomicU64,
}

impl Told<'_> {
    fn tell(&self, step: PruneStep, done: u64, total: u64) {
        match step {
            PruneStep::Repacking => {
                let more = total.saturating_sub(self.total.fetch_max(total, Ordering::Relaxed));
                if more > 0 {
                    self.progress.event(Event::Expected { part: PART, bytes: more });
                }
                let bytes = done.saturating_sub(self.done.fetch_max(done, Ordering::Relaxed));
                self.progress.event(Event::Advanced { part: PART, bytes, items: 0 });
            }
            PruneStep::Removing => self.progress.event(Event::Advanced { part: PART, bytes: 0, items: 1 }),
            PruneStep::Marking => {}
        }
    }
}

/// The result for people.
fn text(report: &PruneReport) -> String {
    let mut text = String::new();
    let row = |text: &mut String, what: &str, count: u64, bytes: u64| {
        if count > 0 {
            let _ = writeln!(text, "{what}: {} ({})", human::count(count), human::bytes(bytes));
        }
    };
    let _ = writeln!(
        text,
        "{} in use by {} snapshot(s), {} unused",
        human::bytes(report.used_bytes),
        human::count(report.snapshots),
        human::bytes(report.unused_bytes)
    );
    row(&mut text, "packs without use", report.packs_removed, report.packs_removed_bytes);
    row(&mut text, "packs packed anew", report.packs_repacked, report.packs_repacked_bytes);
    row(&mut text, "packs left by writers that died", report.orphans_removed, report.orphans_removed_bytes);
    if report.unused_kept_bytes > 0 {
        let _ = writeln!(
            text,
            "stays: {} unused in packs that are partly in use (max_unused allows it)",
            human::bytes(report.unused_kept_bytes)
        );
    }
    row(&mut text, "versions of removed files", report.versions_removed, report.versions_removed_bytes);
    if let (Some(from), Some(until)) = (report.locked_from, report.locked_until) {
        let removed = if report.dry_run { "files that would go or have gone" } else { "removed files" };
        let (count, bytes) = (human::count(report.locked_versions), human::bytes(report.locked_bytes));
        let _ = writeln!(
            text,
            "stays: {count} {removed} ({bytes}) are locked; the first lock ends at {from}, the last at {until}; run `ghevault prune` again then"
        );
    }
    let freed = human::bytes(report.freed_bytes);
    let _ = if report.dry_run {
        writeln!(text, "about {freed} would be freed; nothing was changed")
    } else {
        writeln!(text, "{freed} freed")
    };
    text
}
