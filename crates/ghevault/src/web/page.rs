//! The page itself.

use super::{growth::growth, heat::heat, proof};
use crate::output::human;
use ghevault_core::{
    state::{OddState, RunRecord, RunResult},
    status::{Health, StatusReport},
};
use jiff::{Timestamp, tz::TimeZone};
use std::fmt::Write as _;

/// Colours keep a contrast of at least 4.5 to 1 to their ground, in both themes.
const STYLE: &str = "
:root{color-scheme:light dark;--ground:#fff;--card:#f5f6f8;--text:#1b1f24;--soft:#535b66;--line:#d5d9df;--good:#1a6b34;--mixed:#8a5300;--bad:#b3261e;--none:#c3c9d1;--shade:#0003}
@media(prefers-color-scheme:dark){:root{--ground:#12151a;--card:#1b2027;--text:#e8eaee;--soft:#a8b0bb;--line:#343b45;--good:#5fc27e;--mixed:#e0a54a;--bad:#ff8a80;--none:#3a424d;--shade:#000a}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
main{max-width:72rem;margin:0 auto;padding:1rem}h1{font-size:1.3rem;margin:.5rem 0}h2{font-size:1.05rem;margin:1.8rem 0 .5rem}
p{margin:.3rem 0}.soft{color:var(--soft)}.verdict{border-left:.5rem solid var(--none);background:var(--card);padding:.8rem 1rem;border-radius:.3rem}
.verdict b{font-size:1.5rem;display:block}.verdict.good{border-color:var(--good)}.verdict.mixed{border-color:var(--mixed)}.verdict.bad{border-color:var(--bad)}
.good b,td.good{color:var(--good)}.mixed b,td.mixed{color:var(--mixed)}.bad b,td.bad{color:var(--bad)}
.verdicts{display:grid;gap:.5rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr))}.wide td,.wide th{white-space:nowrap}.words td:last-child{white-space:normal;min-width:11rem}.heat{width:100%;min-width:24rem;max-width:45rem;height:auto;display:block}
.wide{overflow-x:auto;background:linear-gradient(90deg,var(--ground) 40%,#0000) 0/2rem 100% no-repeat local,linear-gradient(270deg,var(--ground) 40%,#0000) 100%/2rem 100% no-repeat local,linear-gradient(90deg,var(--shade),#0000) 0/.7rem 100% no-repeat,linear-gradient(270deg,var(--shade),#0000) 100%/.7rem 100% no-repeat}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}th{color:var(--soft);font-weight:600}
@media(min-width:90rem){.verdict b{font-size:2.4rem}main{max-width:none;padding:1rem 2.5rem}.parts{columns:2;column-gap:4rem}.parts section{break-inside:avoid}.parts h2{margin-top:0;padding-top:1.2rem}}
@media(min-width:150rem){html{font-size:150%}}.growth{width:100%;max-width:45rem;height:auto;background:var(--card);border-radius:.3rem}
.growth polyline{fill:none;stroke-width:2.5;stroke-linejoin:round}.growth .source{stroke:var(--good)}.growth .added{stroke:var(--mixed);stroke-dasharray:7 4}
.number{text-align:right}.heat text{font-size:9px;fill:var(--soft)}.heat rect{rx:2px}.heat .good{fill:var(--good)}.heat .mixed{fill:var(--mixed)}.heat .bad{fill:var(--bad)}.heat .odd{fill:var(--bad);stroke:var(--text);stroke-width:2}.heat .none{fill:var(--none)}
footer{margin-top:2rem;color:var(--soft);font-size:.85rem}a{color:inherit}.wide:focus-visible{outline:2px solid var(--soft)}";

/// Longest reason in the table of runs, in characters.
const REASON_MAX: usize = 160;
/// Most findings that are shown.
const ODD_SHOWN: usize = 20;

/// Renders the page.
#[must_use]
pub fn page(report: &StatusReport, zone: &TimeZone, version: &str) -> String {
    let local = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string();
    let objective = &report.objective;
    let title = if report.host.is_empty() { "ghevault" } else { &report.host };
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"60\"><title>{}: {}</title><style>{STYLE}</style></head><body><main>",
        escape(objective.health.name()),
        escape(title)
    );
    let _ = write!(out, "<h1>Backups of {}</h1><div class=\"verdicts\">", escape(title));
    findings(&mut out, report, &local);
    quarantine(&mut out, report, &local);
    let _ = write!(
        out,
        "<section class=\"verdict {}\" aria-label=\"Objective\"><b>Objective: {}</b><p>{}</p>",
        tone(objective.health),
        objective.health.name(),
        escape(&sentence(&objective.because))
    );
    if let Some(at) = objective.breaks_at {
        let text = if objective.health == Health::Broken {
            format!("It held until {}.", local(at))
        } else {
            format!("Holds until {} without another complete backup.", local(at))
        };
        let _ = write!(out, "<p class=\"soft\">{text}</p>");
    }
    out.push_str("</section></div>");
    live(&mut out, report);
    let machine = report.machine.as_deref().map(|machine| format!(", backed up from {}", escape(machine)));
    let _ =
        write!(out, "<p class=\"soft\">Vault {}{}</p>", escape(&report.vault), machine.unwrap_or_default());
    for (receiver, count) in &report.waiting {
        let _ = write!(out, "<p>{count} message(s) have not reached {} yet.</p>", escape(receiver));
    }
    out.push_str("<div class=\"parts\">");
    targets(&mut out, report);
    tasks(&mut out, report, &local);
    let _ = write!(
        out,
        "<section><h2>Backups by day</h2><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Calendar\">{}</div>\
         <p class=\"soft\">Green: all complete. Amber: some not complete. Red: none complete. Red with a frame: a snapshot in quarantine. Grey: none.</p></section>",
        heat(&report.days)
    );
    next(&mut out, report, &local);
    datasets(&mut out, report);
    odd(&mut out, report, &local);
    proof::witnessed(&mut out, report, &local);
    proof::drilled(&mut out, report, &local);
    sizes(&mut out, report);
    out.push_str("</div>");
    runs(&mut out, report, &local);
    if report.unreadable > 0 {
        let _ = write!(out, "<p>{} line(s) of the history cannot be read.</p>", report.unreadable);
    }
    let _ = writeln!(
        out,
        "<footer>ghevault {}, {}. The page is read-only and shows no secrets.</footer></main></body></html>",
        escape(version),
        local(report.at)
    );
    out
}

/// What no further try will change: somebody has to look.
fn findings(out: &mut String, report: &StatusReport, local: &impl Fn(Timestamp) -> String) {
    for run in report.tasks.iter().filter_map(|task| task.last.as_ref()) {
        let what = match run.result {
            RunResult::Damage => "found damage",
            RunResult::Refused => "was refused",
            _ => continue,
        };
        let _ = write!(
            out,
            "<section class=\"verdict bad\" aria-label=\"Finding\"><b>{} {what}</b><p>{}</p><p class=\"soft\">{}. Somebody has to look.</p></section>",
            sentence(run.task.name()).trim_end_matches('.'),
            escape(&sentence(&remark(run))),
            local(run.began)
        );
    }
}

/// Snapshots that look like an attack and that nobody has acknowledged.
fn quarantine(out: &mut String, report: &StatusReport, local: &impl Fn(Timestamp) -> String) {
    for one in report.odd.iter().filter(|one| one.state == OddState::Quarantined).take(ODD_SHOWN) {
        let _ = write!(
            out,
            "<section class=\"verdict bad\" aria-label=\"Quarantine\"><b>Snapshot {} looks like an attack</b><p>{}</p>\
             <p class=\"soft\">It shows {}. If it was none: ghevault ack.</p></section>",
            escape(&short(&one.snapshot)),
            escape(&sentence(&shortened(&one.findings.join("; ")))),
            local(one.time)
        );
    }
}

/// What was found of snapshots, and what became of it.
fn odd(out: &mut String, report: &StatusReport, local: &impl Fn(Timestamp) -> String) {
    if report.odd.is_empty() {
        return;
    }
    table(out, "Findings", &["snapshot", "shows", "state", "since", "found"]);
    for one in report.odd.iter().take(ODD_SHOWN) {
        let reason = one.reason.as_deref().map(|reason| format!(" ({reason})"));
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td></tr>",
            escape(&short(&one.snapshot)),
            local(one.time),
            if one.state == OddState::Quarantined { "bad" } else { "none" },
            one.state.words(),
            local(one.at),
            escape(&shortened(&format!("{}{}", one.findings.join("; "), reason.unwrap_or_default())))
        );
    }
    out.push_str(END);
}

/// The beginning of an id.
pub(super) fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

fn live(out: &mut String, report: &StatusReport) {
    for live in &report.live {
        let since = human::duration(report.at.duration_since(live.run.began).unsigned_abs());
        let said = live.progress.as_deref().map(|said| format!(": {}", escape(said))).unwrap_or_default();
        let _ = write!(out, "<p role=\"status\">Running: {} for {since}{said}</p>", live.run.task.name());
    }
}

fn targets(out: &mut String, report: &StatusReport) {
    if report.targets.is_empty() {
        return;
    }
    table(out, "Further objectives", &["of", "state", "why"]);
    for target in &report.targets {
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"{}\">{}</td><td>{}</td></tr>",
            escape(&target.name),
            tone(target.health),
            target.health.name(),
            escape(&target.because)
        );
    }
    out.push_str(END);
}

