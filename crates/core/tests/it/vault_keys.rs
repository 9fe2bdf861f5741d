//! Several keys open one vault: KMS, passwords, the recovery kit; stock restic judges the kit.

use crate::support::vaults;
use ghevault_core::{
    keys::{Encrypted, KeyService, KmsError, KmsErrorKind, RecoveryKey, Secret, service::Context},
    vault::{KeyRing, KeySort, NewKeys, Opener, Password, Vault, VaultError, VaultLocation},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use vaults::restic_with;

/// A key service in memory: keys can be taken away, and ciphertexts are bound to key and context.
#[derive(Clone, Default)]
struct Desk {
    gone: Arc<Mutex<BTreeSet<String>>>,
}

fn failed(kind: KmsErrorKind) -> KmsError {
    KmsError { kind, key: None, failure: None }
}

impl Desk {
    fn label(key: &str, context: Context<'_>) -> Vec<u8> {
        format!("{key}|{context:?}|").into_bytes()
    }
    fn usable(&self, key: &str) -> Result<(), KmsError> {
        let gone = self.gone.lock().unwrap().contains(key);
        if gone { Err(failed(KmsErrorKind::Unusable)) } else { Ok(()) }
    }
    fn take_away(&self, key: &str) {
        self.gone.lock().unwrap().insert(key.to_owned());
    }
    #[allow(clippy::unnecessary_wraps, reason = "the shape of a connection")]
    fn connect(&self) -> Result<Arc<dyn KeyService>, KmsError> {
        Ok(Arc::new(self.clone()))
    }
}

impl KeyService for Desk {
    fn encrypt(&self, key: &str, plain: &Secret, context: Context<'_>) -> Result<Encrypted, KmsError> {
        self.usable(key)?;
        let mut ciphertext = Self::label(key, context);
        ciphertext.extend(plain.bytes().iter().map(|byte| !byte));
        Ok(Encrypted { ciphertext, key: key.to_owned() })
    }
    fn decrypt(
        &self,
        ciphertext: &[u8],
        key: Option<&str>,
        context: Context<'_>,
    ) -> Result<Secret, KmsError> {
        let key = key.expect("vault keys name their KMS key");
        self.usable(key)?;
        let rest = ciphertext
            .strip_prefix(&*Self::label(key, context))
            .ok_or_else(|| failed(KmsErrorKind::Damaged))?;
        Ok(Secret::new(rest.iter().map(|byte| !byte).collect()))
    }
    fn re_encrypt(
        &self,
        ciphertext: &[u8],
        new_key: &str,
        context: Context<'_>,
    ) -> Result<Encrypted, KmsError> {
        let end = ciphertext.iter().position(|byte| *byte == b'|').unwrap();
        let old = String::from_utf8(ciphertext[..end].to_vec()).unwrap();
        self.encrypt(new_key, &self.decrypt(ciphertext, Some(&old), context)?, context)
    }
}

struct Fixture {
    dir: tempfile::TempDir,
    desk: Desk,
    kit: RecoveryKey,
    id: String,
}

fn text_of(kit: &RecoveryKey) -> String {
    kit.text().password_text().unwrap().to_owned()
}

impl Fixture {
    fn new() -> Self {
        let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::default());
        let kit = RecoveryKey::generate();
        let password = Password::new(text_of(&kit));
        let keys =
            NewKeys { kms: Some(("daily", "k1", &desk)), passwords: &[(Some("recovery-x"), &password)] };
        let location = VaultLocation::Folder(dir.path().join("vault"));
        let id = Vault::init_with(&location, &keys).unwrap().id().to_owned();
        Self { dir, desk, kit, id }
    }
    fn path(&self) -> PathBuf {
        self.dir.path().join("vault")
    }
    fn location(&self) -> VaultLocation {
        VaultLocation::Folder(self.path())
    }
    fn open(&self) -> Result<Vault, VaultError> {
        Vault::open_with(&self.location(), &Opener::Kms(&|| self.desk.connect()))
    }
    fn ring(&self) -> KeyRing {
        KeyRing::open(&self.location(), &Opener::Kms(&|| self.desk.connect())).unwrap()
    }
    fn wrapped(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.path().join("ghevault/keys"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        files
    }
    fn names(&self) -> Vec<String> {
        self.ring().list().unwrap().0.into_iter().map(|key| key.name).collect()
    }
}

fn replace(path: &Path, old: &str, new: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(old));
    std::fs::write(path, text.replace(old, new)).unwrap();
}

#[test]
fn kms_opens_the_vault_and_so_does_the_kit_with_stock_restic() {
    let fixture = Fixture::new();
    assert_eq!(fixture.open().unwrap().id(), fixture.id);
    let kit = Password::new(text_of(&fixture.kit));
    assert_eq!(Vault::open(&fixture.location(), &kit).unwrap().id(), fixture.id);
    let checked = restic_with(&fixture.path(), &text_of(&fixture.kit), &["check"]);
    assert!(checked.status.success(), "{checked:?}");
    let wrong = Vault::open(&fixture.location(), &Password::new("other")).unwrap_err();
    assert!(matches!(wrong, VaultError::WrongPassword { .. }), "{wrong}");
}

