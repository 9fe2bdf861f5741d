//! `kill -9` at seeded random moments of forget, prune and copy of vaults in folders; `CRASH_ROUNDS` (12) and `CRASH_SEED`.

use crate::{storm, support};
use ghevault_core::vault::{Password, Vault, VaultLocation};
use std::process::Command;
use storm::Scene;
use support::Desk;

#[test]
fn killed_runs_of_forget_prune_and_copy_leave_sound_vaults_and_a_way_on() {
    let desk = Desk::with_vault();
    let first = desk.path("vault").display().to_string();
    let second = desk.path("second").display().to_string();
    let vault = Vault::open(&VaultLocation::Folder(desk.path("vault")), &Password::new("correct horse"));
    desk.run(&["init", "--vault", &second, "--like", &first]).exits(0);
    let sound = |place: Option<&str>, when: &str| {
        let place = place.unwrap_or(&first);
        let mut restic = Command::new("restic");
        restic.args(["--no-cache", "-r", place, "check", "--read-data", "--password-file"]);
        let out = restic.arg(desk.path("password")).output().expect("restic runs");
        assert!(out.status.success(), "{when}: {out:?}");
        let done = desk.run(&["verify", "--depth", "2", "--json", "--vault", place]);
        assert_eq!(done.code, 0, "{when}: {done:?}");
    };
    let vault = vault.expect("a vault");
    storm::storm(&Scene { desk: &desk, vault: &vault, second: &second, sound: &sound }, 12);
}
