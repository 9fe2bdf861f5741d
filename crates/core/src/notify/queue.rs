//! Messages that have not reached everybody yet. They stand in the state folder before they are sent, so that neither `kill -9` nor a
//! receiver that is away for hours loses one, and they are sent one after the other to each receiver.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Message;
use crate::state::{StateError, StateFolder};

const QUEUE: &str = "outbox.json";
/// Messages that may wait for one receiver.
const WAITING: usize = 64;
/// Tries of a message that the receiver itself refuses.
const REFUSALS: u32 = 5;
/// Pauses after failed tries in seconds; the last one is repeated.
const PAUSES: [i64; 5] = [1, 5, 30, 180, 900];
/// What has not been told for so long is not told any more.
const OLD: SignedDuration = SignedDuration::from_hours(24);

/// A message on its way to one receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The receiver: `webhook`, `slack`, `mail`, `sns`.
    pub to: String,
    /// What it is told.
    pub message: Message,
    /// Tries so far.
    #[serde(default)]
    pub tries: u32,
    /// Not before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

/// What to do for a receiver.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Send this.
    Send(Box<Waiting>),
    /// Nothing for so long.
    Wait(SignedDuration),
    /// Nothing waits.
    Nothing,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Queue(Vec<Waiting>);

impl Queue {
    /// Adds a message for a receiver. One that says the same and waits already is not added again. Returns a message that had to make
    /// room: the oldest of those that matter least.
    pub fn put(&mut self, to: &str, message: &Message) -> Option<Waiting> {
        let same = |one: &Waiting| {
            one.to == to && one.message.subject == message.subject && one.message.title == message.title
        };
        if self.0.iter().any(same) {
            return None;
        }
        let fresh = Waiting { to: to.to_owned(), message: message.clone(), tries: 0, not_before: None };
        self.0.push(fresh);
        let of_receiver = || self.0.iter().enumerate().filter(|(_, one)| one.to == to);
        if of_receiver().count() <= WAITING {
            return None;
        }
        let least = of_receiver().min_by_key(|(index, one)| (one.message.severity, *index));
        least.map(|(index, _)| index).map(|index| self.0.remove(index))
    }

    /// What to do next for a receiver.
    #[must_use]
    pub fn next(&self, to: &str, now: Timestamp) -> Next {
        let Some(first) = self.0.iter().find(|one| one.to == to) else { return Next::Nothing };
        let longest = SignedDuration::from_secs(PAUSES[PAUSES.len() - 1]);
        // A clock that is put back makes nobody wait for longer than the longest pause.
        let pause = first.not_before.map_or(SignedDuration::ZERO, |at| at.duration_since(now).min(longest));
        if pause > SignedDuration::ZERO { Next::Wait(pause) } else { Next::Send(Box::new(first.clone())) }
    }

    /// A message has arrived.
    pub fn arrived(&mut self, to: &str, id: &str) {
        self.0.retain(|one| !(one.to == to && one.message.id == id));
    }

    /// A try has failed; `refused` when the receiver answered that it does not want this message. Returns whether it is given up.
    pub fn failed(&mut self, to: &str, id: &str, refused: bool, now: Timestamp) -> bool {
        let Some(index) = self.0.iter().position(|one| one.to == to && one.message.id == id) else {
            return false;
        };
        let one = &mut self.0[index];
        let pause = PAUSES[usize::try_from(one.tries).unwrap_or(usize::MAX).min(PAUSES.len() - 1)];
        one.tries = one.tries.saturating_add(1);
        one.not_before = now.checked_add(SignedDuration::from_secs(pause)).ok();
        let old = now.duration_since(one.message.at) > OLD;
        let gone = old || (refused && one.tries >= REFUSALS);
        if gone {
            self.0.remove(index);
        }
        gone
    }

    /// Forgets what waits for receivers that do not exist any more.
    pub fn only(&mut self, receivers: &[&str]) {
        self.0.retain(|one| receivers.contains(&one.to.as_str()));
    }

    /// How many wait for each receiver.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for one in &self.0 {
            *counts.entry(one.to.clone()).or_default() += 1;
        }
        counts
    }
}

