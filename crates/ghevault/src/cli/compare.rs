//! `ghevault compare`: this vault beside another one of the same appliance.

use super::{Invocation, vault, witness};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output,
};
use clap::Args;
use ghevault_core::{
    compare::{
        self, BoardSide, CompareError, CompareOptions, Comparison, Disagreement, Severity, SheetFinding,
        Side, VaultSide, folder,
    },
    pulse,
    witness::{Board, PublicKey},
};
use jiff::SignedDuration;
use serde::Serialize;
use std::fmt::Write as _;

/// Compare where references pointed with what another vault of the same appliance saw.
///
/// The other side is what it published on notice boards (`witness publish`), or a vault that can be read. What lies on a way
/// forward between two looks is no finding; that is asked of the captured commits. Exit code 13 when something is there that
/// no normal history explains; rewrites that are possible in one are listed only.
#[derive(Debug, Args)]
pub struct CompareArgs {
    #[command(flatten)]
    published: witness::KeyArgs,
    /// A vault of the same appliance that can be read, in place of boards
    #[arg(long = "with", value_name = "PATH|URL", conflicts_with_all = ["board", "key"])]
    other: Option<String>,
    /// Secret source of its password [default: what opens the own vault]
    #[arg(long, value_name = "SOURCE", requires = "other")]
    with_password: Option<String>,
    /// Compare that many of the newest snapshots
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    last: usize,
    /// How far the clocks of the two hosts may be apart
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    clock_slack: u32,
    /// Do not ask the commits what a moved branch means: quicker, and such moves are then unproven
    #[arg(long)]
    fast: bool,
}

/// One other side.
#[derive(Debug, Serialize)]
struct Compared {
    with: String,
    #[serde(flatten)]
    comparison: Comparison,
    sheets: Vec<SheetFinding>,
}

/// What the verb says at its end.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    compared: Vec<Compared>,
}

/// Compares.
///
/// # Errors
/// One side cannot be read or is of another appliance; they contradict each other.
pub fn run(arguments: &CompareArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let ours = VaultSide::new(&opened, arguments.last)?;
    let scratch = std::env::temp_dir();
    let options = CompareOptions {
        slack: SignedDuration::from_secs(arguments.clock_slack.into()),
        scratch: (!arguments.fast).then_some(scratch.as_path()),
    };
    let mut compared = Vec::new();
    if let Some(place) = &arguments.other {
        let (password, flag) = (arguments.with_password.as_deref(), "--with-password");
        let other = vault::open_other(invocation, place, password, flag, None)?;
        let theirs = VaultSide::new(&other, arguments.last)?;
        if theirs.blind().appliance() != ours.blind().appliance() {
            return Err(CompareError::OtherAppliance { other: place.clone() }.into());
        }
        compared.push(with(&ours, &theirs, Vec::new(), &options)?);
    } else {
        let boards = witness::opened(&arguments.published.boards, invocation)?;
        let keys = witness::trusted(&arguments.published, invocation)?;
        for (side, findings) in published(&boards, &keys, &ours, opened.id(), arguments.last)? {
            compared.push(with(&ours, &side, findings, &options)?);
        }
        if compared.is_empty() {
            return Err(CommandError::new(
                Kind::Failure,
                "no board has references that another vault of these keys published",
            )
            .hint("Run `ghevault witness publish` on the other host, and name its key with --key."));
        }
    }
    finish(compared, invocation)
}

/// What others published.
fn published(
    boards: &[Box<dyn Board>],
    keys: &[PublicKey],
    ours: &VaultSide,
    vault: &str,
    most: usize,
) -> CommandResult<Vec<(BoardSide, Vec<SheetFinding>)>> {
    let own = format!("ghevault.{vault}.");
    let appliance = ours.blind().appliance();
    let mut sides = Vec::new();
    for board in boards {
        for name in board.origins()? {
            let speaks = |key: &&PublicKey| {
                let snapshots = format!(".{}", key.short());
                name.ends_with(&folder(&snapshots)) || name.ends_with(&folder(&pulse::origin(&snapshots)))
            };
            let Some(key) = keys.iter().find(speaks) else { continue };
            let origin = name.strip_suffix(&folder("")).unwrap_or(&name);
            if origin.starts_with(&own) {
                continue;
            }
            let side = BoardSide::read(&**board, origin, key, &appliance, most)?;
            let findings = side.findings.clone();
            sides.push((side, findings));
        }
    }
    Ok(sides)
}

fn with(
    ours: &VaultSide,
    theirs: &dyn Side,
    sheets: Vec<SheetFinding>,
    options: &CompareOptions<'_>,
) -> CommandResult<Compared> {
    let comparison = compare::compare(ours, theirs, options)?;
    Ok(Compared { with: theirs.place(), comparison, sheets })
}

/// Prints the report; the exit code says whether the two contradict each other.
fn finish(compared: Vec<Compared>, invocation: &Invocation) -> CommandResult {
    let bad = |one: &Compared| one.comparison.is_contradiction() || !one.sheets.is_empty();
    let report = Report { ok: !compared.iter().any(bad), compared };
    invocation.screen.result(&report, || text(&report));
    if report.ok {
        return Ok(());
    }
    let error = CommandError::new(Kind::Damage, "the two sides saw what no normal history explains")
        .hint("Keep both vaults and the boards as they are, and ask who had access to the appliance.");
    output::complain(&error.to_string());
    Err(CommandError::already_reported(Kind::Damage))
}

/// The report for people.
fn text(report: &Report) -> String {
    let mut text = String::new();
    for one in &report.compared {
        let found = &one.comparison;
        let _ = writeln!(
            text,
            "with {}: {} snapshots here, {} there; {} the same at once, {} explained by time",
            one.with, found.ours, found.theirs, found.same, found.explained
        );
        for sheet in &one.sheets {
            let _ = writeln!(text, "HIGH {}: {}", sheet.file, sheet.what);
        }
        for disagreement in &found.disagreements {
            text.push_str(&line(disagreement));
        }
        for reason in &found.unproven {
            let _ = writeln!(text, "unproven: {reason}");
        }
    }
    if report.ok {
        text.push_str("nothing that no normal history explains\n");
    }
    text
}

fn line(one: &Disagreement) -> String {
    let severity = match one.severity {
        Severity::High => "HIGH",
        Severity::Low => "low ",
    };
    format!(
        "{severity} {} {}: ours {}, theirs {}; first in {} snapshot {} of {}: {}\n",
        one.repository,
        one.reference.as_deref().unwrap_or("(the repository)"),
        one.ours,
        one.theirs,
        one.seen_by.replace("theirs", "their").replace("ours", "our"),
        one.snapshot.get(..8).unwrap_or(&one.snapshot),
        one.time.strftime("%Y-%m-%d %H:%M:%SZ"),
        one.what
    )
}
