//! The command lines of runs.

use crate::{
    cli::{Invocation, operate},
    config::{Settings, operation::Operation},
    error::{CommandError, CommandResult},
};
use ghevault_core::state::{StateFolder, Task};
use std::{ffi::OsString, fs, path::PathBuf};

/// The configuration as it was when it was read, for runs: a file that is being edited is nobody's.
const CONFIGURATION: &str = "daemon.toml";

/// The command line of a task.
pub fn words(task: Task, operation: &Operation) -> Vec<String> {
    let name = task.name().to_owned();
    match task {
        Task::Verify => vec![name, format!("--depth={}", operation.verify_depth)],
        Task::Backup => vec![name, format!("--turn={}", operation.turn.as_secs())],
        Task::Locks => {
            let span = operation.locks_for.clone().unwrap_or_default();
            vec!["vault".to_owned(), "extend-locks".to_owned(), format!("--for={span}")]
        }
        Task::Witness => vec![name, "run".to_owned()],
        Task::Pulse => vec!["witness".to_owned(), name],
        Task::Forget | Task::Prune | Task::Drill | Task::Compare => vec![name],
    }
}

/// The flags of every run; the configuration file is a copy of what holds now.
pub fn arguments(
    invocation: &Invocation,
    settings: &Settings,
    state: &StateFolder,
) -> CommandResult<Vec<OsString>> {
    let Some(file) = &settings.config_file else { return Ok(invocation.global.again(None)) };
    let copy: PathBuf = state.path().join(CONFIGURATION);
    let copied = fs::read(file).and_then(|text| operate::replace(&copy, &text, 0o600));
    copied.map_err(|error| {
        CommandError::failure(format!("cannot copy {} to {}", file.display(), copy.display()))
            .because_of(Some(&error))
    })?;
    Ok(invocation.global.again(Some(&copy)))
}
