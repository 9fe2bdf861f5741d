//! Repositories, wikis and gists (contract §2.11, §3).
//!
//! With the gate held: references and everything small first, objects afterwards, so that every captured reference finds its objects. Two
//! listings do it: the first leaves out each repository's `objects` and only names them, the second lists those.

use super::cluster;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use crate::{
    appliance::{
        listing::{FORMAT, FORMAT_PLACE},
        quote::quote,
    },
    backup::{
        context::{CaptureError, Captured, Context},
        files::{
            capture::{Fortune, Taken, Tally, lossy},
            survey::{Survey, Surveyed},
        },
        unit::{is_objects, repository_of, unit_of},
    },
    vault::Node,
};

const PART: &str = "repositories";

/// Entries of changed units that are taken in one batch; bounds memory.
const BATCH_ENTRIES_MAX: u64 = 50_000;

/// Leaves out caches (contract §2.11), and every repository's `objects` with `-prune`.
const PRUNE_CACHES: &str = r"\( \( -name '__*__' -o -name 'lost+found' -o -name .sync_in_progress \) \( -path repositories/__nodeload_archives__ -o -path repositories/__gitmon__ -o -path repositories/__render__ -o -path repositories/info/lost+found -o -path repositories/.sync_in_progress \) \) -prune -o";
/// Leaves out what is no route's: another shard takes it.
const PRUNE_SPECIAL: &str = r"\( -path 'repositories/__*' -o -path repositories/info \) -prune -o";
const PLACE_OBJECTS: &str = r"-type d -name objects -regextype posix-extended -regex 'repositories/([^/]+/nw/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+|[^/]+/[^/]+/[^/]+/[^/]+/gist/[^/]+|[^_/][^/]*/[^/]+)\.git/objects' -prune";

/// Captures all repositories.
///
/// # Errors
/// The connection or the vault fails as a whole, or the appliance names no routes.
pub fn capture(ctx: &Context<'_>) -> Result<Captured, CaptureError> {
    let mut captured = Captured::default();
    let list = ctx.output("list routes", "github-env ./bin/dgit-cluster-backup-routes", &[])?;
    let routes = routes(ctx, &list, &mut captured)?;
    if !ctx.machines.cluster() {
        return capture_routes(ctx, &routes, captured);
    }
    let spread = cluster::repositories(ctx, &list)?;
    let on_nodes = Context { spread: Some(&spread), ..*ctx };
    let mut captured = capture_routes(&on_nodes, &routes, captured)?;
    cluster::tell(&on_nodes, &spread, "git", &mut captured);
    Ok(captured)
}

/// Captures what the routes name, from the connected machine or from the nodes that have it.
fn capture_routes(
    ctx: &Context<'_>,
    routes: &BTreeSet<Vec<u8>>,
    mut captured: Captured,
) -> Result<Captured, CaptureError> {
    let tally = Tally::default();
    let root = quote(&ctx.settings.data_root);
    let expression = format!("{PRUNE_CACHES} {PLACE_OBJECTS} -printf '{FORMAT_PLACE}' -o -printf '{FORMAT}'");
    let mut survey = if let Some(spread) = ctx.spread {
        ctx.list_places(spread, (PART, "list repositories"), &expression, &tally)?
    } else if let Some(shard) = &ctx.settings.shard {
        let more = if shard.is_first() { "" } else { PRUNE_SPECIAL };
        let prune = format!("{PRUNE_CACHES} {more}");
        ctx.list_share((PART, "list repositories"), &prune, &expression, &tally)?
    } else {
        let script = format!("cd {root} && sudo find repositories {expression} | gzip -1");
        ctx.list("list repositories", &script, &[], &tally)?
    };
    captured.items = survey.files;
    captured.bytes = survey.bytes;
    let (own, _) = ctx.shares(routes.iter().cloned());
    compare_routes(&own.into_iter().collect(), &survey, &mut captured);
    ctx.take_spine(PART, &mut survey, &mut captured, &tally)?;

    let mut run = Run { ctx, tally: &tally, root, expression, removed: BTreeSet::new() };
    let units = std::mem::take(&mut survey.units);
    let mut places: BTreeSet<Vec<u8>> = survey.places.drain(..).collect();
    run.removals(&units, &places, &mut captured);
    let mut batch = BTreeMap::new();
    let mut entries = 0;
    for (path, unit) in units {
        if !unit.changed() || unit_of(&path, true).spine {
            captured.units.push((path, unit.digest));
            continue;
        }
        entries += unit.entries;
        batch.insert(path, unit);
        if entries >= BATCH_ENTRIES_MAX {
            run.batch(std::mem::take(&mut batch), &mut places, &mut captured)?;
            entries = 0;
        }
    }
    run.batch(batch, &mut places, &mut captured)?;
    // What remains are the objects of repositories whose references did not change.
    run.batch_of_objects(places, BTreeMap::new(), &mut captured)?;
    captured.bytes_read = tally.bytes_read.load(Ordering::Relaxed);
    captured.files_changed = tally.files.load(Ordering::Relaxed);
    Ok(captured)
}

