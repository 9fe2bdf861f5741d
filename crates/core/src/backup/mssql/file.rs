//! The name of a backup file: `DATABASE@YYYYMMDDTHHMMSS.EXT`, in UTC (contract §2.6).

use jiff::{civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The whole database, `.bak`.
    Full,
    /// What changed since the full backup, `.diff`.
    Diff,
    /// The transaction log since the last log backup, `.log`.
    Log,
}

impl Kind {
    /// The ending of its files.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Full => "bak",
            Self::Diff => "diff",
            Self::Log => "log",
        }
    }

    /// The export command that makes it.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Full => "ghe-export-mssql",
            Self::Diff => "ghe-export-mssql -d",
            Self::Log => "ghe-export-mssql -t",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Diff => "differential",
            Self::Log => "log",
        })
    }
}

/// One backup file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupFile {
    /// The database.
    pub database: String,
    /// When it was made, seconds since 1970.
    pub at_s: i64,
    /// What it holds.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl BackupFile {
    /// Reads a name; `None` for a name of another form.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (database, rest) = name.split_once('@')?;
        let (stamp, extension) = rest.split_once('.')?;
        let kind =
            [Kind::Full, Kind::Diff, Kind::Log].into_iter().find(|kind| kind.extension() == extension)?;
        if !is_database(database) || stamp.len() != 15 {
            return None;
        }
        let civil = DateTime::strptime("%Y%m%dT%H%M%S", stamp).ok()?;
        let at_s = civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        Some(Self { database: database.to_owned(), at_s, kind, name: name.to_owned() })
    }
}

/// Whether a name is one of a database that is backed up: plain characters, and none of the server's own.
#[must_use]
pub fn is_database(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.chars().all(plain) && !["master", "tempdb", "model", "msdb"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_database_time_and_kind() {
        let file = BackupFile::parse("Token_Configuration@20260102T030405.diff").expect("a file");
        assert_eq!((file.database.as_str(), file.kind), ("Token_Configuration", Kind::Diff));
        assert_eq!(file.at_s, 1_767_323_045);
    }

    #[test]
    fn other_names_are_no_backup_files() {
        for name in [
            "a@20260102T030405.bak.tmp",
            "a@20260102T0304.bak",
            "a@20261302T030405.log",
            "master@20260102T030405.bak",
            "a b@20260102T030405.bak",
            "@20260102T030405.bak",
            "notes.txt",
            "a'; DROP@20260102T030405.log",
        ] {
            assert_eq!(BackupFile::parse(name), None, "{name}");
        }
    }
}
