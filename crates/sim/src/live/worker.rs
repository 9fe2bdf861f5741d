//! Maintenance of one network, as a process whose arguments look like the appliance's (`git nw-repack PATH`).
//!
//! It moves the members' objects into the shared store, repacks and packs references: exactly what a reader must not
//! meet. The process exists before it looks at the gate, so a client that closes the gate and then sees no such process
//! can rely on it (contract §3.2). A run that began before is not interrupted.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{journal, moment, refs};
use crate::{
    appliance::{Place, log, place::DIR_VARIABLE},
    build::{git, owners},
    error::{OnFile, SimError},
};

/// Starts the worker for the network at `route`.
///
/// # Errors
/// It cannot be started.
pub fn start(place: &Place, program: &Path, route: &str) -> Result<Child, SimError> {
    let mut command = Command::new(program);
    command
        .arg0("git")
        .args(["nw-repack", route])
        .env(DIR_VARIABLE, place.root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().on("start", "the maintenance worker")
}

/// The worker itself.
///
/// # Errors
/// `git` fails, or the log cannot be written.
pub fn run(place: &Place, route: &str) -> Result<(), SimError> {
    let note =
        |what: &str| log::append(place, "maintenance", &format!("{what} {route}")).on("write", "the log");
    let _moment = moment::of_change(place)?;
    if place.gate().exists() {
        return note("refused");
    }
    note("start")?;
    let result = maintain(place, route);
    note(if result.is_ok() { "end" } else { "failed" })?;
    result
}

fn maintain(place: &Place, route: &str) -> Result<(), SimError> {
    let network = place.repositories().join(route);
    let store = network.join("network.git");
    let mut members = Vec::new();
    for entry in fs::read_dir(&network).on("list", &network)? {
        let path = entry.on("list", &network)?.path();
        if path != store && path.join("HEAD").exists() {
            members.push(path);
        }
    }
    members.sort();
    if store.is_dir() {
        for member in members.iter().filter(|member| !member.to_string_lossy().ends_with(".wiki.git")) {
            gather(place, route, &store, member)?;
        }
    }
    // Members give up objects only once the shared store has them.
    for repository in store.is_dir().then_some(store.clone()).into_iter().chain(members) {
        as_owner(&repository, &["repack", "-a", "-d", "-l", "-k", "-q"])?;
        as_owner(&repository, &["pack-refs", "--all", "--prune"])?;
    }
    Ok(())
}

/// Fetches what a member's references name into the shared store, and remembers them there.
fn gather(place: &Place, route: &str, store: &Path, member: &Path) -> Result<(), SimError> {
    let id = member.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let all = refs::read_all(member)?;
    if all.is_empty() {
        return Ok(());
    }
    let known = refs::read_all(store)?;
    let mut fetch =
        vec!["fetch".to_owned(), "-q".to_owned(), "--no-write-fetch-head".to_owned(), "--no-tags".to_owned()];
    fetch.push(member.to_string_lossy().into_owned());
    let mut update = String::new();
    let mut wanted: Vec<&String> = Vec::new();
    for (name, value) in &all {
        let Some(name) = name.strip_prefix(b"refs/").and_then(|name| std::str::from_utf8(name).ok()) else {
            continue;
        };
        let remote = format!("refs/remotes/{id}/{name}");
        if known.get(remote.as_bytes()) != Some(value) {
            journal::append(place, &format!("{route}/network.git"), remote.as_bytes(), Some(value.clone()))?;
            update.extend(["update ", &remote, " ", value, "\n"]);
            wanted.push(value);
        }
    }
    wanted.sort();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(());
    }
    fetch.extend(wanted.into_iter().cloned());
    let fetch: Vec<&str> = fetch.iter().map(String::as_str).collect();
    as_owner(store, &fetch)?;
    git::run_as(store, &["update-ref", "--stdin"], update.as_bytes(), owner(store)?)?;
    Ok(())
}

fn owner(repository: &Path) -> Result<Option<u32>, SimError> {
    Ok(if rustix::process::geteuid().is_root() { Some(owners::owner(repository)?) } else { None })
}

fn as_owner(repository: &Path, args: &[&str]) -> Result<(), SimError> {
    git::run_as(repository, args, b"", owner(repository)?).map(|_| ())
}