/// Each task: what it did last, when it was complete, when it comes next; and what is proven.
fn tasks(out: &mut String, report: &StatusReport, local: &impl Fn(Timestamp) -> String) {
    if report.tasks.is_empty() {
        return;
    }
    table(out, "Tasks", &["task", "last run", "result", "took", "last complete", "next"]);
    for task in &report.tasks {
        let at = |at: Option<Timestamp>| at.map_or_else(|| "–".to_owned(), local);
        let (tone, result, took) = match &task.last {
            Some(run) => (tone_of(run.result), run.result.name(), human::seconds(run.seconds())),
            None => ("none", "never", String::new()),
        };
        let again = task.retry.map(|retry| format!("again {}", local(retry)));
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"{tone}\">{result}</td><td>{took}</td><td>{}</td><td>{}</td></tr>",
            task.task.name(),
            at(task.last.as_ref().map(|run| run.began)),
            at(task.last_complete),
            again.unwrap_or_else(|| at(task.next))
        );
    }
    out.push_str(END);
    proven(out, report, local);
    out.push_str("</section>");
}

/// What is proven of snapshots.
fn proven(out: &mut String, report: &StatusReport, local: &impl Fn(Timestamp) -> String) {
    for (depth, when) in &report.proven {
        let how = match depth {
            1 => "all that it needs is there",
            2 => "every byte was read",
            _ => "a full drill held",
        };
        let _ = write!(out, "<p class=\"soft\">Proven of a snapshot, {how}: {}.</p>", local(*when));
    }
}

