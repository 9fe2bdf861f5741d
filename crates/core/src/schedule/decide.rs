//! Decides what to start: from calendars, from what is remembered, and from the clock. Pure.
//!
//! The rules:
//! 1. All activations that were missed are one: the last of them is started, once.
//! 2. Two tasks that write to the vault never run beside each other; neither does a task beside itself.
//! 3. What is started is remembered before it is started. If it is then not found running and nobody knows its end, it is
//!    tried again.
//! 4. A try that failed is repeated within bounds, until the next activation takes its place.
//! 5. A clock that is put back does not stop the schedule: what was dealt with lies in the future then, and is forgotten.

use jiff::{SignedDuration, Timestamp};

use super::{Calendar, outcome::consequence};
use crate::state::{Ledger, Retry, RunResult, Started, Task, TaskLedger, Trigger};

/// A clock that goes back by less is taken for one that is being corrected, in seconds.
const SETBACK: SignedDuration = SignedDuration::from_mins(5);
/// An activation that is older has been missed; until then it is only a little late.
const LATE: SignedDuration = SignedDuration::from_secs(90);

/// A task and when it is due.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The task.
    pub task: Task,
    /// Its calendar.
    pub calendar: Calendar,
}

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The task.
    pub task: Task,
    /// When the activation was due.
    pub due: Timestamp,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// Why now.
    pub trigger: Trigger,
    /// Activations that this one stands for, itself included.
    pub stands_for: usize,
    /// Words of the schedule; empty for another try.
    pub because: String,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Start this.
    Start(Order),
    /// Nothing before this instant; nothing at all when there is no instant. The end of a run is a reason to ask again.
    Wait(Option<Timestamp>),
}

/// Brings what is remembered in line with the plans and the clock. Returns whether anything changed.
pub fn watch(plans: &[Plan], ledger: &mut Ledger, now: Timestamp) -> bool {
    let before = ledger.clone();
    for plan in plans {
        let fresh = TaskLedger { handled: now, running: None, retry: None };
        let task = ledger.tasks.entry(plan.task).or_insert(fresh);
        let furthest = now.saturating_add(SETBACK).unwrap_or(Timestamp::MAX);
        if task.handled > furthest {
            task.handled = now;
        }
        if let Some(retry) = &mut task.retry {
            // No try waits longer than the longest pause between two, whatever the clock was when it was planned.
            let latest = now.saturating_add(SignedDuration::from_mins(30)).unwrap_or(Timestamp::MAX);
            retry.at = retry.at.min(latest);
        }
    }
    *ledger != before
}

/// Decides. `busy` are the tasks of which a run goes on, whoever started it.
#[must_use]
pub fn decide(plans: &[Plan], ledger: &Ledger, busy: &[Task], now: Timestamp) -> Decision {
    let mut next: Option<Timestamp> = None;
    for task in Task::ALL {
        let Some(plan) = plans.iter().find(|plan| plan.task == task) else { continue };
        let Some(known) = ledger.tasks.get(&task) else { continue };
        if busy.iter().any(|other| *other == task || (other.writes() && task.writes())) {
            continue;
        }
        if let Some(order) = order(plan, known, now) {
            return Decision::Start(order);
        }
        let due = plan.calendar.next_after(known.handled).map(|next| next.at);
        let retry = known.retry.as_ref().map(|retry| retry.at);
        next = [next, due, retry].into_iter().flatten().min();
    }
    Decision::Wait(next)
}

/// What to start of one task now.
fn order(plan: &Plan, known: &TaskLedger, now: Timestamp) -> Option<Order> {
    if let Some((last, count)) = plan.calendar.last_between(known.handled, now) {
        let late = now.duration_since(last.at) > LATE || count > 1;
        return Some(Order {
            task: plan.task,
            due: last.at,
            attempt: 1,
            trigger: if late { Trigger::CatchUp } else { Trigger::Schedule },
            stands_for: count,
            because: last.because,
        });
    }
    let retry = known.retry.as_ref().filter(|retry| retry.at <= now)?;
    Some(Order {
        task: plan.task,
        due: retry.due,
        attempt: retry.attempt,
        trigger: Trigger::Retry,
        stands_for: 1,
        because: String::new(),
    })
}

/// Remembers that an order is about to be started as `run`.
pub fn started(ledger: &mut Ledger, order: &Order, run: &str, now: Timestamp) {
    let began = Started { run: run.to_owned(), due: order.due, began: now, attempt: order.attempt };
    let handled = ledger.tasks.get(&order.task).map_or(order.due, |known| known.handled.max(order.due));
    ledger.tasks.insert(order.task, TaskLedger { handled, running: Some(began), retry: None });
}

/// Remembers the end of the run of a task. Returns how it ended, and when it is tried again.
pub fn ended(ledger: &mut Ledger, task: Task, code: u8, now: Timestamp) -> (RunResult, Option<Timestamp>) {
    let attempt = ledger.tasks.get(&task).and_then(|known| known.running.as_ref()).map(|run| run.attempt);
    let Some(attempt) = attempt else { return (consequence(code, u32::MAX).result, None) };
    let after = consequence(code, attempt);
    (after.result, close(ledger, task, after.retry, now))
}

/// Remembers that the run of a task is gone and nobody knows how it ended, or that it was ended with the daemon: it is tried again
/// at once. Returns when.
pub fn lost(ledger: &mut Ledger, task: Task, now: Timestamp) -> Option<Timestamp> {
    let attempt = ledger.tasks.get(&task)?.running.as_ref()?.attempt;
    // Whatever kills a run each time must not be tried for ever.
    let again = consequence(1, attempt).retry.map(|_| SignedDuration::ZERO);
    close(ledger, task, again, now)
}

fn close(ledger: &mut Ledger, task: Task, wait: Option<SignedDuration>, now: Timestamp) -> Option<Timestamp> {
    let known = ledger.tasks.get_mut(&task)?;
    let run = known.running.take()?;
    let at = now.saturating_add(wait?).unwrap_or(Timestamp::MAX);
    known.retry = Some(Retry { due: run.due, at, attempt: run.attempt + 1 });
    Some(at)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
