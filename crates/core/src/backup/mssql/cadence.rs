//! Which kind of backup is due (contract §2.6): by age, and upgraded to a full one when the chain on the server is not ours.

use std::{collections::BTreeMap, str::FromStr};

use super::{BackupFile, Kind, Standing};

/// How old each kind may become, in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// Full backups.
    pub full_min: u32,
    /// Differential ones.
    pub diff_min: u32,
    /// Log backups.
    pub log_min: u32,
}

impl Default for Cadence {
    fn default() -> Self {
        Self { full_min: 10_080, diff_min: 1_440, log_min: 15 }
    }
}

impl FromStr for Cadence {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u32>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some([full_min, diff_min, log_min]) => {
                Ok(Self { full_min: *full_min, diff_min: *diff_min, log_min: *log_min })
            }
            _ => {
                Err("three numbers of minutes with commas between, for full, differential and log backups"
                    .into())
            }
        }
    }
}

impl std::fmt::Display for Cadence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{}", self.full_min, self.diff_min, self.log_min)
    }
}

/// What is to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The kind; `None`: everything is young enough.
    pub kind: Option<Kind>,
    /// Why, for the log.
    pub reason: String,
    /// Whether safety asked for more than age did: somebody else took a backup, or the server does not know ours.
    pub upgraded: bool,
}

impl Decision {
    fn of(kind: Kind, reason: impl Into<String>) -> Self {
        Self { kind: Some(kind), reason: reason.into(), upgraded: false }
    }
}

/// Whether stored files stay in the snapshot that a backup of `kind` makes (contract §2.6): a log keeps everything, a
/// differential backup the full one, a full one nothing.
#[must_use]
pub fn keeps(kind: Option<Kind>, file: &BackupFile) -> bool {
    match kind {
        None | Some(Kind::Log) => true,
        Some(Kind::Diff) => file.kind == Kind::Full,
        Some(Kind::Full) => false,
    }
}

/// Decides. `stored` are the files of the last snapshot, `standings` what the server says of each of its databases.
///
/// # Errors
/// The stored files that belong to no database of the server: it was set up anew, or they are another appliance's.
pub fn decide(
    now_s: i64,
    cadence: Cadence,
    stored: &[BackupFile],
    standings: &BTreeMap<String, Standing>,
) -> Result<Decision, Vec<String>> {
    let Some(oldest_full) = stored.iter().filter(|file| file.kind == Kind::Full).map(|file| file.at_s).min()
    else {
        return Ok(Decision::of(Kind::Full, "there is no full backup yet"));
    };
    let foreign: Vec<String> = stored
        .iter()
        .filter(|file| !standings.contains_key(&file.database))
        .map(|file| file.name.clone())
        .collect();
    if !foreign.is_empty() {
        return Err(foreign);
    }
    let newest = |kind: Kind| stored.iter().filter(|file| file.kind == kind).map(|file| file.at_s).max();
    let older = |at_s: i64, minutes: u32| now_s - at_s > i64::from(minutes) * 60;
    let due = if older(oldest_full, cadence.full_min) {
        return Ok(Decision::of(Kind::Full, "the full backup has its age"));
    } else if older(newest(Kind::Diff).unwrap_or(oldest_full), cadence.diff_min) {
        Decision::of(Kind::Diff, "the differential backup has its age")
    } else if newest(Kind::Log).is_none_or(|at_s| older(at_s, cadence.log_min)) {
        Decision::of(Kind::Log, "the log backup has its age")
    } else {
        return Ok(Decision { kind: None, reason: "everything is young enough".into(), upgraded: false });
    };
    let broken = standings.iter().find_map(|(database, standing)| {
        break_of(due.kind, database, standing, stored).map(|why| (database, why))
    });
    Ok(match broken {
        Some((database, why)) => {
            Decision { kind: Some(Kind::Full), reason: format!("`{database}`: {why}"), upgraded: true }
        }
        None => due,
    })
}

