//! What a long-running stage tells the face that started it.
//!
//! The core prints nothing; a face (terminal, plain log, daemon) implements [`Progress`] and renders what it likes.

/// Something that happened during a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Work on a part (a dataset, a phase) begins.
    Started {
        /// The part, e.g. `repositories` or `mysql`.
        part: &'a str,
        /// How many bytes are expected, when known.
        bytes_expected: Option<u64>,
    },
    /// More of a part is done; the numbers are increments.
    Advanced {
        /// The part.
        part: &'a str,
        /// Bytes moved since the last event.
        bytes: u64,
        /// Files or items finished since the last event.
        items: u64,
    },
    /// More bytes turned out to be ahead of a part; the number is an increment.
    Expected {
        /// The part.
        part: &'a str,
        /// Additional bytes ahead.
        bytes: u64,
    },
    /// Work on a part has ended.
    Ended {
        /// The part.
        part: &'a str,
        /// Whether all went well.
        ok: bool,
    },
    /// A warning that the user should see while the stage goes on.
    Warning {
        /// The text, lower case, no full stop.
        text: &'a str,
    },
}

/// Receives the events of a stage, from any of its threads; must not block.
pub trait Progress: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event<'_>);
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}
