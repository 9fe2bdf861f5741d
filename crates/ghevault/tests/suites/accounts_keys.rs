//! Keys in two AWS accounts: SSH key and vault under KMS, the kit when KMS is gone, rotation, and what the other account cannot do.

use crate::{accounts, support};
use accounts::{Guard, TestBucket};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};
use support::{Desk, accounts::kms_key, appliance};

/// A desk in account A with an appliance whose key is under KMS, a vault under KMS, and the text of its kit.
struct Account {
    desk: Desk,
    /// `aws:kms:…` of the SSH key.
    ssh_key: String,
    /// The kit's key.
    kit: String,
    /// The appliance and the folder that it lives in.
    appliance: (ghevault_sim::harness::Appliance, tempfile::TempDir),
}

fn account(seed: u64) -> Account {
    let mut desk = Desk::in_account("a-keys");
    let mut appliance = appliance(seed);
    desk.trust(&mut appliance.0);
    let ssh_key = desk.encrypted(&appliance.0.client_key(), &kms_key("A1"));
    desk.set("GHEVAULT_SSH_KEY", &ssh_key);
    let made = desk.run(&["init", "--kms-key", &kms_key("A1"), "--json"]).exits(0).json();
    let kit = made["recovery"]["key"].as_str().expect("a kit").to_owned();
    desk.become_role("a-runner");
    Account { desk, ssh_key, kit, appliance }
}

fn files_below(folder: &std::path::Path) -> usize {
    let count = |entry: fs::DirEntry| {
        if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }
    };
    fs::read_dir(folder).expect("a folder").map(|entry| count(entry.expect("an entry"))).sum()
}

#[test]
fn a_runner_backs_up_with_keys_in_kms_and_the_kit_restores_without_it() {
    let Account { mut desk, kit, appliance: _kept, .. } = account(71);
    desk.run(&["backup"]).exits(0);
    desk.run(&["verify", "--depth", "2"]).exits(0);
    assert!(
        fs::read_dir(desk.path("vault/keys")).expect("keys").count() == 1,
        "the kit is the only password"
    );
    desk.lose_kms();
    desk.run(&["snapshots"]).exits(1).complains("KMS cannot be reached");
    let file = desk.write("kit", &kit);
    let kit_source = format!("file:{}", file.display());
    let target = desk.path("restored").display().to_string();
    desk.run(&["restore", "latest", "--to", &target, "--recovery-key", &kit_source]).exits(0);
    assert!(files_below(&desk.path("restored")) > 20);
    let restic = Command::new("restic")
        .args(["--no-cache", "-r"])
        .arg(desk.path("vault"))
        .args(["check", "--read-data"])
        .env("RESTIC_PASSWORD", &kit)
        .output()
        .expect("restic runs");
    assert!(restic.status.success(), "{restic:?}");
}

#[test]
fn taupages_file_and_a_kubernetes_mount_serve_without_any_setting() {
    let Account { mut desk, ssh_key, appliance, .. } = account(72);
    desk.unset("GHEVAULT_SSH_KEY");
    desk.run(&["key", "public"]).exits(2).complains("no SSH key is named");
    let meta = desk.path("meta");
    desk.set("GHEVAULT_META", &meta.display().to_string());
    let expected = {
        let plain = format!("file:{}", appliance.0.client_key().display());
        desk.run(&["key", "public", "--ssh-key", &plain]).exits(0).stdout
    };
    let url_safe = ssh_key.replace('+', "-").replace('/', "_").replace('=', "");
    let (first, rest) = url_safe.split_at(100);
    let taupage = desk.write(
        "meta/taupage.yaml",
        &format!("#taupage-ami-config\napplication_id: ghe-backup\nkms_private_ssh_key: >-\n  {first}\n  {rest}\nroot: false\n"),
    );
    fs::set_permissions(&taupage, fs::Permissions::from_mode(0o444)).expect("as on a host");
    let done = desk.run(&["key", "public"]).exits(0);
    assert_eq!((done.stdout, done.stderr), (expected.clone(), String::new()));
    desk.run(&["backup"]).exits(0);
    fs::remove_file(taupage).expect("gone");
    let plain = fs::read_to_string(appliance.0.client_key()).expect("a key");
    let bare = ssh_key.strip_prefix("aws:kms:").expect("a ciphertext").to_owned();
    for content in [bare, ssh_key, plain] {
        desk.write("meta/ghe-backup-secret/kms_private_ssh_key", &content);
        assert_eq!(desk.run(&["key", "public"]).exits(0).stdout, expected);
    }
}

