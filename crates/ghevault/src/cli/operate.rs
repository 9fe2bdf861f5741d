//! What `schedule`, `status` and `daemon` share: the report out of the state folder, and the metrics file.

use crate::{
    config::Settings,
    error::{CommandError, CommandResult, Kind},
    output::human,
};
use ghevault_core::{
    state::{History, OddSnapshot, StateError, StateFolder, Task},
    status::{self, Live, Sources, StatusReport},
};
use jiff::{Timestamp, tz::TimeZone};
use std::{
    collections::BTreeMap, fs, io, io::Write, os::unix::fs::PermissionsExt, path::Path, time::Duration,
};
use tokio::runtime::Runtime;

/// What waits for sockets and timers, on this thread.
///
/// # Errors
/// The system gives none.
pub fn runtime() -> CommandResult<Runtime> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| CommandError::from_error(Kind::Failure, &error))
}

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The vault as it may be shown: without a user or password that somebody put into its address.
pub fn shown_vault(vault: &str) -> String {
    match vault.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}{path}", if rest.contains('/') { "/" } else { "" })
        }
        None => vault.to_owned(),
    }
}

/// The report of this host. `progress` is the last that the runs of a daemon said.
///
/// # Errors
/// The state folder cannot be read.
pub fn report(
    settings: &Settings,
    state: &StateFolder,
    progress: &BTreeMap<Task, String>,
    history: &History,
) -> Result<StatusReport, StateError> {
    let mut live = Vec::new();
    for task in Task::ALL {
        if let Some(run) = state.live_run(task)? {
            live.push(Live { run, progress: progress.get(&task).cloned() });
        }
    }
    let restored = state.restored()?;
    let vault = settings.vault.as_deref().map(shown_vault).unwrap_or_default();
    let odd: Vec<OddSnapshot> = state.odd()?.into_iter().filter(|one| one.vault == vault).collect();
    let host = settings.host.as_ref().map_or("", |host| host.text.as_str());
    Ok(status::report(&Sources {
        now: Timestamp::now(),
        zone: &settings.operation.zone,
        host,
        vault: &vault,
        history,
        ledger: &state.ledger()?,
        plans: &settings.operation.plans(&state.host_id()?),
        verified: &state.verified()?,
        live: &live,
        rpo: settings.operation.rpo,
        dataset_rpo: &settings.operation.dataset_rpo,
        rto: settings.operation.rto,
        restored: restored.as_ref(),
        waiting: &state.queue()?.counts(),
        odd: &odd,
        witnessed: &state.witnessed()?,
        drilled: &state.drilled()?,
    }))
}

/// Writes the metrics where the settings want them; that it cannot be done is a warning.
pub fn write_textfile(settings: &Settings, state: &StateFolder) {
    let Some(path) = &settings.operation.textfile else { return };
    let written = state
        .history()
        .and_then(|history| report(settings, state, &BTreeMap::new(), &history))
        .map_err(io::Error::other)
        .and_then(|report| replace(path, status::metrics(&report, VERSION).as_bytes(), 0o644));
    if let Err(error) = written {
        tracing::warn!("cannot write the metrics to {}: {error}", path.display());
    }
}

/// Replaces a file as a whole: whoever reads it sees the old or the new content.
///
/// # Errors
/// The file system refuses.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let fresh = path.with_file_name(name);
    let write = || {
        let mut file = fs::File::create(&fresh)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&fresh);
    })
}

/// What is to be said about the longest planned pause, measured against the objective.
pub fn gap_remark(
    gap: Option<(Timestamp, Timestamp)>,
    rpo: Option<Duration>,
    zone: &TimeZone,
) -> Option<String> {
    let ((from, to), rpo) = (gap?, rpo?);
    let length = to.duration_since(from).unsigned_abs();
    (length > rpo).then(|| {
        let local = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%a %H:%M").to_string();
        format!(
            "the schedule leaves up to {} without a backup ({} to {}), more than the objective of {}",
            human::duration(length),
            local(from),
            local(to),
            human::duration(rpo)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::shown_vault;

    #[test]
    fn nothing_secret_of_an_address_is_shown() {
        assert_eq!(shown_vault("/srv/vault"), "/srv/vault");
        assert_eq!(shown_vault("s3://bucket/prefix"), "s3://bucket/prefix");
        assert_eq!(shown_vault("https://user:pass@host:9000/bucket/p@th"), "https://host:9000/bucket/p@th");
        assert_eq!(shown_vault("https://user@host"), "https://host");
    }
}
