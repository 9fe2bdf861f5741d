//! A year of schedule in a second: clocks that jump, hosts that reboot, runs that fail.

use super::*;
use jiff::{ToSpan, tz::TimeZone};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time stamp")
}

fn plan(task: Task, text: &str, zone: &str) -> Plan {
    let zone = TimeZone::get(zone).expect("a zone");
    Plan { task, calendar: Calendar::parse(text, zone).expect("a schedule") }
}

fn hourly() -> Vec<Plan> {
    vec![plan(Task::Backup, "0 * * * *", "UTC")]
}

fn ready(plans: &[Plan], now: Timestamp) -> Ledger {
    let mut ledger = Ledger::default();
    assert!(watch(plans, &mut ledger, now));
    ledger
}

#[test]
fn a_new_host_waits_for_the_first_activation_and_remembers_that_it_does() {
    let plans = hourly();
    let mut ledger = ready(&plans, at("2026-01-01T10:20:00Z"));
    assert_eq!(
        decide(&plans, &ledger, &[], at("2026-01-01T10:20:00Z")),
        Decision::Wait(Some(at("2026-01-01T11:00:00Z")))
    );
    assert!(!watch(&plans, &mut ledger, at("2026-01-01T10:59:00Z")));
    let Decision::Start(order) = decide(&plans, &ledger, &[], at("2026-01-01T11:00:00Z")) else {
        panic!("it is due");
    };
    assert_eq!((order.trigger, order.stands_for), (Trigger::Schedule, 1));
}

#[test]
fn what_was_missed_is_caught_up_once() {
    let plans = hourly();
    let mut ledger = ready(&plans, at("2026-01-01T10:20:00Z"));
    let now = at("2026-01-03T09:30:00Z");
    let Decision::Start(order) = decide(&plans, &ledger, &[], now) else { panic!("it is due") };
    assert_eq!(
        (order.trigger, order.stands_for, order.due),
        (Trigger::CatchUp, 47, at("2026-01-03T09:00:00Z"))
    );
    started(&mut ledger, &order, "a", now);
    assert_eq!(ended(&mut ledger, Task::Backup, 0, now), (RunResult::Complete, None));
    assert_eq!(decide(&plans, &ledger, &[], now), Decision::Wait(Some(at("2026-01-03T10:00:00Z"))));
}

#[test]
fn a_run_that_goes_on_keeps_writers_out_and_lets_readers_in() {
    let plans = vec![
        plan(Task::Backup, "0 * * * *", "UTC"),
        plan(Task::Forget, "0 * * * *", "UTC"),
        plan(Task::Verify, "0 * * * *", "UTC"),
    ];
    let ledger = ready(&plans, at("2026-01-01T10:20:00Z"));
    let now = at("2026-01-01T11:00:00Z");
    let chosen = |busy: &[Task]| match decide(&plans, &ledger, busy, now) {
        Decision::Start(order) => Some(order.task),
        Decision::Wait(_) => None,
    };
    assert_eq!(chosen(&[]), Some(Task::Backup));
    assert_eq!(chosen(&[Task::Backup]), Some(Task::Verify));
    assert_eq!(chosen(&[Task::Forget]), Some(Task::Verify));
    assert_eq!(chosen(&[Task::Verify]), Some(Task::Backup));
    assert_eq!(chosen(&[Task::Verify, Task::Backup]), None);
}

#[test]
fn a_locked_vault_is_tried_again_soon_but_not_for_ever() {
    let plans = hourly();
    let mut ledger = ready(&plans, at("2026-01-01T10:59:00Z"));
    let (mut now, mut tries) = (at("2026-01-01T11:00:00Z"), 0);
    let end = at("2026-01-01T12:00:00Z");
    loop {
        match decide(&plans, &ledger, &[], now) {
            Decision::Start(order) => {
                tries += 1;
                started(&mut ledger, &order, "a", now);
                ended(&mut ledger, Task::Backup, 11, now);
            }
            Decision::Wait(until) => now = until.expect("there is always a next one"),
        }
        if now >= end {
            break;
        }
    }
    assert_eq!(tries, 16);
}

