//! Actions' databases (contract §2.6): the server writes backup files by itself, and the snapshot keeps those that form a chain.
//!
//! What is taken is decided by [`crate::backup::mssql::decide`]; that the result can be brought back is proven by
//! [`crate::backup::mssql::chain::faults`]. A failed export never costs the files of the last good chain.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    appliance::{channel::RemoteCommand, quote::quote},
    backup::{
        context::{CaptureError, Captured, Context, check},
        mssql::{
            BackupFile, Chain, Decision, Kind, Link, Standing, cadence, chain, decide, file::is_database, lsn,
        },
    },
    vault::Node,
};

/// The program that makes backup files; its presence is asked for by this path (contract §2.6).
const EXPORTER: &str = "/usr/local/bin/ghe-export-mssql";
/// Longest time for one export.
const EXPORT_MAX: Duration = Duration::from_hours(6);
const PART: &str = "mssql";

/// Captures the databases.
///
/// # Errors
/// The server cannot be asked, or the vault fails.
pub fn capture(ctx: &Context<'_>) -> Result<Captured, CaptureError> {
    if !ctx.facts.flag("app.actions.enabled") {
        return super::left_behind(ctx, &[PART, chain::FILE]);
    }
    let node = ctx.channel_serving(PART)?;
    let there = Context { channel: &*node, ..*ctx };
    there
        .output("look for the MSSQL export", &format!("test -e {EXPORTER}"), &[])
        .map_err(|source| unless_ended(source, || format!("`{EXPORTER}` is not on the appliance")))?;
    let mut captured = Captured::default();
    let before = Before::read(ctx)?;
    let databases = databases(&there)?;
    let standings = standings(&there, &databases, &before.files)?;
    let decision = decision(ctx, &before, &standings, &mut captured);
    let exported = match decision.kind {
        Some(kind) => export(&there, kind, &mut captured)?,
        None => true,
    };
    let mut files: BTreeMap<String, Node> = BTreeMap::new();
    for (name, node) in &before.nodes {
        let file = BackupFile::parse(name);
        // Until the new chain is whole, the old one stays.
        if !exported || file.is_some_and(|file| cadence::keeps(decision.kind, &file)) {
            files.insert(name.clone(), node.clone());
        }
    }
    if decision.kind.is_some() {
        fetch_all(&there, &mut files, &mut captured)?;
    }
    prove(&there, &databases, &files, &before, &mut captured)?;
    for name in before.nodes.keys().filter(|name| !files.contains_key(*name)) {
        captured.remove.insert(path(name));
    }
    if ctx.parent_node(PART.as_bytes())?.is_none() {
        captured.folders.insert(PART.into(), ctx.synthetic_meta(0o700 | (1 << 31), 0));
    }
    captured.items = files.len() as u64;
    captured.bytes = files.values().map(|node| node.meta.size).sum();
    captured.replace.extend(files.into_iter().map(|(name, node)| (path(&name), node)));
    Ok(captured)
}

fn path(name: &str) -> Vec<u8> {
    format!("{PART}/{name}").into_bytes()
}

/// Keeps what ends the run, and says everything else in words of ours.
fn unless_ended(source: CaptureError, words: impl FnOnce() -> String) -> CaptureError {
    match source {
        CaptureError::Command { .. } => CaptureError::Unexpected(words()),
        other => other,
    }
}

/// What the last snapshot has.
struct Before {
    nodes: BTreeMap<String, Node>,
    files: Vec<BackupFile>,
    chain: Chain,
}

impl Before {
    fn read(ctx: &Context<'_>) -> Result<Self, CaptureError> {
        let mut nodes = BTreeMap::new();
        if let Some(tree) = ctx.parent_node(PART.as_bytes())?.and_then(|node| node.subtree) {
            for node in ctx.reader.tree(&tree)?.nodes {
                nodes.insert(node.name().to_string_lossy().into_owned(), node);
            }
        }
        let mut record = Vec::new();
        if let Some(node) = ctx.parent_node(chain::FILE.as_bytes())? {
            ctx.reader.dump(&node, &mut record)?;
        }
        let files = nodes.keys().filter_map(|name| BackupFile::parse(name)).collect();
        // A record that cannot be read proves nothing, and the next full backup makes a new one.
        Ok(Self { nodes, files, chain: serde_json::from_slice(&record).unwrap_or_default() })
    }
}

