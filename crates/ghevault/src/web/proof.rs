//! What others have seen of the vaults, and what drills have proven.

use super::page::{END, escape, short, shortened, table};
use crate::output::human;
use ghevault_core::{
    state::{Drilled, Witnessed},
    status::StatusReport,
};
use jiff::Timestamp;
use std::fmt::Write as _;

/// Vaults that are shown.
const VAULTS_SHOWN: usize = 20;
/// Drills that are shown.
const DRILLS_SHOWN: usize = 5;

/// The vaults on notice boards: how far each has got, and whether all fits.
pub fn witnessed(out: &mut String, report: &StatusReport, local: &impl Fn(Timestamp) -> String) {
    if report.witnessed.is_empty() {
        return;
    }
    table(out, "Witness", &["vault of", "seals", "published", "cosigned by", "found"]);
    for one in report.witnessed.iter().take(VAULTS_SHOWN) {
        let (tone, state) = state(one);
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"{tone}\">{} <span class=\"soft\">{}, {}</span></td></tr>",
            if one.own { "this host".to_owned() } else { escape(&shortened(&one.key)) },
            one.seals,
            one.published.map_or_else(|| "never".to_owned(), local),
            if one.cosigned.is_empty() { "nobody".to_owned() } else { escape(&one.cosigned.join(", ")) },
            escape(&shortened(&state)),
            escape(&one.board),
            local(one.looked)
        );
    }
    out.push_str(END);
}

fn state(one: &Witnessed) -> (&'static str, String) {
    match &one.findings[..] {
        [] => ("good", "fits".to_owned()),
        [only] => ("bad", only.clone()),
        [first, more @ ..] => ("bad", format!("{first}, and {} more", more.len())),
    }
}

/// The last drills and their evidence.
pub fn drilled(out: &mut String, report: &StatusReport, local: &impl Fn(Timestamp) -> String) {
    if report.drilled.is_empty() {
        return;
    }
    table(out, "Drills", &["held", "snapshot", "depth", "result", "evidence"]);
    for one in report.drilled.iter().take(DRILLS_SHOWN) {
        let tone = match one.verdict.as_str() {
            "proven" => "good",
            "failed" => "bad",
            _ => "mixed",
        };
        let kept = one.report.as_deref().and_then(|report| report.rsplit('/').next());
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"{tone}\">{}</td><td>{} <span class=\"soft\">{}, {}</span></td></tr>",
            local(one.began),
            escape(&short(&one.snapshot)),
            escape(&one.depth),
            escape(&one.verdict),
            escape(&shortened(&evidence(one))),
            human::seconds(one.seconds),
            kept.map_or_else(
                || "report not kept".to_owned(),
                |name| format!("signed report {}", escape(name))
            )
        );
    }
    out.push_str(END);
}

/// What is open stands first.
fn evidence(one: &Drilled) -> String {
    let open = one.open.iter().map(|part| format!("not proven: {part}; "));
    open.collect::<String>() + &format!("{} parts proven: {}", one.proven.len(), one.proven.join(", "))
}
