//! `ghevault restore`: a snapshot, or a part of it, into a folder or onto an appliance; or one repository.

mod appliance;
mod folder;
mod repository;

use super::Invocation;
use crate::error::{CommandError, CommandResult};
use clap::{Args, Subcommand};
use ghevault_core::restore::appliance::Dataset;
use std::path::{Path, PathBuf};

/// Give a snapshot back: into a folder, or onto an appliance; or one repository (`restore repo`).
///
/// The target of --to is a folder when it contains a `/`, begins with a `.`, or exists as a folder; otherwise it is an
/// appliance ([user@]host[:port]). `dir:` and `host:` in front of it settle doubts.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct RestoreArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// `latest`, or the beginning of a snapshot's id
    #[arg(required = true)]
    snapshot: Option<String>,
    /// Folder or appliance to restore to [default: `restore.host` of the configuration]
    #[arg(long, value_name = "DIR|HOST")]
    to: Option<String>,
    /// Only this path of the snapshot, with everything below it; may be given several times (folders only)
    #[arg(long, value_name = "PATH")]
    include: Vec<String>,
    /// Restore into a folder that holds something else; what the snapshot does not have stays there
    #[arg(long)]
    into_existing: bool,
    /// Compare the content of files that are there already, instead of trusting size and time
    #[arg(long)]
    compare: bool,
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Restore a snapshot to an appliance although it is not sealed as complete
    #[arg(long, help_heading = "Options for appliances")]
    accept_incomplete: bool,
    /// The appliance's name once more: needed to overwrite a configured one when nobody is there to be asked
    #[arg(long, value_name = "HOST", help_heading = "Options for appliances")]
    confirm: Option<String>,
    /// Only this dataset; may be given several times
    #[arg(long, value_name = "NAME", value_parser = appliance::dataset, help_heading = "Options for appliances")]
    only: Vec<Dataset>,
    /// Leave this dataset alone; may be given several times, and adds to `restore.skip`
    #[arg(long, value_name = "NAME", value_parser = appliance::dataset, help_heading = "Options for appliances")]
    skip: Vec<Dataset>,
    /// Restore settings, licence and certificates too; a fresh appliance gets them anyway
    #[arg(long, short = 'c', help_heading = "Options for appliances")]
    settings: bool,
    /// Make a staging copy: it keeps its own identity, settings, host keys and access to other services
    #[arg(long, conflicts_with = "settings", help_heading = "Options for appliances")]
    isolated: bool,
}

impl RestoreArgs {
    /// The snapshot as it was named.
    fn snapshot(&self) -> &str {
        self.snapshot.as_deref().unwrap_or("latest")
    }

    /// The first flag that was given and says nothing about folders.
    fn first_for_appliances(&self) -> Option<&'static str> {
        [
            (self.accept_incomplete, "--accept-incomplete"),
            (self.confirm.is_some(), "--confirm"),
            (!self.only.is_empty(), "--only"),
            (!self.skip.is_empty(), "--skip"),
            (self.settings, "--settings"),
            (self.isolated, "--isolated"),
        ]
        .into_iter()
        .find_map(|(given, flag)| given.then_some(flag))
    }
}

/// Something other than a snapshot.
#[derive(Debug, Subcommand)]
enum What {
    Repo(repository::RepositoryArgs),
}

/// Where a restore goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    /// A local folder.
    Folder(PathBuf),
    /// An appliance, as named.
    Appliance(String),
}

/// Tells folders and appliances apart; `is_folder` answers for names without a slash.
fn destination(text: &str, is_folder: impl Fn(&Path) -> bool) -> Destination {
    if let Some(path) = text.strip_prefix("dir:") {
        return Destination::Folder(PathBuf::from(path));
    }
    if let Some(host) = text.strip_prefix("host:") {
        return Destination::Appliance(host.to_owned());
    }
    if text.contains('/') || text.starts_with('.') || is_folder(Path::new(text)) {
        Destination::Folder(PathBuf::from(text))
    } else {
        Destination::Appliance(text.to_owned())
    }
}

/// Restores.
///
/// # Errors
/// No such snapshot, a guard refuses, the target fails; partial when single entries could not be given back.
pub fn run(arguments: &RestoreArgs, invocation: &Invocation) -> CommandResult {
    if let Some(What::Repo(wanted)) = &arguments.what {
        return repository::run(wanted, invocation);
    }
    let named = arguments.to.as_ref().map(|text| destination(text, Path::is_dir));
    let default = || invocation.settings.restore_host.clone().map(Destination::Appliance);
    match named.or_else(default) {
        None => Err(CommandError::usage("no target is named").hint("Give `--to DIR` or `--to HOST`.")),
        Some(Destination::Folder(path)) => folder::run(arguments, &path, invocation),
        Some(Destination::Appliance(host)) => appliance::run(arguments, &host, invocation),
    }
}

#[cfg(test)]
mod tests {
    use super::{Destination, destination};
    use std::path::PathBuf;

    #[test]
    fn a_path_looks_like_one_and_a_prefix_settles_doubts() {
        let exists = |path: &std::path::Path| path.as_os_str() == "existing";
        let folder = |text: &str| Destination::Folder(PathBuf::from(text));
        let appliance = |text: &str| Destination::Appliance(text.to_owned());
        assert_eq!(destination("/srv/out", exists), folder("/srv/out"));
        assert_eq!(destination("out/here", exists), folder("out/here"));
        assert_eq!(destination("./out", exists), folder("./out"));
        assert_eq!(destination("existing", exists), folder("existing"));
        assert_eq!(destination("dir:out", exists), folder("out"));
        assert_eq!(destination("ghe.example.com", exists), appliance("ghe.example.com"));
        assert_eq!(destination("admin@ghe:2222", exists), appliance("admin@ghe:2222"));
        assert_eq!(destination("host:existing", exists), appliance("existing"));
    }
}
