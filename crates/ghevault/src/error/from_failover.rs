//! Errors of a failover as the user meets them.

use super::{CommandError, Kind};
use ghevault_core::failover::promote::{guard::Refusal, run::PromoteError};

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::from_error(Kind::Refused, &refusal).hint(advice(&refusal))
    }
}

/// What to do when a promotion is refused.
fn advice(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotSeen(_) => "Name it as the host list does.".to_owned(),
        Refusal::Unreachable { .. } => {
            "Check the network, and that its admin shell answers: port 122. `ghevault advise` weighs the other ways.".to_owned()
        }
        Refusal::Unclear { host, .. } => {
            format!("Compare its host key with its console, then run `ghevault trust {host}`.")
        }
        Refusal::NotAReplica { .. } => "`ghevault advise` says who is who.".to_owned(),
        Refusal::NotConfirmed { host } => {
            format!("Run it on a terminal, or give `--confirm {host}`; `--dry-run` shows what would be done.")
        }
        Refusal::ConfirmedOther { host, .. } => format!("Type the name as it was given: {host}."),
        Refusal::SplitBrain(_) => "Switch the wrong one off first: both take writes.".to_owned(),
        Refusal::PrimaryServes(primary) => format!(
            "For a planned failover run `ghe-maintenance -s` on its admin shell first. If it must be pushed aside as it \
             is, give `--despite-primary {primary}`."
        ),
        Refusal::PrimaryUnclear { host, .. } => format!(
            "Two primaries would both take writes. See on its console that it is off; then give `--despite-primary {host}`."
        ),
        Refusal::PrimaryUnknown(named) => format!(
            "Name it in the host list (`--host PRIMARY,REPLICA`). If it is off and gone, give `--despite-primary {}`.",
            named.as_deref().unwrap_or("HOST")
        ),
        Refusal::DespiteOther { primary, .. } => format!("Type its name as it is here: {primary}."),
        Refusal::Behind { stores, .. } | Refusal::BehindOther { stores, .. } => format!(
            "Wait until it has caught up (`ghe-repl-status -v`), or give `--accept-data-loss {}`: what was not \
             replicated is lost. `ghevault advise` weighs that against a restore.",
            stores.join(",")
        ),
        Refusal::BetterReplica { better, .. } => {
            format!("Promote {better}, or accept the loss by name with --accept-data-loss.")
        }
        Refusal::OtherRelease { .. } => {
            "A pair must have one release. After a half-done upgrade this may be what you want: --allow-other-release.".to_owned()
        }
        Refusal::BackupRuns => "Stop it first; it would fail in the middle.".to_owned(),
        _ => "Run `ghevault advise`.".to_owned(),
    }
}

impl From<PromoteError> for CommandError {
    fn from(error: PromoteError) -> Self {
        match error {
            PromoteError::Channel(inner) => {
                Self::from(inner).hint("Nothing was promoted. Run `ghevault advise` before you try again.")
            }
            PromoteError::State(inner) => inner.into(),
            PromoteError::Busy { .. } => Self::from_error(Kind::Refused, &error).hint(
                "Nothing was promoted. Wait for them, or give a longer `--drain SECONDS`; see `ps axo args` on the primary.",
            ),
            PromoteError::NotTold { .. } => {
                Self::from_error(Kind::Failure, &error).hint("Nothing was promoted. Look at its admin shell.")
            }
            PromoteError::FellBehind { .. } => Self::from_error(Kind::Refused, &error)
                .hint("Nothing was promoted. Wait until `ghe-repl-status` says OK everywhere, and run it again."),
            _ => Self::from_error(Kind::Failure, &error),
        }
    }
}
