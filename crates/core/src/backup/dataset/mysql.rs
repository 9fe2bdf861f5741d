//! The MySQL dump (contract §2.5): logical, compressed on the way and stored plain, so that one hour's dump shares its chunks with the next.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::backup::context::{CaptureError, Captured, Context, Ends, last_lines};

/// A dump that says what made it also says when it is at its end; one that does not is believed.
pub(crate) fn whole(ends: &Ends) -> Result<(), &'static str> {
    let named = [&b"-- MySQL dump"[..], b"-- MariaDB dump", b"/*M!999999"]
        .iter()
        .any(|mark| ends.head.starts_with(mark));
    let completed = memchr::memmem::find(&ends.tail, b"-- Dump completed").is_some();
    if named && !completed { Err("its last line, `-- Dump completed`, is missing") } else { Ok(()) }
}

/// How the database is backed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A program of the user's on this host; the snapshot has no dump.
    Script,
    /// SQL text.
    Logical {
        /// Of a database outside of the appliance.
        external: bool,
        /// Binary backups are on, but cannot be had of an external database.
        not_binary: bool,
    },
    /// The appliance's own physical stream.
    Binary,
}

/// Contract §2.5, without incremental streams, which are deprecated (contract §4.5) and never made here.
fn way(external: bool, script: bool, binary: bool) -> Way {
    match (external, script, binary) {
        (true, true, _) => Way::Script,
        (true, false, binary) => Way::Logical { external: true, not_binary: binary },
        (false, _, true) => Way::Binary,
        (false, _, false) => Way::Logical { external: false, not_binary: false },
    }
}

/// Captures the database.
///
/// # Errors
/// The export, the connection or the vault fails.
pub fn capture(ctx: &Context<'_>) -> Result<Captured, CaptureError> {
    let mut captured = Captured::default();
    let script = ctx.settings.external_mysql_script.as_deref();
    let external = ctx.facts.flag("mysql.external.enabled");
    let sentinel = |captured: &mut Captured, name: &str, text: &str| -> Result<(), CaptureError> {
        captured.replace.insert(name.into(), ctx.store_bytes(name.as_bytes(), text.as_bytes())?);
        Ok(())
    };
    let (node, bytes_read, name) =
        match way(external, script.is_some(), ctx.facts.flag("mysql.backup.binary")) {
            Way::Script => {
                let script = script.unwrap_or(Path::new(""));
                run_script(script)?;
                captured.warnings.push(format!(
                    "the external database was backed up by `{}`; this snapshot has no dump of it",
                    script.display()
                ));
                return Ok(captured);
            }
            Way::Binary => {
                // The stream is compressed by the appliance and opaque: it keeps the name that backup-utils gives it.
                let command = ctx.stream("export MySQL", "ghe-export-mysql");
                let (node, read) = ctx.store_output("mysql", b"mysql.sql.gz", &command, false, |_| Ok(()))?;
                sentinel(&mut captured, "mysql-binary-backup-sentinel", "NO_ADDITIONAL_COMPRESSION\n")?;
                (node, read, "mysql.sql.gz")
            }
            Way::Logical { external, not_binary } => {
                let command = ctx.stream("export MySQL", "ghe-export-mysql | gzip -1");
                let (node, read) = ctx.store_output("mysql", b"mysql.sql", &command, true, whole)?;
                if external {
                    let name = "logical-external-database-backup-sentinel";
                    sentinel(&mut captured, name, "LOGICAL_EXTERNAL_BACKUP\n")?;
                }
                if not_binary {
                    let text =
                        "binary backups are on, but an external database gives none: a logical one was taken";
                    captured.warnings.push(text.into());
                }
                (node, read, "mysql.sql")
            }
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

/// Runs the user's own backup program; it must succeed.
fn run_script(script: &Path) -> Result<(), CaptureError> {
    let label = format!("back up the external database with `{}`", script.display());
    let output = Command::new(script)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| CaptureError::Unexpected(format!("cannot {label}: {source}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(CaptureError::Command {
        label,
        status: output.status.to_string(),
        stderr: last_lines(&output.stderr),
    })
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

    #[test]
    fn the_kind_of_dump_follows_the_appliance_and_a_script_is_for_external_databases_only() {
        assert_eq!(way(true, true, true), Way::Script);
        assert_eq!(way(true, false, true), Way::Logical { external: true, not_binary: true });
        assert_eq!(way(true, false, false), Way::Logical { external: true, not_binary: false });
        assert_eq!(way(false, true, true), Way::Binary);
        assert_eq!(way(false, true, false), Way::Logical { external: false, not_binary: false });
    }

    #[test]
    fn a_script_that_fails_or_is_missing_is_told_with_its_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("backup.sh");
        std::fs::write(&script, "#!/bin/sh\necho no space >&2\nexit 3\n").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&script, mode).expect("executable");
        let failed = run_script(&script).expect_err("it fails").to_string();
        assert!(failed.contains("no space") && failed.contains('3'), "{failed}");
        assert!(run_script(&folder.path().join("none")).is_err_and(|e| e.to_string().contains("none")));
    }
}
