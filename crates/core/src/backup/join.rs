//! Joins what the datasets contributed into the tree of the new snapshot.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Instant,
};

use super::{
    commit::{Identity, Joined, Keep},
    context::{CaptureError, Captured, Ground},
    files::survey::Known,
    layers, pages,
    report::DatasetReport,
    run::{BackupError, Done},
};
use crate::{
    seal::Outcome,
    vault::{DirNode, Graft, VaultError},
};

/// A run whose datasets have ended, before its snapshot.
pub(super) struct Finished<'a, 'c> {
    pub(super) keep: Keep<'a>,
    pub(super) ground: Ground<'c>,
    /// Unit digests of the parent.
    pub(super) known: &'c Known,
    pub(super) identity: Identity,
    pub(super) done: Vec<Done>,
    pub(super) held: f64,
    pub(super) warnings: Vec<String>,
    pub(super) clock: Instant,
}

impl<'a> Finished<'a, '_> {
    /// Joins what the datasets contributed into one tree.
    pub(super) fn join(self) -> Result<Joined<'a>, BackupError> {
        let Self { keep, ground, known, identity, done, held, mut warnings, clock } = self;
        let ctx = &ground;
        let mut graft = Graft::default();
        let mut units: BTreeMap<Vec<u8>, [u8; 16]> = BTreeMap::new();
        let mut refs: BTreeMap<Vec<u8>, [u8; 32]> = BTreeMap::new();
        let mut names: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut rows = Vec::new();
        let mut lost: BTreeSet<&'static str> = BTreeSet::new();
        for row in done {
            let Done { name, seconds, result } = row;
            match result {
                Ok(captured) => {
                    warnings.extend(captured.warnings.iter().map(|text| format!("{name}: {text}")));
                    rows.push(report(name, seconds, &captured));
                    graft.replace.extend(captured.replace);
                    graft.remove.extend(captured.remove);
                    graft.directories.extend(
                        captured
                            .folders
                            .into_iter()
                            .map(|(path, meta)| (path, DirNode { meta, children: None })),
                    );
                    units.extend(captured.units);
                    refs.extend(captured.refs);
                    names.extend(captured.names.into_iter().map(|(path, name)| (path, name.into_bytes())));
                }
                Err(source) => {
                    lost.insert(name);
                    rows.push(failed(name, seconds, &source));
                }
            }
        }
        if rows.iter().all(|row| row.outcome == Outcome::Failed) {
            let first = rows.iter().find_map(|row| row.problems.first());
            return Err(BackupError::Nothing {
                first: first.cloned().unwrap_or_else(|| "no dataset was wanted".into()),
            });
        }
        // A dataset that failed or was left out keeps what the parent has, with the digests of that.
        for (path, digest) in known {
            let name = path.split(|b| *b == b'/').next().unwrap_or_default();
            let name = String::from_utf8_lossy(name);
            if lost.contains(&*name) || !keep.settings.wants(&name) {
                units.insert(path.clone(), *digest);
            }
        }
        drop_gone_items(ctx, &rows, &mut graft)?;
        drop_taken_over(ctx, &mut graft)?;
        prune_removals(&mut graft);
        // Repositories that were not taken again keep the digests and names that they had.
        let mut known_refs: HashMap<Vec<u8>, [u8; 32]> = HashMap::new();
        let (begun, mut digests_s) = (Instant::now(), 0.0);
        if let Some(parent) = ctx.parent {
            known_refs = pages::read_all(ctx.reader, parent, pages::REFS)?;
            for (path, digest) in &known_refs {
                if units.contains_key(path) {
                    refs.entry(path.clone()).or_insert(*digest);
                }
            }
            digests_s = begun.elapsed().as_secs_f64();
            for (path, name) in pages::read_all(ctx.reader, parent, pages::NAMES)? {
                if units.contains_key(&path) {
                    names.entry(path).or_insert(name);
                }
            }
        }
        write_small(ctx, &mut graft, &identity)?;
        write_layers(ctx, &mut graft, pages::UNITS, known, &units)?;
        let begun = Instant::now();
        write_layers(ctx, &mut graft, pages::REFS, &known_refs, &refs)?;
        digests_s += begun.elapsed().as_secs_f64();
        tracing::debug!(seconds = digests_s, repositories = refs.len(), "ref digests kept");
        write_pages(ctx, &mut graft, pages::NAMES, &names)?;
        let tree = graft.apply(ctx.reader, ctx.writer, ctx.parent)?;
        Ok(Joined { keep, identity, tree, rows, held, warnings, started: ground.started, clock, run: None })
    }
}

/// Items of earlier snapshots that a complete dataset does not have any more (a secret that was unset, SAML keys that are gone).
fn drop_gone_items(ctx: &Ground<'_>, rows: &[DatasetReport], graft: &mut Graft) -> Result<(), VaultError> {
    let Some(parent) = ctx.parent else { return Ok(()) };
    let complete = |name: &str| rows.iter().any(|row| row.name == name && row.outcome == Outcome::Complete);
    for node in ctx.reader.tree(&parent)?.nodes {
        let name = node.name().to_string_lossy().into_owned();
        let owner = match name.as_str() {
            "saml-keys.tar" | "ssl-ca-certificates.tar" | "uuid" | "cluster.conf" => "settings",
            "es-scan-complete" => "audit-log",
            "mysql.sql"
            | "mysql.sql.gz"
            | "mysql-binary-backup-sentinel"
            | "logical-external-database-backup-sentinel" => "mysql",
            file if crate::appliance::secret_table::SECRETS.iter().any(|row| row.file == file) => "secrets",
            _ => continue,
        };
        if complete(owner) && !graft.replace.contains_key(name.as_bytes()) {
            graft.remove.insert(name.into_bytes());
        }
    }
    Ok(())
}

