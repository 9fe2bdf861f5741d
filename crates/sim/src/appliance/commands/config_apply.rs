//! `ghe-config-apply`: swaps restored search data in, registers what it finds on disk, marks the appliance configured
//! (contract §5.4 step 16, §10.2).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Call, Ended};
use crate::{
    appliance::{
        Place, State,
        roster::Roster,
        state::{Network, StoredObject},
    },
    error::{OnFile, SimError},
};

pub(super) fn run(call: &Call) -> Ended {
    for phase in ["Preparing storage", "Updating configuration", "Validating services", "Finalizing"] {
        call.say(format!("    {phase}: DONE"))?;
    }
    apply(&call.place)?;
    call.say("Done!")?;
    Ok(0)
}

/// Applies the configuration.
///
/// # Errors
/// The disk or the state cannot be read or changed.
pub fn apply(place: &Place) -> Result<(), SimError> {
    swap_elasticsearch(place)?;
    // What a cluster holds is registered item by item when a restore ends (contract §5.6).
    let cluster = Roster::load(place)?.is_some_and(|roster| !roster.ha);
    State::update(place, |state| {
        if !cluster {
            register_all(place, state)?;
        }
        state.applied += 1;
        let uuid = fs::read_to_string(place.disk("/data/user/common/uuid")).unwrap_or_default();
        state.nodes.insert(uuid.trim().to_owned());
        state.services.insert("github-timerd".to_owned(), "start".to_owned());
        Ok(())
    })?;
    let mark = place.disk("/etc/github/configured");
    if let Some(folder) = mark.parent() {
        fs::create_dir_all(folder).on("create", folder)?;
    }
    fs::write(&mark, "").on("write", &mark)
}

/// What a restore put into `elasticsearch-restore` replaces the search data; audit-log files in it are imported.
fn swap_elasticsearch(place: &Place) -> Result<(), SimError> {
    let (fresh, live) =
        (place.disk("/data/user/elasticsearch-restore"), place.disk("/data/user/elasticsearch"));
    if !fresh.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&fresh).on("list", &fresh)? {
        let path = entry.on("list", &fresh)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(index) = name.strip_suffix(".gz").filter(|index| index.starts_with("audit_log")) {
            let packed = fs::File::open(&path).on("open", &path)?;
            super::call::keep(
                &super::elasticsearch::index_file(place, index),
                &mut flate2::read::MultiGzDecoder::new(packed),
            )?;
        }
        if name.starts_with("audit_log") {
            fs::remove_file(&path).on("remove", &path)?;
        } else if name == "audit-log" {
            fs::remove_dir_all(&path).on("remove", &path)?;
        }
    }
    if live.exists() {
        fs::remove_dir_all(&live).on("remove", &live)?;
    }
    fs::rename(&fresh, &live).on("replace", &live)
}

/// Rebuilds the lists of networks, gists, pages and stored objects from the disk.
///
/// # Errors
/// The disk cannot be listed.
pub fn register_all(place: &Place, state: &mut State) -> Result<(), SimError> {
    let repositories = place.repositories();
    state.networks.clear();
    for path in at_depth(&repositories, 6)? {
        let route = relative(&repositories, &path);
        let parts: Vec<&str> = route.split('/').collect();
        if parts.get(1) == Some(&"nw") {
            register_network(place, state, &route)?;
        }
    }
    let gist = |route: &String| route.split('/').nth(4) == Some("gist");
    state.gists =
        at_depth(&repositories, 6)?.iter().map(|p| relative(&repositories, p)).filter(gist).collect();
    let pages = place.disk("/data/user/pages");
    state.pages = at_depth(&pages, 5)?.iter().map(|p| relative(&pages, p)).collect();
    state.storage.clear();
    for path in at_depth(&place.disk("/data/user/storage"), 4)? {
        let bytes = fs::metadata(&path).on("inspect", &path)?.len();
        let sha256 = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if sha256.len() == 64 {
            state.storage.insert(StoredObject { sha256, bytes });
        }
    }
    Ok(())
}

/// Registers the network at one route, if its directory exists.
///
/// # Errors
/// The directory cannot be listed.
pub fn register_network(place: &Place, state: &mut State, route: &str) -> Result<(), SimError> {
    let path = place.repositories().join(route);
    let names: Vec<String> = at_depth(&path, 1)?.iter().map(|entry| relative(&path, entry)).collect();
    if let Some(network) = network(route, names.iter().map(String::as_str)) {
        state.networks.insert(network.id, network);
    }
    Ok(())
}

/// The network at a route whose directory has these entries; `None` if the route is none of a network.
#[must_use]
pub fn network<'a>(route: &str, names: impl IntoIterator<Item = &'a str>) -> Option<Network> {
    let id = route.rsplit('/').next()?.parse().ok()?;
    let mut network = Network { id, path: route.to_owned(), ..Network::default() };
    for name in names {
        if let Some(member) = name.strip_suffix(".wiki.git").and_then(|id| id.parse().ok()) {
            network.wikis.push(member);
        } else if let Some(member) = name.strip_suffix(".git").and_then(|id| id.parse().ok()) {
            network.members.push(member);
        }
    }
    network.members.sort_unstable();
    network.wikis.sort_unstable();
    Some(network)
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

/// The entries exactly `depth` levels below `root`, in order; names that start with `__` are left out at the top.
fn at_depth(root: &Path, depth: usize) -> Result<Vec<PathBuf>, SimError> {
    let mut level = vec![root.to_owned()];
    for _ in 0..depth {
        let mut next = Vec::new();
        for folder in level {
            let entries = match fs::read_dir(&folder) {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    continue;
                }
                other => other.on("list", &folder)?,
            };
            for entry in entries {
                let path = entry.on("list", &folder)?.path();
                if !path.file_name().unwrap_or_default().to_string_lossy().starts_with("__") {
                    next.push(path);
                }
            }
        }
        next.sort();
        level = next;
    }
    Ok(level)
}
