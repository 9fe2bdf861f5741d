//! `ghevault verify`: proves what is stored.

use super::{
    Invocation,
    vault::{self, Judged},
};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::human,
};
use clap::Args;
use ghevault_core::{
    progress::Event,
    vault::{CheckDepth, CheckReport, SnapshotId},
};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// Prove what is stored: seals, presence of everything that the snapshots need, and at depth 2 every byte.
///
/// Exit code 13 when anything is missing, damaged, or not what was sealed; the report says which snapshots and files it
/// costs.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// 1: seals, and presence and size of every file that the snapshots need; 2: besides, every byte is read and
    /// authenticated
    #[arg(long, value_name = "1|2", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    depth: u8,
    /// Only these snapshots: `latest`, or the beginning of an id
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,
}

/// One snapshot in the result.
#[derive(Debug, Serialize)]
struct SealRow {
    snapshot: String,
    time: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Verifies.
///
/// # Errors
/// The vault cannot be opened, or something is damaged.
pub fn run(arguments: &VerifyArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let judged: Vec<Judged> = if arguments.snapshots.is_empty() {
        vault::judge(opened.snapshots()?)
    } else {
        arguments.snapshots.iter().map(|name| vault::find(&opened, name)).collect::<CommandResult<_>>()?
    };
    let chosen: Vec<SnapshotId> = judged.iter().map(|one| one.snapshot.id).collect();
    let depth = if arguments.depth == 2 { CheckDepth::Content } else { CheckDepth::Presence };
    let progress = invocation.screen.progress();
    progress.event(Event::Started { part: "verify", bytes_expected: None });
    let (told, expected) = (AtomicU64::new(0), AtomicU64::new(0));
    let report =
        opened.check(depth, (!arguments.snapshots.is_empty()).then_some(&chosen[..]), &|read, all| {
            let known = expected.fetch_max(all, Ordering::Relaxed);
            if all > known {
                progress.event(Event::Expected { part: "verify", bytes: all - known });
            }
            let before = told.fetch_max(read, Ordering::Relaxed);
            if read > before {
                progress.event(Event::Advanced { part: "verify", bytes: read - before, items: 0 });
            }
        })?;
    let seals: Vec<SealRow> = judged.iter().map(seal_row).collect();
    let broken = seals.iter().filter(|row| row.outcome == "broken").count();
    let sound = report.is_sound() && broken == 0;
    progress.event(Event::Ended { part: "verify", ok: sound });
    drop(progress);
    let value = serde_json::json!({
        "outcome": if sound { "sound" } else { "damaged" },
        "depth": arguments.depth,
        "snapshots": seals,
        "check": report,
    });
    invocation.screen.result(&value, || text(arguments.depth, &report, &seals));
    if sound {
        return Ok(());
    }
    crate::output::complain(&format!(
        "{}\nhint: Keep the vault as it is. Snapshots that are not named can be restored; make a new vault soon.",
        CommandError::new(
            Kind::Damage,
            format!("{} damage(s) and {broken} broken seal(s) were found", report.damages_total)
        )
    ));
    Err(CommandError::already_reported(Kind::Damage))
}

/// A snapshot's seal in the result.
fn seal_row(judged: &Judged) -> SealRow {
    SealRow {
        snapshot: judged.snapshot.id.to_string(),
        time: judged.snapshot.time.to_string(),
        outcome: judged.verdict(),
        problem: judged.seal.as_ref().err().map(ToString::to_string),
    }
}

/// The result for people.
fn text(depth: u8, report: &CheckReport, seals: &[SealRow]) -> String {
    let what = if depth == 2 { "every byte was read and authenticated" } else { "everything is present" };
    let mut text = String::new();
    for row in seals.iter().filter(|row| row.outcome == "broken") {
        let problem = row.problem.as_deref().unwrap_or_default();
        text.push_str(&format!("snapshot {}: {problem}\n", row.snapshot.get(..8).unwrap_or_default()));
    }
    for damage in &report.damages {
        text.push_str(&format!("damaged {}: {}\n", damage.file, damage.why));
        for touched in &damage.touched {
            let path = String::from_utf8_lossy(&touched.path);
            text.push_str(&format!(
                "  costs {} of snapshot {}\n",
                if path.is_empty() { "all" } else { &path },
                touched.snapshot.short()
            ));
        }
    }
    if text.is_empty() {
        text = format!("{what}, nothing is damaged\n");
    }
    text.push_str(&format!(
        "{} snapshots, {} folders, {} packs, {}\n",
        human::count(report.snapshots),
        human::count(report.trees),
        human::count(report.packs),
        human::bytes(report.bytes)
    ));
    text
}
