//! `ghe-mssql-console`, `ghe-export-mssql [-d|-t]` and `ghe-import-mssql` (contract §2.6, §5.5).

use std::{collections::BTreeMap, fs, path::Path};

use super::{Call, Ended};
use crate::{
    appliance::{
        State, log,
        mssql::{self, Database, Kind, Tape},
    },
    build::owners,
    error::{OnFile, SimError},
};

/// Answers the queries that clients put, with values padded as the console's are; `NULL` for what is unknown.
pub(super) fn console(call: &Call) -> Ended {
    let Some(query) = call.args.iter().skip_while(|arg| *arg != "-q").nth(1) else {
        return Err(SimError::Refused("no query: -q is needed".to_owned()));
    };
    let state = State::load(&call.place)?;
    for value in answers(&state.mssql, query) {
        call.say(format!("{value:<40}"))?;
    }
    Ok(0)
}

fn answers(databases: &BTreeMap<String, Database>, query: &str) -> Vec<String> {
    let words = query.split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted = |before: &str| {
        let rest = words.split_once(before)?.1;
        Some(rest.split_once('\'')?.0.trim_start_matches('%').to_owned())
    };
    let shown = |value: Option<u64>| vec![value.map_or("NULL".to_owned(), |value| value.to_string())];
    let of = |before: &str| quoted(before).and_then(|name| databases.get(&name));
    if words.contains("sys.database_recovery_status") {
        return of("name = '").map_or(Vec::new(), |database| shown(database.last_log_backup_lsn));
    }
    if words.contains("sys.master_files") {
        return of("name = '").map_or(Vec::new(), |database| shown(database.differential_base_lsn));
    }
    if words.contains("msdb.dbo.backupset") {
        let Some((database, file)) = of("database_name = '").zip(quoted("LIKE '")) else { return Vec::new() };
        let known = database.backups.iter().filter(|backup| backup.file.ends_with(&file));
        let column = |backup: &mssql::Backup| {
            if words.contains("checkpoint_lsn") { backup.checkpoint_lsn } else { backup.last_lsn }
        };
        return known.map(|backup| column(backup).to_string()).collect();
    }
    if words.contains("name FROM sys.databases") {
        let system = ["master", "tempdb", "model", "msdb"].map(str::to_owned);
        return system.into_iter().chain(databases.keys().cloned()).collect();
    }
    vec!["NULL".to_owned()]
}

/// Takes backups of all databases: full ones and differential ones with the log, or the log alone.
pub(super) fn export(call: &Call) -> Ended {
    let kinds: &[Kind] = match call.arg(0) {
        "" => &[Kind::Bak, Kind::Log],
        "-d" => &[Kind::Diff, Kind::Log],
        "-t" => &[Kind::Log],
        other => return Err(SimError::Refused(format!("unknown option `{other}`"))),
    };
    let folder = mssql::empty_backups(&call.place)?;
    let mut failed = 0;
    let tapes = State::update(&call.place, |state| {
        // Names have a resolution of one second, and always grow.
        state.mssql_exported = (log::now_us() / 1_000_000).max(state.mssql_exported + 1);
        let stamp = stamp(state.mssql_exported);
        let mut tapes = Vec::new();
        for (name, database) in &mut state.mssql {
            for kind in kinds {
                let file = format!("{name}@{stamp}.{}", kind.ending());
                match database.take(name, *kind, &file) {
                    Some(tape) => tapes.push((file, tape)),
                    None => failed += 1,
                }
            }
        }
        Ok(tapes)
    })?;
    for (file, tape) in tapes {
        let path = folder.join(&file);
        let text = serde_json::to_vec(&tape)
            .map_err(|error| SimError::Corrupt { path: path.clone(), reason: error.to_string() })?;
        fs::write(&path, text).on("write", &path)?;
        call.say(format!("Backed up {file}"))?;
    }
    owners::adopt(&folder, &call.place.disk("/data/user/mssql"))?;
    if failed > 0 {
        eprintln!("{failed} backups could not be taken: there is no full backup to go on from");
        return Ok(1);
    }
    Ok(0)
}

/// Restores every database that the folder has backups of, and empties the folder.
pub(super) fn import(call: &Call) -> Ended {
    let folder = call.place.disk(mssql::BACKUPS);
    let mut databases: BTreeMap<String, Vec<(String, Tape)>> = BTreeMap::new();
    for entry in fs::read_dir(&folder).on("list", &folder)? {
        let path = entry.on("list", &folder)?.path();
        let (name, tape) = open(&path)?;
        databases.entry(tape.database.clone()).or_default().push((name, tape));
    }
    if databases.is_empty() {
        return Err(SimError::Refused("there are no backups to restore".to_owned()));
    }
    let mut restored = Vec::new();
    for (name, mut tapes) in databases {
        tapes.sort_by(|(a, _), (b, _)| a.cmp(b));
        restored.push((name.clone(), chain(&name, &tapes)?));
    }
    State::update(&call.place, |state| {
        for (name, (rows, reached)) in &restored {
            state.mssql.entry(name.clone()).or_default().restore(rows.clone(), *reached);
        }
        Ok(())
    })?;
    for (name, _) in restored {
        call.say(format!("Restored {name}"))?;
    }
    let folder = mssql::empty_backups(&call.place)?;
    owners::adopt(&folder, &call.place.disk("/data/user/mssql"))?;
    Ok(0)
}

