//! What a restore did, and everything it could not do.

use serde::Serialize;

/// Problems that are kept with their names; further ones are only counted.
pub const PROBLEMS_KEPT: usize = 10_000;

/// Something that was not given back as the snapshot has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The path in the snapshot, with escapes for control characters and foreign bytes.
    pub path: String,
    /// What went wrong.
    pub what: String,
}

/// The outcome of a restore to a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// Directories made or found.
    pub directories: u64,
    /// Regular files written, hard links included.
    pub files: u64,
    /// Symbolic links made.
    pub symlinks: u64,
    /// Bytes of file content written.
    pub bytes: u64,
    /// Entries that already stood there as they should.
    pub skipped: u64,
    /// All problems, also those that are not listed.
    pub problem_count: u64,
    /// The first problems by name.
    pub problems: Vec<Problem>,
}

impl RestoreReport {
    /// Whether everything that was asked for has been given back.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.problem_count == 0
    }

    /// Notes a problem.
    pub fn problem(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_KEPT {
            self.problems.push(Problem { path: path.into(), what: what.into() });
        }
    }
}