/// Why a differential or log backup of a database would not continue what we have.
fn break_of(
    due: Option<Kind>,
    database: &str,
    standing: &Standing,
    stored: &[BackupFile],
) -> Option<&'static str> {
    let has = |kind: Kind| stored.iter().any(|file| file.database == database && file.kind == kind);
    if !has(Kind::Full) {
        return Some("its full backup is missing");
    }
    if due == Some(Kind::Diff) {
        match (standing.full_checkpoint, standing.differential_base) {
            (None, _) => return Some("the server does not know our full backup"),
            (_, None) => return Some("the server does not say on which full backup the next one builds"),
            (Some(ours), Some(base)) if ours != base => {
                return Some("somebody else took a full backup");
            }
            _ => {}
        }
    }
    if !has(Kind::Log) {
        return Some("its log backup is missing");
    }
    match (standing.log_last, standing.next_log_start) {
        (None, _) => Some("the server does not know our last log backup"),
        (_, None) => Some("the server does not say where the next log backup starts"),
        (Some(last), Some(next)) if next > last => Some("somebody else took a log backup: there is a gap"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_770_000_000;

    fn file(database: &str, kind: Kind, minutes_ago: i64) -> BackupFile {
        let at_s = NOW - minutes_ago * 60;
        let name = format!("{database}@{at_s}.{}", kind.extension());
        BackupFile { database: database.into(), at_s, kind, name }
    }

    fn sound() -> Standing {
        Standing {
            full_checkpoint: Some(100),
            differential_base: Some(100),
            log_last: Some(500),
            next_log_start: Some(500),
        }
    }

    fn standings(standing: Standing) -> BTreeMap<String, Standing> {
        [("a".to_owned(), standing), ("b".to_owned(), sound())].into()
    }

    /// Files of both databases with these ages in minutes.
    fn stored(full: i64, diff: Option<i64>, log: Option<i64>) -> Vec<BackupFile> {
        let of = |database: &'static str| {
            [(Kind::Full, Some(full)), (Kind::Diff, diff), (Kind::Log, log)]
                .into_iter()
                .filter_map(move |(kind, age)| age.map(|age| file(database, kind, age)))
        };
        of("a").chain(of("b")).collect()
    }

    fn kind(stored: &[BackupFile], standing: Standing) -> Option<Kind> {
        decide(NOW, Cadence::default(), stored, &standings(standing)).expect("no foreign files").kind
    }

    #[test]
    fn the_oldest_due_kind_is_taken() {
        assert_eq!(kind(&[], sound()), Some(Kind::Full));
        assert_eq!(kind(&stored(10_081, Some(5), Some(5)), sound()), Some(Kind::Full));
        assert_eq!(kind(&stored(10_080, Some(1_441), Some(5)), sound()), Some(Kind::Diff));
        assert_eq!(kind(&stored(1_441, None, Some(5)), sound()), Some(Kind::Diff));
        assert_eq!(kind(&stored(60, None, Some(16)), sound()), Some(Kind::Log));
        assert_eq!(kind(&stored(60, None, Some(15)), sound()), None);
    }

    #[test]
    fn a_gap_or_an_unknown_number_makes_it_a_full_backup() {
        let log_due = stored(60, None, Some(16));
        for broken in [
            Standing { next_log_start: Some(501), ..sound() },
            Standing { next_log_start: None, ..sound() },
            Standing { log_last: None, ..sound() },
        ] {
            assert_eq!(kind(&log_due, broken), Some(Kind::Full), "{broken:?}");
        }
        // A log backup does not care on which full backup a differential one would build.
        assert_eq!(kind(&log_due, Standing { differential_base: Some(7), ..sound() }), Some(Kind::Log));
        let diff_due = stored(1_441, None, Some(5));
        for broken in [
            Standing { differential_base: Some(101), ..sound() },
            Standing { differential_base: None, ..sound() },
            Standing { full_checkpoint: None, ..sound() },
            Standing { next_log_start: Some(501), ..sound() },
        ] {
            assert_eq!(kind(&diff_due, broken), Some(Kind::Full), "{broken:?}");
        }
    }

    #[test]
    fn a_new_database_needs_a_full_backup_and_a_lost_one_stops_the_dataset() {
        let mut all = standings(sound());
        all.insert("new".into(), Standing::default());
        let decision =
            decide(NOW, Cadence::default(), &stored(60, None, Some(16)), &all).expect("none is foreign");
        assert_eq!((decision.kind, decision.upgraded), (Some(Kind::Full), true));
        all.remove("a");
        let foreign =
            decide(NOW, Cadence::default(), &stored(60, None, Some(16)), &all).expect_err("a is gone");
        assert!(foreign.iter().all(|name| name.starts_with("a@")) && foreign.len() == 2);
    }

    #[test]
    fn a_cadence_is_three_numbers() {
        assert_eq!("10080,1440,15".parse(), Ok(Cadence::default()));
        assert_eq!(Cadence::default().to_string().parse(), Ok(Cadence::default()));
        for text in ["", "1,2", "1,2,3,4", "1,2,x", "-1,2,3"] {
            assert!(text.parse::<Cadence>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_ever_kept_that_the_new_backup_does_not_build_on(
            full in 0..30_000_i64, diff in proptest::option::of(0..3_000_i64), log in proptest::option::of(0..60_i64),
            next in proptest::option::of(490..510_u128), base in proptest::option::of(99..102_u128),
        ) {
            let standing = Standing { next_log_start: next, differential_base: base, ..sound() };
            let files = stored(full, diff, log);
            let decision = decide(NOW, Cadence::default(), &files, &standings(standing)).expect("none is foreign");
            let kept: Vec<_> = files.iter().filter(|file| keeps(decision.kind, file)).collect();
            match decision.kind {
                Some(Kind::Full) => prop_assert!(kept.is_empty()),
                Some(Kind::Diff) => {
                    prop_assert!(kept.iter().all(|file| file.kind == Kind::Full));
                    prop_assert_eq!(base, Some(100));
                }
                Some(Kind::Log) => {
                    prop_assert_eq!(kept.len(), files.len());
                    prop_assert!(next.is_some_and(|next| next <= 500));
                }
                None => {
                    prop_assert_eq!(kept.len(), files.len());
                    prop_assert!(full <= 10_080 && log.is_some_and(|log| log <= 15));
                }
            }
        }

        #[test]
        fn older_files_never_ask_for_less(
            full in 0..20_000_i64, diff in 0..3_000_i64, log in 0..60_i64, more in 0..20_000_i64,
        ) {
            let rank = |files: &[BackupFile]| match kind(files, sound()) {
                None => 0,
                Some(Kind::Log) => 1,
                Some(Kind::Diff) => 2,
                Some(Kind::Full) => 3,
            };
            let young = rank(&stored(full, Some(diff), Some(log)));
            let old = rank(&stored(full + more, Some(diff + more), Some(log + more)));
            prop_assert!(old >= young);
        }
    }
}
