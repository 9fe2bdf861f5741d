//! The core's errors as the user meets them: each with its kind and what to do next.

use super::{CommandError, Kind};
use ghevault_core::{
    appliance::{
        channel::ChannelError, facts::FactsError, gate::GateError, hostkeys::PinError, lease::LeaseError,
    },
    backup::{BackupError, context::CaptureError},
    drill::DrillError,
    history::HistoryError,
    import::{ImportError, plan::PlanError, service::ServiceError},
    restore::{
        RestoreError,
        appliance::{ApplianceRestoreError, Refusal},
        repository::RepositoryError,
        view::ViewError,
    },
    state::StateError,
};

impl From<ChannelError> for CommandError {
    fn from(error: ChannelError) -> Self {
        let (kind, hint) = channel_advice(&error);
        let mapped = Self::from_error(kind, &error);
        match hint {
            Some(hint) => mapped.hint(hint),
            None => mapped,
        }
    }
}

/// Kind and hint of a channel's error.
pub(super) fn channel_advice(error: &ChannelError) -> (Kind, Option<String>) {
    match error {
        ChannelError::Connect { .. } => (
            Kind::Failure,
            Some("Check the name, the network, and that the admin shell answers: port 122, not 22.".to_owned()),
        ),
        ChannelError::HostKeyUnknown { target, .. } | ChannelError::HostKeyChanged { target, .. }
            if target.contains(" through ") =>
        {
            let hint = "Run `ghevault trust`: it shows the host keys of the appliance and of all its nodes. Compare them with the consoles.";
            (Kind::Refused, Some(hint.to_owned()))
        }
        ChannelError::HostKeyUnknown { target, shown } => (
            Kind::Refused,
            Some(format!(
                "Compare {shown} with the appliance's console, then run `ghevault trust {target} --accept {shown}`."
            )),
        ),
        ChannelError::HostKeyChanged { target, .. } => (
            Kind::Refused,
            Some(format!(
                "A restore changes an appliance's host keys; so does somebody who answers in its place. Compare with \
                 the console, then run `ghevault trust {target}`."
            )),
        ),
        ChannelError::Authentication { .. } => (
            Kind::Failure,
            Some(
                "Add the public half of the key in the Management Console (Settings, SSH access), or name another key \
                 with GHEVAULT_SSH_KEY."
                    .to_owned(),
            ),
        ),
        ChannelError::BadKey { .. } => {
            (Kind::Usage, Some("Name a private key without passphrase with GHEVAULT_SSH_KEY.".to_owned()))
        }
        ChannelError::Ended { .. } | ChannelError::Stream { .. } => (
            Kind::Failure,
            Some("Run it again: what was stored is not stored twice. `ghevault doctor` tests the connection.".to_owned()),
        ),
        ChannelError::Timeout { .. } => {
            (Kind::Failure, Some("The appliance may be overloaded. `ghevault doctor` tests the connection.".to_owned()))
        }
    }
}

impl From<PinError> for CommandError {
    fn from(error: PinError) -> Self {
        let mapped = Self::from_error(Kind::Usage, &error);
        match error {
            PinError::File { .. } => mapped.hint("GHEVAULT_STATE names the folder; this user must own it."),
            PinError::Line { .. } => mapped.hint("Remove that line and run `ghevault trust` again."),
        }
    }
}

impl From<RestoreError> for CommandError {
    fn from(error: RestoreError) -> Self {
        let (kind, hint) = match &error {
            RestoreError::View(_) => (Kind::Damage, Some("Run `ghevault verify --depth 2`.")),
            RestoreError::NotEmpty { .. } => {
                (Kind::Refused, Some("Name an empty or new folder, or give --into-existing."))
            }
            RestoreError::OtherSnapshot { .. } => {
                (Kind::Refused, Some("Finish that restore, or name another folder."))
            }
            RestoreError::Busy { .. } => (Kind::Refused, None),
            RestoreError::NoSpace { .. } => {
                (Kind::Failure, Some("Make room, or restore a part with --include."))
            }
            RestoreError::ExportExists { .. } => (Kind::Refused, Some("Give another name with --name.")),
            RestoreError::BadExportName { .. } => (Kind::Usage, None),
            _ => (Kind::Failure, None),
        };
        let mapped = Self::from_error(kind, &error);
        match hint {
            Some(hint) => mapped.hint(hint),
            None => mapped,
        }
    }
}

