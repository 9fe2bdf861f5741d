//! The MySQL dump (contract §2.5): logical, compressed on the way and stored plain, so that one hour's dump shares its chunks with the next.

use crate::backup::context::{CaptureError, Captured, Context, Ends};

/// A dump that says what made it also says when it is at its end; one that does not is believed.
pub(crate) fn whole(ends: &Ends) -> Result<(), &'static str> {
    let named = [&b"-- MySQL dump"[..], b"-- MariaDB dump", b"/*M!999999"]
        .iter()
        .any(|mark| ends.head.starts_with(mark));
    let completed = memchr::memmem::find(&ends.tail, b"-- Dump completed").is_some();
    if named && !completed { Err("its last line, `-- Dump completed`, is missing") } else { Ok(()) }
}

/// Captures the database.
///
/// # Errors
/// The export, the connection or the vault fails.
pub fn capture(ctx: &Context<'_>) -> Result<Captured, CaptureError> {
    let mut captured = Captured::default();
    let external = ctx.facts.flag("mysql.external.enabled");
    let binary = ctx.facts.flag("mysql.backup.binary") && !external;
    let sentinel = |captured: &mut Captured, name: &str, text: &str| -> Result<(), CaptureError> {
        captured.replace.insert(name.into(), ctx.store_bytes(name.as_bytes(), text.as_bytes())?);
        Ok(())
    };
    let (node, bytes_read, name) = if binary {
        // The stream is compressed by the appliance and opaque: it keeps the name that backup-utils gives it.
        let command = ctx.stream("export MySQL", "ghe-export-mysql");
        let (node, read) = ctx.store_output("mysql", b"mysql.sql.gz", &command, false, |_| Ok(()))?;
        sentinel(&mut captured, "mysql-binary-backup-sentinel", "NO_ADDITIONAL_COMPRESSION\n")?;
        (node, read, "mysql.sql.gz")
    } else {
        let command = ctx.stream("export MySQL", "ghe-export-mysql | gzip -1");
        let (node, read) = ctx.store_output("mysql", b"mysql.sql", &command, true, whole)?;
        if external {
            sentinel(
                &mut captured,
                "logical-external-database-backup-sentinel",
                "LOGICAL_EXTERNAL_BACKUP\n",
            )?;
        }
        (node, read, "mysql.sql")
    };
    if node.meta.size == 0 {
        return Err(CaptureError::Unexpected("the MySQL export is empty".into()));
    }
    captured.items = 1;
    captured.bytes = node.meta.size;
    captured.bytes_read = bytes_read;
    captured.files_changed = u64::from(node.meta.mtime == Some(ctx.started));
    captured.replace.insert(name.into(), node);
    Ok(captured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(head: &str, tail: &str) -> Ends {
        Ends { head: head.into(), tail: tail.into() }
    }

    #[test]
    fn a_dump_without_its_last_line_is_not_whole() {
        assert!(whole(&ends("-- MySQL dump 10.13", "INSERT INTO `a`")).is_err());
        assert!(whole(&ends("-- MySQL dump 10.13", "-- Dump completed on 2026-01-01\n")).is_ok());
    }
}