#[test]
fn a_run_that_was_lost_is_tried_again_at_once_within_bounds() {
    let plans = hourly();
    let now = at("2026-01-01T11:00:00Z");
    let mut ledger = ready(&plans, at("2026-01-01T10:59:00Z"));
    let mut tries = 0;
    while let Decision::Start(order) = decide(&plans, &ledger, &[], now) {
        tries += 1;
        started(&mut ledger, &order, "a", now);
        lost(&mut ledger, Task::Backup, now);
    }
    assert_eq!(tries, 4);
}

#[test]
fn a_clock_that_is_put_back_does_not_stop_the_schedule() {
    let plans = hourly();
    let mut ledger = ready(&plans, at("2030-01-01T10:59:00Z"));
    let back = at("2026-01-01T10:20:00Z");
    assert!(watch(&plans, &mut ledger, back));
    assert_eq!(decide(&plans, &ledger, &[], back), Decision::Wait(Some(at("2026-01-01T11:00:00Z"))));
    // A correction by a second does not repeat what was just done.
    let Decision::Start(order) = decide(&plans, &ledger, &[], at("2026-01-01T11:00:00Z")) else {
        panic!("it is due");
    };
    started(&mut ledger, &order, "a", at("2026-01-01T11:00:00Z"));
    ended(&mut ledger, Task::Backup, 0, at("2026-01-01T11:00:00Z"));
    let corrected = at("2026-01-01T10:59:59Z");
    assert!(!watch(&plans, &mut ledger, corrected));
    assert_eq!(decide(&plans, &ledger, &[], corrected), Decision::Wait(Some(at("2026-01-01T12:00:00Z"))));
}

/// What may happen to a host.
#[derive(Clone, Debug)]
enum Event {
    /// Nothing for so many minutes.
    Pass(i64),
    /// The host is off for so many minutes; its runs die.
    Off(i64),
    /// The clock is put forward or back by so many minutes.
    Jump(i64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (1_i64..20_000).prop_map(Event::Pass),
        2 => (1_i64..5_000).prop_map(Event::Off),
        2 => prop_oneof![-3_i64..4, -4_000_i64..4_000].prop_map(Event::Jump),
    ];
    prop::collection::vec(event, 20..60)
}

struct Host {
    plans: Vec<Plan>,
    ledger: Ledger,
    now: Timestamp,
    live: Vec<(Task, Timestamp, u8)>,
    durations: Vec<i64>,
    codes: Vec<u8>,
    runs: usize,
    regular: usize,
    catch_ups: usize,
    /// For each plan: the activations that the clock passed and that no start has dealt with.
    owed: Vec<Vec<Timestamp>>,
    passed: usize,
}

impl Host {
    fn act(&mut self) -> Result<Option<Timestamp>, TestCaseError> {
        loop {
            self.live.sort_by_key(|(_, until, _)| *until);
            while self.live.first().is_some_and(|(_, until, _)| *until <= self.now) {
                let (task, _, code) = self.live.remove(0);
                ended(&mut self.ledger, task, code, self.now);
            }
            watch(&self.plans, &mut self.ledger, self.now);
            let busy: Vec<Task> = self.live.iter().map(|(task, ..)| *task).collect();
            match decide(&self.plans, &self.ledger, &busy, self.now) {
                Decision::Start(order) => {
                    let overlap =
                        busy.iter().any(|one| *one == order.task || one.writes() && order.task.writes());
                    prop_assert!(!overlap, "{:?} beside {:?}", order, busy);
                    prop_assert!(order.due <= self.now || order.attempt > 1);
                    started(&mut self.ledger, &order, "run", self.now);
                    let index = self.plans.iter().position(|plan| plan.task == order.task).expect("planned");
                    if order.attempt == 1 {
                        prop_assert!(
                            !self.owed[index].is_empty(),
                            "nothing was due: {:?} at {}",
                            order,
                            self.now
                        );
                        self.owed[index].clear();
                    }
                    match order.trigger {
                        Trigger::Schedule => self.regular += 1,
                        Trigger::CatchUp => self.catch_ups += 1,
                        _ => {}
                    }
                    let duration = self.durations[self.runs % self.durations.len()];
                    let code = self.codes[self.runs % self.codes.len()];
                    self.runs += 1;
                    self.live.push((order.task, self.now + SignedDuration::from_mins(duration), code));
                }
                Decision::Wait(until) => {
                    for (index, plan) in self.plans.iter().enumerate() {
                        let kept_out =
                            busy.iter().any(|one| *one == plan.task || one.writes() && plan.task.writes());
                        prop_assert!(
                            kept_out || self.owed[index].is_empty(),
                            "{:?} is lost at {}",
                            self.owed[index],
                            self.now
                        );
                    }
                    return Ok(until);
                }
            }
        }
    }