#[test]
fn damaged_ciphertexts_open_nothing() {
    let Account { mut desk, ssh_key, appliance: _kept, .. } = account(73);
    let cut: String = ssh_key.chars().take(ssh_key.len() - 40).collect();
    let middle = ssh_key.len() / 2;
    let other = if ssh_key.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let mut flipped = ssh_key.clone();
    flipped.replace_range(middle..=middle, other);
    for wrong in [cut, flipped] {
        desk.set("GHEVAULT_SSH_KEY", &wrong);
        desk.run(&["key", "public"]).exits(13).complains("damaged or cut short");
        desk.run(&["backup"]).exits(13).complains("cannot get the SSH key");
    }
    // the wrapped key of the vault is bound to the vault by its context
    let wrapped = support::only_file(&desk.path("vault/ghevault/keys"));
    let text = fs::read_to_string(&wrapped).expect("a key");
    let id = text.split("\"vault\": \"").nth(1).and_then(|rest| rest.get(..64)).expect("an id").to_owned();
    fs::write(&wrapped, text.replace(&id, &"0".repeat(64))).expect("written");
    desk.run(&["snapshots"]).exits(13).complains("belongs to something else");
}

#[test]
fn the_other_account_and_a_role_without_rights_get_nothing() {
    let Account { mut desk, kit, appliance: _kept, .. } = account(74);
    desk.become_role("a-nobody");
    desk.run(&["snapshots"]).exits(14).complains("may not use the KMS key").complains("kms:Decrypt");
    desk.run(&["key", "public"]).exits(14).complains("may not use the KMS key");
    for role in ["b-keys", "b-runner"] {
        desk.become_role(role);
        let done = desk.run(&["snapshots"]);
        assert!([2, 14].contains(&done.code), "{done:?}");
        let done = desk.run(&["key", "public"]);
        assert!([2, 14].contains(&done.code), "{done:?}");
        desk.run(&["key", "add", "mine", "--kms-key", &kms_key("B1")]);
        desk.run(&["key", "rotate", "--vault-key", "daily", "--kms-key", &kms_key("B1")]);
    }
    // a runner may use the key, and make none
    desk.become_role("a-runner");
    desk.run(&["key", "rotate", "--vault-key", "daily", "--kms-key", &kms_key("A2")]).exits(14);
    assert_eq!(fs::read_dir(desk.path("vault/ghevault/keys")).expect("keys").count(), 1);
    // whoever has the kit may add the other account's key; then each opens it
    desk.become_role("b-keys");
    let file = desk.write("kit", &kit);
    let kit_source = format!("file:{}", file.display());
    desk.run(&["key", "add", "second", "--kms-key", &kms_key("B1"), "--recovery-key", &kit_source]).exits(0);
    for role in ["a-runner", "b-runner"] {
        desk.become_role(role);
        desk.run(&["snapshots"]).exits(0);
    }
}

#[test]
fn rotation_puts_vault_and_ssh_key_under_another_kms_key() {
    let Account { mut desk, ssh_key, appliance: _kept, .. } = account(75);
    let public = desk.run(&["key", "public"]).exits(0).stdout;
    desk.become_role("a-keys");
    let entry = desk
        .run(&["key", "rotate", "--vault-key", "daily", "--kms-key", &kms_key("A2"), "--json"])
        .exits(0)
        .json();
    assert_eq!((entry["kms_key"].as_str(), entry["generation"].as_u64()), (Some(&*kms_key("A2")), Some(2)));
    let done = desk
        .run(&["key", "rotate", "--secret", &ssh_key, "--kms-key", &kms_key("A2"), "--json"])
        .exits(0)
        .json();
    let rotated = done["secret"].as_str().expect("a ciphertext").to_owned();
    assert!(rotated != ssh_key && done["kms_key"] == kms_key("A2").as_str());
    desk.set("GHEVAULT_SSH_KEY", &rotated);
    desk.become_role("a-runner");
    assert_eq!(desk.run(&["key", "public"]).exits(0).stdout, public);
    desk.run(&["backup"]).exits(0);
    desk.become_role("a-keys");
    let anew =
        desk.run(&["key", "rotate", "--ssh-key-anew", "--kms-key", &kms_key("A2"), "--json"]).exits(0).json();
    assert_eq!(anew["old_public"].as_str(), Some(public.trim()));
    desk.set("GHEVAULT_SSH_KEY", anew["ssh_key"].as_str().expect("a ciphertext"));
    let new = desk.run(&["key", "public"]).exits(0).stdout;
    assert_eq!(anew["public"].as_str(), Some(new.trim()));
    assert_ne!(new, public);
}

#[test]
fn made_keys_are_shown_as_ciphertext_and_public_half_only() {
    let mut desk = Desk::in_account("a-keys");
    let done = desk.run(&["key", "create", "--kms-key", &kms_key("A1")]).exits(0);
    assert!(done.stdout.contains("ssh_key = \"aws:kms:") && done.stdout.contains("ssh-ed25519 "), "{done:?}");
    assert!(!done.stdout.contains("PRIVATE KEY"));
    let made = desk.run(&["key", "create", "--kms-key", &kms_key("A1"), "--json"]).exits(0).json();
    desk.set("GHEVAULT_SSH_KEY", made["ssh_key"].as_str().expect("a ciphertext"));
    let public = desk.run(&["key", "public", "--json"]).exits(0).json();
    assert_eq!((&public["public"], &public["fingerprint"]), (&made["public"], &made["fingerprint"]));
    let rsa: PathBuf = desk.write("big", &"k".repeat(4096));
    assert!(desk.encrypted(&rsa, &kms_key("A1")).starts_with("aws:kms:"));
}

