//! `ghevault copy`: from one vault to another.

use super::{Invocation, forget::LEASE, vault};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{self, human},
};
use clap::Args;
use ghevault_core::{
    progress::Event,
    quarantine, retention,
    vault::{CopyReport, SnapshotId},
};
use std::fmt::Write as _;

/// Copy snapshots to another vault, for example in an account that cannot reach the appliance.
///
/// The vault of the settings is the source and is only read. Only what the destination lacks is stored. Seals travel with
/// their snapshots, and so does quarantine; an `ack` counts in its own vault only. Make the destination with
/// `ghevault init --like`, so that backups into both go on sharing data.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The destination [setting: copy.to]
    #[arg(long, value_name = "PATH|URL")]
    to: Option<String>,
    /// Secret source of its password [setting: copy.to_password; default: what opens the source]
    #[arg(long, value_name = "SOURCE")]
    to_password: Option<String>,
    /// All snapshots
    #[arg(long, conflicts_with = "snapshots", required_unless_present = "snapshots")]
    all: bool,
    /// These snapshots: `latest`, or the beginning of an id
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,
}

/// Copies.
///
/// # Errors
/// One of the vaults cannot be opened, is damaged, or somebody else writes to the destination.
pub fn run(arguments: &CopyArgs, invocation: &Invocation) -> CommandResult {
    let settings = &invocation.settings;
    let to = arguments.to.as_ref().or(settings.copy_to.as_ref()).ok_or_else(|| {
        CommandError::usage("no vault to copy to is named")
            .hint("Give --to, or set `copy.to` in ghevault.toml.")
    })?;
    let source = vault::open(invocation)?;
    let (named, setting) = (arguments.to_password.as_deref(), settings.copy_to_password.as_ref());
    let destination = vault::open_other(invocation, to, named, "--to-password", setting)?;
    let wanted: Option<Vec<SnapshotId>> = if arguments.all {
        None
    } else {
        let ids = arguments.snapshots.iter().map(|name| Ok(vault::find(&source, name)?.snapshot.id));
        Some(ids.collect::<CommandResult<_>>()?)
    };
    if !destination.same_chunker(&source) {
        output::complain(
            "warning: the two vaults cut files in different places, so backups into both will share nothing; `ghevault init --like` makes one that fits",
        );
    }
    let lease = destination.lock_for_writing("copy", LEASE)?;
    let quarantined = quarantine::carry(&source, &destination, &lease)?;
    let token = invocation.interrupt.cooperative();
    let progress = invocation.screen.progress();
    progress.event(Event::Started { part: PART, bytes_expected: None });
    let tell = |bytes, items| progress.event(Event::Advanced { part: PART, bytes, items });
    let copied = destination.copy_from(&source, wanted.as_deref(), &lease, &|| token.is_cancelled(), &tell);
    progress.event(Event::Ended { part: PART, ok: copied.is_ok() });
    drop(progress);
    let report = copied?;
    retention::carry(&source, &destination, &lease)?;
    if quarantined > 0 {
        output::complain(&format!(
            "warning: {quarantined} snapshot(s) in quarantine at the source are in quarantine at the destination, too; see `ghevault findings`"
        ));
    }
    invocation.screen.result(&report, || text(&report));
    if report.interrupted {
        output::complain("error: the copy was interrupted\nhint: Run it again: it goes on.");
        return Err(CommandError::already_reported(Kind::Interrupted));
    }
    Ok(())
}

/// The part named in progress events.
const PART: &str = "copy";

/// The result for people.
fn text(report: &CopyReport) -> String {
    let mut text = String::new();
    for row in &report.snapshots {
        let what = if row.present { "is there already as" } else { "was copied as" };
        let _ = writeln!(text, "snapshot {} {what} {}", row.source.short(), row.snapshot.short());
    }
    let _ = writeln!(
        text,
        "{} read, {} added",
        human::bytes(report.bytes_read),
        human::bytes(report.bytes_added)
    );
    text
}
