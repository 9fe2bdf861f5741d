//! `ghevault vault`: what the bucket of a vault must have, and who may do what in it.

use super::{
    Invocation,
    extend_locks::{self, ExtendArgs},
    vault,
};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{
        self,
        table::{self, Align},
    },
};
use clap::{Args, Subcommand, ValueEnum};
use ghevault_core::vault::{DemandState, PolicyFor};

/// Look at the bucket of a vault, and print the policies that it and its identities need.
#[derive(Debug, Args)]
pub struct VaultArgs {
    #[command(subcommand)]
    what: What,
}

impl VaultArgs {
    /// Whether locks are made longer.
    pub const fn extends(&self) -> bool {
        matches!(&self.what, What::ExtendLocks(extend) if !extend.only_shows())
    }
}

#[derive(Debug, Subcommand)]
enum What {
    /// Compare the bucket with what it must have: versions, Object Lock, default lock, denials in its policy.
    ///
    /// Changes nothing. Needs an identity that may read the bucket's settings; exit code 14 when something is not as it must be.
    Check,
    /// Lock everything that snapshots need for longer, or look for locks that have ended.
    ///
    /// New snapshots lean on old packs, whose locks end earlier. What is locked for long enough is left alone, so a run that
    /// was killed goes on. A lock in compliance mode cannot be undone by anybody before its end.
    ExtendLocks(ExtendArgs),
    /// Print a policy as JSON.
    Policy(PolicyArgs),
}

#[derive(Debug, Args)]
struct PolicyArgs {
    /// Whose policy
    whose: Whose,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Whose {
    /// The bucket's own: denies requests without TLS, keys of others, and overwriting
    Bucket,
    /// Backs up, verifies, restores: put, get, list
    Runner,
    /// Forgets and prunes: also deletes what no lock holds
    Maintenance,
    /// Makes locks longer
    Locks,
    /// Looks behind delete markers with --as-of
    Reader,
}

/// Looks or prints.
///
/// # Errors
/// The vault is in no bucket, the bucket does not answer, or it is not as it must be.
pub fn run(arguments: &VaultArgs, invocation: &Invocation) -> CommandResult {
    if let What::ExtendLocks(extend) = &arguments.what {
        return extend_locks::run(extend, invocation);
    }
    let location = vault::location(invocation)?;
    let bucket = location.bucket()?;
    match &arguments.what {
        What::Check => {
            let demands = bucket.demands()?;
            let unmet = demands.iter().any(|one| one.state == DemandState::Unmet);
            let unknown = demands.iter().any(|one| one.state == DemandState::Unknown);
            let value = serde_json::json!({ "ok": !unmet && !unknown, "demands": demands });
            invocation.screen.result(&value, || {
                let rows: Vec<_> = demands
                    .iter()
                    .map(|one| {
                        let state = match one.state {
                            DemandState::Met => "ok",
                            DemandState::Unmet => "NOT MET",
                            DemandState::Unknown => "unknown",
                        };
                        [one.what.to_owned(), state.to_owned(), one.found.clone()]
                    })
                    .collect();
                table::render(
                    [("DEMAND", Align::Left), ("STATE", Align::Left), ("FOUND", Align::Left)],
                    &rows,
                )
            });
            if unmet {
                output::complain(
                    "the bucket is not as it must be; `ghevault vault policy bucket` prints its policy",
                );
                return Err(CommandError::already_reported(Kind::Refused));
            }
            if unknown {
                output::complain("some of it this identity may not read: run it as one that may");
                return Err(CommandError::already_reported(Kind::Failure));
            }
            Ok(())
        }
        What::ExtendLocks(extend) => extend_locks::run(extend, invocation),
        What::Policy(policy) => {
            let whose = match policy.whose {
                Whose::Bucket => PolicyFor::Bucket,
                Whose::Runner => PolicyFor::Runner,
                Whose::Maintenance => PolicyFor::Maintenance,
                Whose::Locks => PolicyFor::Locks,
                Whose::Reader => PolicyFor::Reader,
            };
            let value = bucket.policy(whose);
            invocation.screen.result(&value, || format!("{value:#}"));
            Ok(())
        }
    }
}
