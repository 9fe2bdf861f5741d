//! The page: what an appliance says cannot become markup, and a full page stays small.

use super::page;
use ghevault_core::{
    schedule::{Calendar, decide::Plan},
    state::{
        DatasetRun, Drilled, History, Ledger, OddSnapshot, OddState, RunDetails, RunRecord, RunResult, Task,
        Trigger, Witnessed,
    },
    status::{Sources, StatusReport, report},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::time::Duration;

/// Half a year of hourly runs, each with the longest reason that is kept.
fn full() -> StatusReport {
    let now: Timestamp = "2026-11-27T10:30:00Z".parse().expect("a time stamp");
    let evil = "<script>alert(1)</script>\"'&";
    let runs: Vec<RunRecord> = (0..10_000)
        .rev()
        .map(|hours| {
            let began = now - SignedDuration::from_hours(hours);
            let datasets =
                vec![
                    DatasetRun { name: evil.into(), outcome: "partial".into(), bytes: 1 << 40, seconds: 9.5 };
                    20
                ];
            RunRecord {
                run: format!("{hours:016x}"),
                task: Task::Backup,
                began,
                ended: began + SignedDuration::from_mins(3),
                result: RunResult::ALL[usize::try_from(hours).expect("small") % RunResult::ALL.len()],
                code: 1,
                trigger: Trigger::Schedule,
                details: RunDetails {
                    reason: Some(evil.repeat(14)),
                    bytes_read: Some(u64::MAX),
                    bytes_added: Some(u64::MAX),
                    datasets,
                    ..RunDetails::default()
                },
            }
        })
        .collect();
    report(&Sources {
        now,
        zone: &TimeZone::UTC,
        host: evil,
        vault: evil,
        history: &History { runs, ..History::default() },
        ledger: &Ledger::default(),
        plans: &[Plan {
            task: Task::Backup,
            calendar: Calendar::parse("business-hours", TimeZone::UTC).expect("a schedule"),
        }],
        verified: &[],
        live: &[],
        rpo: Some(Duration::from_hours(2)),
        dataset_rpo: &[("mysql".to_owned(), Duration::from_hours(1))].into(),
        rto: Some(Duration::from_hours(4)),
        restored: None,
        waiting: &[("mail".to_owned(), 3)].into(),
        odd: &[odd(evil, OddState::Quarantined), odd(evil, OddState::Acknowledged)],
        witnessed: &vec![witnessed(now, evil); 20],
        drilled: &vec![drilled(now, evil); 10],
    })
}

fn witnessed(now: Timestamp, evil: &str) -> Witnessed {
    Witnessed {
        board: evil.into(),
        origin: evil.into(),
        key: evil.into(),
        own: false,
        seals: 7,
        published: Some(now),
        cosigned: vec![evil.into()],
        looked: now,
        findings: vec![evil.repeat(20), evil.into()],
    }
}

fn drilled(now: Timestamp, evil: &str) -> Drilled {
    Drilled {
        began: now,
        snapshot: evil.into(),
        depth: evil.into(),
        verdict: evil.into(),
        seconds: 9.5,
        proven: vec![evil.into(); 20],
        open: vec![evil.repeat(20)],
        report: Some(evil.into()),
    }
}

fn odd(text: &str, state: OddState) -> OddSnapshot {
    OddSnapshot {
        vault: text.into(),
        snapshot: text.into(),
        seal: text.into(),
        time: Timestamp::UNIX_EPOCH,
        state,
        reason: (state == OddState::Acknowledged).then(|| "keys of the new team".into()),
        at: Timestamp::UNIX_EPOCH,
        findings: vec![text.repeat(3)],
    }
}

#[test]
fn a_finding_is_shown_with_what_became_of_it() {
    let html = page(&full(), &TimeZone::UTC, "1.2.3");
    assert_eq!(html.matches("looks like an attack").count(), 1);
    assert_eq!(html.matches(">in quarantine<").count(), 1);
    assert!(html.contains("(keys of the new team)") && html.contains(">acknowledged<"));
}

#[test]
fn the_vaults_on_boards_and_the_drills_are_shown_with_what_speaks_for_them() {
    let mut report = full();
    let now = report.at;
    let mut fits = Witnessed { own: true, findings: Vec::new(), ..witnessed(now, "dir:/board") };
    fits.cosigned = vec!["backup-b".into()];
    report.witnessed = vec![fits, Witnessed { key: "backup-b".into(), ..witnessed(now, "odd") }];
    report.drilled = vec![Drilled {
        verdict: "proven".into(),
        proven: vec!["mysql".into()],
        open: Vec::new(),
        ..drilled(now, "a/b/c.json")
    }];
    let html = page(&report, &TimeZone::UTC, "1.2.3");
    for part in [
        "<td>this host</td><td>7</td>",
        "<td>backup-b</td>",
        "<td class=\"good\">fits <span",
        "and 1 more <span",
        "<td class=\"good\">proven</td>",
        "signed report c.json</span>",
        "1 parts proven: mysql",
    ] {
        assert!(html.contains(part), "{part}");
    }
    report.days[3].quarantined = 1;
    assert!(page(&report, &TimeZone::UTC, "1.2.3").contains("1 in quarantine</title>"));
}

#[test]
fn a_full_page_is_small_and_nothing_that_was_reported_becomes_markup() {
    let html = page(&full(), &TimeZone::UTC, "1.2.3");
    assert!(html.len() < 100_000, "{} bytes", html.len());
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
    assert!(!html.contains("\"'&"));
    assert_eq!(html.matches("<rect").count(), 182);
    assert_eq!(html.matches("<table").count(), html.matches("</table>").count());
}

/// Relative luminance of `#rrggbb` or `#rgb`.
fn luminance(colour: &str) -> f64 {
    let digits = colour.trim_start_matches('#');
    let step = digits.len() / 3;
    let channel = |index: usize| {
        let part = &digits[index * step..(index + 1) * step];
        let part = if step == 1 { part.repeat(2) } else { part.to_owned() };
        let value = f64::from(u8::from_str_radix(&part, 16).expect("hexadecimal")) / 255.0;
        if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
}

#[test]
fn text_has_contrast_in_both_themes() {
    let themes: Vec<&str> = super::STYLE.lines().filter(|line| line.contains("--ground:")).collect();
    assert_eq!(themes.len(), 2);
    for theme in themes {
        let colour = |name: &str| {
            let at = theme.find(&format!("--{name}:")).expect("declared") + name.len() + 3;
            luminance(theme[at..].split([';', '}']).next().expect("a value"))
        };
        for ground in ["ground", "card"] {
            for text in ["text", "soft", "good", "mixed", "bad"] {
                let (one, two) = (colour(ground), colour(text));
                let contrast = (one.max(two) + 0.05) / (one.min(two) + 0.05);
                assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
            }
        }
    }
}
