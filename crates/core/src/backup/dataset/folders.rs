//! Pages, storage, custom hooks and search indices: whole folders, one listing each (contract §2.10, §2.12-2.14).

use super::cluster;
use std::{collections::BTreeMap, sync::atomic::Ordering};

use crate::{
    appliance::{listing::FORMAT, quote::quote},
    backup::{
        context::{CaptureError, Captured, Context},
        files::{
            capture::{Fortune, Tally, lossy},
            survey::{Survey, Surveyed},
        },
        shard::SPREAD,
        unit::unit_of,
    },
};

/// What `find` is told beside the folder, so that it leaves out what is no part of the dataset.
fn expression(folder: &str) -> &'static str {
    match folder {
        // Unpacked environments are made again from their tarballs (contract §2.14).
        "git-hooks" => {
            r"-regextype posix-extended \( -regex 'git-hooks/environments/[^/]+' ! -name tarballs -o -regex 'git-hooks/[^/]+' ! -name environments ! -name repos \) -prune -o"
        }
        // Locks, dumps and scratch files of the services (contract §2.7).
        "actions" => r"\( -name mutexes -o -name dumps -o -name tmp \) -prune -o",
        "minio" => r"-name .minio.sys -prune -o",
        _ => "",
    }
}

/// The feature without which a folder is no dataset (contract §2.2).
fn feature(folder: &str) -> Option<&'static str> {
    match folder {
        "actions" => Some("app.actions.enabled"),
        "minio" => Some("app.minio.enabled"),
        _ => None,
    }
}

/// Captures one folder of the data root.
///
/// # Errors
/// The connection or the vault fails as a whole.
pub fn capture(ctx: &Context<'_>, folder: &str) -> Result<Captured, CaptureError> {
    if feature(folder).is_some_and(|flag| !ctx.facts.flag(flag)) {
        return super::left_behind(ctx, &[folder]);
    }
    // Actions' files and MinIO's lie on the machine that one connects to, in a cluster as well.
    if ctx.machines.cluster() && feature(folder).is_none() {
        let spread = cluster::folder(ctx, folder)?;
        let on_nodes = Context { spread: Some(&spread), ..*ctx };
        let mut captured = capture_here(&on_nodes, folder)?;
        cluster::tell(&on_nodes, &spread, cluster::role(folder), &mut captured);
        return Ok(captured);
    }
    capture_here(ctx, folder)
}

/// Captures the folder from the connected machine or from the nodes that have it.
fn capture_here(ctx: &Context<'_>, folder: &str) -> Result<Captured, CaptureError> {
    let mut captured = Captured::default();
    if ctx.spread.is_none() && !ctx.facts.folders.iter().any(|there| there == folder) {
        return Ok(captured);
    }
    let tally = Tally::default();
    let root = quote(&ctx.settings.data_root);
    let find = |roots: &str| {
        format!("cd {root} && sudo {roots} {} -printf '{FORMAT}' | gzip -1", expression(folder))
    };
    let label = format!("list {folder}");
    let survey = match ctx.spread {
        Some(spread) => {
            let expression = format!("{} -printf '{FORMAT}'", expression(folder));
            ctx.list_places(spread, (folder, &label), &expression, &tally)?
        }
        None if ctx.settings.shard.is_some() && SPREAD.contains(&folder) => {
            ctx.list_share((folder, &label), "", &format!("-printf '{FORMAT}'"), &tally)?
        }
        None => ctx.list(&label, &find(&format!("find {}", quote(folder))), &[], &tally)?,
    };
    let relist = |units: &[Vec<u8>]| {
        let inner = format!("exec find \"$@\" {} -printf '{FORMAT}'", expression(folder));
        let script = format!("cd {root} && sudo xargs -0 -r sh -c {} sh | gzip -1", quote(&inner));
        ctx.list(&format!("list parts of {folder} again"), &script, units, &tally)
    };
    finish(ctx, folder, survey, &relist, &tally, &mut captured)?;
    captured.bytes_read = tally.bytes_read.load(Ordering::Relaxed);
    captured.files_changed = tally.files.load(Ordering::Relaxed);
    Ok(captured)
}

/// Takes the changed units of a survey whose units are all closed ones or spine.
fn finish(
    ctx: &Context<'_>,
    folder: &str,
    mut survey: Survey,
    relist: &crate::backup::files::capture::Relist<'_>,
    tally: &Tally,
    captured: &mut Captured,
) -> Result<(), CaptureError> {
    captured.items = survey.files;
    captured.bytes = survey.bytes;
    ctx.take_spine(folder, &mut survey, captured, tally)?;
    let units = std::mem::take(&mut survey.units);
    let prefix = [folder.as_bytes(), b"/"].concat();
    for path in ctx.known.keys().filter(|path| path.starts_with(&prefix) || *path == folder.as_bytes()) {
        if !units.contains_key(path) && !unit_of(path, true).spine && ctx.why_missing(path).is_none() {
            captured.remove.insert(path.clone());
        }
    }
    let mut changed: BTreeMap<Vec<u8>, Surveyed> = BTreeMap::new();
    for (path, unit) in units {
        if unit.changed() && !unit_of(&path, true).spine {
            changed.insert(path, unit);
        } else {
            captured.units.push((path, unit.digest));
        }
    }
    for (path, fortune) in ctx.take(folder, changed, relist, tally)? {
        match fortune {
            Fortune::Taken(taken) => {
                captured.warnings.extend(taken.warnings);
                let node = ctx.finish_folder(taken.root, taken.children)?;
                captured.units.push((path.clone(), taken.digest));
                captured.replace.insert(path, node);
            }
            Fortune::Same(digest) => captured.units.push((path, digest)),
            Fortune::Gone => {
                captured.remove.insert(path);
            }
            Fortune::Failed(why) => {
                if let Some(known) = ctx.known.get(&path) {
                    captured.units.push((path.clone(), *known));
                }
                captured.problems.push(format!("`{}` is stale or missing: {why}", lossy(&path)));
            }
        }
    }
    Ok(())
}