#[test]
fn a_vault_password_under_kms_opens_the_vault() {
    let mut desk = Desk::in_account("a-keys");
    let password = desk.write("password", "correct horse\n");
    let secret = desk.encrypted(&password, &kms_key("A1"));
    desk.set("GHEVAULT_PASSWORD", &secret);
    desk.run(&["init"]).exits(0);
    desk.become_role("a-runner");
    desk.run(&["snapshots"]).exits(0);
    desk.set("GHEVAULT_PASSWORD", "file:password");
    desk.lose_kms();
    desk.run(&["snapshots"]).exits(0);
}

#[test]
fn the_last_way_without_kms_is_not_removed_by_accident() {
    let desk = Desk::in_account("a-keys");
    desk.run(&["init", "--kms-key", &kms_key("A1"), "--no-recovery"])
        .exits(0)
        .complains("nothing opens this vault without KMS");
    let listed = desk.run(&["key", "list"]).exits(0);
    assert!(listed.stdout.contains("Nothing opens this vault without KMS"), "{listed:?}");
    let escrow = desk.write("escrow", "in the safe");
    let source = format!("file:{}", escrow.display());
    desk.run(&["key", "add", "escrow", "--password-from", &source]).exits(0);
    desk.run(&["key", "remove", "escrow"]).exits(14).complains("when KMS is gone");
    desk.run(&["key", "remove", "escrow", "--force"]).exits(0);
    desk.run(&["key", "remove", "daily", "--force"]).exits(1).complains("last key");
    desk.run(&["snapshots"]).exits(0);
}

#[test]
fn one_role_opens_a_locked_bucket_with_kms_and_the_kit_opens_it_for_restic() {
    let bucket = TestBucket::new("a", Guard::Locked);
    let mut desk = Desk::in_account("a-keys");
    let mut appliance = appliance(76);
    desk.trust(&mut appliance.0);
    desk.set("GHEVAULT_SSH_KEY", &desk.encrypted(&appliance.0.client_key(), &kms_key("A1")));
    desk.set("GHEVAULT_VAULT", &format!("s3:{}/{}/vault", accounts::endpoint(), bucket.name));
    let made = desk.run(&["init", "--kms-key", &kms_key("A1"), "--json"]).exits(0).json();
    desk.become_role("a-runner");
    let done = desk.run(&["backup", "--json"]).exits(0).json();
    assert_eq!(done["outcome"], "complete");
    desk.become_role("a-keys");
    desk.run(&["key", "rotate", "--vault-key", "daily", "--kms-key", &kms_key("A2")]).exits(0);
    desk.become_role("a-runner");
    desk.run(&["verify", "--depth", "2"]).exits(0);
    desk.become_role("b-runner");
    desk.run(&["snapshots"]).exits(14).complains("AccessDenied");
    let kit = made["recovery"]["key"].as_str().expect("a kit");
    let checked = bucket.restic_with("a-runner", kit, &["check"]);
    assert!(checked.status.success(), "{checked:?}");
}

/// The public seal key that `doctor` shows.
fn seal_key(desk: &Desk) -> String {
    let checks = desk.run(&["doctor", "--json"]).exits(0).json()["checks"].clone();
    let row = checks.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == "seal key")).cloned();
    let text = row.and_then(|row| row["text"].as_str().map(str::to_owned)).expect("a seal key");
    text.split(',').next().unwrap_or_default().to_owned()
}

#[test]
fn a_seal_key_under_kms_signs_for_a_runner_and_lies_on_no_disk() {
    let Account { mut desk, appliance: _kept, .. } = account(78);
    desk.become_role("a-keys");
    let made = desk.run(&["key", "seal", "--kms-key", &kms_key("A1"), "--json"]).exits(0).json();
    let (source, public) =
        (made["seal_key"].as_str().expect("a source"), made["public"].as_str().expect("a key"));
    desk.become_role("a-runner");
    desk.set("GHEVAULT_SEAL_KEY", source);
    desk.run(&["backup"]).exits(0);
    desk.run(&["verify", "--seal-key", public]).exits(0);
    assert_eq!(seal_key(&desk), public);
    assert!(!desk.path("state/seal.key").exists());
    desk.lose_kms();
    desk.run(&["ack", "latest", "--reason", "none"]).exits(1).complains("KMS cannot be reached");
}

#[test]
fn a_seal_key_of_the_state_folder_moves_under_kms_without_a_new_chain() {
    let Account { mut desk, appliance: _kept, .. } = account(79);
    desk.run(&["backup"]).exits(0);
    let before = seal_key(&desk);
    desk.become_role("a-keys");
    let source = desk.encrypted(&desk.path("state/seal.key"), &kms_key("A1"));
    desk.become_role("a-runner");
    desk.set("GHEVAULT_SEAL_KEY", &source);
    fs::remove_file(desk.path("state/seal.key")).expect("removed");
    desk.run(&["backup"]).exits(0);
    assert_eq!(seal_key(&desk), before);
    let json = desk.run(&["verify", "--json", "--seal-key", &before]).exits(0).json();
    assert_eq!(json["snapshots"].as_array().map(Vec::len), Some(2));
}