impl From<FactsError> for CommandError {
    fn from(error: FactsError) -> Self {
        match error {
            FactsError::Channel(inner) => inner.into(),
            FactsError::NotAnAppliance { .. } => Self::from_error(Kind::Refused, &error).hint(
                "The admin shell of an appliance answers on port 122 as user admin. Is this the right host?",
            ),
        }
    }
}

impl From<GateError> for CommandError {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Lease(LeaseError::Channel(inner)) => inner.into(),
            GateError::Busy { .. } => Self::from_error(Kind::Refused, &error)
                .hint("Another backup is running, or one left its gate behind: see `ghevault gate status`."),
            GateError::NotDrained { .. } => Self::from_error(Kind::Failure, &error).hint(
                "Try again later, or wait longer with `backup.drain_s`. Maintenance is no longer paused.",
            ),
            GateError::Lease(LeaseError::Refused { .. }) => Self::from_error(Kind::Failure, &error).hint(
                "What was read cannot be trusted without the pause, so there is no snapshot. Run it again.",
            ),
        }
    }
}

impl From<StateError> for CommandError {
    fn from(error: StateError) -> Self {
        Self::from_error(Kind::Failure, &error)
            .hint("GHEVAULT_STATE names the folder; this user must own it.")
    }
}

impl From<BackupError> for CommandError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Facts(inner) => inner.into(),
            BackupError::Gate(inner) => inner.into(),
            BackupError::Vault(inner) => inner.into(),
            BackupError::State(inner) => inner.into(),
            BackupError::Refused { .. } => Self::from_error(Kind::Refused, &error).hint(
                "`ghevault backup --help` lists what can be allowed; `ghevault doctor` tells the rest.",
            ),
            BackupError::Changed { .. } => Self::from_error(Kind::Failure, &error)
                .hint("Run it again: it follows the new primary when `host` names both machines of the pair."),
            BackupError::LostPrimary { .. } => Self::from_error(Kind::Failure, &error).hint(
                "If the primary is lost, `ghevault advise` compares the ways out. The next backup follows a promotion when `host` names \
                 both machines of the pair.",
            ),
            BackupError::Cancelled => Self::from_error(Kind::Interrupted, &error).hint(
                "Git maintenance is no longer paused. Run it again: what was stored is not stored twice.",
            ),
            BackupError::Dataset { source: CaptureError::Cancelled, .. } => {
                Self::from_error(Kind::Interrupted, &error)
            }
            BackupError::Dataset { .. } | BackupError::Nothing { .. } => {
                Self::from_error(Kind::Failure, &error)
                    .hint("No snapshot was made, and none was harmed. `ghevault doctor` tests the appliance.")
            }
            BackupError::Seal(inner) => inner.into(),
            BackupError::Shard(inner) => inner.into(),
        }
    }
}

impl From<PlanError> for CommandError {
    fn from(error: PlanError) -> Self {
        let (kind, hint) = match &error {
            PlanError::BackupRunning { .. } => {
                (Kind::Refused, "Wait for it to end. What it makes is imported by the next run.")
            }
            PlanError::RestoreRunning { .. } => (
                Kind::Refused,
                "Wait for it to end. If no restore runs, the file is left of one that died: remove it, as backup-utils asks too.",
            ),
            PlanError::AncientMark { .. } => {
                (Kind::Refused, "Make sure that no backup runs, and remove the link.")
            }
            PlanError::NoSuchSnapshot { .. } => {
                (Kind::Usage, "`ghevault import DATA_DIR --dry-run` lists them.")
            }
            PlanError::NoSnapshots { .. } => {
                (Kind::Usage, "Name the directory that GHE_DATA_DIR names in backup.config.")
            }
            PlanError::OtherAppliance { .. } => (
                Kind::Refused,
                "A vault belongs to one appliance: name another vault, or give --allow-other-appliance.",
            ),
        };
        Self::from_error(kind, &error).hint(hint)
    }
}