#[test]
fn when_kms_is_gone_the_kit_still_opens() {
    let fixture = Fixture::new();
    fixture.desk.take_away("k1");
    let error = fixture.open().unwrap_err();
    assert!(
        matches!(error, VaultError::Kms { ref source, .. } if source.kind == KmsErrorKind::Unusable),
        "{error}"
    );
    let kit = Password::new(text_of(&fixture.kit));
    let ring = KeyRing::open(&fixture.location(), &Opener::Password(&kit)).unwrap();
    ring.add_kms("second", "k2", &fixture.desk).unwrap();
    assert_eq!(fixture.open().unwrap().id(), fixture.id);
}

#[test]
fn a_new_generation_supersedes_the_old_one_and_both_stay_until_they_are_removed() {
    let fixture = Fixture::new();
    let entry = fixture.ring().rewrap("daily", "k2", &fixture.desk).unwrap();
    assert_eq!(entry.sort, KeySort::Kms { kms_key: "k2".into(), generation: 2 });
    assert_eq!(fixture.wrapped().len(), 2);
    fixture.desk.take_away("k1");
    assert_eq!(fixture.open().unwrap().id(), fixture.id);
    assert_eq!(fixture.names(), ["daily", "recovery-x"]);
    fixture.ring().remove("daily").unwrap();
    assert_eq!(fixture.wrapped().len(), 0);
    let error = fixture.open().unwrap_err();
    assert!(matches!(error, VaultError::NoKmsKey { .. }), "{error}");
}

#[test]
fn keys_are_added_listed_and_removed_but_never_the_last() {
    let fixture = Fixture::new();
    let ring = fixture.ring();
    ring.add_password("escrow", &Password::new("in the safe")).unwrap();
    assert_eq!(fixture.names(), ["daily", "escrow", "recovery-x"]);
    assert!(matches!(ring.add_password("escrow", &Password::new("x")), Err(VaultError::Invalid(_))));
    assert!(matches!(ring.add_password("../x", &Password::new("x")), Err(VaultError::Invalid(_))));
    assert!(matches!(ring.add_password("empty", &Password::new("")), Err(VaultError::Invalid(_))));
    assert!(Vault::open(&fixture.location(), &Password::new("in the safe")).is_ok());
    ring.remove("escrow").unwrap();
    let error = Vault::open(&fixture.location(), &Password::new("in the safe")).unwrap_err();
    assert!(matches!(error, VaultError::WrongPassword { .. }), "{error}");
    ring.remove("recovery-x").unwrap();
    assert!(matches!(ring.remove("daily"), Err(VaultError::Invalid(_))));
    assert!(matches!(ring.remove("nobody"), Err(VaultError::Invalid(_))));
}

#[test]
fn a_wrapped_key_of_another_vault_opens_nothing() {
    let (one, other) = (Fixture::new(), Fixture::new());
    std::fs::copy(&other.wrapped()[0], &one.wrapped()[0]).unwrap();
    let error = one.open().unwrap_err();
    assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
    // nor does it when it claims to be of this one
    replace(&one.wrapped()[0], &other.id, &one.id);
    let error = one.open().unwrap_err();
    assert!(
        matches!(error, VaultError::Kms { ref source, .. } if source.kind == KmsErrorKind::Damaged),
        "{error}"
    );
}

#[test]
fn damaged_files_of_keys_are_told_and_do_not_hide_sound_ones() {
    let fixture = Fixture::new();
    fixture.ring().add_kms("second", "k2", &fixture.desk).unwrap();
    std::fs::write(&fixture.wrapped()[0], "{").unwrap();
    assert_eq!(fixture.open().unwrap().id(), fixture.id);
    assert_eq!(fixture.ring().list().unwrap().1.len(), 1);
    std::fs::write(&fixture.wrapped()[1], "{}").unwrap();
    let error = fixture.open().unwrap_err();
    assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
}

#[test]
fn an_init_that_kms_refuses_leaves_no_vault_and_can_be_repeated() {
    let (dir, desk) = (tempfile::tempdir().unwrap(), Desk::default());
    let location = VaultLocation::Folder(dir.path().join("vault"));
    desk.take_away("k1");
    let password = Password::new("escrow");
    let keys = NewKeys { kms: Some(("daily", "k1", &desk)), passwords: &[(Some("escrow"), &password)] };
    assert!(matches!(Vault::init_with(&location, &keys), Err(VaultError::Kms { .. })));
    let open = || Vault::open_with(&location, &Opener::Kms(&|| desk.connect()));
    assert!(matches!(open(), Err(VaultError::NotAVault { .. })));
    let keys = NewKeys { kms: Some(("daily", "k2", &desk)), passwords: &[(Some("escrow"), &password)] };
    Vault::init_with(&location, &keys).unwrap();
    assert!(open().is_ok() && Vault::open(&location, &password).is_ok());
    assert_eq!(std::fs::read_dir(dir.path().join("vault/keys")).unwrap().count(), 1);
}

#[test]
fn a_vault_with_a_password_alone_has_no_key_in_kms() {
    let scratch = vaults::Scratch::new();
    let error =
        Vault::open_with(&scratch.location(), &Opener::Kms(&|| panic!("KMS is not asked"))).unwrap_err();
    assert!(matches!(error, VaultError::NoKmsKey { .. }), "{error}");
}
