//! Plans: the rules, what must never go, and attacks with forged times.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW_HOUR: i64 = 24 * 365;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).unwrap()
}

fn id(number: usize) -> SnapshotId {
    format!("{number:064x}").parse().unwrap()
}

fn link(number: usize, previous: Option<usize>, hour: i64) -> Link {
    let name = |number: usize| format!("seal-{number}");
    Link { hash: name(number), previous: previous.map(name), started: at(hour), key: "ours".into() }
}

fn complete(number: usize, previous: Option<usize>, hour: i64) -> Candidate {
    Candidate {
        id: id(number),
        time: at(hour),
        worth: Worth::Complete(link(number, previous, hour)),
        quarantine: None,
        needed: None,
    }
}

/// Complete snapshots 0, 1, 2, … at these hours, each after the one before it.
fn line(hours: &[i64]) -> Vec<Candidate> {
    let one = |(number, hour): (usize, &i64)| complete(number, number.checked_sub(1), *hour);
    hours.iter().enumerate().map(one).collect()
}

fn decide(policy: &Policy, candidates: &[Candidate]) -> RetentionPlan {
    plan(policy, candidates, &[], &BTreeMap::new(), at(NOW_HOUR))
}

fn kept(plan: &RetentionPlan) -> BTreeSet<SnapshotId> {
    plan.decisions.iter().filter(|decision| decision.keep).map(|decision| decision.snapshot).collect()
}

fn ids(numbers: &[usize]) -> BTreeSet<SnapshotId> {
    numbers.iter().map(|number| id(*number)).collect()
}

fn reasons(plan: &RetentionPlan, number: usize) -> String {
    let decision = plan.decisions.iter().find(|decision| decision.snapshot == id(number)).unwrap();
    decision.reasons.join(", ")
}

fn held(number: usize) -> BTreeMap<SnapshotId, Hold> {
    let hold =
        Hold { snapshot: id(number), reason: "court".into(), placed: at(0), until: None, released: false };
    BTreeMap::from([(id(number), hold)])
}

/// What the vault looks like after a plan was carried out.
fn after(plan: &RetentionPlan, candidates: &[Candidate]) -> (Vec<Candidate>, Vec<Ghost>) {
    let stays = kept(plan);
    let left = candidates.iter().filter(|one| stays.contains(&one.id)).cloned().collect();
    let gone = plan.going().filter_map(|decision| decision.link.clone());
    (left, gone.map(|link| Ghost { link, by_name: false }).collect())
}

#[test]
fn rules_keep_the_last_of_each_stretch_and_say_so() {
    let policy = Policy { hourly: 2, daily: 2, ..Policy::default() };
    let plan = decide(&policy, &line(&[1, 10, 25, 30, 49, 50, 51]));
    assert_eq!(kept(&plan), ids(&[3, 5, 6]));
    assert_eq!(reasons(&plan, 6), "hourly, daily, newest");
    assert_eq!(reasons(&plan, 3), "daily");
    assert_eq!(reasons(&plan, 0), "no rule keeps it");
    assert_eq!(plan.remarks, []);
}

#[test]
fn days_begin_where_the_zone_says() {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(-5));
    let west = Policy { daily: 2, zone, ..Policy::default() };
    // 02:00 and 06:00 UTC of one day are two days there
    assert_eq!(kept(&decide(&west, &line(&[26, 30]))), ids(&[0, 1]));
    assert_eq!(kept(&decide(&Policy { daily: 2, ..Policy::default() }, &line(&[26, 30]))), ids(&[1]));
}

#[test]
fn partial_ones_stay_until_a_newer_one_is_complete() {
    let mut candidates = line(&[1, 10]);
    for (number, previous, hour) in [(10, 0, 5), (11, 1, 12), (12, 0, 6)] {
        let worth = Worth::Partial(link(number, Some(previous), hour));
        candidates.push(Candidate { id: id(number), time: at(hour), worth, quarantine: None, needed: None });
    }
    let policy = Policy { minimum: 5, ..Policy::default() };
    assert_eq!(kept(&decide(&policy, &candidates)), ids(&[0, 1, 11]));
    let policy = Policy { partial: 2, ..policy };
    assert_eq!(kept(&decide(&policy, &candidates)), ids(&[0, 1, 11, 12]));
}