/// The route list: network folders and gists (contract §2.11).
fn routes(
    ctx: &Context<'_>,
    listed: &[u8],
    captured: &mut Captured,
) -> Result<BTreeSet<Vec<u8>>, CaptureError> {
    let routes: BTreeSet<Vec<u8>> = listed
        .split(|b| *b == b'\n')
        .filter_map(|line| line.split(|b| *b == b' ' || *b == b'\t').next())
        .filter(|path| !path.is_empty())
        .map(|path| [b"repositories/", path].concat())
        .collect();
    if routes.is_empty() {
        if !ctx.settings.allow_no_repositories {
            return Err(CaptureError::Unexpected("the appliance names no repositories at all".into()));
        }
        captured.warnings.push("the appliance names no repositories".into());
    }
    captured.routes.clone_from(&routes);
    Ok(routes)
}

/// Routes without a folder and folders without a route are worth a warning (contract §2.11).
fn compare_routes(routes: &BTreeSet<Vec<u8>>, survey: &Survey, captured: &mut Captured) {
    let mut on_disk: BTreeSet<&[u8]> = BTreeSet::new();
    for path in survey.units.keys().filter(|path| crate::backup::unit::is_repository(path)) {
        let network = memchr::memrchr(b'/', path).map_or(&path[..], |at| &path[..at]);
        on_disk.insert(if network.ends_with(b"/gist") { path } else { network });
    }
    let name = |path: &[u8]| lossy(path.strip_prefix(b"repositories/").unwrap_or(path));
    let tell = |what: &str, paths: Vec<String>, captured: &mut Captured| {
        if let Some(first) = paths.first() {
            captured.warnings.push(format!("{} {what}, e.g. `{first}`", paths.len()));
        }
    };
    let missing = routes.iter().filter(|route| !on_disk.contains(&route[..])).map(|p| name(p)).collect();
    tell("routes have no folder", missing, captured);
    let extra = on_disk.iter().filter(|path| !routes.contains(**path)).map(|p| name(p)).collect();
    tell("folders have no route (captured all the same)", extra, captured);
}

struct Run<'a, 'b> {
    ctx: &'a Context<'b>,
    tally: &'a Tally,
    root: String,
    expression: String,
    removed: BTreeSet<Vec<u8>>,
}

impl Run<'_, '_> {
    /// Units of the parent that the listing does not have any more.
    fn removals(
        &mut self,
        units: &BTreeMap<Vec<u8>, Surveyed>,
        places: &BTreeSet<Vec<u8>>,
        captured: &mut Captured,
    ) {
        let ours = |path: &&Vec<u8>| path.starts_with(b"repositories/");
        for path in self.ctx.known.keys().filter(ours) {
            let there = if is_objects(path) { places.contains(path) } else { units.contains_key(path) };
            if !there
                && !is_objects(path)
                && !unit_of(path, true).spine
                && self.ctx.why_missing(path).is_none()
            {
                self.removed.insert(path.clone());
                captured.remove.insert(path.clone());
            }
        }
    }

    fn relist(&self, units: &[Vec<u8>]) -> Result<Survey, CaptureError> {
        let (root, inner) = (&self.root, format!("exec find \"$@\" {}", self.expression));
        let script = format!("cd {root} && sudo xargs -0 -r sh -c {} sh | gzip -1", quote(&inner));
        self.ctx.list("list repositories again", &script, units, self.tally)
    }

