//! The history and live runs, torn lines and all.

use super::*;
use crate::state::{LiveRun, StateFolder};
use std::fs;

fn record(run: &str, second: i64) -> RunRecord {
    RunRecord {
        run: run.into(),
        task: Task::Backup,
        began: Timestamp::from_second(second).unwrap(),
        ended: Timestamp::from_second(second + 60).unwrap(),
        result: RunResult::Complete,
        code: 0,
        trigger: Trigger::Schedule,
        details: RunDetails::default(),
    }
}

fn folder() -> (tempfile::TempDir, StateFolder) {
    let dir = tempfile::tempdir().unwrap();
    let state = StateFolder::open(dir.path()).unwrap();
    (dir, state)
}

#[test]
fn a_run_is_recorded_once() {
    let (_dir, state) = folder();
    assert_eq!(state.history().unwrap(), History::default());
    state.record_run(&record("a", 1)).unwrap();
    state.record_run(&RunRecord { result: RunResult::Failed, ..record("a", 1) }).unwrap();
    state.record_run(&record("b", 2)).unwrap();
    assert_eq!(state.history().unwrap().runs, [record("a", 1), record("b", 2)]);
}

#[test]
fn a_torn_line_costs_only_itself() {
    let (_dir, state) = folder();
    state.record_run(&record("a", 1)).unwrap();
    let mut text = fs::read_to_string(state.history_path()).unwrap();
    text.push_str("{\"run\":\"half");
    fs::write(state.history_path(), text).unwrap();
    state.record_run(&record("b", 2)).unwrap();
    let history = state.history().unwrap();
    assert_eq!((history.runs, history.unreadable), (vec![record("a", 1), record("b", 2)], 1));
}

#[test]
fn a_long_history_becomes_counts_and_no_run_is_lost_from_them() {
    let datasets =
        vec![DatasetRun { name: "mysql".into(), outcome: "complete".into(), bytes: 1, seconds: 1.0 }; 9];
    let runs: Vec<RunRecord> = (0..12_000)
        .map(|number| RunRecord {
            details: RunDetails { datasets: datasets.clone(), ..RunDetails::default() },
            ..record(&format!("{number:016x}"), number)
        })
        .collect();
    let text = History { runs: runs.clone(), ..History::default() }.compacted();
    assert!(text.len() <= BYTES_KEPT + 200);
    let history = History::parse(&text);
    assert_eq!(history.runs.len(), RUNS_KEPT);
    assert_eq!(history.runs.last(), runs.last());
    assert_eq!(history.counts()[&Task::Backup][&RunResult::Complete], 12_000);
    assert!(history.runs[0].details.datasets.is_empty());
}

#[test]
fn a_run_is_live_until_its_mark_is_gone_and_looking_disturbs_nobody() {
    let (_dir, state) = folder();
    let live = LiveRun {
        run: "a".into(),
        task: Task::Backup,
        pid: std::process::id(),
        began: Timestamp::from_second(1).unwrap(),
    };
    assert_eq!(state.live_run(Task::Backup).unwrap(), None);
    let mark = state.begin_run(&live).unwrap().expect("nobody else");
    assert_eq!(state.live_run(Task::Backup).unwrap(), Some(live.clone()));
    assert_eq!(state.live_run(Task::Verify).unwrap(), None);
    assert!(state.begin_run(&live).unwrap().is_none());
    drop(mark);
    assert_eq!(state.live_run(Task::Backup).unwrap(), None);
    assert!(state.begin_run(&live).unwrap().is_some());
}
