//! What an exit code means for the schedule: how the run ended, and when it is worth another try.

use jiff::SignedDuration;

use crate::state::RunResult;

/// What follows from the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// How it ended.
    pub result: RunResult,
    /// When to try again; never, where that needs a person or the tries are used up.
    pub retry: Option<SignedDuration>,
}

/// What follows from an exit code (`docs/exit-codes.md`) of try `attempt`, from 1. Codes that nobody knows are failures.
#[must_use]
pub fn consequence(code: u8, attempt: u32) -> Consequence {
    let minutes = SignedDuration::from_mins;
    let (result, wait, tries) = match code {
        0 => (RunResult::Complete, SignedDuration::ZERO, 0),
        // What made it partial may have been a moment's weakness; a lasting cause is not cured by many tries.
        3 => (RunResult::Partial, minutes(10), 1),
        11 => (RunResult::Locked, minutes(2), 15),
        2 | 10 | 12 | 14 => (RunResult::Refused, SignedDuration::ZERO, 0),
        13 => (RunResult::Damage, SignedDuration::ZERO, 0),
        // Not 137: whoever is killed by the system for its memory has failed.
        130 | 143 => (RunResult::Interrupted, minutes(1), 2),
        _ => (RunResult::Failed, minutes(5 << (attempt.clamp(1, 3) - 1)), 3),
    };
    Consequence { result, retry: (attempt <= tries).then_some(wait) }
}

/// The result that an exit code stands for.
#[must_use]
pub fn result_of(code: u8) -> RunResult {
    consequence(code, u32::MAX).result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_bounded_for_every_code() {
        for code in 0..=u8::MAX {
            let tries = (1..100).take_while(|attempt| consequence(code, *attempt).retry.is_some()).count();
            assert!(tries <= 15, "{code}: {tries}");
            let total: i64 = (1..100)
                .filter_map(|attempt| consequence(code, attempt).retry)
                .map(|wait| wait.as_mins())
                .sum();
            assert!(total <= 40, "{code}: {total} min");
        }
    }

    #[test]
    fn what_needs_a_person_is_not_tried_again_and_what_is_unknown_has_failed() {
        for code in [2, 10, 12, 13, 14] {
            assert_eq!(consequence(code, 1).retry, None, "{code}");
        }
        assert_eq!(consequence(77, 1).result, RunResult::Failed);
        assert_eq!(consequence(11, 1).retry, Some(SignedDuration::from_mins(2)));
        assert_eq!(consequence(1, 3).retry, Some(SignedDuration::from_mins(20)));
        assert_eq!(consequence(0, 1), Consequence { result: RunResult::Complete, retry: None });
    }
}
