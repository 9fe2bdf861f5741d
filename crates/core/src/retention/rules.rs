//! A rule over one line of snapshots whose clocks may lie.
//!
//! The chain gives the order, times only say to which hour, day or month a snapshot belongs. Where both agree there is one way
//! to count. Where a snapshot's time is before that of a forerunner, one of the two is wrong, and nobody here can know which.
//! So every *reading* counts: a largest possible choice of snapshots whose order and times agree. What any reading keeps
//! stays. The reading of the true ones is among them, so that nothing that is back-dated can push a true one out.
//!
//! Readings are paths: from a snapshot to each next one in the chain that is not earlier, with nothing between that would fit.
//! Snapshots that are gone stay in the paths, without being counted, so that planning again gives the same.

use jiff::Timestamp;

/// One place in a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub time: Timestamp,
    /// Whether it is still there.
    pub present: bool,
}

/// The ways through a line.
pub(super) struct Ways {
    /// For each place the present ones that may come next.
    next: Vec<Vec<usize>>,
    /// For each place whether a reading may end without a further present one.
    ends: Vec<bool>,
    present: Vec<bool>,
}

impl Ways {
    pub(super) fn new(line: &[Place]) -> Self {
        let length = line.len();
        let mut earliest_from = vec![Timestamp::MAX; length + 1];
        for at in (0..length).rev() {
            earliest_from[at] = line[at].time.min(earliest_from[at + 1]);
        }
        let (mut next, mut ends) = (vec![Vec::new(); length], vec![false; length]);
        for at in (0..length).rev() {
            let mut nearest: Option<Timestamp> = None;
            let mut onward: Vec<usize> = Vec::new();
            for later in at + 1..length {
                if nearest.is_some_and(|time| earliest_from[later] >= time) {
                    break;
                }
                let time = line[later].time;
                if time < line[at].time || nearest.is_some_and(|nearest| time >= nearest) {
                    continue;
                }
                nearest = Some(time);
                if line[later].present {
                    onward.push(later);
                } else {
                    onward.extend(&next[later]);
                    ends[at] |= ends[later];
                }
            }
            ends[at] |= nearest.is_none();
            onward.sort_unstable();
            onward.dedup();
            next[at] = onward;
        }
        Self { next, ends, present: line.iter().map(|place| place.present).collect() }
    }

    /// The places that a rule keeps: the last of each of the newest `count` stretches, in some reading.
    pub(super) fn keep<S: PartialEq>(&self, count: u32, stretch: impl Fn(usize) -> S) -> Vec<usize> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        // newer stretches after this place, in the reading that has the fewest
        let mut newer = vec![usize::MAX; self.next.len()];
        let mut kept = Vec::new();
        for at in (0..self.next.len()).rev().filter(|at| self.present[*at]) {
            let own = stretch(at);
            let (mut least, mut least_as_last) = (usize::MAX, usize::MAX);
            if self.ends[at] {
                (least, least_as_last) = (0, 0);
            }
            for next in &self.next[at] {
                if stretch(*next) == own {
                    least = least.min(newer[*next]);
                } else {
                    let after = newer[*next].saturating_add(1);
                    (least, least_as_last) = (least.min(after), least_as_last.min(after));
                }
            }
            newer[at] = least;
            if least_as_last < count {
                kept.push(at);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Timestamp, Ways};

    /// Keeps the last of each of the newest `count` tens of `times`; a negative number is one that is gone.
    fn kept(count: u32, times: &[i64]) -> Vec<i64> {
        let line: Vec<Place> = times
            .iter()
            .map(|t| Place { time: Timestamp::from_second(t.abs()).unwrap(), present: *t >= 0 })
            .collect();
        let mut kept: Vec<usize> = Ways::new(&line).keep(count, |at| times[at].abs() / 10);
        kept.sort_unstable();
        kept.into_iter().map(|at| times[at]).collect()
    }

    #[test]
    fn the_last_of_each_stretch_is_kept() {
        assert_eq!(kept(2, &[1, 2, 11, 12, 21, 22]), [12, 22]);
        assert_eq!(kept(0, &[1, 2]), [] as [i64; 0]);
        assert_eq!(kept(9, &[1, 2, 2, 11]), [2, 11], "of two at the same moment the later in the chain");
    }

    #[test]
    fn what_is_gone_takes_no_place() {
        assert_eq!(kept(2, &[1, 11, -12, -22, 31]), [11, 31]);
        assert_eq!(kept(2, &[1, 11, -12, -22]), [1, 11]);
    }

    #[test]
    fn a_back_dated_one_pushes_nothing_out() {
        let good = [1, 11, 21, 31];
        let with: Vec<i64> = good.iter().copied().chain([25, 26, 35]).collect();
        for count in 1..4 {
            let before = kept(count, &good[..3]);
            let after = kept(count, &[1, 11, 21, 15, 16, 5]);
            assert!(before.iter().all(|time| after.contains(time)), "{count}: {before:?} {after:?}");
        }
        assert_eq!(kept(2, &with), [21, 26, 35], "31 lies, or 25 and 26 do: both readings keep two");
    }

    #[test]
    fn one_from_the_future_does_not_hide_those_after_it() {
        assert_eq!(kept(2, &[1, 11, 91, 21, 31]), [11, 91, 21, 31]);
    }
}