#[test]
fn snapshots_of_others_and_broken_ones_are_left_alone() {
    let mut candidates = line(&[1, 2]);
    candidates.push(Candidate {
        id: id(7),
        time: at(1),
        worth: Worth::Foreign,
        quarantine: None,
        needed: None,
    });
    candidates.push(Candidate {
        id: id(8),
        time: at(1),
        worth: Worth::Broken("bad signature".into()),
        quarantine: None,
        needed: None,
    });
    let plan = decide(&Policy::default(), &candidates);
    assert_eq!(kept(&plan), ids(&[1, 7, 8]));
    assert!(plan.remarks.iter().any(|remark| remark.snapshot == Some(id(8))));
}

#[test]
fn both_branches_of_a_fork_are_kept_by_the_rules_of_their_own() {
    let mut candidates = line(&[24, 48, 72]);
    candidates.extend([complete(10, Some(0), 50), complete(11, Some(10), 74), complete(12, Some(11), 98)]);
    let plan = decide(&Policy { daily: 2, ..Policy::default() }, &candidates);
    assert_eq!(kept(&plan), ids(&[1, 2, 11, 12]));
    assert!(
        plan.remarks.iter().any(|remark| remark.snapshot == Some(id(0)) && remark.text.contains("forks"))
    );
}

#[test]
fn a_forged_line_without_a_forerunner_counts_on_its_own() {
    let mut candidates = line(&[24, 48, 72, 96]);
    for number in 20..40 {
        candidates.push(complete(number, Some(999), 24 + i64::try_from(number).unwrap()));
    }
    let policy = Policy { daily: 4, ..Policy::default() };
    let plan = decide(&policy, &candidates);
    assert!(kept(&plan).is_superset(&ids(&[0, 1, 2, 3])));
    assert!(plan.remarks.iter().any(|remark| remark.text.contains("no record")));
    // whoever removed snapshots with another program joins what is left
    let joined = Policy { join_gaps: true, ..Policy { daily: 2, ..Policy::default() } };
    let candidates = [complete(0, None, 24), complete(1, Some(50), 48), complete(2, Some(51), 72)];
    assert_eq!(kept(&decide(&joined, &candidates)), ids(&[1, 2]));
}

#[test]
fn keys_that_are_not_ours_push_nothing_out() {
    let mut candidates = line(&[24, 48, 72]);
    for number in 3..9 {
        let mut forged = link(number, Some(number - 1), i64::try_from(number).unwrap() * 24 + 24);
        forged.key = "theirs".into();
        candidates.push(Candidate {
            id: id(number),
            time: forged.started,
            worth: Worth::Complete(forged),
            quarantine: None,
            needed: None,
        });
    }
    let policy = Policy { daily: 3, ..Policy::default() };
    let plan = decide(&policy, &candidates);
    assert!(kept(&plan).is_superset(&ids(&[0, 1, 2])));
    assert!(plan.remarks.iter().any(|remark| remark.text.contains("2 keys")));
    let named = Policy { trusted_keys: vec!["ours".into()], ..policy };
    let plan = decide(&named, &candidates);
    assert_eq!(kept(&plan).len(), 9, "what is signed with an unknown key is reported, not removed");
    assert_eq!(reasons(&plan, 5), "signed with a key that is not trusted");
}

#[test]
fn two_files_with_one_seal_count_once() {
    let mut candidates = line(&[24, 48]);
    candidates.insert(0, Candidate { id: id(5), time: at(1), ..candidates[1].clone() });
    let plan = decide(&Policy { daily: 2, ..Policy::default() }, &candidates);
    assert_eq!(kept(&plan), ids(&[0, 1]));
    assert_eq!(reasons(&plan, 5), "another snapshot has the same seal");
}