impl From<ImportError> for CommandError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Plan(inner) => inner.into(),
            ImportError::Vault(inner) => inner.into(),
            ImportError::Data { .. } => Self::from_error(Kind::Usage, &error)
                .hint("Name the directory that GHE_DATA_DIR names in backup.config; this user must be able to read it."),
            ImportError::Cancelled => Self::from_error(Kind::Interrupted, &error)
                .hint("Snapshots that were finished are in the vault. Run it again: it goes on after them."),
            ImportError::Seal(inner) => inner.into(),
            ImportError::Folder { .. } => Self::from_error(Kind::Failure, &error)
                .hint("Snapshots that were finished are in the vault. Run it again: it goes on after them."),
        }
    }
}

impl From<ServiceError> for CommandError {
    fn from(error: ServiceError) -> Self {
        let (kind, hint) = match error {
            ServiceError::Backup(inner) => return inner.into(),
            ServiceError::Running { .. } => {
                (Kind::Refused, "Run it again later, or wait longer with `backup.service_wait_s`.")
            }
            ServiceError::StaleMark { .. } => (
                Kind::Refused,
                "Look on the appliance whether a backup runs (`ghe-backup-healthcheck`, /var/log/github-backup); if none does, remove the file.",
            ),
            ServiceError::NoSnapshot { .. } => {
                (Kind::Failure, "Set up the Backup Service and let it make one, or give `--source datasets`.")
            }
            ServiceError::Pruned { .. } => (
                Kind::Failure,
                "Let the service keep more snapshots, or run this right after it. No snapshot was made, and none was harmed.",
            ),
        };
        Self::from_error(kind, &error).hint(hint)
    }
}

impl From<RepositoryError> for CommandError {
    fn from(error: RepositoryError) -> Self {
        let (kind, hint) = match &error {
            RepositoryError::View(_) => (Kind::Damage, "Run `ghevault verify --depth 2`.".to_owned()),
            RepositoryError::NotFound { similar, .. } if similar.is_empty() => (
                Kind::Failure,
                "Give it as OWNER/NAME or gist/NAME. One that was deleted may be in an older snapshot: `--at ID`.".to_owned(),
            ),
            RepositoryError::NotFound { similar, .. } => {
                (Kind::Failure, format!("Did you mean {}? An older snapshot is named with `--at ID`.", similar.join(" or ")))
            }
            RepositoryError::Ambiguous { paths, .. } => {
                (Kind::Usage, format!("Give the path instead of the name: {}.", paths.join(" or ")))
            }
            RepositoryError::Damaged { .. }
            | RepositoryError::Broken { .. }
            | RepositoryError::Unreadable { .. } => (
                Kind::Damage,
                "Take it from another snapshot with `--at ID`. `ghevault restore ID --to DIR --include PATH` gives back the files \
                 that can be read, and `ghevault verify --depth 2` tells what else is hurt."
                    .to_owned(),
            ),
            RepositoryError::Unsupported { .. } => {
                (Kind::Failure, "`ghevault restore ID --to DIR --include PATH` gives its files back as they are.".to_owned())
            }
            RepositoryError::Empty { .. } => (Kind::Failure, "Restore it to a folder.".to_owned()),
            RepositoryError::Exists { .. } => (Kind::Refused, "Name a target that does not exist yet.".to_owned()),
            RepositoryError::RemoteNotEmpty { .. } => (
                Kind::Refused,
                "Push to a new, empty repository; `--force` overwrites references that are there.".to_owned(),
            ),
            RepositoryError::Remote { .. } => (
                Kind::Failure,
                "Make the empty repository first. Try `git ls-remote URL`: the way must work without questions.".to_owned(),
            ),
            RepositoryError::BadUrl { .. } => {
                (Kind::Usage, "A folder is named with a `/`, or with `dir:` in front.".to_owned())
            }
            RepositoryError::NoGit { .. } => (Kind::Failure, "Install git on this host.".to_owned()),
            _ => return Self::from_error(Kind::Failure, &error),
        };
        Self::from_error(kind, &error).hint(hint)
    }
}

