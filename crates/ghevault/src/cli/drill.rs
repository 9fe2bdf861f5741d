//! `ghevault drill`: a rehearsed restore, with proofs.

use super::{Invocation, vault};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{
        self, human,
        table::{self, Align},
    },
};
use clap::{Args, ValueEnum};
use ghevault_core::{
    drill::{self, DrillDepth, DrillOptions, DrillReport, DrillVerdict, ProofState, SignedReport},
    state::{Drilled, RunDetails, StateFolder, VerifyRecord},
    vault::Vault,
};
use std::{fmt::Write as _, fs, path::PathBuf};

/// Folder of the reports in a vault.
const REPORTS: &str = "drills";

/// Rehearse a restore in a scratch place and prove what came out.
///
/// git proves that repositories are whole, a MariaDB or MySQL server of this host takes the dump, Redis' checker reads the
/// Redis dump, storage objects are hashed, archives and certificates are read, secrets are compared with what the release
/// needs. What needs a program that this host does not have is `not proven` (exit code 3); what does not hold gives exit
/// code 13. The signed report is kept in the vault.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// `latest`, or the beginning of a snapshot's id
    #[arg(default_value = "latest")]
    snapshot: String,
    /// A sample of repositories and storage objects (another one for each snapshot), or all of them
    #[arg(long, value_enum, default_value = "sample")]
    depth: Depth,
    /// Repositories, and storage objects, of a sample
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,
    /// Folder for what is restored; it needs room for the database [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Write the report as a page for people, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Do not keep the report in the vault
    #[arg(long)]
    no_keep: bool,
    /// Hold no drill, but list the reports that the vault keeps
    #[arg(long, conflicts_with_all = ["html", "no_keep"])]
    list: bool,
}

impl DrillArgs {
    /// Whether nothing is done but shown.
    pub const fn only_shows(&self) -> bool {
        self.list
    }
}

/// How much is proven.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Depth {
    Sample,
    Full,
}

/// Drills.
///
/// # Errors
/// No such snapshot; something does not hold, or could not be proven.
pub fn run(arguments: &DrillArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    if arguments.list {
        return list(&opened, invocation);
    }
    let judged = vault::find(&opened, &arguments.snapshot)?;
    let reader = vault::reader(&opened)?;
    let scratch = arguments.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let options = DrillOptions {
        depth: match arguments.depth {
            Depth::Sample => DrillDepth::Sample,
            Depth::Full => DrillDepth::Full,
        },
        sample: arguments.sample as usize,
        ..DrillOptions::new(scratch, std::env::var_os("PATH"))
    };
    let progress = invocation.screen.progress();
    let report = drill::run(&reader, &judged.snapshot, &options, &*progress)?;
    drop(progress);
    invocation.note(details(&report));
    let kept = if arguments.no_keep { None } else { keep(&report, &opened, invocation) };
    remember(&report, kept.clone(), invocation);
    if let Some(file) = &arguments.html {
        fs::write(file, report.html()).map_err(|error| {
            CommandError::new(Kind::Failure, format!("cannot write {}", file.display()))
                .because_of(Some(&error))
        })?;
    }
    let mut value =
        serde_json::to_value(&report).map_err(|error| CommandError::from_error(Kind::Failure, &error))?;
    if let (Some(fields), Some(name)) = (value.as_object_mut(), &kept) {
        fields.insert("kept_as".to_owned(), name.as_str().into());
    }
    invocation.screen.result(&value, || text(&report, kept.as_deref()));
    match report.verdict {
        DrillVerdict::Proven => Ok(()),
        DrillVerdict::Incomplete => Err(CommandError::already_reported(Kind::Partial)),
        DrillVerdict::Failed => {
            output::complain(
                "hint: Drill an older snapshot (`ghevault snapshots`), and run `ghevault verify --depth 2`.",
            );
            Err(CommandError::already_reported(Kind::Damage))
        }
    }
}

/// What the history says of the run.
fn details(report: &DrillReport) -> RunDetails {
    let bad = report.proofs.iter().find(|proof| proof.state == ProofState::Failed);
    let open = || report.proofs.iter().find(|proof| proof.state == ProofState::NotProven);
    let reason = bad.or_else(open).map(|proof| match proof.problems.first() {
        Some(problem) => format!("{}: {problem}", proof.part),
        None => format!("{}: {}", proof.part, proof.detail),
    });
    RunDetails {
        snapshot: Some(report.snapshot.clone()),
        reason,
        bytes_read: Some(report.bytes),
        ..RunDetails::default()
    }
}

