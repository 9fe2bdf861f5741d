//! The order of seals on its way to another vault: what stands or stood before a copied snapshot is known there, too.

use jiff::Timestamp;

use super::{
    gather::{FOLDER, Forgotten, ForgottenFile, gather},
    plan::Worth,
};
use crate::vault::{Vault, VaultError, WriteLease};

/// Records at `to` the places of complete snapshots of `from` that it does not have, and of those that were forgotten there.
///
/// # Errors
/// Either vault's.
pub fn carry(from: &Vault, to: &Vault, lease: &WriteLease) -> Result<(), VaultError> {
    let now = Timestamp::now();
    let (there, here) = (gather(from, now)?, gather(to, now)?);
    let is_known = |hash: &str| {
        here.ghosts.iter().any(|ghost| ghost.link.hash == hash)
            || here
                .candidates
                .iter()
                .any(|one| matches!(&one.worth, Worth::Complete(link) if link.hash == hash))
    };
    let forgotten = there.files.into_iter().flat_map(|(_, file)| file.forgotten);
    let standing = there.candidates.into_iter().filter_map(|one| match one.worth {
        Worth::Complete(link) => Some(Forgotten {
            snapshot: one.id,
            seal: link.hash,
            previous: link.previous,
            started: link.started,
            key: link.key,
            at: now,
            by_name: false,
        }),
        _ => None,
    });
    let missing: Vec<Forgotten> = forgotten.chain(standing).filter(|one| !is_known(&one.seal)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    lease.check()?;
    let name = format!("{:010}.copied", lease.token());
    to.add_record(FOLDER, &name, &ForgottenFile { forgotten: missing }).map(|_| ())
}
