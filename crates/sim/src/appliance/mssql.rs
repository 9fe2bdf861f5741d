//! The databases of GitHub Actions: their rows, log sequence numbers and known backups (contract §2.6).
//!
//! A row has the log sequence number (LSN) at which it was written. A full backup has all rows, a differential one those
//! after its base, a log those of its range; so an import can rebuild the rows, and knows a gap when it sees one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Place, State};
use crate::{
    error::{OnFile, SimError},
    seed::Seed,
};

/// Where the appliance's programs put backups, and look for them.
pub const BACKUPS: &str = "/data/user/mssql/backups";
/// The database of the Actions cache: an appliance may be without it.
pub const CACHE: &str = "ArtifactCache_Configuration";
/// The databases of an appliance with Actions.
pub const NAMES: [&str; 4] = ["Token_Configuration", "Pipelines_Configuration", "Mps_Configuration", CACHE];
/// How far a write or a backup moves a database's LSN.
const STEP: u64 = 100;

/// A written row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// When it was written.
    pub lsn: u64,
    /// What it says.
    pub text: String,
}

/// The kinds of backup, by the ending of their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Everything.
    Bak,
    /// What was written since the last full backup.
    Diff,
    /// What was written since the last backup of the log.
    Log,
}

impl Kind {
    /// The ending of a backup file's name.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Bak => "bak",
            Self::Diff => "diff",
            Self::Log => "log",
        }
    }
}

/// What the server remembers of a backup it has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Name of its file.
    pub file: String,
    /// LSN of the checkpoint it was taken at.
    pub checkpoint_lsn: u64,
    /// LSN after its last record.
    pub last_lsn: u64,
}

/// The content of a backup file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tape {
    /// The database.
    pub database: String,
    /// The kind of backup.
    pub kind: Kind,
    /// It begins after this LSN (0 of a full backup; the base of a differential one).
    pub from_lsn: u64,
    /// It ends with this LSN.
    pub to_lsn: u64,
    /// The rows of this range.
    pub rows: Vec<Row>,
}

/// One database.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Database {
    /// Its rows, oldest first.
    pub rows: Vec<Row>,
    /// The current LSN.
    pub lsn: u64,
    /// Checkpoint of the last full backup; unknown to a server that has taken none.
    pub differential_base_lsn: Option<u64>,
    /// Where the next log begins; unknown before the first full backup.
    pub last_log_backup_lsn: Option<u64>,
    /// The backups that the server has taken.
    pub backups: Vec<Backup>,
}

impl Database {
    /// Writes a row.
    pub fn write(&mut self, text: impl Into<String>) {
        self.lsn += STEP;
        self.rows.push(Row { lsn: self.lsn, text: text.into() });
    }

    /// Takes a backup under the file name `file`; `None` where nothing allows it: no full backup has been taken yet.
    #[must_use]
    pub fn take(&mut self, database: &str, kind: Kind, file: &str) -> Option<Tape> {
        let from_lsn = match kind {
            Kind::Bak => 0,
            Kind::Diff => self.differential_base_lsn?,
            Kind::Log => self.last_log_backup_lsn?,
        };
        // The checkpoint is a record of the log too.
        self.lsn += STEP;
        let to_lsn = self.lsn;
        match kind {
            Kind::Bak => {
                self.differential_base_lsn = Some(to_lsn);
                self.last_log_backup_lsn.get_or_insert(to_lsn);
            }
            Kind::Diff => {}
            Kind::Log => self.last_log_backup_lsn = Some(to_lsn),
        }
        self.backups.push(Backup { file: file.to_owned(), checkpoint_lsn: to_lsn, last_lsn: to_lsn });
        let rows = self.rows.iter().filter(|row| row.lsn > from_lsn).cloned().collect();
        Some(Tape { database: database.to_owned(), kind, from_lsn, to_lsn, rows })
    }

    /// Becomes what a chain of backups says. The server has taken none of them, so it knows no chain to go on with.
    pub fn restore(&mut self, rows: Vec<Row>, reached: u64) {
        *self = Self { rows, lsn: self.lsn.max(reached) + STEP, ..Self::default() };
    }
}

/// The databases of a new appliance.
#[must_use]
pub fn fresh(seed: &Seed, empty: bool) -> BTreeMap<String, Database> {
    let mut seed = seed.part("mssql");
    let mut databases = BTreeMap::new();
    for name in NAMES {
        let mut database =
            Database { lsn: 37_000_000_060_800_001 + seed.below(1_000_000) * STEP, ..Database::default() };
        for number in 0..if empty { 1 } else { 12 } {
            database.write(format!("{name} {number} {}", seed.hex(120)));
        }
        databases.insert(name.to_owned(), database);
    }
    databases
}

/// Writes a row to a database, as a workflow run would.
///
/// # Errors
/// There is no such database, or the state cannot be changed.
pub fn write(place: &Place, database: &str, text: &str) -> Result<(), SimError> {
    State::update(place, |state| {
        let unknown = || SimError::Refused(format!("there is no database `{database}`"));
        state.mssql.get_mut(database).ok_or_else(unknown)?.write(text);
        Ok(())
    })
}

/// Writes a row to some database, if there is any.
///
/// # Errors
/// The state cannot be changed.
pub fn write_somewhere(place: &Place, state: &State, seed: &mut Seed) -> Result<(), SimError> {
    let names: Vec<&String> = state.mssql.keys().collect();
    match names.get(seed.index(names.len())) {
        Some(name) => write(place, name, &format!("run {}", seed.hex(40))),
        None => Ok(()),
    }
}

/// The folder of backups, emptied.
///
/// # Errors
/// It cannot be removed or made.
pub fn empty_backups(place: &Place) -> Result<std::path::PathBuf, SimError> {
    let folder = place.disk(BACKUPS);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).on("remove", &folder)?;
    }
    std::fs::create_dir_all(&folder).on("create", &folder)?;
    Ok(folder)
}