impl From<DrillError> for CommandError {
    fn from(error: DrillError) -> Self {
        match error {
            DrillError::Vault(inner) => inner.into(),
            DrillError::View(inner) => inner.into(),
            DrillError::Scratch { .. } => Self::from_error(Kind::Failure, &error).hint(
                "Name a folder with room for a database and the largest repositories: `--scratch DIR`.",
            ),
        }
    }
}

impl From<HistoryError> for CommandError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Vault(inner) => inner.into(),
            HistoryError::View(inner) => inner.into(),
            HistoryError::Repository(inner) => inner.into(),
            HistoryError::AuditLog { .. } => {
                Self::from_error(Kind::Damage, &error).hint("Run `ghevault verify --depth 2`.")
            }
            HistoryError::Unknown { .. } => {
                Self::from_error(Kind::Failure, &error).hint("The vault is empty; run `ghevault backup`.")
            }
        }
    }
}

impl From<ViewError> for CommandError {
    fn from(error: ViewError) -> Self {
        Self::from_error(Kind::Damage, &error).hint("Run `ghevault verify --depth 2`.")
    }
}

impl From<ApplianceRestoreError> for CommandError {
    fn from(error: ApplianceRestoreError) -> Self {
        match error {
            ApplianceRestoreError::Channel(inner) => inner.into(),
            ApplianceRestoreError::View(inner) => inner.into(),
            ApplianceRestoreError::Refused(refusal) => {
                let mapped = Self::from_error(Kind::Refused, &refusal);
                match refusal_advice(&refusal) {
                    Some(hint) => mapped.hint(hint),
                    None => mapped,
                }
            }
            other => Self::from_error(Kind::Failure, &other)
                .hint("Nothing was restored. `ghevault doctor --host HOST` tests the appliance."),
        }
    }
}

/// What to do when a restore to an appliance is refused.
fn refusal_advice(refusal: &Refusal) -> Option<String> {
    Some(match refusal {
        Refusal::NotSealed(_) => "Choose a complete one (`ghevault snapshots`), or give --accept-incomplete.".to_owned(),
        Refusal::NotConfirmed { host } => {
            format!("Everything on it will be overwritten. Run it on a terminal, or give `--confirm {host}`.")
        }
        Refusal::ConfirmedOther { host, .. } => format!("Type the name as it was given: {host}."),
        Refusal::NoMaintenance(_) => "Run `ghe-maintenance -s` on its admin shell first.".to_owned(),
        Refusal::Replication { .. } => "Tear replication down (`ghe-repl-teardown`), or restore to another appliance.".to_owned(),
        Refusal::OlderTarget { .. } | Refusal::NewerTarget { .. } => {
            "Install the snapshot's release, or one at most two feature releases newer, and upgrade afterwards.".to_owned()
        }
        Refusal::ActionsOnTarget(_) => "Switch Actions off on it, or choose a snapshot that was taken with Actions on.".to_owned(),
        Refusal::ActionsOffTarget(_) => {
            "Switch Actions on in its Management Console first, with storage of its own, or restore with --only.".to_owned()
        }
        Refusal::ActionsCacheOnTarget(_) => "Run `ghe-actions-cache-disable` on its admin shell first.".to_owned(),
        Refusal::ActionsCacheInSnapshot(_) => {
            "Restore with --settings, or switch the Actions cache on at the target first.".to_owned()
        }
        Refusal::Isolated { .. } => {
            "Use a configured spare appliance of its own, with Actions off and the internal database, or restore without --isolated.".to_owned()
        }
        Refusal::BinaryDump(_) => "Run `ghe-config mysql.backup.binary true` on its admin shell first.".to_owned(),
        _ => return None,
    })
}
