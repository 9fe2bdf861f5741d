//! New forks, repositories, gists, pages and stored objects, as users make them.

use std::{fs, path::Path};

use super::{journal, refs};
use crate::{
    appliance::{
        Place, State,
        commands::{config_apply, elasticsearch},
        state::Network,
    },
    build::{
        gists,
        git::{self, Format},
        layout, networks, owners, pages, search, storage,
    },
    error::{OnFile, SimError},
    seed::Seed,
};

/// Puts a finished tree into its place: journals its references, gives it the right owner, renames it.
fn publish(place: &Place, made: &Path, route: &str) -> Result<(), SimError> {
    let target = place.repositories().join(route);
    for repository in bare_repositories(made)? {
        let below = repository.strip_prefix(made).unwrap_or(&repository).to_string_lossy().into_owned();
        let route = if below.is_empty() { route.to_owned() } else { format!("{route}/{below}") };
        for (name, value) in refs::read_all(&repository)? {
            journal::append(place, &route, &name, Some(value))?;
        }
    }
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).on("create", folder)?;
        for folder in folder.ancestors().take_while(|folder| *folder != place.repositories()) {
            owners::adopt_one(folder, &place.repositories())?;
        }
    }
    owners::adopt(made, &place.repositories())?;
    fs::rename(made, &target).on("move to", target)
}

fn bare_repositories(made: &Path) -> Result<Vec<std::path::PathBuf>, SimError> {
    if made.join("HEAD").exists() {
        return Ok(vec![made.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(made).on("list", made)? {
        found.push(entry.on("list", made)?.path());
    }
    Ok(found)
}

fn workshop(place: &Place, seed: &mut Seed) -> std::path::PathBuf {
    place.disk("/data/user/tmp").join(format!("new-{}", seed.hex(8)))
}

/// Forks the first repository of a network that has a shared store.
///
/// # Errors
/// A file cannot be written.
pub fn fork(place: &Place, network: &Network, seed: &mut Seed) -> Result<(), SimError> {
    let folder = place.repositories().join(&network.path);
    if !folder.join("network.git").is_dir() {
        return Ok(());
    }
    let id = network.members.iter().max().unwrap_or(&network.id) + 1;
    let made = workshop(place, seed);
    git::skeleton(&made, &format!("forker{}/repo{id}", seed.below(50)), Format::Sha1)?;
    git::borrow_from_network(&made)?;
    let shared = refs::read_all(&folder.join("network.git"))?;
    let tip = format!("refs/remotes/{}/heads/main", network.id).into_bytes();
    if let Some(value) = shared.get(&tip) {
        let path = made.join("refs/heads/main");
        fs::write(&path, format!("{value}\n")).on("write", path)?;
    }
    publish(place, &made, &format!("{}/{id}.git", network.path))?;
    register(place, &network.path)
}

/// Makes a new repository, in a network of its own.
///
/// # Errors
/// A file cannot be written, or `git` fails.
pub fn repository(place: &Place, seed: &mut Seed) -> Result<(), SimError> {
    let state = State::load(place)?;
    let id = state.networks.keys().max().unwrap_or(&0) / 10 * 10 + 11;
    let made = workshop(place, seed);
    networks::ordinary(&made, &seed.part("network"), id)?;
    let route = layout::network(id);
    publish(place, &made, &route)?;
    register(place, &route)
}

fn register(place: &Place, route: &str) -> Result<(), SimError> {
    State::update(place, |state| config_apply::register_network(place, state, route))
}

/// Makes a new gist.
///
/// # Errors
/// A file cannot be written, or `git` fails.
pub fn gist(place: &Place, seed: &mut Seed) -> Result<(), SimError> {
    let made = workshop(place, seed);
    let route = gists::create_at(&made, seed, &format!("life{}", seed.clone().hex(28)))?;
    publish(place, &made, &route)?;
    State::update(place, |state| {
        state.gists.insert(route);
        Ok(())
    })
}

/// Stores a new object.
///
/// # Errors
/// The file cannot be written.
pub fn object(place: &Place, seed: &mut Seed) -> Result<(), SimError> {
    let object = storage::create(place, seed)?;
    let path = crate::appliance::state::storage_path(place, &object.sha256);
    let root = place.disk("/data/user/storage");
    for path in path.ancestors().take_while(|path| *path != root) {
        owners::adopt_one(path, &root)?;
    }
    State::update(place, |state| {
        state.storage.insert(object);
        Ok(())
    })
}

/// Builds a site anew; its oldest build goes away, even under a reader.
///
/// # Errors
/// A file cannot be written or removed.
pub fn page(place: &Place, seed: &mut Seed) -> Result<(), SimError> {
    let id = 1 + seed.below(20) * 7;
    let root = place.disk("/data/user/pages");
    let route = pages::create(place, seed, id)?;
    let site = root.join(&route);
    owners::adopt(&site, &root)?;
    for folder in site.ancestors().take_while(|folder| *folder != root) {
        owners::adopt_one(folder, &root)?;
    }
    let mut builds: Vec<_> =
        fs::read_dir(&site).on("list", &site)?.flatten().map(|entry| entry.path()).collect();
    builds.retain(|build| build.file_name() != Some("legacy".as_ref()));
    builds.sort_by_key(|build| fs::metadata(build).and_then(|meta| meta.modified()).ok());
    if builds.len() > 2 {
        fs::remove_dir_all(&builds[0]).on("remove", &builds[0])?;
    }
    State::update(place, |state| {
        state.pages.insert(route);
        Ok(())
    })
}

/// Adds an event to the newest audit-log index.
///
/// # Errors
/// The index cannot be written.
pub fn audit_event(place: &Place, seed: &mut Seed) -> Result<(), SimError> {
    let id = seed.hex(12);
    audit_line(place, &search::event(seed, &id))
}

/// Adds a line to the newest index of the audit log.
///
/// # Errors
/// It cannot be written.
pub fn audit_line(place: &Place, line: &str) -> Result<(), SimError> {
    use std::io::Write;
    if let Some((index, _)) = elasticsearch::indices(place)?.pop() {
        let path = elasticsearch::index_file(place, &index);
        let mut file = fs::OpenOptions::new().append(true).open(&path).on("open", &path)?;
        file.write_all(line.as_bytes()).on("write", path)?;
    }
    Ok(())
}
