//! `ghevault repair`: damaged packs get their content again from another vault.

use super::{Invocation, forget::LEASE, vault};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{self, human},
};
use clap::Args;
use ghevault_core::{progress::Event, vault::RepairReport};
use std::sync::atomic::{AtomicU64, Ordering};

/// Repair damaged or missing packs with what another vault holds of the same content.
///
/// Reads and authenticates everything, takes what a damaged pack still gives, and the rest from the other vault, which is only
/// read. Both must have been made alike (`init --like`), or hold copies of the same snapshots. Snapshot files that are damaged come
/// back with `copy`. Damaged packs stay until `prune`. Exit code 13 when something is still missing.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// The vault that is sound
    #[arg(long, value_name = "PATH|URL")]
    from: String,
    /// Secret source of its password [default: what opens the own vault]
    #[arg(long, value_name = "SOURCE")]
    from_password: Option<String>,
}

/// Repairs.
///
/// # Errors
/// One of the vaults cannot be opened, somebody else writes, or something is still missing.
pub fn run(arguments: &RepairArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let password = arguments.from_password.as_deref();
    let source = vault::open_other(invocation, &arguments.from, password, "--from-password", None)?;
    let lease = opened.lock_for_writing("repair", LEASE)?;
    let progress = invocation.screen.progress();
    progress.event(Event::Started { part: PART, bytes_expected: None });
    let read = AtomicU64::new(0);
    let tell = |done: u64, _: u64| {
        let bytes = done.saturating_sub(read.fetch_max(done, Ordering::Relaxed));
        progress.event(Event::Advanced { part: PART, bytes, items: 0 });
    };
    let repaired = opened.repair_from(&source, &lease, &tell);
    progress.event(Event::Ended { part: PART, ok: repaired.is_ok() });
    drop(progress);
    let report = repaired?;
    invocation.screen.result(&report, || text(&report));
    if report.blobs_lost == 0 {
        return Ok(());
    }
    let message = format!("{} piece(s) of content are in neither vault", report.blobs_lost);
    let error = CommandError::new(Kind::Damage, message)
        .hint("`ghevault verify` names what they cost. Try another vault, or `ghevault backup --full` for what still exists.");
    output::complain(&error.to_string());
    Err(CommandError::already_reported(Kind::Damage))
}

/// The part named in progress events.
const PART: &str = "repair";

/// The result for people.
fn text(report: &RepairReport) -> String {
    if report.packs == 0 && report.blobs_found == 0 {
        return "no pack is damaged\n".to_owned();
    }
    format!(
        "{} damaged packs: {} pieces of content stored anew, {} of them from the other vault ({} added); {} lost\n",
        human::count(report.packs),
        human::count(report.blobs_repaired + report.blobs_found),
        human::count(report.blobs_fetched + report.blobs_found),
        human::bytes(report.bytes_added),
        human::count(report.blobs_lost),
    )
}
