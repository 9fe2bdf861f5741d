//! Sources are told apart, kept well, and never quote what they hold.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::keys::service::{Context, Encrypted, KmsErrorKind};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

/// Decrypts by turning every byte around; knows nothing of damage.
struct Mirror;

fn mirrored(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

impl KeyService for Mirror {
    fn encrypt(&self, key: &str, plain: &Secret, _: Context<'_>) -> Result<Encrypted, KmsError> {
        Ok(Encrypted { ciphertext: mirrored(plain.bytes()), key: key.to_owned() })
    }
    fn decrypt(&self, ciphertext: &[u8], _: Option<&str>, _: Context<'_>) -> Result<Secret, KmsError> {
        Ok(Secret::new(mirrored(ciphertext)))
    }
    fn re_encrypt(&self, ciphertext: &[u8], key: &str, _: Context<'_>) -> Result<Encrypted, KmsError> {
        Ok(Encrypted { ciphertext: ciphertext.to_vec(), key: key.to_owned() })
    }
}

fn no_kms() -> Result<Arc<dyn KeyService>, KmsError> {
    Err(KmsError { kind: KmsErrorKind::NoRegion, key: None, failure: None })
}

#[allow(clippy::unnecessary_wraps, reason = "the shape of a connection")]
fn mirror() -> Result<Arc<dyn KeyService>, KmsError> {
    Ok(Arc::new(Mirror))
}

fn load(source: &SecretSource) -> Result<LoadedSecret, SecretError> {
    let reach = Reach { environment: &no_environment, kms: &no_kms, meta: Path::new("/nonexistent") };
    source.load(SecretKind::Password, &reach)
}

fn with_kms(source: &SecretSource, kind: SecretKind, meta: &Path) -> Result<LoadedSecret, SecretError> {
    source.load(kind, &Reach { environment: &no_environment, kms: &mirror, meta })
}

/// A private key in form only, long enough for a ciphertext.
const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nnot a real one\n-----END OPENSSH PRIVATE KEY-----\n";

fn no_environment(_: &str) -> Option<OsString> {
    None
}

fn file_with_mode(mode: u32, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let path = dir.path().join("secret");
    std::fs::write(&path, content).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode set");
    (dir, path)
}

#[test]
fn sources_are_told_apart_and_shown_as_written() {
    for text in [
        "file:/etc/key",
        "env:GHEVAULT_KEY",
        "file:relative:with:colons",
        "taupage:",
        "taupage:/x/y.yaml#key",
        "agent:",
        "agent:/run/agent",
        "stdin:",
    ] {
        assert_eq!(text.parse::<SecretSource>().expect(text).to_string(), text);
    }
}

#[test]
fn plain_words_are_refused_without_being_repeated() {
    for text in ["hunter2", "", "file:", "env:", "https://example.com/key", "aws:s3:x"] {
        let error = text.parse::<SecretSource>().expect_err(text);
        assert!(matches!(error, SecretError::NotASource));
        assert!(!error.to_string().contains("hunter2"));
        assert!(error.to_string().contains("file:PATH"), "{error}");
    }
}

#[test]
fn a_ciphertext_in_the_setting_is_decrypted_and_not_shown_in_full() {
    for text in [STANDARD.encode(mirrored(KEY.as_bytes())), URL_SAFE_NO_PAD.encode(mirrored(KEY.as_bytes()))]
    {
        let source: SecretSource = format!("aws:kms:{text}").parse().expect("a source");
        assert_eq!(source.to_string(), "aws:kms:…");
        let loaded = with_kms(&source, SecretKind::Password, Path::new("/")).expect("a secret");
        assert_eq!(loaded.secret.bytes(), KEY.as_bytes());
    }
    let error = "aws:kms:hunter2".parse::<SecretSource>().expect_err("no ciphertext");
    assert!(matches!(error, SecretError::NotACiphertext { .. }) && !error.to_string().contains("hunter2"));
}

#[test]
fn files_hold_plain_or_encrypted_keys_told_apart_by_content() {
    let base64 = STANDARD.encode(mirrored(KEY.as_bytes()));
    for content in [KEY.to_owned(), format!("aws:kms:{base64}\n"), format!("{base64}\n")] {
        let (_dir, path) = file_with_mode(0o600, content.as_bytes());
        let loaded = with_kms(&SecretSource::File(path), SecretKind::SshKey, Path::new("/"));
        assert_eq!(loaded.expect("a key").secret.bytes(), KEY.as_bytes(), "{content}");
    }
    // a long password of base64 characters is a password
    let (_dir, path) = file_with_mode(0o600, base64.as_bytes());
    let loaded =
        with_kms(&SecretSource::File(path), SecretKind::Password, Path::new("/")).expect("a password");
    assert_eq!(loaded.secret.bytes(), base64.as_bytes());
}

#[test]
fn the_usual_places_are_taupages_file_and_then_the_kubernetes_mount() {
    let base64 = URL_SAFE_NO_PAD.encode(mirrored(KEY.as_bytes()));
    let meta = tempfile::tempdir().expect("a scratch folder");
    let usual = || SecretSource::usual_ssh_key(meta.path()).expect("usable files");
    assert_eq!(usual(), None);
    let mount = meta.path().join("ghe-backup-secret");
    std::fs::create_dir(&mount).expect("a mount");
    std::fs::write(mount.join("kms_private_ssh_key"), KEY).expect("written");
    assert_eq!(usual(), Some(SecretSource::File(mount.join("kms_private_ssh_key"))));
    let taupage = meta.path().join("taupage.yaml");
    std::fs::write(&taupage, "application_id: ghe-backup\n").expect("written");
    assert_eq!(usual(), Some(SecretSource::File(mount.join("kms_private_ssh_key"))));
    let (first, rest) = base64.split_at(30);
    let text = format!("#taupage-ami-config\nkms_private_ssh_key: \"aws:kms:{first}\n  {rest}\"\nother: x\n");
    std::fs::write(&taupage, text).expect("written");
    let source = usual().expect("a source");
    assert_eq!(source, SecretSource::Taupage { path: None, key: None });
    let loaded = with_kms(&source, SecretKind::SshKey, meta.path()).expect("a key");
    assert_eq!((loaded.secret.bytes(), loaded.warning), (KEY.as_bytes(), None));
    let other: SecretSource = format!("taupage:{}#other", taupage.display()).parse().expect("a source");
    assert_eq!(with_kms(&other, SecretKind::Password, meta.path()).expect("x").secret.bytes(), b"x");
    let absent: SecretSource = "taupage:#absent".parse().expect("a source");
    let error = with_kms(&absent, SecretKind::Password, meta.path()).expect_err("no such key");
    assert!(matches!(error, SecretError::NoSuchKey { .. }), "{error}");
}

#[test]
fn a_private_file_is_read_without_a_warning() {
    let (_dir, path) = file_with_mode(0o600, b"word\n");
    let loaded = load(&SecretSource::File(path)).expect("a secret");
    assert_eq!(loaded.secret.password(), b"word");
    assert_eq!(loaded.warning, None);
}

#[test]
fn a_file_that_others_may_read_is_taken_with_a_warning() {
    let (_dir, path) = file_with_mode(0o644, b"word");
    let loaded = load(&SecretSource::File(path.clone())).expect("a secret");
    assert_eq!(loaded.warning, Some(SecretWarning::ReadableByOthers { path, mode: 0o644 }));
}

#[test]
fn a_file_that_others_may_change_is_refused() {
    for mode in [0o620, 0o602, 0o666] {
        let (_dir, path) = file_with_mode(mode, b"word");
        let error = load(&SecretSource::File(path)).expect_err("refused");
        assert!(matches!(error, SecretError::Unsafe { .. }), "{mode:o}: {error}");
    }
}

#[test]
fn links_are_followed_but_only_to_regular_files() {
    let (dir, path) = file_with_mode(0o600, b"word");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    assert!(load(&SecretSource::File(link)).is_ok());
    let error = load(&SecretSource::File(dir.path().to_owned())).expect_err("a folder");
    assert!(matches!(error, SecretError::Unsafe { .. }), "{error}");
    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
    let error = load(&SecretSource::File(pipe)).expect_err("a pipe");
    assert!(matches!(error, SecretError::Unsafe { .. }), "{error}");
}

#[test]
fn missing_empty_and_endless_secrets_are_errors() {
    let missing = load(&SecretSource::File("/nonexistent/key".into()));
    assert!(matches!(missing, Err(SecretError::Read { .. })));
    let unset = load(&SecretSource::Environment("X".into()));
    assert!(matches!(unset, Err(SecretError::NotSet { .. })));
    let (_dir, path) = file_with_mode(0o600, b"\n");
    assert!(matches!(load(&SecretSource::File(path)), Err(SecretError::Empty { .. })));
    let (_dir, path) = file_with_mode(0o600, &vec![b'x'; 1024 * 1024 + 1]);
    assert!(matches!(load(&SecretSource::File(path)), Err(SecretError::Read { .. })));
}

#[test]
fn the_environment_is_asked_through_the_look_up() {
    let environment = |name: &str| (name == "KEY").then(|| OsString::from("word"));
    let loaded = SecretSource::Environment("KEY".into())
        .load(
            SecretKind::Password,
            &Reach { environment: &environment, kms: &no_kms, meta: Path::new("/nonexistent") },
        )
        .expect("a secret");
    assert_eq!(loaded.secret.bytes(), b"word");
}