#[test]
fn named_snapshots_go_unless_they_must_stay() {
    let candidates = line(&[1, 2, 3]);
    let policy = Policy { minimum: 2, ..Policy::default() };
    let named = |numbers: &[usize], holds: &BTreeMap<SnapshotId, Hold>| {
        let names: Vec<SnapshotId> = numbers.iter().map(|number| id(*number)).collect();
        super::named(&policy, &names, &candidates, &[], holds, at(NOW_HOUR)).map(|plan| kept(&plan))
    };
    assert_eq!(named(&[0], &BTreeMap::new()), Ok(ids(&[1, 2])));
    assert_eq!(named(&[2], &BTreeMap::new()), Err(NamedRefusal::Newest { snapshot: id(2) }));
    assert_eq!(named(&[0, 1], &BTreeMap::new()), Err(NamedRefusal::TooFew { remaining: 1, minimum: 2 }));
    let refused = named(&[0], &held(0)).unwrap_err();
    assert!(matches!(refused, NamedRefusal::Held { .. }), "{refused}");
}

#[test]
fn one_that_was_forgotten_by_name_says_nothing_about_others() {
    // snapshot 1 had a clock ahead by days; somebody forgot it
    let candidates = [complete(0, None, 24), complete(2, Some(1), 48), complete(3, Some(2), 72)];
    let ghost = |by_name| Ghost { link: link(1, Some(0), 700), by_name };
    let policy = Policy { daily: 2, ..Policy::default() };
    let with = |ghost: Ghost| kept(&plan(&policy, &candidates, &[ghost], &BTreeMap::new(), at(NOW_HOUR)));
    assert_eq!(with(ghost(true)), ids(&[2, 3]));
    assert_eq!(with(ghost(false)), ids(&[0, 2, 3]), "a reading with it in place of the later ones");
}

#[test]
fn what_the_next_backup_follows_stays() {
    // 2 follows one from the future, so the next backup follows 0
    let candidates = [complete(0, None, 1), complete(1, Some(0), NOW_HOUR + 5), complete(2, Some(1), 2)];
    assert_eq!(kept(&decide(&Policy::default(), &candidates)), ids(&[0, 1, 2]));
}

#[test]
fn an_import_after_a_backup_does_not_make_the_backup_less_than_the_newest() {
    let candidates = [complete(0, None, 100), complete(1, Some(0), 10), complete(2, Some(1), 20)];
    let all = |policy: &Policy| kept(&decide(policy, &candidates));
    assert_eq!(all(&Policy { daily: 1, ..Policy::default() }), ids(&[0, 2]));
    let refused =
        super::named(&Policy::default(), &[id(0)], &candidates, &[], &BTreeMap::new(), at(NOW_HOUR));
    assert_eq!(refused, Err(NamedRefusal::Newest { snapshot: id(0) }));
}

prop_compose! {
    fn policy()(hourly in 0_u32..5, daily in 0_u32..4, weekly in 0_u32..3, monthly in 0_u32..3, yearly in 0_u32..2,
        minimum in 1_u32..4, partial in 0_u32..2) -> Policy {
        Policy { hourly, daily, weekly, monthly, yearly, minimum, partial, ..Policy::default() }
    }
}

/// Any history: forks, lies about time, partial ones. Each names one that was made before it, or nobody.
fn history() -> impl Strategy<Value = Vec<Candidate>> {
    proptest::collection::vec((0_i64..NOW_HOUR + 48, 0_usize..40, 0_u8..8), 1..30).prop_map(|rows| {
        let one = |(number, (hour, before, kind)): (usize, (i64, usize, u8))| {
            let usual = number.checked_sub(1);
            let previous = if kind > 1 { usual } else { Some(before).filter(|before| *before < number) };
            let link = link(number, previous, hour);
            let worth = if kind == 7 { Worth::Partial(link) } else { Worth::Complete(link) };
            Candidate { id: id(number), time: at(hour), worth, quarantine: None, needed: None }
        };
        rows.into_iter().enumerate().map(one).collect()
    })
}

