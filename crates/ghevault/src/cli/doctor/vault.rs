//! The vault: whether it opens and with what, what stands in it, whether locks hold it.

use super::checks::{self, Check};
use crate::{
    cli::{Invocation, vault},
    error::CommandResult,
    output::human,
};
use ghevault_core::{
    seal::Outcome,
    vault::{KeyEntry, KeySort, LockCheck, SnapshotId, Vault, VaultError},
};

/// Files whose lock is looked at, at most: one request each.
const LOCKS_MAX: usize = 2000;

/// The vault and what stands in it.
pub fn checks(invocation: &Invocation) -> CommandResult<Vec<Check>> {
    let opened = vault::open(invocation)?;
    let list = opened.snapshots()?;
    let mut found =
        vec![Check::ok("vault", format!("opens, id {}", &opened.id()[..8.min(opened.id().len())]))];
    if !list.damaged.is_empty() {
        found.push(Check::fail(
            "snapshots",
            format!("{} snapshot(s) cannot be read", list.damaged.len()),
            "Run `ghevault verify`.".to_owned(),
        ));
    }
    let judged = vault::judge(list);
    let newest = judged.iter().rfind(|one| one.outcome() == Some(Outcome::Complete));
    found.push(match newest {
        Some(one) => {
            Check::ok("latest", format!("snapshot {} of {}", one.snapshot.id.short(), one.snapshot.time))
        }
        None => {
            Check::warn("latest", "there is no complete snapshot yet".to_owned(), "Run `ghevault backup`.")
        }
    });
    found.extend(checks::of_space(&opened.location().to_string()));
    found.push(of_keys(&vault::keys(invocation)?.list()?.0));
    found.extend(locks(&opened)?);
    Ok(found)
}

/// What opens the vault on the day when KMS is gone (pure).
fn of_keys(keys: &[KeyEntry]) -> Check {
    let of = |is: fn(&KeySort) -> bool| keys.iter().filter(|key| is(&key.sort)).count();
    let kms = of(|sort| matches!(sort, KeySort::Kms { .. }));
    let (passwords, kits) =
        (of(|sort| matches!(sort, KeySort::Password)), of(|sort| matches!(sort, KeySort::Recovery)));
    let text = format!("{kms} in KMS, {passwords} password(s), {kits} recovery kit(s)");
    if passwords + kits == 0 {
        let hint = "Without the KMS key the vault is lost: `ghevault key recovery` makes a kit.";
        return Check::warn("keys", format!("{text}: nothing opens the vault without KMS"), hint);
    }
    Check::ok("keys", text)
}

/// Whether locks hold what snapshots need; nothing for a vault in a folder.
fn locks(opened: &Vault) -> CommandResult<Option<Check>> {
    match opened.lapsed_locks(jiff::Timestamp::now(), Some(LOCKS_MAX), &|_, _| {}) {
        Ok(looked) => Ok(Some(of_locks(&looked))),
        // a folder has none; what is damaged is told by the check of the snapshots
        Err(VaultError::Unsupported { .. } | VaultError::Damaged { .. }) => Ok(None),
        // a runner may not read locks, and need not
        Err(VaultError::Denied { .. }) => Ok(Some(Check::ok(
            "locks",
            "this identity may not read them; `ghevault vault extend-locks --check` with the one that may"
                .to_owned(),
        ))),
        Err(error) => Err(error.into()),
    }
}

/// What locks have shown (pure).
fn of_locks(looked: &LockCheck) -> Check {
    let some = looked.looked_at < looked.files;
    let of_all = if some { format!(" (of {})", human::count(looked.files)) } else { String::new() };
    let files = format!("{} file(s){of_all}", human::count(looked.looked_at));
    if looked.lapsed.is_empty() {
        return Check::ok("locks", format!("hold all of {files} that snapshots need"));
    }
    let mut snapshots: Vec<String> =
        looked.lapsed.iter().flat_map(|row| &row.snapshots).map(SnapshotId::short).collect();
    snapshots.sort();
    snapshots.dedup();
    let of = match snapshots.len() {
        0 => String::new(),
        1..=4 => format!("; snapshots {} lean on them", snapshots.join(", ")),
        many => format!("; {many} snapshots lean on them"),
    };
    let text = format!("{} of {files} are held by none{of}", human::count(looked.lapsed.len() as u64));
    Check::warn("locks", text, "Whoever has the bucket can remove them: `ghevault vault extend-locks`.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::checks::Status;
    use ghevault_core::vault::LapsedLock;

    #[test]
    fn files_that_no_lock_holds_are_counted() {
        let row = LapsedLock { file: "data/aa/aa".into(), ended: None, snapshots: Vec::new() };
        let check = of_locks(&LockCheck { files: 9, looked_at: 5, lapsed: vec![row] });
        assert_eq!(
            (check.status, check.text.as_str()),
            (Status::Warn, "1 of 5 file(s) (of 9) are held by none")
        );
        let check = of_locks(&LockCheck { files: 9, looked_at: 9, lapsed: Vec::new() });
        assert_eq!(check.status, Status::Ok);
    }

    #[test]
    fn a_vault_that_only_kms_opens_gets_a_warning() {
        let key = |sort| KeyEntry { name: "k".into(), sort, created: None, id: None };
        let kms = || key(KeySort::Kms { kms_key: "alias/x".into(), generation: 1 });
        assert_eq!(of_keys(&[kms()]).status, Status::Warn);
        assert_eq!(of_keys(&[kms(), key(KeySort::Recovery)]).status, Status::Ok);
    }
}