impl StateFolder {
    /// The messages that wait.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn queue(&self) -> Result<Queue, StateError> {
        Ok(self.record(QUEUE)?.unwrap_or_default())
    }

    /// Remembers the messages that wait.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn put_queue(&self, queue: &Queue) -> Result<(), StateError> {
        self.put_record(QUEUE, queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::Severity;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn message(title: &str, severity: Severity, second: i64) -> Message {
        Message::new(at(second), severity, "backup", title, ("ghe", "/v"))
    }

    fn told(queue: &Queue, now: i64) -> Option<String> {
        match queue.next("slack", at(now)) {
            Next::Send(one) => Some(one.message.title),
            _ => None,
        }
    }

    #[test]
    fn messages_go_in_order_and_the_same_one_waits_once() {
        let mut queue = Queue::default();
        for title in ["one", "two", "one"] {
            assert_eq!(queue.put("slack", &message(title, Severity::Warning, 0)), None);
        }
        queue.put("mail", &message("one", Severity::Warning, 0));
        assert_eq!(queue.counts(), [("mail".into(), 1), ("slack".into(), 2)].into());
        assert_eq!(told(&queue, 0).as_deref(), Some("one"));
        queue.arrived("slack", &message("one", Severity::Warning, 0).id);
        assert_eq!(told(&queue, 0).as_deref(), Some("two"));
        queue.only(&["mail"]);
        assert_eq!(queue.next("slack", at(0)), Next::Nothing);
    }

    #[test]
    fn a_receiver_that_is_away_is_tried_for_a_day_with_longer_and_longer_pauses() {
        let mut queue = Queue::default();
        let one = message("one", Severity::Critical, 0);
        queue.put("slack", &one);
        let (mut now, mut tries) = (0, 0);
        loop {
            match queue.next("slack", at(now)) {
                Next::Send(_) => {
                    tries += 1;
                    if queue.failed("slack", &one.id, false, at(now)) {
                        break;
                    }
                }
                Next::Wait(pause) => {
                    assert!(pause <= SignedDuration::from_mins(15));
                    now += pause.as_secs().max(1);
                }
                Next::Nothing => panic!("it is lost"),
            }
        }
        assert!((24 * 3600..25 * 3600).contains(&now), "{now}");
        assert!((90..120).contains(&tries), "{tries}");
        assert_eq!(queue.next("slack", at(now)), Next::Nothing);
    }

    #[test]
    fn what_a_receiver_refuses_does_not_hold_up_what_comes_after() {
        let mut queue = Queue::default();
        let bad = message("bad", Severity::Warning, 0);
        queue.put("slack", &bad);
        queue.put("slack", &message("good", Severity::Warning, 0));
        let given_up = (0..5).filter(|_| queue.failed("slack", &bad.id, true, at(0))).count();
        assert_eq!((given_up, told(&queue, 0).as_deref()), (1, Some("good")));
    }

    #[test]
    fn a_full_queue_keeps_what_matters() {
        let mut queue = Queue::default();
        queue.put("slack", &message("alarm", Severity::Critical, 0));
        let dropped: Vec<String> = (0..100)
            .filter_map(|n| queue.put("slack", &message(&format!("news {n}"), Severity::Info, n)))
            .map(|one| one.message.title)
            .collect();
        assert_eq!((dropped.len(), dropped[0].as_str()), (37, "news 0"));
        assert_eq!(told(&queue, 0).as_deref(), Some("alarm"));
    }

    #[test]
    fn a_clock_that_goes_back_stops_nothing() {
        let mut queue = Queue::default();
        let one = message("one", Severity::Critical, 0);
        queue.put("slack", &one);
        queue.failed("slack", &one.id, false, at(80_000));
        assert_eq!(queue.next("slack", at(0)), Next::Wait(SignedDuration::from_mins(15)));
    }

    #[test]
    fn the_queue_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        assert_eq!(state.queue().unwrap(), Queue::default());
        let mut queue = Queue::default();
        queue.put("slack", &message("one", Severity::Critical, 0));
        state.put_queue(&queue).unwrap();
        assert_eq!(state.queue().unwrap(), queue);
    }
}
