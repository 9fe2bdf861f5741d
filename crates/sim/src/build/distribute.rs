//! Distributes the content of an appliance over the machines of a cluster: each keeps what it holds or serves, and loses
//! the rest.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    appliance::{
        Place, State,
        commands::{mysql, redis},
        placement::{self, Held},
        roster::Roster,
        state,
    },
    error::{OnFile, SimError},
};

/// Distributes what all of `places` hold alike; the first is the one whose state is complete.
///
/// # Errors
/// A file or state cannot be read or changed.
pub(super) fn distribute(places: &[Place]) -> Result<(), SimError> {
    let roster = Roster::load(&places[0])?
        .ok_or_else(|| SimError::Refused("clustering is not configured".to_owned()))?;
    let mut whole = State::load(&places[0])?;
    placement::place_all(&roster, &mut whole);
    for place in places {
        let own = Roster::load(place)?.map(|roster| roster.own).unwrap_or_default();
        let Some(member) = roster.member(&own) else { continue };
        for held in [Held::Git, Held::Pages, Held::Storage] {
            let serves = member.roles.contains(held.role());
            let kept =
                |item: &str| serves && whole.replicas.get(item).is_some_and(|at| at.contains(&member.uuid));
            for (item, path) in items(place, &whole, held) {
                if !kept(&item) {
                    remove(&path)?;
                }
            }
            prune(&place.disk(held.folder()), serves)?;
        }
        if !member.roles.contains("git") {
            empty(&place.disk("/data/user/git-hooks"))?;
        }
        if roster.masters.get("redis") != Some(&own) {
            remove(&place.disk(redis::DUMP))?;
        }
        if roster.serving("elasticsearch").next().map(|home| &home.name) != Some(&own) {
            empty(&place.store("audit-log"))?;
            empty(&place.disk("/data/user/elasticsearch"))?;
        }
        let master = roster.masters.get("mysql") == Some(&own);
        if !master {
            remove(&place.store(mysql::STORE))?;
        }
        State::update(place, |state| {
            state.replicas.clone_from(&whole.replicas);
            if !master {
                state.replicas.clear();
                state.networks.clear();
                state.gists.clear();
                state.pages.clear();
                state.storage.clear();
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The items of a kind, with their places on a machine.
fn items(place: &Place, state: &State, held: Held) -> Vec<(String, PathBuf)> {
    let folder = place.disk(held.folder());
    match held {
        Held::Git => {
            let routes = state.networks.values().map(|network| &network.path).chain(&state.gists);
            routes.map(|route| (route.clone(), folder.join(route))).collect()
        }
        Held::Pages => state.pages.iter().map(|route| (route.clone(), folder.join(route))).collect(),
        Held::Storage => {
            let of = |name: &String| (name.clone(), state::storage_path(place, name));
            state.storage.iter().map(|object| of(&object.sha256)).collect()
        }
    }
}

fn remove(path: &Path) -> Result<(), SimError> {
    let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match gone {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).on("remove", path),
        _ => Ok(()),
    }
}

fn empty(folder: &Path) -> Result<(), SimError> {
    let entries: BTreeSet<PathBuf> = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.on("list", folder)?.flatten().map(|entry| entry.path()).collect(),
    };
    entries.iter().try_for_each(|path| remove(path))
}

/// Removes folders that became empty below the folder of a kind; a machine without the role loses all of it.
fn prune(folder: &Path, serves: bool) -> Result<(), SimError> {
    if !serves {
        return empty(folder);
    }
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.on("list", folder)?,
    };
    for entry in entries {
        let entry = entry.on("list", folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Fan-out folders have one or two digits, or are called `nw` and `gist`.
        if entry.path().is_dir() && (name.len() <= 2 || name == "gist") {
            prune(&entry.path(), true)?;
            let _ = fs::remove_dir(entry.path());
        }
    }
    Ok(())
}