/// Entries of the root that a backup makes beside secrets and file datasets.
const MADE: &[&str] = &[
    "version",
    "strategy",
    "uuid",
    "cluster.conf",
    "settings.json",
    "enterprise.ghl",
    "saml-keys.tar",
    "ssl-ca-certificates.tar",
    "authorized-keys.json",
    "ssh-host-keys.tar",
    "mysql.sql",
    "mysql.sql.gz",
    "mysql-binary-backup-sentinel",
    "logical-external-database-backup-sentinel",
    "redis.rdb",
    "audit-log",
    "es-scan-complete",
    "ghevault",
];

/// What only a parent that was taken over has: the record of that, incremental chains, measurements of backup-utils.
fn drop_taken_over(ctx: &Ground<'_>, graft: &mut Graft) -> Result<(), VaultError> {
    let Some(parent) = ctx.parent else { return Ok(()) };
    let record = "ghevault/import.json";
    if ctx.reader.node_at(parent, record)?.is_none() {
        return Ok(());
    }
    graft.remove.insert(record.into());
    graft.remove.insert("ghevault/mysql-chain.json".into());
    let secret = |name: &str| crate::appliance::secret_table::SECRETS.iter().any(|row| row.file == name);
    for node in ctx.reader.tree(&parent)?.nodes {
        let name = node.name().to_string_lossy().into_owned();
        let ours = MADE.contains(&&*name) || super::settings::DATASETS.contains(&&*name) || secret(&name);
        if !ours && !graft.replace.contains_key(name.as_bytes()) {
            graft.remove.insert(name.into_bytes());
        }
    }
    Ok(())
}

/// A removal inside a removed folder says nothing new, and would bring the folder back.
fn prune_removals(graft: &mut Graft) {
    let all = std::mem::take(&mut graft.remove);
    let inside = |path: &[u8]| memchr::memchr_iter(b'/', path).any(|at| all.contains(&path[..at]));
    graft.remove = all.iter().filter(|path| !inside(path)).cloned().collect();
}

/// Version and strategy, as backup-utils writes them (contract §4.3).
fn write_small(ctx: &Ground<'_>, graft: &mut Graft, identity: &Identity) -> Result<(), VaultError> {
    let version = format!("v{}\n", identity.version);
    let strategy = if identity.cluster { "cluster\n" } else { "rsync\n" };
    for (path, text) in [("version", version.as_str()), ("strategy", strategy)] {
        graft.replace.insert(path.into(), ctx.store_bytes(path.as_bytes(), text.as_bytes())?);
    }
    Ok(())
}

/// The records of one kind, over those of the parent, which are `before`.
fn write_layers<V: AsRef<[u8]> + PartialEq>(
    ctx: &Ground<'_>,
    graft: &mut Graft,
    folder: &str,
    before: &HashMap<Vec<u8>, V>,
    now: &BTreeMap<Vec<u8>, V>,
) -> Result<(), VaultError> {
    let shape = match ctx.parent {
        Some(parent) => pages::shape(ctx.reader, parent, folder)?,
        None => layers::Shape::default(),
    };
    let plan = layers::plan(&shape, before, now);
    graft.remove.extend(plan.remove.iter().map(|name| format!("{folder}/{name}").into_bytes()));
    for (name, content) in plan.write {
        let path = format!("{folder}/{name}").into_bytes();
        graft.replace.insert(path.clone(), ctx.store_bytes(&path, &content)?);
    }
    Ok(())
}

/// The plain pages of names; pages that are empty now are removed.
fn write_pages(
    ctx: &Ground<'_>,
    graft: &mut Graft,
    folder: &str,
    records: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> Result<(), VaultError> {
    let new = pages::write(records.iter().map(|(path, value)| (&path[..], &value[..])));
    let names: BTreeSet<Vec<u8>> = new.keys().map(|name| name.clone().into_bytes()).collect();
    graft.remove.extend(ctx.gone_from(folder.as_bytes(), &names)?);
    for (name, content) in new {
        let path = format!("{folder}/{name}").into_bytes();
        graft.replace.insert(path.clone(), ctx.store_bytes(&path, &content)?);
    }
    Ok(())
}

pub(super) fn report(name: &str, seconds: f64, captured: &Captured) -> DatasetReport {
    let outcome = if captured.problems.is_empty() { Outcome::Complete } else { Outcome::Partial };
    DatasetReport {
        name: name.into(),
        outcome,
        items: captured.items,
        bytes: captured.bytes,
        bytes_read: captured.bytes_read,
        files_changed: captured.files_changed,
        seconds,
        problems: captured.problems.clone(),
    }
}

pub(super) fn failed(name: &str, seconds: f64, source: &CaptureError) -> DatasetReport {
    DatasetReport {
        name: name.into(),
        outcome: Outcome::Failed,
        items: 0,
        bytes: 0,
        bytes_read: 0,
        files_changed: 0,
        seconds,
        problems: vec![source.to_string()],
    }
}
