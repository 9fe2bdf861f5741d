//! Tests of the plan: from values to values.

use super::{super::record::ImportRecord, *};
use crate::{seal::Source, vault::TreeId};

fn found(name: &str) -> Found {
    Found {
        name: name.into(),
        time: super::super::name::time(name, None),
        fingerprint: format!("f{name}"),
        uuid: "u".into(),
        has_dump: true,
        ..Found::default()
    }
}

fn listing(names: &[&str]) -> DataListing {
    DataListing {
        path: "/data".into(),
        snapshots: names.iter().map(|name| found(name)).collect(),
        ..DataListing::default()
    }
}

fn recorded(name: &str, outcome: Outcome) -> Recorded {
    Recorded {
        snapshot: "ab".repeat(32).parse().expect("an id"),
        tree: TreeId::default(),
        outcome,
        record: ImportRecord {
            format: 1,
            source: Source::Import,
            name: name.into(),
            uuid: "u".into(),
            fingerprint: format!("f{name}"),
        },
    }
}

fn made(listing: &DataListing, options: &ImportOptions) -> ImportPlan {
    plan(listing, &[], None, options).expect("a plan")
}

fn steps(plan: &ImportPlan) -> Vec<(&str, bool)> {
    plan.snapshots.iter().map(|one| (one.name.as_str(), matches!(one.step, Step::Import { .. }))).collect()
}

#[test]
fn snapshots_are_taken_in_the_order_of_their_times() {
    let listing = listing(&["20260103T000000", "20260101T000000", "inc_previous_20260102T000000"]);
    let plan = made(&listing, &ImportOptions::default());
    let names: Vec<_> = plan.snapshots.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["20260101T000000", "inc_previous_20260102T000000", "20260103T000000"]);
}

#[test]
fn an_unfinished_snapshot_is_left_out_unless_it_is_forced_and_is_partial_then() {
    let mut listing = listing(&["20260101T000000", "20260102T000000"]);
    listing.snapshots[1].incomplete = true;
    let plan = made(&listing, &ImportOptions::default());
    assert_eq!(steps(&plan), [("20260101T000000", true), ("20260102T000000", false)]);
    let forced = made(&listing, &ImportOptions { force_incomplete: true, ..ImportOptions::default() });
    assert_eq!(steps(&forced)[1], ("20260102T000000", true));
    assert!(forced.snapshots[1].problems[0].contains("incomplete"));
}

#[test]
fn what_the_vault_has_is_not_taken_again_and_what_it_has_in_part_is() {
    let listing = listing(&["20260101T000000", "20260102T000000"]);
    let known =
        [recorded("20260101T000000", Outcome::Complete), recorded("20260102T000000", Outcome::Partial)];
    let plan = plan(&listing, &known, Some("u"), &ImportOptions::default()).expect("a plan");
    assert!(matches!(plan.snapshots[0].step, Step::Present { .. }));
    assert!(matches!(plan.snapshots[1].step, Step::Import { again: Some(_) }));
}

#[test]
fn a_snapshot_keeps_its_record_when_its_cycle_becomes_the_previous_one() {
    let mut listing = listing(&["inc_previous_20260101T000000"]);
    listing.snapshots[0].fingerprint = "f20260101T000000".into();
    let known = [recorded("20260101T000000", Outcome::Complete)];
    let plan = plan(&listing, &known, None, &ImportOptions::default()).expect("a plan");
    assert!(matches!(plan.snapshots[0].step, Step::Present { .. }));
}

#[test]
fn a_directory_that_somebody_works_in_is_refused() {
    let run = |alive| Some(InProgress::Run { snapshot: "2".into(), pid: "7".into(), alive });
    let mut busy = listing(&["1"]);
    let refused = |listing: &DataListing| {
        plan(listing, &[], None, &ImportOptions::default()).expect_err("it is refused")
    };
    busy.in_progress = run(true);
    assert!(matches!(refused(&busy), PlanError::BackupRunning { .. }));
    busy.in_progress = Some(InProgress::Link);
    assert!(matches!(refused(&busy), PlanError::AncientMark { .. }));
    busy.in_progress = run(false);
    assert!(made(&busy, &ImportOptions::default()).warnings[0].contains("process 7"));
    busy.in_progress_restore = Some("1700000000 9".into());
    assert!(matches!(refused(&busy), PlanError::RestoreRunning { .. }));
}

#[test]
fn only_the_named_ones_are_taken_and_current_is_a_name() {
    let mut listing = listing(&["1", "2", "3"]);
    listing.current = Some("3".into());
    let options = ImportOptions { only: vec!["1".into(), "current".into()], ..ImportOptions::default() };
    let plan = made(&listing, &options);
    assert_eq!(steps(&plan), [("1", true), ("2", false), ("3", true)]);
    let options = ImportOptions { only: vec!["9".into()], ..ImportOptions::default() };
    let error = super::plan(&listing, &[], None, &options).expect_err("there is no 9");
    assert_eq!(error.to_string(), "there is no snapshot `9` in `/data`; there are: 1, 2, 3");
}

#[test]
fn a_broken_chain_is_known_before_a_byte_is_read() {
    let mut listing = listing(&["1", "2"]);
    let points = |from, to| Some(chain::Checkpoints { incremental: from > 0, from, to });
    listing.snapshots[0].checkpoints = points(0, 10);
    listing.snapshots[1].checkpoints = points(10, 20);
    listing.cycles = vec![chain::Cycle { full: Some("/x/1".into()), incrementals: vec!["/x/2".into()] }];
    let whole = made(&listing, &ImportOptions::default());
    assert_eq!(whole.snapshots[1].chain, Chain::Members(vec!["1".into(), "2".into()]));
    listing.snapshots[0].incomplete = true;
    let broken = made(&listing, &ImportOptions::default());
    assert!(broken.snapshots[1].problems[0].contains("`1`"), "{broken:?}");
}

#[test]
fn another_appliances_directory_is_refused_unless_it_is_allowed() {
    let listing = listing(&["1"]);
    let error = plan(&listing, &[], Some("other"), &ImportOptions::default()).expect_err("it is refused");
    assert!(matches!(error, PlanError::OtherAppliance { .. }));
    let options = ImportOptions { allow_other_appliance: true, ..ImportOptions::default() };
    assert_eq!(plan(&listing, &[], Some("other"), &options).expect("a plan").warnings.len(), 1);
}

#[test]
fn an_empty_directory_has_nothing_to_import() {
    let error = plan(&listing(&[]), &[], None, &ImportOptions::default()).expect_err("nothing");
    assert!(matches!(error, PlanError::NoSnapshots { .. }));
}
