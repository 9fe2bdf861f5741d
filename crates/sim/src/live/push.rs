//! A push: new objects through a quarantine, then one reference under its lock, with its reflog.

use std::{ffi::OsStr, fs, io::Write, os::unix::ffi::OsStrExt, path::Path};

use super::{
    journal,
    objects::Quarantine,
    refs::{self, Lock},
};
use crate::{
    appliance::{Place, log::now_us},
    build::owners,
    error::{OnFile, SimError},
    seed::Seed,
};

const NONE: &str = "0000000000000000000000000000000000000000";

/// Pushes one commit with a few new files to a branch; whether it happened (a locked reference refuses it).
///
/// # Errors
/// The repository cannot be read or written.
pub fn push(place: &Place, route: &str, branch: &[u8], seed: &mut Seed) -> Result<bool, SimError> {
    let repository = place.repositories().join(route);
    let parent = refs::read(&repository, branch)?;
    let mut incoming = Quarantine::open(&repository, &seed.hex(6))?;
    let mut tree = Vec::new();
    for number in 0..seed.between(1, 4) {
        let len = seed.between(50, 4000);
        let blob = incoming.add("blob", &seed.text(usize::try_from(len).unwrap_or(0)))?;
        tree.extend_from_slice(format!("100644 pushed{number}.txt\0").as_bytes());
        tree.extend_from_slice(&hex::decode(blob).unwrap_or_default());
    }
    let tree = incoming.add("tree", &tree)?;
    let parents = parent.as_ref().map(|parent| format!("parent {parent}\n")).unwrap_or_default();
    let who = format!("Hubot <hubot@example.com> {} +0000", now_us() / 1_000_000);
    let text = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\nPush {}\n", seed.hex(8));
    let commit = incoming.add("commit", text.as_bytes())?;
    incoming.migrate()?;
    update(place, route, branch, parent.as_deref(), &commit)
}

/// Moves a reference from `old` to `new`; whether it still had `old` and its lock was free.
///
/// # Errors
/// The repository or the journal cannot be written.
pub fn update(
    place: &Place,
    route: &str,
    name: &[u8],
    old: Option<&str>,
    new: &str,
) -> Result<bool, SimError> {
    let repository = place.repositories().join(route);
    let path = repository.join(OsStr::from_bytes(name));
    let Some(lock) = Lock::take(&path)? else { return Ok(false) };
    if refs::read(&repository, name)?.as_deref() != old {
        return Ok(false);
    }
    journal::append(place, route, name, Some(new.to_owned()))?;
    log_reference(&repository, name, old, new)?;
    lock.commit(format!("{new}\n").as_bytes())?;
    adopt_below(&repository, &path)?;
    Ok(true)
}

fn log_reference(repository: &Path, name: &[u8], old: Option<&str>, new: &str) -> Result<(), SimError> {
    let path = repository.join("logs").join(OsStr::from_bytes(name));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).on("create", folder)?;
    }
    let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).on("open", &path)?;
    let (old, time) = (old.unwrap_or(NONE), now_us() / 1_000_000);
    file.write_all(format!("{old} {new} Hubot <hubot@example.com> {time} +0000\tpush\n").as_bytes())
        .on("write", &path)?;
    adopt_below(repository, &path)
}

/// Gives a file, and new folders above it, the owner of the repository.
fn adopt_below(repository: &Path, path: &Path) -> Result<(), SimError> {
    for folder in path.ancestors().take_while(|folder| *folder != repository) {
        if rustix::process::geteuid().is_root() {
            let owner = owners::owner(repository)?;
            // What was deleted or replaced meanwhile belongs to somebody else's change.
            let _ = std::os::unix::fs::lchown(folder, Some(owner), Some(owner));
        }
    }
    Ok(())
}
