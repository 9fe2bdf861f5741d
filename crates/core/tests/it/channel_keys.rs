//! Every form in which people keep private SSH keys, as `ssh-keygen` writes it.

use std::{path::Path, process::Command};

use ghevault_core::keys::{Secret, SshKey, SshKeyError};

/// A key pair made by `ssh-keygen`: the private text, and the fingerprint that it shows for the public half.
fn generated(kind: &[&str], form: &[&str], passphrase: &str) -> (Secret, String) {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let path = dir.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-C", "scratch", "-N", passphrase, "-f"])
        .arg(&path)
        .arg("-t")
        .args(kind)
        .args(form)
        .status()
        .expect("ssh-keygen");
    assert!(made.success());
    (Secret::new(std::fs::read(&path).expect("a key")), fingerprint(&path.with_extension("pub")))
}

fn fingerprint(public: &Path) -> String {
    let output = Command::new("ssh-keygen").arg("-lf").arg(public).output().expect("ssh-keygen");
    let line = String::from_utf8(output.stdout).expect("text");
    line.split_whitespace().nth(1).expect("a fingerprint").to_owned()
}

/// No line of the key's text stands in `shown`.
fn assert_nothing_leaks(shown: &str, secret: &Secret) {
    let text = std::str::from_utf8(secret.bytes()).expect("text");
    for line in text.lines().filter(|line| line.len() > 8 && !line.starts_with('-')) {
        assert!(!shown.contains(line), "{shown}");
    }
}

#[test]
fn every_kind_and_form_is_read() {
    let kinds: [&[&str]; 5] = [
        &["ed25519"],
        &["rsa", "-b", "2048"],
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "384"],
        &["ecdsa", "-b", "521"],
    ];
    let forms: [&[&str]; 3] = [&[], &["-m", "PEM"], &["-m", "PKCS8"]];
    for kind in kinds {
        for form in forms {
            let (secret, shown) = generated(kind, form, "");
            let key =
                SshKey::parse(&secret, None).unwrap_or_else(|error| panic!("{kind:?} {form:?}: {error}"));
            assert_eq!(key.fingerprint(), shown);
            assert_eq!(format!("{key:?}"), format!("SshKey({shown})"));
            assert!(key.public_line().expect("a line").starts_with(&key.kind()));
        }
    }
}

#[test]
fn a_protected_key_needs_its_passphrase() {
    for form in [&[][..], &["-m", "PEM"], &["-m", "PKCS8"]] {
        let (secret, shown) = generated(&["rsa", "-b", "2048"], form, "open sesame");
        let passphrase = |text: &str| Secret::new(text.into());
        let key = SshKey::parse(&secret, Some(&passphrase("open sesame\n")));
        assert_eq!(key.unwrap_or_else(|error| panic!("{form:?}: {error}")).fingerprint(), shown);
        assert_eq!(SshKey::parse(&secret, None).expect_err("protected"), SshKeyError::Encrypted, "{form:?}");
        let wrong = SshKey::parse(&secret, Some(&passphrase("hunter2"))).expect_err("wrong");
        assert_eq!(wrong, SshKeyError::Passphrase, "{form:?}");
        assert!(!wrong.to_string().contains("hunter2"));
    }
}

#[test]
fn a_needless_passphrase_does_no_harm() {
    let (secret, shown) = generated(&["ed25519"], &[], "");
    let key = SshKey::parse(&secret, Some(&Secret::new(b"x".to_vec()))).expect("a key");
    assert_eq!(key.fingerprint(), shown);
}

#[test]
fn what_is_no_private_key_is_refused_without_being_quoted() {
    let (secret, _) = generated(&["ed25519"], &[], "");
    let public = SshKey::parse(&secret, None).expect("a key").public_line().expect("a line");
    assert_eq!(
        SshKey::parse(&Secret::new(public.into_bytes()), None).expect_err("public"),
        SshKeyError::PublicHalf
    );
    for text in
        [&b""[..], b"hunter2", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        let error = SshKey::parse(&Secret::new(text.to_vec()), None).expect_err("no key");
        assert_eq!(error, SshKeyError::NotAKey);
    }
    let mut damaged = secret.bytes().to_vec();
    damaged.drain(100..200);
    let damaged = Secret::new(damaged);
    let error = SshKey::parse(&damaged, None).expect_err("damaged");
    assert_nothing_leaks(&format!("{error} {error:?}"), &damaged);
}

#[test]
fn short_rsa_keys_are_refused() {
    let (secret, _) = generated(&["rsa", "-b", "1024"], &[], "");
    assert_eq!(SshKey::parse(&secret, None).expect_err("short"), SshKeyError::Short { bits: 1024 });
}

#[test]
fn lost_and_foreign_line_ends_do_no_harm() {
    for form in [&[][..], &["-m", "PEM"], &["-m", "PKCS8"]] {
        let (secret, shown) = generated(&["rsa", "-b", "2048"], form, "");
        let text = std::str::from_utf8(secret.bytes()).expect("text");
        for other in [text.trim_end().to_owned(), text.replace('\n', "\r\n"), format!("\n{text}\n\n")] {
            let key = SshKey::parse(&Secret::new(other.into_bytes()), None)
                .unwrap_or_else(|error| panic!("{form:?}: {error}"));
            assert_eq!(key.fingerprint(), shown);
        }
    }
}