    fn list_objects(&self, places: &[Vec<u8>]) -> Result<Survey, CaptureError> {
        let inner = format!(r#"exec find "$@" -name 'tmp_*' -prune -o -printf '{FORMAT}'"#);
        let script = format!("cd {} && sudo xargs -0 -r sh -c {} sh | gzip -1", self.root, quote(&inner));
        self.ctx.list("list objects", &script, places, self.tally)
    }

    /// Takes changed repositories, then their objects.
    fn batch(
        &self,
        units: BTreeMap<Vec<u8>, Surveyed>,
        places: &mut BTreeSet<Vec<u8>>,
        captured: &mut Captured,
    ) -> Result<(), CaptureError> {
        if units.is_empty() {
            return Ok(());
        }
        let fortunes = self.ctx.take(PART, units, &|again| self.relist(again), self.tally)?;
        let mut taken = BTreeMap::new();
        let mut of_batch = BTreeSet::new();
        for (path, fortune) in fortunes {
            let objects = [&path[..], b"/objects"].concat();
            match fortune {
                Fortune::Taken(unit) => {
                    if places.remove(&objects) {
                        of_batch.insert(objects);
                    }
                    taken.insert(path, *unit);
                }
                Fortune::Same(digest) => captured.units.push((path, digest)),
                Fortune::Gone => {
                    places.remove(&objects);
                    captured.warnings.push(format!("`{}` was deleted during the run", lossy(&path)));
                    captured.remove.insert(path);
                }
                Fortune::Failed(why) => {
                    places.remove(&objects);
                    self.keep(&path, &why, captured);
                }
            }
        }
        self.batch_of_objects(of_batch, taken, captured)
    }

    /// Lists and takes objects, and joins them with the repositories taken before (or with the parent's).
    fn batch_of_objects(
        &self,
        places: BTreeSet<Vec<u8>>,
        mut taken: BTreeMap<Vec<u8>, Taken>,
        captured: &mut Captured,
    ) -> Result<(), CaptureError> {
        let places: Vec<Vec<u8>> = places.into_iter().collect();
        let survey = if places.is_empty() { Survey::default() } else { self.list_objects(&places)? };
        captured.items += survey.files;
        captured.bytes += survey.bytes;
        for objects in
            places.iter().filter(|path| self.ctx.spread.is_some() && !survey.units.contains_key(*path))
        {
            // Never a repository without its objects because a node went away.
            let repository = repository_of(objects).to_vec();
            let why = self.ctx.why_missing(objects).unwrap_or_else(|| "its objects vanished".into());
            taken.remove(&repository);
            self.keep(&repository, &why, captured);
        }
        let mut changed = BTreeMap::new();
        let mut fortunes = BTreeMap::new();
        for (path, unit) in survey.units {
            if unit.changed() {
                changed.insert(path, unit);
            } else {
                fortunes.insert(path, Fortune::Same(unit.digest));
            }
        }
        fortunes.extend(self.ctx.take(PART, changed, &|again| self.list_objects(again), self.tally)?);
        for (objects, fortune) in fortunes {
            let repository = repository_of(&objects).to_vec();
            let refs = taken.remove(&repository);
            self.join(repository, objects, refs, fortune, captured)?;
        }
        // Repositories without objects of their own (a place that vanished, or none): rare, and complete as they are.
        for (path, unit) in taken {
            self.join_taken(path, unit, None, captured)?;
        }
        Ok(())
    }

    fn join(
        &self,
        repository: Vec<u8>,
        objects: Vec<u8>,
        refs: Option<Taken>,
        fortune: Fortune,
        captured: &mut Captured,
    ) -> Result<(), CaptureError> {
        let (node, digest) = match fortune {
            Fortune::Taken(unit) => {
                captured.warnings.extend(unit.warnings);
                (self.ctx.finish_folder(unit.root, unit.children)?, unit.digest)
            }
            Fortune::Same(digest) => {
                captured.units.push((objects.clone(), digest));
                let Some(unit) = refs else { return Ok(()) };
                let Some(node) = self.ctx.parent_node(&objects)? else {
                    return Err(CaptureError::Unexpected(format!(
                        "the parent snapshot lacks `{}`; use --full",
                        lossy(&objects)
                    )));
                };
                return self.join_taken(repository, unit, Some(node), captured);
            }
            Fortune::Gone => {
                captured.warnings.push(format!("`{}` was deleted during the run", lossy(&repository)));
                captured.remove.insert(repository);
                return Ok(());
            }
            Fortune::Failed(why) => {
                self.keep(&repository, &why, captured);
                return Ok(());
            }
        };
        captured.units.push((objects.clone(), digest));
        if let Some(unit) = refs {
            return self.join_taken(repository, unit, Some(node), captured);
        }
        // Only objects changed: the parent's references and this folder.
        captured.replace.insert(objects, node);
        Ok(())
    }

    fn join_taken(
        &self,
        repository: Vec<u8>,
        unit: Taken,
        objects: Option<Node>,
        captured: &mut Captured,
    ) -> Result<(), CaptureError> {
        let Taken { root, mut children, digest, refs, name, warnings } = unit;
        captured.warnings.extend(warnings);
        children.extend(objects);
        children.sort_by(|a, b| a.name().cmp(&b.name()));
        let node = self.ctx.finish_folder(root, children)?;
        captured.refs.extend(refs.map(|refs| (repository.clone(), refs)));
        captured.names.extend(name.map(|name| (repository.clone(), name)));
        captured.units.push((repository.clone(), digest));
        captured.replace.insert(repository, node);
        Ok(())
    }

    /// A sick repository keeps its last good copy, with the digests of that copy, so that the next run tries again.
    fn keep(&self, repository: &[u8], why: &str, captured: &mut Captured) {
        let objects = [repository, b"/objects"].concat();
        for path in [repository, &objects] {
            if let Some(digest) = self.ctx.known.get(path) {
                captured.units.push((path.to_vec(), *digest));
            }
        }
        let state =
            if self.ctx.known.contains_key(repository) { "keeps its last good copy" } else { "is missing" };
        captured.problems.push(format!("repository `{}` {state}: {why}", lossy(repository)));
    }
}
