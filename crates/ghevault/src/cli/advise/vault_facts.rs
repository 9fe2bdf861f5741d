//! What advice needs to know of the vault. Whatever cannot be learned is said in words instead of ending the command.

use crate::{
    cli::{
        Invocation,
        vault::{self, Judged},
    },
    error::CommandResult,
};
use ghevault_core::{
    failover::ways::{KnownSnapshot, VaultFacts, VerifiedSnapshot},
    quarantine,
    seal::Outcome,
    state::{StateFolder, VerifyRecord},
};

/// A smaller restore says nothing about the speed of a large one.
const MEASURED_BYTES_MIN: u64 = 256 << 20;

/// Looks at vault and records.
pub fn gather(invocation: &Invocation) -> VaultFacts {
    let measured = measured(invocation);
    match snapshots(invocation) {
        Ok((newest, verified)) => {
            VaultFacts { newest, verified, measured_bytes_per_s: measured, problem: None }
        }
        Err(error) => VaultFacts {
            problem: Some(error.one_line()),
            measured_bytes_per_s: measured,
            ..VaultFacts::default()
        },
    }
}

/// The newest complete snapshot, and the newest that this host has verified.
fn snapshots(invocation: &Invocation) -> CommandResult<(Option<KnownSnapshot>, Option<VerifiedSnapshot>)> {
    let opened = vault::open(invocation)?;
    let list = opened.snapshots()?;
    let quarantined = quarantine::quarantined_snapshots(&opened, &list)?;
    let good = |judged: &&Judged| !quarantined.contains_key(&judged.snapshot.id);
    let complete: Vec<KnownSnapshot> = vault::judge(list).iter().filter(good).filter_map(known).collect();
    let proofs = StateFolder::open(&invocation.settings.state)?.verified()?;
    let verified = complete.iter().rev().find_map(|snapshot| {
        let of = |proof: &&VerifyRecord| proof.vault == opened.id() && proof.snapshot == snapshot.id;
        let proof = proofs.iter().filter(of).max_by_key(|proof| (proof.depth, proof.at))?;
        Some(VerifiedSnapshot { snapshot: snapshot.clone(), verified_at: proof.at, depth: proof.depth })
    });
    Ok((complete.last().cloned(), verified))
}

/// A snapshot that is sealed as complete.
fn known(judged: &Judged) -> Option<KnownSnapshot> {
    let manifest =
        &judged.seal.as_ref().ok().filter(|seal| seal.manifest.outcome == Outcome::Complete)?.manifest;
    Some(KnownSnapshot {
        id: judged.snapshot.id.to_string(),
        time: judged.snapshot.time,
        host: manifest.host.clone(),
        uuid: manifest.uuid.clone(),
        version: manifest.version.clone(),
        bytes: manifest.datasets.values().map(|dataset| dataset.bytes).sum(),
    })
}

/// Bytes per second of the last restore, if it was a large one.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a speed; its digits do not matter"
)]
fn measured(invocation: &Invocation) -> Option<u64> {
    let record = StateFolder::open(&invocation.settings.state).ok()?.restored().ok()??;
    let rate = u32::try_from(record.bytes >> 10).ok().map(f64::from)? * 1024.0 / record.seconds.max(0.001);
    (record.bytes >= MEASURED_BYTES_MIN).then_some(rate as u64)
}
