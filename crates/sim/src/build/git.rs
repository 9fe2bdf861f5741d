//! Bare repositories as the appliance lays them out, filled by `git fast-import`.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::{fs::symlink, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use crate::error::{OnFile, SimError};

/// Where the `hooks` link of every repository points; nothing is there outside an appliance.
pub const HOOKS: &str = "/data/github/current/lib/git-core/hooks";

/// A `git` command that does not care about this machine's settings or the owner of the repository.
#[must_use]
pub fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .args(["-c", "safe.directory=*", "-c", "gc.auto=0", "-c", "maintenance.auto=false"])
        .arg("--git-dir")
        .arg(repository)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .envs([("GIT_COMMITTER_NAME", "appliance"), ("GIT_COMMITTER_EMAIL", "appliance@example.com")])
        .env("GIT_COMMITTER_DATE", "1690000000 +0000")
        .env("TZ", "UTC");
    command
}

/// Runs `git` with `input` as its stdin, and returns its stdout.
///
/// # Errors
/// `git` is missing or fails; its stderr is in the error.
pub fn run<S: AsRef<OsStr>>(repository: &Path, args: &[S], input: &[u8]) -> Result<Vec<u8>, SimError> {
    run_as(repository, args, input, None)
}

/// The same as another user, if one is given by number.
///
/// # Errors
/// As [`run`].
pub fn run_as<S: AsRef<OsStr>>(
    repository: &Path,
    args: &[S],
    input: &[u8],
    user: Option<u32>,
) -> Result<Vec<u8>, SimError> {
    let mut command = git(repository);
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().on("run", "git")?;
    let stdin = child.stdin.take();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // What git does not read it does not need; its exit status tells.
        stdin.map(|mut stdin| stdin.write_all(&input))
    });
    let output = child.wait_with_output().on("wait for", "git")?;
    let _ = feeder.join();
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy().into_owned()).collect();
    Err(SimError::Program {
        program: format!("git {} in {}", words.join(" "), repository.display()),
        reason: format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()),
    })
}

/// The digest that names a repository's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Ordinary.
    Sha1,
    /// With `extensions.objectformat`.
    Sha256,
}

/// Makes an empty bare repository with HEAD at an unborn `main`, as the appliance would.
///
/// # Errors
/// A file cannot be written.
pub fn skeleton(repository: &Path, name_with_owner: &str, format: Format) -> Result<(), SimError> {
    for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info", "logs"] {
        let folder = repository.join(folder);
        fs::create_dir_all(&folder).on("create", folder)?;
    }
    let mut config = String::from("[core]\n\tfilemode = true\n\tbare = true\n\tlogallrefupdates = true\n");
    match format {
        Format::Sha1 => config += "\trepositoryformatversion = 0\n",
        Format::Sha256 => config += "\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n",
    }
    config += "[receive]\n\tfsckObjects = false\n[gc]\n\tauto = 0\n";
    for (file, text) in [
        ("HEAD", "ref: refs/heads/main\n"),
        ("config", config.as_str()),
        ("description", "Unnamed repository; edit this file 'description' to name the repository.\n"),
        ("audit_log", ""),
        ("info/nwo", &format!("{name_with_owner}\n")),
    ] {
        let path = repository.join(file);
        fs::write(&path, text).on("write", path)?;
    }
    let hooks = repository.join("hooks");
    symlink(HOOKS, &hooks).on("link", hooks)
}

/// Makes `repository` borrow objects from the network's shared store beside it, by a relative path.
///
/// # Errors
/// The file cannot be written.
pub fn borrow_from_network(repository: &Path) -> Result<(), SimError> {
    let path = repository.join("objects/info/alternates");
    fs::write(&path, "../../network.git/objects\n").on("write", path)
}

/// Imports a history; as a pack, or as loose objects if it has few.
///
/// # Errors
/// `git` fails.
pub fn import(repository: &Path, stream: &[u8], packed: bool) -> Result<(), SimError> {
    let limit = if packed { "fastimport.unpackLimit=0" } else { "fastimport.unpackLimit=10000" };
    run(repository, &["-c", limit, "fast-import", "--quiet", "--force"], stream)?;
    Ok(())
}