/// Asks several questions of the server in one round trip.
fn ask(there: &Context<'_>, label: &str, queries: &[String]) -> Result<Vec<String>, CaptureError> {
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let mut script = String::from(
        "ask() { ghe-mssql-console -y -n -q \"SET NOCOUNT ON; $1\" </dev/null || exit 9; printf '\\0'; }\n",
    );
    for query in queries {
        script.extend(["ask ", &quote(query), "\n"]);
    }
    script.push_str("printf end");
    let output = there.output(label, &script, &[])?;
    let text = String::from_utf8_lossy(&output);
    let mut answers: Vec<String> = text.split('\0').map(|answer| answer.trim().to_owned()).collect();
    if answers.pop().as_deref() != Some("end") || answers.len() != queries.len() {
        return Err(CaptureError::Unexpected(format!("`{label}`: the answer was cut off")));
    }
    Ok(answers)
}

/// The databases of the server, without its own.
fn databases(there: &Context<'_>) -> Result<BTreeSet<String>, CaptureError> {
    let listed = ask(there, "list databases", &["SELECT name FROM sys.databases".to_owned()])?;
    let names: BTreeSet<String> = listed
        .iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .filter(|name| is_database(name))
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Err(CaptureError::Unexpected("the server names no database of Actions".into()));
    }
    Ok(names)
}

fn of_backup(column: &str, database: &str, file: &str) -> String {
    format!(
        "SELECT s.{column} FROM msdb.dbo.backupset s JOIN msdb.dbo.backupmediafamily f \
         ON s.media_set_id = f.media_set_id \
         WHERE s.database_name = '{database}' AND f.physical_device_name LIKE '%{file}'"
    )
}

fn next_log_start(database: &str) -> String {
    format!(
        "SELECT last_log_backup_lsn FROM sys.database_recovery_status drs \
         JOIN sys.databases db ON drs.database_id = db.database_id WHERE db.name = '{database}'"
    )
}

fn differential_base(database: &str) -> String {
    format!("SELECT differential_base_lsn FROM sys.master_files mf WHERE mf.name = '{database}'")
}

/// Where the chain of each database stands.
fn standings(
    there: &Context<'_>,
    databases: &BTreeSet<String>,
    files: &[BackupFile],
) -> Result<BTreeMap<String, Standing>, CaptureError> {
    let newest = |database: &str, kind: Kind| {
        let of = |file: &&BackupFile| file.database == database && file.kind == kind;
        files.iter().filter(of).max().map(|file| file.name.as_str())
    };
    let mut queries = Vec::new();
    for database in databases {
        // A file that is not there is asked for under a name that no file has.
        let full = newest(database, Kind::Full).unwrap_or("@none.bak");
        let log = newest(database, Kind::Log).unwrap_or("@none.log");
        queries.push(of_backup("checkpoint_lsn", database, full));
        queries.push(differential_base(database));
        queries.push(of_backup("last_lsn", database, log));
        queries.push(next_log_start(database));
    }
    let answers = ask(there, "ask for the backup chains", &queries)?;
    let standing = |four: &[String]| Standing {
        full_checkpoint: lsn(&four[0]),
        differential_base: lsn(&four[1]),
        log_last: lsn(&four[2]),
        next_log_start: lsn(&four[3]),
    };
    Ok(databases.iter().cloned().zip(answers.chunks_exact(4).map(standing)).collect())
}

/// What is to be taken, with a warning where safety asked for more than age.
fn decision(
    ctx: &Context<'_>,
    before: &Before,
    standings: &BTreeMap<String, Standing>,
    captured: &mut Captured,
) -> Decision {
    let full = |reason: String| Decision { kind: Some(Kind::Full), reason, upgraded: true };
    let decision = if before.files.is_empty() {
        Decision { kind: Some(Kind::Full), reason: "there is no full backup yet".into(), upgraded: false }
    } else if before.chain.uuid != ctx.facts.uuid {
        full("the last files are of another machine's server; chains never go on across servers".into())
    } else {
        decide(ctx.started.as_second(), ctx.settings.mssql_cadence, &before.files, standings).unwrap_or_else(
            |foreign| {
                full(format!("files of databases that the server does not have: {}", foreign.join(", ")))
            },
        )
    };
    tracing::debug!(kind = ?decision.kind, reason = decision.reason, "MSSQL backup");
    if decision.upgraded {
        captured.warnings.push(format!("a full backup was taken: {}", decision.reason));
    }
    decision
}