fn open(path: &Path) -> Result<(String, Tape), SimError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = fs::read(path).on("read", path)?;
    let tape: Tape = serde_json::from_slice(&bytes)
        .map_err(|_| SimError::Refused(format!("`{name}` is not a backup of a database")))?;
    let fits = name
        .strip_prefix(&tape.database)
        .is_some_and(|rest| rest.starts_with('@') && rest.ends_with(&format!(".{}", tape.kind.ending())));
    if !fits {
        return Err(SimError::Refused(format!("`{name}` has a backup of another database or kind")));
    }
    Ok((name, tape))
}

/// The newest full backup, the newest differential one that is based on it, then the logs without a gap.
fn chain(name: &str, tapes: &[(String, Tape)]) -> Result<(Vec<mssql::Row>, u64), SimError> {
    let newest = |kind: Kind, base: u64| {
        tapes.iter().rev().map(|(_, tape)| tape).find(|tape| tape.kind == kind && tape.from_lsn == base)
    };
    let full = newest(Kind::Bak, 0)
        .ok_or_else(|| SimError::Refused(format!("there is no full backup of database {name}")))?;
    let (mut rows, mut reached) = (full.rows.clone(), full.to_lsn);
    if let Some(diff) = newest(Kind::Diff, full.to_lsn) {
        rows.extend(diff.rows.iter().cloned());
        reached = diff.to_lsn;
    }
    for (file, tape) in tapes.iter().filter(|(_, tape)| tape.kind == Kind::Log) {
        if tape.to_lsn <= reached {
            continue;
        }
        if tape.from_lsn > reached {
            return Err(SimError::Refused(format!(
                "the log in {file} begins at LSN {}, which is too recent to apply to database {name} at LSN {reached}",
                tape.from_lsn
            )));
        }
        rows.extend(tape.rows.iter().filter(|row| row.lsn > reached).cloned());
        reached = tape.to_lsn;
    }
    Ok((rows, reached))
}

/// A moment in UTC as `YYYYMMDDTHHMMSS`; `seconds` since 1970.
fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{date:02}T{:02}{:02}{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Database {
        let mut database = Database::default();
        database.write("one");
        database
    }

    fn tape(database: &mut Database, kind: Kind, number: u32) -> (String, Tape) {
        let file = format!("A@20240101T00000{number}.{}", kind.ending());
        let tape = database.take("A", kind, &file).unwrap();
        (file, tape)
    }

    #[test]
    fn a_chain_of_full_differential_and_log_gives_all_rows() {
        let mut source = database();
        let mut tapes = vec![tape(&mut source, Kind::Bak, 1), tape(&mut source, Kind::Log, 1)];
        source.write("two");
        tapes.push(tape(&mut source, Kind::Diff, 2));
        tapes.push(tape(&mut source, Kind::Log, 2));
        source.write("three");
        tapes.push(tape(&mut source, Kind::Log, 3));
        assert_eq!(chain("A", &tapes).unwrap().0, source.rows);
        // The differential one lets the log before it be missing.
        tapes.remove(1);
        assert_eq!(chain("A", &tapes).unwrap().0, source.rows);
    }

    #[test]
    fn a_missing_log_is_a_gap() {
        let mut source = database();
        let full = tape(&mut source, Kind::Bak, 1);
        let _lost = tape(&mut source, Kind::Log, 1);
        source.write("two");
        let late = tape(&mut source, Kind::Log, 2);
        assert!(chain("A", &[full, late.clone()]).unwrap_err().to_string().contains("too recent"));
        assert!(chain("A", &[late]).unwrap_err().to_string().contains("no full backup"));
    }

    #[test]
    fn the_queries_of_clients_are_answered_and_others_are_not() {
        let mut source = database();
        let (file, full) = tape(&mut source, Kind::Bak, 1);
        let databases = BTreeMap::from([("A".to_owned(), source)]);
        let ask = |query: &str| answers(&databases, query);
        assert_eq!(ask("SET NOCOUNT ON; SELECT name FROM sys.databases").last().unwrap(), "A");
        let sets = format!(
            "SELECT s.checkpoint_lsn\n FROM msdb.dbo.backupset s JOIN msdb.dbo.backupmediafamily f ON \
             s.media_set_id = f.media_set_id WHERE s.database_name = 'A' AND f.physical_device_name LIKE '%{file}'"
        );
        assert_eq!(ask(&sets), [full.to_lsn.to_string()]);
        assert_eq!(ask(&sets.replace(&file, "B@1.bak")), Vec::<String>::new());
        let base = "SELECT differential_base_lsn FROM sys.master_files mf WHERE mf.name = 'A'";
        assert_eq!(ask(base), [full.to_lsn.to_string()]);
        let next = "SELECT last_log_backup_lsn FROM sys.database_recovery_status drs JOIN sys.databases db on \
                    drs.database_id = db.database_id WHERE db.name = 'A'";
        assert_eq!(ask(next), [full.to_lsn.to_string()]);
        assert_eq!(ask("SELECT 1"), ["NULL"]);
    }

    #[test]
    fn moments_are_named_in_utc() {
        assert_eq!(stamp(0), "19700101T000000");
        assert_eq!(stamp(1_709_210_096), "20240229T123456");
        assert_eq!(stamp(1_735_689_599), "20241231T235959");
    }
}