/// Keeps the signed report in the vault, and what it proves in the state folder; the name of the report.
fn keep(report: &DrillReport, opened: &Vault, invocation: &Invocation) -> Option<String> {
    let name = format!("{}-{}.json", report.started.replace([':', '.', '-'], ""), &report.snapshot[..8]);
    let keep = || -> CommandResult<bool> {
        let content = report.signed(&*invocation.seal_key()?)?;
        Ok(opened.add_record(REPORTS, &name, &content)?)
    };
    let kept = keep().map_err(|error| error.one_line());
    if report.verdict == DrillVerdict::Proven && report.depth == DrillDepth::Full {
        let proof = VerifyRecord {
            vault: opened.id().to_owned(),
            snapshot: report.snapshot.clone(),
            depth: 3,
            at: jiff::Timestamp::now(),
        };
        let noted =
            StateFolder::open(&invocation.settings.state).and_then(|state| state.record_verified(&[proof]));
        if let Err(error) = noted {
            output::complain(&format!("warning: the proof is not remembered: {error}"));
        }
    }
    match kept {
        Ok(_) => Some(format!("ghevault/{REPORTS}/{name}")),
        Err(why) => {
            output::complain(&format!("warning: the report is not kept in the vault: {why}"));
            None
        }
    }
}

/// Writes down for the status page, which opens no vault, what was proven.
fn remember(report: &DrillReport, kept: Option<String>, invocation: &Invocation) {
    let proofs = || report.proofs.iter();
    let open = proofs().filter(|proof| matches!(proof.state, ProofState::Failed | ProofState::NotProven));
    let drill = Drilled {
        began: report.started.parse().unwrap_or_else(|_| jiff::Timestamp::now()),
        snapshot: report.snapshot.clone(),
        depth: report.depth.name().to_owned(),
        verdict: report.verdict.name().to_owned(),
        seconds: report.seconds,
        proven: proofs()
            .filter(|proof| proof.state == ProofState::Proven)
            .map(|proof| proof.part.clone())
            .collect(),
        open: open
            .map(|proof| format!("{}: {}", proof.part, proof.problems.first().unwrap_or(&proof.detail)))
            .collect(),
        report: kept,
    };
    let noted = StateFolder::open(&invocation.settings.state).and_then(|state| state.record_drilled(drill));
    if let Err(error) = noted {
        output::complain(&format!("warning: the drill is not remembered: {error}"));
    }
}

/// Lists the kept reports.
fn list(opened: &Vault, invocation: &Invocation) -> CommandResult {
    let kept = opened.records::<SignedReport>(REPORTS)?;
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    let mut forged = 0;
    for (name, signed) in kept {
        match signed.read() {
            Ok((report, key)) => {
                lines.push(format!(
                    "{}  {}  {}  {}",
                    report.started,
                    &report.snapshot[..8.min(report.snapshot.len())],
                    human::seconds(report.seconds),
                    word(report.verdict)
                ));
                rows.push(serde_json::json!({ "name": name, "signed_by": key, "report": report }));
            }
            Err(error) => {
                forged += 1;
                lines.push(format!("{name}: {error}"));
                rows.push(serde_json::json!({ "name": name, "problem": error.to_string() }));
            }
        }
    }
    invocation
        .screen
        .result(&rows, || if lines.is_empty() { "no drill was held".to_owned() } else { lines.join("\n") });
    if forged == 0 { Ok(()) } else { Err(CommandError::already_reported(Kind::Damage)) }
}

/// A verdict in words.
fn word(verdict: DrillVerdict) -> &'static str {
    match verdict {
        DrillVerdict::Proven => "proven",
        DrillVerdict::Incomplete => "INCOMPLETE: not everything could be proven on this host",
        DrillVerdict::Failed => "FAILED",
    }
}

/// The report for people.
fn text(report: &DrillReport, kept: Option<&str>) -> String {
    let rows: Vec<[String; 5]> = report
        .proofs
        .iter()
        .map(|proof| {
            let word = match proof.state {
                ProofState::Proven => "proven",
                ProofState::NotProven => "NOT PROVEN",
                ProofState::Failed => "FAILED",
                ProofState::Absent => "absent",
            };
            [
                proof.part.clone(),
                word.to_owned(),
                format!("{} of {}", proof.items, proof.of),
                human::seconds(proof.seconds),
                proof.detail.clone(),
            ]
        })
        .collect();
    let columns = [
        ("part", Align::Left),
        ("result", Align::Left),
        ("looked at", Align::Right),
        ("time", Align::Right),
        ("found", Align::Left),
    ];
    let mut text = table::render(columns, &rows);
    for proof in &report.proofs {
        for problem in &proof.problems {
            let _ = writeln!(text, "{}: {problem}", proof.part);
        }
    }
    let _ = write!(
        text,
        "\nsnapshot {} is {}, in {}",
        &report.snapshot[..8.min(report.snapshot.len())],
        word(report.verdict),
        human::seconds(report.seconds)
    );
    if let Some(name) = kept {
        let _ = write!(text, "\nreport: {name} in the vault");
    }
    text
}