/// Lets the server write its files; a failure is a problem, since files may be there all the same (contract §2.6).
fn export(there: &Context<'_>, kind: Kind, captured: &mut Captured) -> Result<bool, CaptureError> {
    there.check_cancelled()?;
    let label = format!("export MSSQL ({kind})");
    let mut command = RemoteCommand::bulk(label.clone(), there.bash(kind.command()), there.settings.idle);
    command.idle = None;
    command.deadline = Some(EXPORT_MAX);
    let output = there.channel.run(&command, &[])?;
    let ended = check(&label, &output.exit);
    if let Err(source) = &ended {
        captured.problems.push(source.to_string());
    }
    let cadence = quote(&there.settings.mssql_cadence.to_string());
    if let Err(source) =
        there.output("note the MSSQL cadence", &format!("ghe-config mssql.backup.cadence {cadence}"), &[])
    {
        captured.warnings.push(source.to_string());
    }
    Ok(ended.is_ok())
}

/// Fetches the files that the server wrote.
fn fetch_all(
    there: &Context<'_>,
    files: &mut BTreeMap<String, Node>,
    captured: &mut Captured,
) -> Result<(), CaptureError> {
    let folder = format!("{}/mssql/backups", there.settings.data_root);
    let quoted = quote(&folder);
    let script =
        format!("sudo test -d {quoted} && sudo find {quoted} -maxdepth 1 -type f -printf '%s %f\\0'");
    let listed = there.output("list MSSQL backups", &script, &[])?;
    for record in listed.split(|b| *b == 0).filter(|record| !record.is_empty()) {
        there.check_cancelled()?;
        let record = String::from_utf8_lossy(record);
        let Some((size, name)) = record.split_once(' ') else { continue };
        if BackupFile::parse(name).is_none() {
            captured
                .warnings
                .push(format!("`{name}` among the MSSQL backups has an unknown name and was left out"));
            continue;
        }
        let size: u64 = size.parse().unwrap_or(0);
        if files.get(name).is_some_and(|node| node.meta.size == size) {
            continue;
        }
        let command = there
            .stream(&format!("read {name}"), &format!("sudo cat {}", quote(&format!("{folder}/{name}"))));
        match there.store_output(PART, &path(name), &command, false, |_| Ok(())) {
            Ok((node, read)) if node.meta.size == size && size > 0 => {
                captured.bytes_read += read;
                captured.files_changed += 1;
                files.insert(name.to_owned(), node);
            }
            Ok((node, _)) => captured.problems.push(format!(
                "`{name}` has {size} bytes on the appliance, but {} were delivered",
                node.meta.size
            )),
            Err(source) if source.ends_run() => return Err(source),
            Err(source) => captured.problems.push(format!("`{name}`: {source}")),
        }
    }
    Ok(())
}

/// Records the numbers of all files, and names what does not form a chain.
fn prove(
    there: &Context<'_>,
    databases: &BTreeSet<String>,
    files: &BTreeMap<String, Node>,
    before: &Before,
    captured: &mut Captured,
) -> Result<(), CaptureError> {
    let parsed: Vec<BackupFile> = files.keys().filter_map(|name| BackupFile::parse(name)).collect();
    let same_server = before.chain.uuid == there.facts.uuid;
    let known = |file: &BackupFile| before.chain.link(&file.name).filter(|_| same_server);
    let unknown: Vec<&BackupFile> = parsed.iter().filter(|file| known(file).is_none()).collect();
    let queries: Vec<String> = unknown
        .iter()
        .flat_map(|file| {
            ["checkpoint_lsn", "last_lsn"].map(|column| of_backup(column, &file.database, &file.name))
        })
        .collect();
    let answers = ask(there, "ask for the new backups", &queries)?;
    let mut links: Vec<Link> = parsed.iter().filter_map(known).cloned().collect();
    links.extend(unknown.iter().zip(answers.chunks_exact(2)).map(|(file, two)| Link {
        file: file.name.clone(),
        checkpoint: lsn(&two[0]),
        last: lsn(&two[1]),
    }));
    links.sort_by(|a, b| a.file.cmp(&b.file));
    let after = standings(there, databases, &parsed)?;
    let next_log_start = after
        .iter()
        .filter_map(|(database, standing)| Some((database.clone(), standing.next_log_start?.to_string())))
        .collect();
    let record = Chain { uuid: there.facts.uuid.clone(), next_log_start, links };
    captured.problems.extend(chain::faults(databases, &parsed, &record, &after));
    let text = serde_json::to_vec_pretty(&record).map_err(|source| {
        CaptureError::Unexpected(format!("the chain's record cannot be written: {source}"))
    })?;
    captured.replace.insert(chain::FILE.into(), there.store_bytes(chain::FILE.as_bytes(), &text)?);
    Ok(())
}