    /// The clock moves on; what it passes is owed.
    fn pass(&mut self, to: Timestamp) {
        for (index, plan) in self.plans.iter().enumerate() {
            let handled = self.ledger.tasks[&plan.task].handled;
            let new = plan
                .calendar
                .upcoming(self.now)
                .take_while(|one| one.at <= to)
                .filter(|one| one.at > handled);
            for one in new {
                self.passed += 1;
                self.owed[index].push(one.at);
            }
        }
        self.now = to;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_overlaps_and_no_window_is_lost(
        events in events(),
        durations in prop::collection::vec(prop_oneof![1_i64..30, 30_i64..400], 1..8),
        codes in prop::collection::vec(prop::sample::select(vec![0_u8, 0, 0, 1, 3, 11, 13, 130, 77]), 1..9),
        start in 0_i64..365,
        zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "UTC"]),
    ) {
        let plans = vec![
            plan(Task::Backup, "business-hours; 30 2 * * *", zone),
            plan(Task::Verify, "sun 03:30", zone),
            plan(Task::Forget, "0 */6 * * *", zone),
        ];
        let now = at("2026-01-01T00:00:00Z") + (24 * start).hours();
        let ledger = ready(&plans, now);
        let mut host = Host {
            plans, ledger, now, live: vec![], durations, codes, runs: 0, regular: 0, catch_ups: 0, owed: vec![vec![]; 3], passed: 0,
        };
        let mut disturbances = 0;
        for event in events {
            match event {
                Event::Pass(minutes) => {
                    let end = host.now + minutes.minutes();
                    while host.now < end {
                        let wake = host.act()?;
                        let run = host.live.iter().map(|(_, until, _)| *until).min();
                        let next = [wake, run, Some(end)].into_iter().flatten().min().expect("an end");
                        prop_assert!(next > host.now, "it would spin at {}", host.now);
                        host.pass(next);
                    }
                    host.act()?;
                }
                Event::Off(minutes) => {
                    disturbances += 1;
                    let to = host.now + minutes.minutes();
                    host.pass(to);
                    for (task, ..) in std::mem::take(&mut host.live) {
                        lost(&mut host.ledger, task, host.now);
                    }
                    let before = host.catch_ups;
                    host.act()?;
                    prop_assert!(host.catch_ups - before <= 2, "one for each kind that may run beside the other");
                }
                Event::Jump(minutes) => {
                    disturbances += 1;
                    let to = host.now + minutes.minutes();
                    if minutes >= 0 {
                        host.pass(to);
                    } else {
                        // What was dealt with or owed after the new time comes again.
                        host.now = to;
                        host.owed.iter_mut().for_each(|owed| owed.retain(|owed| *owed <= to));
                        host.live.iter_mut().for_each(|(_, until, _)| *until = (*until).min(to + 400.minutes()));
                    }
                    host.act()?;
                }
            }
        }
        prop_assert!(host.regular + host.catch_ups <= host.passed, "more starts than activations");
        prop_assert!(host.passed == 0 || host.runs > 0 || disturbances > 0);
    }
}
