//! Every variable of a backup-utils configuration and what becomes of it here (contract §8.2), as one table.
//!
//! A variable is *honoured* (same meaning, same values), *mapped* (to the nearest setting of ours), *without effect*
//! (there is nothing here that it could change), or *refused* (doing something else silently would be wrong).
//! A test proves that the table covers the contract and that the reference page tells the same.

use super::{
    amount,
    backup_config::Script,
    layer::{Layer, Origin},
    ssh_options,
};
use std::path::{Path, PathBuf};

/// Values for options: key and text.
type Mapped = Vec<(&'static str, String)>;
/// How a value is translated.
type Translate = fn(&str, &Context<'_>) -> Result<Mapped, String>;

/// What becomes of a variable.
#[derive(Clone, Copy)]
pub enum Fate {
    /// The value goes into this option as it is.
    Honoured(&'static str),
    /// The value is translated; the text says into what.
    Mapped(&'static str, Translate),
    /// Nothing here depends on it; the text says why.
    NoEffect(&'static str),
    /// Setting it to anything but one of these values is an error; the text says why.
    Refused(&'static str, &'static [&'static str]),
}

/// One variable.
pub struct VariableRow {
    /// Its name.
    pub name: &'static str,
    /// What becomes of it.
    pub fate: Fate,
}

/// What a translation may need to know of the rest.
pub struct Context<'a> {
    /// Folder of the file; relative paths start there.
    pub folder: &'a Path,
    /// The value of another variable.
    pub other: &'a dyn Fn(&str) -> Option<String>,
}

use Fate::{Honoured, Mapped as Map, NoEffect, Refused};

/// Shortens the rows below.
const fn v(name: &'static str, fate: Fate) -> VariableRow {
    VariableRow { name, fate }
}

/// A path override for tests of backup-utils itself.
const TEST_HOOK: &str =
    "moves paths of an appliance for tests of backup-utils; ghevault reads only real appliances";

/// All variables, in the order of contract §8.2.
pub const VARIABLES: &[VariableRow] = &[
    v("GHE_HOSTNAME", Map("`host`; an SSH port or user in `GHE_EXTRA_SSH_OPTS` is joined to it", host)),
    v("GHE_DATA_DIR", Map("`vault`: the folder `vault` below it, unless a vault is named elsewhere", vault)),
    v(
        "GHE_NUM_SNAPSHOTS",
        NoEffect("`forget` keeps what `retention.*` says, and counts by time, not by number"),
    ),
    v("GHE_PRUNING_SCHEDULED", NoEffect("`backup` never drops snapshots, whatever this says")),
    v("GHE_RESTORE_HOST", Honoured("restore.host")),
    v(
        "GHE_RESTORE_SKIP_AUDIT_LOGS",
        Map("`restore.skip_audit_log`", |text, _| yes_no("restore.skip_audit_log", text)),
    ),
    v("GHE_BACKUP_PAGES", Map("`no` adds `pages` to `backup.skip` and `restore.skip`", pages)),
    v(
        "GHE_BACKUP_FSCK",
        NoEffect("`verify` proves what is stored; a copy on disk to run `git fsck` on does not exist"),
    ),
    v(
        "GHE_SKIP_CHECKS",
        NoEffect("the local checks of backup-utils (tools, disk estimate) do not exist here"),
    ),
    v("GHE_CREATE_DATA_DIR", NoEffect("only `init` creates a vault; a missing one is exit code 10")),
    v("GHE_EXTRA_SSH_OPTS", Map("`ssh_key`, `host`, `transport` and `ssh_options`", ssh)),
    v(
        "GHE_EXTRA_RSYNC_OPTS",
        Map("`--bwlimit` becomes `bwlimit`; other options are refused, there is no rsync", rsync),
    ),
    v("GHE_RSYNC_COMPRESSION_ENABLED", NoEffect("listings and dumps always travel compressed")),
    v("RSYNC_WARNING", NoEffect("there is no rsync")),
    v("GHE_VERBOSE_LOG", Map("`log_file`", |text, context| Ok(vec![("log_file", absolute(text, context))]))),
    v("OUTPUT_COLOR", NoEffect("output is coloured on terminals only, never in logs")),
    v("GHE_MSSQL_BACKUP_CADENCE", Honoured("backup.mssql_cadence")),
    v("GHE_PARALLEL_ENABLED", NoEffect("datasets are always read beside each other")),
    v(
        "GHE_PARALLEL_MAX_JOBS",
        NoEffect("a fixed few streams run beside each other; `GHE_NICE` holds for all"),
    ),
    v("GHE_PARALLEL_RSYNC_MAX_JOBS", NoEffect("there is no rsync")),
    v(
        "GHE_PARALLEL_MAX_LOAD",
        NoEffect("the load is on the appliance, where `GHE_NICE` and `GHE_IONICE` hold"),
    ),
    v("GHE_INCREMENTAL_MAX_BACKUPS", NoEffect("every snapshot is whole; there are no chains")),
    v("EXTERNAL_DATABASE_BACKUP_SCRIPT", Honoured("backup.external_mysql_script")),
    v("EXTERNAL_DATABASE_RESTORE_SCRIPT", Honoured("restore.external_mysql_script")),
    v("GHE_NICE", Honoured("backup.nice")),
    v("GHE_IONICE", Honoured("backup.ionice")),
    v("GHE_GIT_COOLDOWN_PERIOD", Map("`backup.drain_s`", |text, _| number("backup.drain_s", text))),
    v("GHE_ALLOW_REPLICA_BACKUP", Map("`backup.allow_replica`, by any value", replica)),
    v("GHE_SKIP_ROUTE_VERIFICATION", NoEffect("what was promised and what was stored is always compared")),
    v("GHE_ROUTE_VERIFICATION", NoEffect("what was promised and what was stored is always compared")),
    v(
        "GHE_MANAGE_CONSOLE_PW_RESTORE",
        Map("`restore.console_password`", |text, _| yes_no("restore.console_password", text)),
    ),
    v(
        "GHE_SKIP_SEARCH_INDICES",
        Map("`yes` adds `elasticsearch` to `backup.skip` and `restore.skip`", search),
    ),
    v("GHE_FILE_SYSTEM_WRITE_CHECK", NoEffect("`doctor` and `restore` make their own checks")),
    v("GHE_ES_BACKUP_STRATEGY", Refused("only copies of the index files are supported", &["rsync", ""])),
    v(
        "GHE_ES_SNAPSHOT_NAME_PREFIX",
        NoEffect("belongs to `GHE_ES_BACKUP_STRATEGY`, of which only `rsync` is supported"),
    ),
    v("GHE_SSH_PROXY", Map("`ssh_options`: `-o ProxyCommand=…`, with `transport = \"openssh\"`", proxy)),
    v("GHE_DISABLE_SSH_MUX", NoEffect("connections are ghevault's own")),
    v("GHE_VERBOSE_SSH", NoEffect("set `RUST_LOG=ghevault_core=debug`")),
    v("GHE_VERBOSE", NoEffect("set `RUST_LOG=info`")),
    v("GHE_DEBUG", NoEffect("set `RUST_LOG=debug`")),
    v("GHE_SNAPSHOT_TIMESTAMP", NoEffect("a snapshot is named by its id and bears its time")),
    v("BM_TIMESTAMP", NoEffect("durations are in the report of a backup")),
    v("TMPDIR", NoEffect("nothing is staged on disk")),
    v("GHE_REMOTE_ROOT_DIR", Refused(TEST_HOOK, &[""])),
    v("GHE_REMOTE_DATA_DIR", Refused(TEST_HOOK, &["/data", ""])),
    v("GHE_REMOTE_LICENSE_FILE", Refused(TEST_HOOK, &["/data/enterprise/enterprise.ghl", ""])),
    v("GHE_REMOTE_CLUSTER_CONF_FILE", Refused(TEST_HOOK, &["/data/user/common/cluster.conf", ""])),
    v("SYNC_IN_PROGRESS_FILE", Refused(TEST_HOOK, &["/data/user/repositories/.sync_in_progress", ""])),
    v("GHE_RELEASE_FILE", NoEffect("the backup host is never taken for an appliance")),
    v("FINGERPRINT_BLACKLIST", NoEffect("the list of leaked host keys is built in")),
    v(
        "GHE_TEST_REMOTE_VERSION",
        Refused("would hide the appliance's version and switch the gate off", &[""]),
    ),
];

/// The layer that a file gives, and what else there is to say about it.
pub struct Imported {
    /// Options.
    pub layer: Layer,
    /// For the user to know; the work goes on.
    pub notes: Vec<String>,
    /// What makes the file unusable.
    pub refusals: Vec<String>,
}

/// Turns what a file says into options.
#[must_use]
pub fn import(script: &Script, path: &Path) -> Imported {
    let mut imported = Imported { layer: Layer::default(), notes: Vec::new(), refusals: Vec::new() };
    let at = |line: usize| format!("{}:{line}", path.display());
    for unreadable in &script.unreadable {
        imported.refusals.push(format!("{}: {}", at(unreadable.line), unreadable.reason));
    }
    let last = |name: &str| script.assignments.iter().rfind(|assignment| assignment.name == name);
    let other = |name: &str| last(name).map(|assignment| assignment.value.clone());
    let context = Context { folder: path.parent().unwrap_or(Path::new("/")), other: &other };
    for row in VARIABLES {
        let Some(assignment) = last(row.name) else { continue };
        let origin = Origin::File { path: path.to_owned(), line: assignment.line, name: row.name.to_owned() };
        let place = format!("{}: `{}`", at(assignment.line), row.name);
        match row.fate {
            Honoured(key)
                if assignment.value.is_empty() && key != "backup.nice" && key != "backup.ionice" => {}
            Honoured(key) => imported.layer.set(key, &assignment.value, origin),
            Map(into, translate) => match translate(&assignment.value, &context) {
                Ok(values) => {
                    imported.notes.push(format!("{place} becomes {into}"));
                    for (key, text) in values {
                        append(&mut imported.layer, key, &text, origin.clone());
                    }
                }
                Err(reason) => imported.refusals.push(format!("{place} {reason}")),
            },
            NoEffect(reason) => imported.notes.push(format!("{place} has no effect: {reason}")),
            Refused(reason, harmless) if !harmless.contains(&assignment.value.as_str()) => {
                imported.refusals.push(format!("{place} is refused: {reason}"));
            }
            Refused(..) => {}
        }
    }
    for assignment in &script.assignments {
        let ours = assignment.name.starts_with("GHE_") || assignment.name.starts_with("EXTERNAL_DATABASE_");
        if ours && !VARIABLES.iter().any(|row| row.name == assignment.name) {
            imported.notes.push(format!(
                "{}: `{}` is not known and has no effect",
                at(assignment.line),
                assignment.name
            ));
        }
    }
    imported
}

/// Sets an option; lists grow.
fn append(layer: &mut Layer, key: &str, text: &str, origin: Origin) {
    let text = match layer.get(key) {
        Some(before) if key.ends_with("skip") || key == "ssh_options" => format!("{}\n{text}", before.text),
        _ => text.to_owned(),
    };
    layer.set(key, text, origin);
}

/// A whole number for an option; an empty value sets nothing.
fn number(key: &'static str, text: &str) -> Result<Mapped, String> {
    match text.trim() {
        "" => Ok(Vec::new()),
        text if text.parse::<u32>().is_ok() => Ok(vec![(key, text.to_owned())]),
        _ => Err("is not a whole number".to_owned()),
    }
}

/// A yes or no for an option.
fn yes_no(key: &'static str, text: &str) -> Result<Mapped, String> {
    amount::truth(text)
        .map(|truth| vec![(key, truth.to_string())])
        .ok_or_else(|| "is neither yes nor no".to_owned())
}

/// A path, relative ones from the file's folder.
fn absolute(text: &str, context: &Context<'_>) -> String {
    let path = PathBuf::from(text);
    if path.is_absolute() { text.to_owned() } else { context.folder.join(path).display().to_string() }
}

fn host(text: &str, context: &Context<'_>) -> Result<Mapped, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let options = match (context.other)("GHE_EXTRA_SSH_OPTS") {
        Some(options) => ssh_options::parse(&options)?,
        None => ssh_options::SshOptions::default(),
    };
    let user =
        options.user.filter(|_| !text.contains('@')).map(|user| format!("{user}@")).unwrap_or_default();
    // As in ssh, the option comes first and wins over the specification's own port.
    let (bare, port) = match (options.port, text.rsplit_once(':')) {
        (Some(port), Some((bare, digits))) if digits.parse::<u16>().is_ok() => (bare, format!(":{port}")),
        (Some(port), _) => (text, format!(":{port}")),
        (None, _) => (text, String::new()),
    };
    Ok(vec![("host", format!("{user}{bare}{port}"))])
}

#[allow(clippy::unnecessary_wraps, reason = "one form for all rows of the table")]
fn vault(text: &str, context: &Context<'_>) -> Result<Mapped, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![("vault", format!("{}/vault", absolute(text, context).trim_end_matches('/')))])
}

fn skip_both(dataset: &str, skip: bool) -> Mapped {
    if skip {
        vec![("backup.skip", dataset.to_owned()), ("restore.skip", dataset.to_owned())]
    } else {
        Vec::new()
    }
}

fn pages(text: &str, _: &Context<'_>) -> Result<Mapped, String> {
    let wanted = if text.is_empty() { Some(true) } else { amount::truth(text) };
    wanted.map(|wanted| skip_both("pages", !wanted)).ok_or_else(|| "is neither yes nor no".to_owned())
}

fn search(text: &str, _: &Context<'_>) -> Result<Mapped, String> {
    amount::truth(text)
        .map(|skip| skip_both("elasticsearch", skip))
        .ok_or_else(|| "is neither yes nor no".to_owned())
}

#[allow(clippy::unnecessary_wraps, reason = "one form for all rows of the table")]
fn replica(text: &str, _: &Context<'_>) -> Result<Mapped, String> {
    Ok(if text.is_empty() { Vec::new() } else { vec![("backup.allow_replica", "true".to_owned())] })
}

fn ssh(text: &str, context: &Context<'_>) -> Result<Mapped, String> {
    let options = ssh_options::parse(text)?;
    let mut mapped = Vec::new();
    if let Some(path) = options.key_file {
        if path.starts_with('~') || path.contains('%') {
            return Err(format!("names the key `{path}`; write the path in full"));
        }
        mapped.push(("ssh_key", format!("file:{}", absolute(&path, context))));
    }
    if !options.passed_on.is_empty() {
        mapped.push(("transport", "openssh".to_owned()));
        mapped.push(("ssh_options", options.passed_on.join("\n")));
    }
    Ok(mapped)
}

fn rsync(text: &str, _: &Context<'_>) -> Result<Mapped, String> {
    let mut mapped = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--bwlimit") {
            Some("") => words.next().unwrap_or_default(),
            Some(rest) => rest.strip_prefix('=').ok_or_else(|| format!("has the unknown option `{word}`"))?,
            None => return Err(format!("has the option `{word}`; there is no rsync that could take it")),
        };
        let bytes =
            amount::bytes(value, 1024).ok_or_else(|| format!("limits to `{value}`, which is no rate"))?;
        // rsync takes 0 for "no limit".
        if bytes > 0 {
            mapped.push(("bwlimit", bytes.to_string()));
        }
    }
    Ok(mapped)
}

#[allow(clippy::unnecessary_wraps, reason = "one form for all rows of the table")]
fn proxy(text: &str, _: &Context<'_>) -> Result<Mapped, String> {
    Ok(if text.is_empty() {
        Vec::new()
    } else {
        vec![("transport", "openssh".to_owned()), ("ssh_options", format!("-o\nProxyCommand={text}"))]
    })
}

#[cfg(test)]
#[path = "backup_utils_tests.rs"]
mod tests;
