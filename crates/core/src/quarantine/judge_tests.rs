//! What is an attack and what is a normal hour, told apart by numbers alone.

use super::*;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("owner/{n}")).collect()
}

fn quiet() -> Vec<Measures> {
    vec![Measures { new_share: Some(0.01), ..Measures::default() }; 5]
}

fn seen() -> Evidence {
    Evidence { repositories: 100, bytes: 1 << 30, bytes_new: Some(1 << 20), ..Evidence::default() }
}

fn high(seen: &Evidence, baseline: &[Measures]) -> Vec<FindingKind> {
    let findings = judge(seen, baseline);
    findings.into_iter().filter(|one| one.severity == Severity::High).map(|one| one.kind).collect()
}

#[test]
fn a_quiet_hour_has_no_finding() {
    assert_eq!(judge(&seen(), &quiet()), []);
    assert_eq!(judge(&seen(), &[]), []);
}

#[test]
fn a_mass_is_a_share_and_more_than_ever_before() {
    let gone = |count| Evidence { vanished: names(count), ..seen() };
    assert_eq!(high(&gone(2), &[]), []);
    assert_eq!(high(&gone(4), &[]), [], "one in twenty-five");
    assert_eq!(high(&gone(5), &[]), [FindingKind::RepositoriesVanished]);
    let used_to_it = [Measures { vanished: 4, ..Measures::default() }];
    assert_eq!(high(&gone(16), &used_to_it), []);
    assert_eq!(high(&gone(17), &used_to_it), [FindingKind::RepositoriesVanished]);
}

#[test]
fn rewound_default_branches_are_a_share_of_those_that_were_asked() {
    let rewound = |count, asked| Evidence { rewound: names(count), asked, changed: asked, ..seen() };
    assert_eq!(high(&rewound(2, 2), &[]), []);
    assert_eq!(high(&rewound(3, 24), &[]), []);
    assert_eq!(high(&rewound(6, 24), &[]), [FindingKind::MassRewind]);
    assert_eq!(judge(&rewound(1, 24), &[]).len(), 1, "a single one is told, and quarantines nothing");
}

#[test]
fn what_was_not_looked_at_is_taken_to_be_like_what_was() {
    let emptied = Evidence { emptied: names(3), looked: 10, changed: 40, ..seen() };
    assert_eq!(high(&emptied, &[]), [FindingKind::MassDeletion]);
    assert_eq!(high(&Evidence { changed: 10, ..emptied }, &[]), []);
}

#[test]
fn a_restored_appliance_is_no_attack() {
    let rewound = Evidence { rewound: names(20), asked: 24, vanished: names(9), ..seen() };
    assert_eq!(high(&rewound, &[]).len(), 2);
    let restored = Evidence { as_before: Some(0.9), ..rewound };
    assert_eq!(high(&restored, &[]), []);
    assert!(judge(&restored, &[]).iter().any(|one| one.kind == FindingKind::ApplianceRestored));
}

#[test]
fn a_dataset_that_loses_most_of_its_content_has_collapsed() {
    let of = |name: &str, before, after| Evidence {
        datasets: [(name.to_owned(), DatasetSizes { before, after })].into(),
        ..seen()
    };
    assert_eq!(
        high(&of("mysql", Some((1, 1 << 20)), Some((1, 1 << 10))), &[]),
        [FindingKind::DatasetCollapsed]
    );
    assert_eq!(high(&of("storage", Some((5, 10)), Some((0, 0))), &[]), [FindingKind::DatasetCollapsed]);
    assert_eq!(high(&of("mysql", Some((1, 1 << 20)), Some((1, 1 << 19))), &[]), []);
    assert_eq!(high(&of("elasticsearch", Some((9, 1 << 20)), Some((0, 0))), &[]), []);
    assert_eq!(high(&of("pages", Some((5, 1 << 20)), None), &[]), [], "left out by whoever configures it");
    assert_eq!(high(&of("pages", None, Some((5, 10))), &[]), []);
}

#[test]
fn encryption_is_new_bytes_and_git_files_that_are_none() {
    let repacked = Evidence { bytes_new: Some(900 << 20), files_looked: 20, ..seen() };
    assert_eq!(high(&repacked, &quiet()), []);
    assert_eq!(judge(&repacked, &quiet())[0].kind, FindingKind::DedupCollapsed);
    let encrypted = Evidence { unreadable: names(20), ..repacked };
    assert_eq!(high(&encrypted, &quiet()), [FindingKind::DedupCollapsed, FindingKind::ObjectsUnreadable]);
    assert_eq!(
        high(&encrypted, &[]),
        [FindingKind::ObjectsUnreadable],
        "without a baseline nothing is said of it"
    );
}

#[test]
fn who_may_enter_and_what_runs_on_pushes_is_watched() {
    let key = Evidence { keys_added: names(1), ..seen() };
    assert_eq!(high(&key, &[]), [FindingKind::KeyAdded]);
    let hook = Evidence { hooks_changed: names(1), ..seen() };
    assert_eq!(high(&hook, &[]), [FindingKind::HookChanged]);
    assert_eq!(high(&Evidence { upgraded: true, ..hook }, &[]), []);
    let gone = Evidence { keys_removed: names(1), hooks_removed: names(1), ..seen() };
    assert_eq!(high(&gone, &[]), []);
    assert_eq!(judge(&gone, &[]).len(), 2);
}
