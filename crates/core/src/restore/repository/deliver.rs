//! Gives a repository that was made in the private folder its place: a name, a bundle, or a push.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    RemoteUrl, RepositoryError,
    error::At,
    git::{self, Git},
};

/// References that belong to people; all others (`refs/pull`, `refs/__gh__`, …) are the appliance's own, and other hosts refuse them.
const FOR_PEOPLE: [&str; 3] = ["refs/heads/", "refs/tags/", "refs/notes/"];

/// Moves a folder to its place.
pub(super) fn place(from: &Path, to: &Path) -> Result<(), RepositoryError> {
    refuse_existing(to)?;
    fs::rename(from, to).at("name", to)
}

/// Refuses a target that is there; an empty folder is as good as none.
pub(super) fn refuse_existing(target: &Path) -> Result<(), RepositoryError> {
    let exists = || RepositoryError::Exists { target: target.display().to_string() };
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).at("look at", target),
        Ok(facts) if facts.is_dir() => {
            let empty = fs::read_dir(target).at("look into", target)?.next().is_none();
            if empty { Ok(()) } else { Err(exists()) }
        }
        Ok(_) => Err(exists()),
    }
}

/// Writes a bundle of all references in the private folder, and lets git prove that it stands alone. Nothing for an empty repository.
pub(super) fn bundle(git: &Git, scratch: &Path, name: &str) -> Result<Option<PathBuf>, RepositoryError> {
    if git.references()?.is_empty() {
        return Ok(None);
    }
    let file = scratch.join(name);
    let path = file.as_os_str();
    git.run(&["bundle".as_ref(), "create".as_ref(), "--quiet".as_ref(), path, "--all".as_ref()])?;
    git.run(&["bundle".as_ref(), "verify".as_ref(), "--quiet".as_ref(), path])?;
    Ok(Some(file))
}

/// How many references the repository at `url` has.
pub(super) fn remote_references(git: &Git, url: &RemoteUrl) -> Result<usize, RepositoryError> {
    let out = git::output(git.remote_command(url.secret()).args(["ls-remote", "target"]), &[])?;
    if !out.status.success() {
        return Err(remote_error("read", url, &out.stderr));
    }
    Ok(out.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty()).count())
}

/// Pushes; returns how many references were sent and how many were the appliance's own and stayed behind.
pub(super) fn push(
    git: &Git,
    url: &RemoteUrl,
    all: bool,
    force: bool,
) -> Result<(usize, usize), RepositoryError> {
    let references = git.references()?;
    let wanted = |name: &Vec<u8>| all || FOR_PEOPLE.iter().any(|prefix| name.starts_with(prefix.as_bytes()));
    let sent = references.iter().filter(|name| wanted(name)).count();
    if sent > 0 {
        let plus = if force { "+" } else { "" };
        let prefixes: &[&str] = if all { &["refs/"] } else { &FOR_PEOPLE };
        let refspecs = prefixes.iter().map(|prefix| format!("{plus}{prefix}*:{prefix}*"));
        let mut command = git.remote_command(url.secret());
        command.args(["push", "--quiet", "--no-verify", "target"]).args(refspecs);
        let out = git::output(&mut command, &[])?;
        if !out.status.success() {
            return Err(remote_error("push to", url, &out.stderr));
        }
    }
    Ok((sent, references.len() - sent))
}

fn remote_error(action: &'static str, url: &RemoteUrl, stderr: &[u8]) -> RepositoryError {
    let what = url.clean(&git::last_lines(stderr));
    RepositoryError::Remote { action, url: url.to_string(), what }
}
