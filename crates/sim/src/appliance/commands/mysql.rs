//! `ghe-export-mysql` and its three imports (contract §2.5, §5.5).
//!
//! With `mysql.backup.binary` the stream is opaque: a line with the range of log sequence numbers, then the SQL.

use std::{
    fs,
    io::{Cursor, Read, Write},
    path::PathBuf,
};

use super::{Call, Ended, call::keep, config};
use crate::{
    appliance::{Place, State},
    error::{OnFile, SimError},
};

/// Name of the store with the SQL text of all databases.
pub const STORE: &str = "mysql.sql";
const MAGIC: &str = "XBSTCK01";

pub(super) fn export(call: &Call) -> Ended {
    let store = call.place.store(STORE);
    if !config::is_true(&call.place, "mysql.backup.binary")? {
        call.print_file(&store)?;
        return Ok(0);
    }
    let from: u64 = std::env::var("INC_BACKUP").ok().and_then(|lsn| lsn.parse().ok()).unwrap_or(0);
    let to = State::update(&call.place, |state| {
        state.mysql_lsn += 1000;
        Ok(state.mysql_lsn)
    })?;
    let kind = if from == 0 { "full-backuped" } else { "incremental" };
    let points = checkpoints(&call.place);
    let text = format!(
        "backup_type = {kind}\nfrom_lsn = {from}\nto_lsn = {to}\nlast_lsn = {to}\nflushed_lsn = {to}\n"
    );
    keep(&points, &mut Cursor::new(text))?;
    call.print(format!("{MAGIC} {from} {to}\n"))?;
    call.print_file(&store)?;
    Ok(0)
}

fn checkpoints(place: &Place) -> PathBuf {
    place.root().join("tmp/lsndir/xtrabackup_checkpoints")
}

pub(super) fn import(call: &Call) -> Ended {
    let sql = call.stdin()?;
    if sql.starts_with(MAGIC.as_bytes()) {
        return Err(SimError::Refused("this is a binary backup".to_owned()));
    }
    keep(&call.place.store(STORE), &mut Cursor::new(sql))?;
    call.say("Import complete")?;
    Ok(0)
}

/// Applies a full binary stream and then the incremental ones that the client announced.
pub(super) fn import_binary(call: &Call) -> Ended {
    let (mut sql, mut reached) = open(&call.stdin()?, 0)?;
    let list = call.place.root().join("tmp/incremental-backup-files.txt");
    for name in fs::read_to_string(&list).unwrap_or_default().lines() {
        let part = call.place.disk("/data/user/tmp").join(name).join("mysql.sql.gz");
        (sql, reached) = open(&fs::read(&part).on("read", part)?, reached)?;
    }
    keep(&call.place.store(STORE), &mut Cursor::new(sql))?;
    State::update(&call.place, |state| {
        state.mysql_lsn = reached;
        Ok(())
    })?;
    call.say("Import complete")?;
    Ok(0)
}

fn open(stream: &[u8], reached: u64) -> Result<(Vec<u8>, u64), SimError> {
    let refuse = |why: &str| SimError::Refused(format!("cannot apply the binary backup: {why}"));
    let end = stream.iter().position(|byte| *byte == b'\n').ok_or_else(|| refuse("no header"))?;
    let header = String::from_utf8_lossy(&stream[..end]).into_owned();
    let words: Vec<&str> = header.split(' ').collect();
    let [MAGIC, from, to] = words[..] else { return Err(refuse("no header")) };
    if from.parse() != Ok(reached) {
        return Err(refuse("log sequence numbers do not follow each other"));
    }
    Ok((stream[end + 1..].to_vec(), to.parse().map_err(|_| refuse("no end"))?))
}

/// Replaces the dump, for tests and the living appliance.
///
/// # Errors
/// The store cannot be written.
pub fn replace(place: &Place, sql: &[u8]) -> Result<(), SimError> {
    keep(&place.store(STORE), &mut Cursor::new(sql))
}

/// Adds a statement to the dump, as a write to the database would.
///
/// # Errors
/// The store cannot be written.
pub fn append(place: &Place, statement: &str) -> Result<(), SimError> {
    let path = place.store(STORE);
    let mut sql = Vec::new();
    if let Ok(mut file) = fs::File::open(&path) {
        file.read_to_end(&mut sql).on("read", &path)?;
    }
    // The dump's last line says that it is whole; rows stand before it.
    let end = b"-- Dump completed";
    let last = sql.windows(end.len()).rposition(|window| window == end).unwrap_or(sql.len());
    let closing = sql.split_off(last);
    writeln!(sql, "{statement}").on("write", &path)?;
    sql.extend(closing);
    replace(place, &sql)
}
