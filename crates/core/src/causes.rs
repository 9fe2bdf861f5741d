//! An error and what lies below it.

use std::{error::Error, iter::successors};

/// The error itself, its cause, the cause of that, and so on.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// An error with all its causes on one line.
#[must_use]
pub fn on_one_line(error: &(dyn Error + 'static)) -> String {
    let words: Vec<String> = chain(error).map(ToString::to_string).collect();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{word}")]
    struct Failure {
        word: &'static str,
        source: Option<Box<Failure>>,
    }

    #[test]
    fn every_cause_is_told_in_its_order() {
        let below = Failure { word: "the disk is full", source: None };
        let middle = Failure { word: "cannot write", source: Some(Box::new(below)) };
        let error = Failure { word: "no backup", source: Some(Box::new(middle)) };
        assert_eq!(on_one_line(&error), "no backup: cannot write: the disk is full");
        assert_eq!(on_one_line(&Failure { word: "alone", source: None }), "alone");
    }
}
