//! What `ghevault witness` says at its end.

use super::Invocation;
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{
        self,
        table::{self, Align},
    },
};
use ghevault_core::{
    state::{StateFolder, Witnessed},
    witness::{BoardError, Finding, Judged, PublicKey},
};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;

/// One origin on one board, for people and programs.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) board: String,
    pub(super) origin: String,
    pub(super) key: String,
    pub(super) size: usize,
    pub(super) time: Option<Timestamp>,
    pub(super) cosigned: Vec<String>,
    /// Whether it is the vault of this host.
    #[serde(skip)]
    pub(super) own: bool,
}

/// What every part says at its end.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) ok: bool,
    pub(super) origins: Vec<Row>,
    pub(super) created: Vec<String>,
    pub(super) findings: Vec<Finding>,
    pub(super) remarks: Vec<String>,
    /// What became of boards of others that do not answer.
    #[serde(skip)]
    pub(super) away: Vec<BoardError>,
}

/// What is known of an origin.
pub(super) fn row(judged: &Judged, key: &PublicKey, keys: &[PublicKey]) -> Row {
    let newest = judged.newest();
    let name = |text: &String| keys.iter().find(|key| key.text == *text).map(|key| key.name.clone());
    Row {
        board: judged.board.clone(),
        origin: judged.origin.clone(),
        key: key.name.clone(),
        size: judged.log.size(),
        time: newest.map(|one| one.checkpoint.time),
        cosigned: newest.map(|one| one.cosigned.keys().filter_map(name).collect()).unwrap_or_default(),
        own: false,
    }
}

/// Writes down for the status page, which asks no board, what was seen. Whoever only publishes has not judged.
pub(super) fn remember(report: &Report, judged: bool, invocation: &Invocation) {
    let looked = Timestamp::now();
    let findings = |origin: &str| -> Vec<String> {
        let of_it = report.findings.iter().filter(|one| origin.contains(&one.origin));
        let mut lines: Vec<String> =
            of_it.map(|one| format!("{}: {}: {}", one.kind.word(), one.on, one.what)).collect();
        lines.sort();
        lines.dedup();
        lines
    };
    let rows = report.origins.iter().map(|row| Witnessed {
        board: row.board.clone(),
        origin: row.origin.clone(),
        key: row.key.clone(),
        own: row.own,
        seals: row.size,
        published: row.time,
        cosigned: row.cosigned.clone(),
        looked,
        findings: findings(&row.origin),
    });
    let noted = StateFolder::open(&invocation.settings.state)
        .and_then(|state| state.see_witnessed(rows.collect(), judged));
    if let Err(error) = noted {
        output::complain(&format!("warning: what the boards show is not remembered: {error}"));
    }
}

/// Prints the report; the exit code says whether there are findings.
pub(super) fn finish(mut report: Report, invocation: &Invocation) -> CommandResult {
    report.findings.sort();
    report.findings.dedup();
    report.ok = report.findings.is_empty() && report.away.is_empty();
    invocation.screen.result(&report, || text(&report));
    if report.findings.is_empty() {
        // All else is done.
        return report.away.into_iter().next().map_or(Ok(()), |error| Err(error.into()));
    }
    let message =
        format!("{} finding(s): what was published and what is shown do not fit", report.findings.len());
    let error = CommandError::new(Kind::Damage, message)
        .hint("Keep vault and boards as they are, and ask who had access to them.");
    output::complain(&error.to_string());
    Err(CommandError::already_reported(Kind::Damage))
}

/// The report for people.
fn text(report: &Report) -> String {
    let columns =
        [("key", Align::Left), ("seals", Align::Right), ("last", Align::Left), ("cosigned by", Align::Left)];
    let rows: Vec<[String; 4]> = report
        .origins
        .iter()
        .map(|row| {
            let time = row.time.map(|time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
            [row.key.clone(), row.size.to_string(), time.unwrap_or_default(), row.cosigned.join(", ")]
        })
        .collect();
    let mut text = if rows.is_empty() { String::new() } else { table::render(columns, &rows) };
    for file in &report.created {
        let _ = writeln!(text, "created {file}");
    }
    for remark in &report.remarks {
        let _ = writeln!(text, "note: {remark}");
    }
    for finding in &report.findings {
        let _ = writeln!(text, "{}: {}: {}", finding.kind.word(), finding.on, finding.what);
    }
    if report.ok {
        text.push_str("nothing that does not fit\n");
    }
    text
}
