//! Backups of Actions' databases (contract §2.6): what their files are called, which kind is due, and whether they form a chain.
//!
//! All of it is pure; asking and fetching is done by [`super::dataset::mssql`].

pub mod cadence;
pub mod chain;
pub mod file;

pub use cadence::{Cadence, Decision, decide};
pub use chain::{Chain, Link};
pub use file::{BackupFile, Kind};

/// A log sequence number of the server: a whole number of up to 25 digits.
pub type Lsn = u128;

/// Where a database's chain stands, as the server tells; `None` where it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// `checkpoint_lsn` of our newest full backup.
    pub full_checkpoint: Option<Lsn>,
    /// `differential_base_lsn`: the checkpoint of the full backup on which the next differential one will build.
    pub differential_base: Option<Lsn>,
    /// `last_lsn` of our newest log backup.
    pub log_last: Option<Lsn>,
    /// `last_log_backup_lsn`: where the next log backup will start.
    pub next_log_start: Option<Lsn>,
}

/// Reads a number as the console prints it: blanks around it, `NULL` or nothing for what is not known.
#[must_use]
pub fn lsn(text: &str) -> Option<Lsn> {
    text.trim().parse().ok()
}

/// Numbers and names, for [`crate::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    for line in text.lines() {
        let _ = (lsn(line), BackupFile::parse(line), line.parse::<Cadence>());
    }
}

#[cfg(test)]
mod tests {
    use super::lsn;

    #[test]
    fn numbers_have_up_to_25_digits_and_null_is_none() {
        assert_eq!(lsn("  1234567890123456789012345 \n"), Some(1_234_567_890_123_456_789_012_345));
        assert_eq!((lsn(" NULL "), lsn(""), lsn("error 5")), (None, None, None));
    }
}