fn sizes(out: &mut String, report: &StatusReport) {
    let (Some(drawing), Some(last)) = (growth(&report.growth), report.growth.last()) else { return };
    let _ = write!(
        out,
        "<section><h2>Growth</h2>{drawing}<p class=\"soft\">Line: the appliance's data, now {}. Dashes: added to the vault by this host, {} \
         so far. Each by its own scale.</p></section>",
        human::bytes(last.source),
        human::bytes(last.added)
    );
}

fn next(out: &mut String, report: &StatusReport, local: &impl Fn(Timestamp) -> String) {
    if report.next.is_empty() {
        out.push_str("<section><h2>Next</h2><p>Nothing is scheduled on this host.</p></section>");
        return;
    }
    table(out, "Next", &["when", "task", "because of"]);
    for next in report.next.iter().take(6) {
        let (at, task) = (local(next.at), next.task.name());
        let _ = write!(out, "<tr><td>{at}</td><td>{task}</td><td>{}</td></tr>", escape(&next.because));
    }
    out.push_str(END);
}

fn runs(out: &mut String, report: &StatusReport, local: &impl Fn(Timestamp) -> String) {
    if report.runs.is_empty() {
        out.push_str("<section><h2>Runs</h2><p>Nothing has run on this host yet.</p></section>");
        return;
    }
    table(out, "Runs", &["began", "task", "result", "took", "read", "added", "remark"]);
    for run in &report.runs {
        let bytes = |count: Option<u64>| count.map(human::bytes).unwrap_or_default();
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            local(run.began),
            run.task.name(),
            tone_of(run.result),
            run.result.name(),
            human::seconds(run.seconds()),
            bytes(run.details.bytes_read),
            bytes(run.details.bytes_added),
            escape(&remark(run))
        );
    }
    out.push_str(END);
}

fn datasets(out: &mut String, report: &StatusReport) {
    if report.datasets.is_empty() {
        return;
    }
    table(out, "Datasets of the last snapshot", &["dataset", "outcome", "size", "took"]);
    for one in &report.datasets {
        let tone = match one.outcome.as_str() {
            "complete" => "good",
            "partial" => "mixed",
            _ => "bad",
        };
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"{tone}\">{}</td><td>{}</td><td>{}</td></tr>",
            escape(&one.name),
            escape(&one.outcome),
            human::bytes(one.bytes),
            human::seconds(one.seconds)
        );
    }
    out.push_str(END);
}

/// Ends a table and its section.
pub(super) const END: &str = "</tbody></table></div></section>";

/// Begins a table below a heading. A last column of words may be broken into lines.
pub(super) fn table(out: &mut String, heading: &str, columns: &[&str]) {
    let of_words = columns
        .last()
        .is_some_and(|last| ["why", "because of", "remark", "found", "evidence"].contains(last));
    let words = if of_words { " words" } else { "" };
    let _ = write!(
        out,
        "<section><h2>{heading}</h2><div class=\"wide{words}\" tabindex=\"0\" role=\"region\" aria-label=\"{heading}\"><table><thead><tr>"
    );
    for column in columns {
        let _ = write!(out, "<th scope=\"col\">{column}</th>");
    }
    out.push_str("</tr></thead><tbody>");
}

/// What a run is worth saying besides its result.
fn remark(run: &RunRecord) -> String {
    shortened(run.details.reason.as_deref().unwrap_or_else(|| run.trigger.name()))
}

/// A text of bounded length.
pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() <= REASON_MAX {
        return text.to_owned();
    }
    text.chars().take(REASON_MAX - 1).chain(['…']).collect()
}

const fn tone(health: Health) -> &'static str {
    match health {
        Health::Good => "good",
        Health::Unset | Health::Unknown => "none",
        Health::AtRisk => "mixed",
        Health::Broken => "bad",
    }
}

const fn tone_of(result: RunResult) -> &'static str {
    match result {
        RunResult::Complete => "good",
        RunResult::Partial | RunResult::Locked | RunResult::Interrupted => "mixed",
        RunResult::Refused | RunResult::Damage | RunResult::Failed => "bad",
    }
}

/// A remark as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// Text that is safe between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