/// Honest hours, rising.
fn honest() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(1_i64..60, 1..40).prop_map(|steps| {
        let rising = steps.iter().scan(0, |hour, step| {
            *hour += step;
            Some(*hour)
        });
        rising.collect()
    })
}

proptest! {
    #[test]
    fn the_minimum_the_newest_and_what_is_held_stay(policy in policy(), all in history(), held_one in 0_usize..30) {
        let holds = held(held_one);
        let plan = plan(&policy, &all, &[], &holds, at(NOW_HOUR));
        let stays = kept(&plan);
        let complete = |one: &&Candidate| matches!(one.worth, Worth::Complete(_));
        let kept_complete = all.iter().filter(complete).filter(|one| stays.contains(&one.id)).count();
        let least = all.iter().filter(complete).count().min(policy.minimum as usize);
        prop_assert!(kept_complete >= least);
        if all.iter().any(|one| one.id == id(held_one)) {
            prop_assert!(stays.contains(&id(held_one)));
        }
        if let Some(newest) = Lanes::new(&policy, &all, &[]).newest(at(NOW_HOUR)) {
            prop_assert!(stays.contains(&all[newest].id));
        }
    }

    #[test]
    fn forgetting_twice_forgets_nothing_more(policy in policy(), all in history()) {
        let first = decide(&policy, &all);
        let (left, ghosts) = after(&first, &all);
        let second = plan(&policy, &left, &ghosts, &BTreeMap::new(), at(NOW_HOUR));
        prop_assert_eq!(second.going().collect::<Vec<_>>(), Vec::<&Decision>::new());
    }

    #[test]
    fn without_lies_each_rule_keeps_what_it_says(hours in honest(), count in 1_u32..6) {
        let plan = decide(&Policy { daily: count, ..Policy::default() }, &line(&hours));
        let mut days: Vec<i64> = hours.iter().map(|hour| hour / 24).collect();
        days.dedup();
        let stays: Vec<i64> = plan.decisions.iter().filter(|d| d.keep).map(|d| d.time.as_second() / 86_400).collect();
        let newest = &days[days.len().saturating_sub(count as usize)..];
        prop_assert_eq!(stays, newest);
    }

    #[test]
    fn back_dated_and_future_ones_push_no_good_one_out(
        policy in policy(),
        hours in honest(),
        lies in proptest::collection::vec((0_usize..40, 1_i64..2000, any::<bool>()), 1..20),
    ) {
        let good = line(&hours);
        let before = kept(&decide(&policy, &good));
        // forged snapshots stand anywhere in the chain, with times before their forerunner's, after their follower's, or ahead of now
        let mut spots: Vec<(usize, i64)> = lies
            .iter()
            .filter_map(|(spot, by, back)| {
                let spot = spot % hours.len();
                let hour = if *back {
                    hours[spot] - by
                } else {
                    hours.get(spot + 1).map_or(NOW_HOUR + 2 + by, |follower| follower + by)
                };
                (*back || hour > NOW_HOUR + 1 || hours.get(spot + 1).is_some_and(|next| hour > *next)).then_some((spot, hour))
            })
            .collect();
        spots.sort_unstable();
        let mut all = Vec::new();
        let (mut previous, mut forged) = (None, 100);
        for (number, hour) in hours.iter().enumerate() {
            all.push(complete(number, previous, *hour));
            previous = Some(number);
            for (_, lie) in spots.iter().filter(|(spot, _)| *spot == number) {
                all.push(complete(forged, previous, *lie));
                previous = Some(forged);
                forged += 1;
            }
        }
        let with = kept(&decide(&policy, &all));
        prop_assert!(with.is_superset(&before), "lost {:?}", before.difference(&with).collect::<Vec<_>>());
    }
}
