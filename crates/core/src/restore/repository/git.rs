//! The only file that runs `git`: with our configuration, on a repository that we made, reaching nothing but what it is pointed at.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::{
    RepositoryError,
    error::At,
    plan::{ObjectFormat, RepositoryPlan},
};

/// Variables of a caller that would point git somewhere else.
const FOREIGN: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_TEMPLATE_DIR",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_DEFAULT_HASH",
    "GIT_DEFAULT_REF_FORMAT",
    "GIT_QUARANTINE_PATH",
];

/// Lines of git's messages that an error shows.
const LINES_MAX: usize = 4;

/// A bare repository that was made here, and the name that it has for people.
#[derive(Clone, Debug)]
pub(super) struct Git {
    /// Its folder.
    pub folder: PathBuf,
    name: String,
}

impl Git {
    /// Makes an empty repository with the plan's object format and `HEAD`; there are no hooks, and the configuration is git's own.
    pub(super) fn init(folder: &Path, plan: &RepositoryPlan) -> Result<Self, RepositoryError> {
        let git = Self { folder: folder.to_owned(), name: plan.name.clone() };
        let format = match plan.format {
            ObjectFormat::Sha1 => "sha1",
            ObjectFormat::Sha256 => "sha256",
        };
        let mut command = base();
        command.args(["init", "--quiet", "--bare", "--template="]).arg(format!("--object-format={format}"));
        git.finish("init", command.arg("--").arg(folder), &[])?;
        let head = folder.join("HEAD");
        fs::write(&head, format!("{}\n", plan.head)).at("write", &head)?;
        Ok(git)
    }

    /// Borrows objects from a store; `store` is relative to `objects`.
    pub(super) fn borrow(&self, store: &str) -> Result<(), RepositoryError> {
        let info = self.folder.join("objects/info");
        fs::create_dir_all(&info).at("make folder", &info)?;
        let file = info.join("alternates");
        fs::write(&file, format!("{store}\n")).at("write", &file)
    }

    /// Takes what is reachable out of the borrowed store into one pack, and stops borrowing.
    pub(super) fn stand_alone(&self) -> Result<(), RepositoryError> {
        self.run(&["repack", "-a", "-d", "-q"])?;
        let file = self.folder.join("objects/info/alternates");
        fs::remove_file(&file).at("remove", &file)?;
        self.run(&["prune", "--expire=now"])?;
        Ok(())
    }

    /// Proves that everything that a reference needs is there.
    pub(super) fn prove(&self) -> Result<(), RepositoryError> {
        let mut command = self.command();
        command.args(["fsck", "--connectivity-only", "--no-dangling", "--no-progress"]);
        let out = output(&mut command, &[])?;
        if out.status.success() {
            return Ok(());
        }
        let mut said = out.stdout;
        said.extend(out.stderr);
        let telling = |line: &&str| !line.starts_with("notice:");
        let text = String::from_utf8_lossy(&said);
        let what: Vec<&str> = text.lines().filter(telling).take(LINES_MAX).collect();
        Err(RepositoryError::Broken { name: self.name.clone(), what: what.join(" / ") })
    }

    /// All references by name, `HEAD` left out.
    pub(super) fn references(&self) -> Result<Vec<Vec<u8>>, RepositoryError> {
        let listed = self.run(&["for-each-ref", "--format=%(refname)"])?;
        Ok(listed.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
    }

    /// Runs a subcommand that must succeed.
    pub(super) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Vec<u8>, RepositoryError> {
        self.fed(arguments, &[])
    }

    /// The same with an input.
    pub(super) fn fed<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        input: &[u8],
    ) -> Result<Vec<u8>, RepositoryError> {
        let step = arguments.first().map(|step| step.as_ref().to_string_lossy().into_owned());
        let mut command = self.command();
        self.finish(&step.unwrap_or_default(), command.args(arguments), input)
    }

    /// git on this repository, with neither the user's nor the system's configuration.
    pub(super) fn command(&self) -> Command {
        let mut command = base();
        command.arg("--git-dir").arg(&self.folder);
        command
    }

    /// git on this repository for the way to a remote one: the user's own configuration says how to authenticate and which proxy to use.
    /// The URL comes by the environment, since it may carry a password.
    pub(super) fn remote_command(&self, url: &str) -> Command {
        let mut command = neutral();
        command
            .args(["-c", "core.hooksPath=/dev/null", "-c", "push.followTags=false", "--git-dir"])
            .arg(&self.folder)
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "remote.target.url")
            .env("GIT_CONFIG_VALUE_0", url)
            .env("GIT_ALLOW_PROTOCOL", "https:ssh:file");
        command
    }

    fn finish(&self, step: &str, command: &mut Command, input: &[u8]) -> Result<Vec<u8>, RepositoryError> {
        let out = output(command, input)?;
        if out.status.success() {
            return Ok(out.stdout);
        }
        Err(self.failed(step, &out))
    }

    /// The error for a subcommand that ended so.
    pub(super) fn failed(&self, step: &str, out: &Output) -> RepositoryError {
        let what = format!("{}: {}", out.status, last_lines(&out.stderr));
        RepositoryError::Git { name: self.name.clone(), step: step.to_owned(), what }
    }
}

/// Whether there is a `git` on this host.
pub(super) fn present() -> Result<(), RepositoryError> {
    output(base().arg("version"), &[]).map(|_| ())
}

fn neutral() -> Command {
    let mut command = Command::new("git");
    for name in FOREIGN {
        command.env_remove(name);
    }
    command.env("GIT_NO_REPLACE_OBJECTS", "1").env("LC_ALL", "C");
    command
}

fn base() -> Command {
    let mut command = neutral();
    command
        .args(["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false"])
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ALLOW_PROTOCOL", "")
        .env("GIT_TERMINAL_PROMPT", "0");
    command
}

/// Runs a command to its end.
pub(super) fn output(command: &mut Command, input: &[u8]) -> Result<Output, RepositoryError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|source| RepositoryError::NoGit { source })?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // What git does not read it does not need; its exit status tells.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    })
    .map_err(|source| RepositoryError::NoGit { source })
}

/// The end of git's messages on one line.
pub(super) fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return "it said nothing".into();
    }
    lines[lines.len().saturating_sub(LINES_MAX)..].join(" / ")
}
