//! Reports from made-up histories.

use super::*;
use crate::{
    schedule::Calendar,
    state::{DatasetRun, RestoreRecord, RunDetails, Trigger, VerifyRecord},
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn run(began: &str, result: RunResult) -> RunRecord {
    let began = at(began);
    RunRecord {
        run: began.to_string(),
        task: Task::Backup,
        began,
        ended: began + SignedDuration::from_mins(4),
        result,
        code: 0,
        trigger: Trigger::Schedule,
        details: RunDetails { reason: Some("mysql: it is \"down\"".into()), ..RunDetails::default() },
    }
}

fn judged(runs: &[RunRecord], now: &str, schedule: &str, rpo: Option<Duration>) -> StatusReport {
    judged_with(&[], runs, now, schedule, rpo)
}

fn judged_with(
    odd: &[OddSnapshot],
    runs: &[RunRecord],
    now: &str,
    schedule: &str,
    rpo: Option<Duration>,
) -> StatusReport {
    let history = History { runs: runs.to_vec(), ..History::default() };
    let plans = [Plan { task: Task::Backup, calendar: Calendar::parse(schedule, TimeZone::UTC).unwrap() }];
    report(&Sources {
        now: at(now),
        zone: &TimeZone::UTC,
        host: "ghe.example.com",
        vault: "/srv/vault",
        history: &history,
        ledger: &Ledger::default(),
        plans: &plans,
        verified: &[],
        live: &[],
        rpo,
        dataset_rpo: &BTreeMap::new(),
        rto: None,
        restored: None,
        waiting: &BTreeMap::new(),
        odd,
        witnessed: &[],
        drilled: &[],
    })
}

const TWO_HOURS: Option<Duration> = Some(Duration::from_hours(2));

fn health(runs: &[RunRecord], now: &str, schedule: &str) -> (Health, String) {
    let objective = judged(runs, now, schedule, TWO_HOURS).objective;
    (objective.health, objective.because)
}

#[test]
fn the_objective_is_at_risk_before_it_is_broken() {
    let good = [run("2026-11-27T10:00:00Z", RunResult::Complete)];
    let is = |now| health(&good, now, "0 * * * *");
    assert_eq!(is("2026-11-27T11:00:00Z").0, Health::Good);
    assert_eq!(is("2026-11-27T11:40:00Z").0, Health::AtRisk);
    let (verdict, because) = is("2026-11-27T13:00:00Z");
    assert_eq!((verdict, because.as_str()), (Health::Broken, "no complete snapshot for 3 h (objective 2 h)"));
}

#[test]
fn a_backup_that_was_not_complete_is_a_risk_at_once() {
    let runs = [
        run("2026-11-27T10:00:00Z", RunResult::Complete),
        run("2026-11-27T11:00:00Z", RunResult::Partial),
        run("2026-11-27T11:10:00Z", RunResult::Locked),
        run("2026-11-27T11:10:00Z", RunResult::Interrupted),
    ];
    let (verdict, because) = health(&runs, "2026-11-27T11:10:00Z", "0 * * * *");
    assert_eq!(verdict, Health::AtRisk);
    assert!(because.contains("partial: mysql"), "{because}");
    assert_eq!(health(&runs[1..], "2026-11-27T11:10:00Z", "0 * * * *").0, Health::Broken);
    assert_eq!(health(&[], "2026-11-27T11:10:00Z", "0 * * * *").0, Health::Unknown);
}

#[test]
fn a_night_that_the_schedule_leaves_out_breaks_nothing_but_the_morning_must_succeed() {
    let good = [run("2026-11-26T20:00:00Z", RunResult::Complete)];
    let is = |now| health(&good, now, "business-hours").0;
    assert_eq!(is("2026-11-27T05:00:00Z"), Health::Good);
    assert_eq!(is("2026-11-27T07:10:00Z"), Health::AtRisk);
    assert_eq!(is("2026-11-27T07:20:00Z"), Health::Broken);
}

#[test]
fn without_an_objective_the_age_is_told_and_nothing_judged() {
    let good = [run("2026-11-20T20:00:00Z", RunResult::Complete)];
    let objective = judged(&good, "2026-11-27T05:00:00Z", "0 * * * *", None).objective;
    assert_eq!((objective.health, objective.breaks_at), (Health::Unset, None));
    assert_eq!(objective.because, "the last complete snapshot is 6 d 9 h old");
}

#[test]
fn every_day_of_half_a_year_has_its_counts() {
    let runs = [
        run("2026-11-26T20:00:00Z", RunResult::Complete),
        run("2026-11-26T21:00:00Z", RunResult::Partial),
        run("2026-11-27T01:00:00Z", RunResult::Failed),
    ];
    let days = judged(&runs, "2026-11-27T05:00:00Z", "0 * * * *", None).days;
    assert_eq!(days.len(), 182);
    let last: Vec<_> = days[180..].iter().map(|day| (day.complete, day.partial, day.failed)).collect();
    assert_eq!(last, [(1, 1, 0), (0, 0, 1)]);
}

#[test]
fn a_day_counts_its_snapshots_in_quarantine_and_no_others() {
    let odd = |time: &str, state| OddSnapshot {
        vault: "/srv/vault".into(),
        snapshot: time.into(),
        seal: time.into(),
        time: at(time),
        state,
        reason: None,
        at: at(time),
        findings: Vec::new(),
    };
    let all = [
        odd("2026-11-25T23:00:00Z", OddState::Acknowledged),
        odd("2026-11-26T01:00:00Z", OddState::Quarantined),
        odd("2026-11-26T23:59:59Z", OddState::Quarantined),
        odd("2026-11-27T00:00:00Z", OddState::Cleared),
    ];
    let days = judged_with(&all, &[], "2026-11-27T05:00:00Z", "0 * * * *", None).days;
    assert_eq!(days[179..].iter().map(|day| day.quarantined).collect::<Vec<_>>(), [0, 2, 0]);
}

#[test]
fn metrics_have_help_type_and_escaped_labels() {
    let mut good = judged(
        &[run("2026-11-27T10:00:00Z", RunResult::Complete)],
        "2026-11-27T11:00:00Z",
        "0 * * * *",
        TWO_HOURS,
    );
    good.vault = "a\"b\\c".into();
    let text = metrics(&good, "1.2.3");
    assert!(
        text.contains("ghevault_backup_runs_total{vault=\"a\\\"b\\\\c\",result=\"complete\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("ghevault_rpo_seconds{vault=\"a\\\"b\\\\c\"} 3600\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(
            text.contains(&format!("# TYPE {name} ")) && text.contains(&format!("# HELP {name} ")),
            "{name}"
        );
    }
}

/// A report in which everything is known, so that every metric has a value.
fn whole() -> StatusReport {
    let details = RunDetails {
        bytes_read: Some(1),
        bytes_added: Some(1),
        bytes_source: Some(1 << 30),
        gate_held_seconds: Some(1.0),
        waited_seconds: Some(1.0),
        datasets: vec![DatasetRun {
            name: "mysql".into(),
            outcome: "complete".into(),
            bytes: 1,
            seconds: 1.0,
        }],
        ..RunDetails::default()
    };
    let backup = RunRecord { details, ..run("2026-11-27T10:00:00Z", RunResult::Complete) };
    let drill = RunRecord { task: Task::Drill, ..run("2026-11-27T10:10:00Z", RunResult::Complete) };
    let history = History { runs: vec![backup, drill], ..History::default() };
    let calendar = Calendar::parse("0 * * * *", TimeZone::UTC).unwrap();
    let proof =
        VerifyRecord { vault: "v".into(), snapshot: "s".into(), depth: 1, at: at("2026-11-27T10:05:00Z") };
    report(&Sources {
        now: at("2026-11-27T10:30:00Z"),
        zone: &TimeZone::UTC,
        host: "ghe.example.com",
        vault: "/srv/vault",
        history: &history,
        ledger: &Ledger::default(),
        plans: &[Plan { task: Task::Backup, calendar }],
        verified: &[proof],
        live: &[],
        rpo: TWO_HOURS,
        dataset_rpo: &[
            ("mysql".to_owned(), Duration::from_hours(1)),
            ("pages".to_owned(), Duration::from_hours(1)),
        ]
        .into(),
        rto: Some(Duration::from_hours(4)),
        restored: None,
        waiting: &[("mail".to_owned(), 2)].into(),
        odd: &[],
        witnessed: &[],
        drilled: &[],
    })
}

#[test]
fn datasets_and_restores_have_objectives_of_their_own() {
    let report = whole();
    let of = |name: &str| report.targets.iter().find(|target| target.name == name).unwrap();
    assert_eq!(of("mysql").health, Health::Good);
    assert_eq!(of("pages").health, Health::Broken, "{}", of("pages").because);
    // A drill of 4 min that says nothing of bytes stands for itself.
    assert_eq!((of(RESTORE).health, of(RESTORE).seconds), (Health::Good, Some(240.0)));
    assert_eq!((report.objective.health, report.worst()), (Health::Good, Health::Broken));
}

#[test]
fn the_time_of_a_restore_grows_with_the_data() {
    let history = History {
        runs: vec![RunRecord {
            details: RunDetails { bytes_source: Some(100 << 30), ..RunDetails::default() },
            ..run("2026-11-27T10:00:00Z", RunResult::Complete)
        }],
        ..History::default()
    };
    let restored = RestoreRecord {
        snapshot: "s".into(),
        host: "h".into(),
        bytes: 10 << 30,
        seconds: 1_000.0,
        at: at("2026-11-01T10:00:00Z"),
    };
    let judged = |limit| {
        let report = report(&Sources {
            now: at("2026-11-27T10:30:00Z"),
            zone: &TimeZone::UTC,
            host: "",
            vault: "",
            history: &history,
            ledger: &Ledger::default(),
            plans: &[],
            verified: &[],
            live: &[],
            rpo: None,
            dataset_rpo: &BTreeMap::new(),
            rto: Some(Duration::from_secs(limit)),
            restored: Some(&restored),
            waiting: &BTreeMap::new(),
            odd: &[],
            witnessed: &[],
            drilled: &[],
        });
        (report.targets[0].health, report.targets[0].seconds)
    };
    assert_eq!(judged(20_000), (Health::Good, Some(10_000.0)));
    assert_eq!(judged(12_000).0, Health::AtRisk);
    assert_eq!(judged(9_000).0, Health::Broken);
}

#[test]
fn every_metric_of_the_shipped_rules_and_dashboard_exists() {
    let text = metrics(&whole(), "1.2.3");
    let known: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    let mut used = 0;
    for file in [
        include_str!("../../../../deploy/monitoring/ghevault.rules.yml"),
        include_str!("../../../../deploy/monitoring/grafana-dashboard.json"),
        include_str!("../../../../docs/operation.md"),
    ] {
        for (place, _) in file.match_indices("ghevault_") {
            let rest = &file[place..];
            let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
            // A label's values may follow, but a name of code does not.
            let name = &rest[..end];
            if name == "ghevault_core" {
                continue;
            }
            used += 1;
            assert!(known.contains(&name), "there is no metric `{name}`");
        }
    }
    assert!(used > 50, "{used}");
}
