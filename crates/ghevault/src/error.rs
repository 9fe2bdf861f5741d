//! Errors as the user meets them: what failed, why, what to do next, and the exit code.
//!
//! The core's errors say what, where and why; this face adds the kind (which fixes the exit code) and the hints.
//! The translation of each stage's errors stands in `error/from_core.rs`.

#[cfg(test)]
mod catalogue;
mod from_aws;
mod from_core;
mod from_failover;
mod from_operation;
mod from_retention;
mod from_shard;
mod from_vault;
mod from_witness;

pub use from_aws::no_secret;

use ghevault_core::causes;
use std::{error::Error, fmt};

/// What an error means to a script; each kind has one exit code (see `docs/exit-codes.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything that has no code of its own.
    Failure,
    /// A wrong command line or configuration; nothing was done.
    Usage,
    /// The work ended, but not all of it is there.
    Partial,
    /// There is no vault at the named place.
    VaultMissing,
    /// Somebody else works on the vault.
    VaultLocked,
    /// No key of the vault opens with this password.
    WrongPassword,
    /// Something stored is missing, damaged or not what was sealed.
    Damage,
    /// A guard, a policy or a version rule says no.
    Refused,
    /// Ended by a signal.
    Interrupted,
}

impl Kind {
    /// All kinds, in the order of their codes.
    #[cfg(test)]
    pub const ALL: [Self; 9] = [
        Self::Failure,
        Self::Usage,
        Self::Partial,
        Self::VaultMissing,
        Self::VaultLocked,
        Self::WrongPassword,
        Self::Damage,
        Self::Refused,
        Self::Interrupted,
    ];

    /// The exit code of the process; 0 is kept for complete success.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::VaultMissing => 10,
            Self::VaultLocked => 11,
            Self::WrongPassword => 12,
            Self::Damage => 13,
            Self::Refused => 14,
            Self::Interrupted => 130,
        }
    }
}

/// An error on its way to the user.
#[derive(Debug)]
pub struct CommandError {
    /// Fixes the exit code.
    pub kind: Kind,
    /// What failed and on what; lower case, no full stop.
    pub message: String,
    /// Why, outermost cause first; causes that the message already says are left out.
    pub causes: Vec<String>,
    /// What the user can do next, as sentences.
    pub hints: Vec<String>,
    /// Whether the last JSON line was already printed by the command.
    pub reported: bool,
}

impl CommandError {
    /// An error of this kind that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new(), reported: false }
    }

    /// A wrong command line or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Something that failed without a code of its own.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(Kind::Failure, message)
    }

    /// The end of a command whose result was already printed, with the exit code of `kind`.
    pub fn already_reported(kind: Kind) -> Self {
        Self { reported: true, ..Self::new(kind, String::new()) }
    }

    /// An error of this kind out of a typed one, its chain of sources included.
    pub fn from_error(kind: Kind, error: &(dyn Error + 'static)) -> Self {
        Self::new(kind, error.to_string()).because_of(error.source())
    }

    /// The same error with the causes of `source` and all below it.
    #[must_use]
    pub fn because_of(mut self, source: Option<&(dyn Error + 'static)>) -> Self {
        for cause in source.into_iter().flat_map(causes::chain) {
            let text = cause.to_string();
            let said = |before: &String| before.contains(&text);
            if !said(&self.message) && !self.causes.iter().any(said) {
                self.causes.push(text);
            }
        }
        self
    }

    /// The same error with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Message and causes as one line, as JSON output gives them.
    #[must_use]
    pub fn one_line(&self) -> String {
        let mut line = self.message.clone();
        for cause in &self.causes {
            line.push_str(": ");
            line.push_str(cause);
        }
        line
    }

    /// The last line of `--json` output.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let hint = (!self.hints.is_empty()).then(|| self.hints.join(" "));
        serde_json::json!({ "error": self.one_line(), "hint": hint, "exit_code": self.kind.exit_code() })
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        for cause in &self.causes {
            write!(f, "\n  because: {cause}")?;
        }
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// What a command returns.
pub type CommandResult<T = ()> = Result<T, CommandError>;

#[cfg(test)]
mod tests {
    use super::{CommandError, Kind};
    use std::{collections::BTreeSet, io};

    #[test]
    fn every_kind_has_a_code_of_its_own_and_none_is_zero() {
        let codes: BTreeSet<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        assert!(!codes.contains(&0));
    }

    #[test]
    fn the_documented_table_lists_every_code() {
        let page = include_str!("../../../docs/exit-codes.md");
        for kind in Kind::ALL {
            assert!(
                page.contains(&format!("| {} |", kind.exit_code())),
                "code {} is missing",
                kind.exit_code()
            );
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read dataset `mysql`")]
    struct Outer {
        source: io::Error,
    }

    #[test]
    fn causes_are_listed_once_and_hints_come_last() {
        let outer = Outer { source: io::Error::other("connection closed after 1.2 GiB") };
        let error = CommandError::from_error(Kind::Failure, &outer).hint("Run `ghevault doctor`.");
        assert_eq!(
            error.to_string(),
            "error: cannot read dataset `mysql`\n  because: connection closed after 1.2 GiB\nhint: Run `ghevault doctor`."
        );
        assert_eq!(error.to_json()["exit_code"], 1);
        assert_eq!(error.to_json()["error"], "cannot read dataset `mysql`: connection closed after 1.2 GiB");
    }
}
