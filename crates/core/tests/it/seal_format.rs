//! The page about the seal is true: its vectors were made by another program, ours reads and makes the same, and its commands do what they say.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ghevault_core::seal::{self, SealError, SealKey, SignedText};
use std::{fs, process::Command};

const PAGE: &str = include_str!("../../../../docs/design/seal.md");

/// Lines of the page's blocks that begin like this.
fn lines(start: &str) -> Vec<&'static str> {
    PAGE.lines().filter(|line| line.starts_with(start)).collect()
}

/// The two seals of the page, each with its hash.
fn vectors() -> [(&'static str, &'static str); 2] {
    let all: Vec<&str> = PAGE.lines().collect();
    let at = all.iter().position(|line| line.starts_with("{\"ghevault\"")).unwrap();
    [(all[at], all[at + 1]), (all[at + 2], all[at + 3])]
}

fn key() -> SealKey {
    SealKey::from_text(&BASE64.encode([1; 32])).unwrap()
}

#[test]
fn the_seals_on_the_page_are_read_with_the_hashes_that_stand_there() {
    assert!(PAGE.contains(&format!("    {}\n", key().public())));
    let [first, second] = vectors().map(|(text, hash)| {
        let tree = if hash == vectors()[0].1 { "aa" } else { "bb" }.repeat(32);
        let seal = seal::read(Some(text), &tree).unwrap();
        assert_eq!((seal.hash.as_str(), &seal.key), (hash, &key().public()));
        seal
    });
    assert_eq!(first.manifest.previous, None);
    assert_eq!(second.manifest.previous, Some(first.hash));
}

#[test]
fn the_same_manifest_is_sealed_to_the_same_bytes() {
    for (text, _) in vectors() {
        let tree = if text == vectors()[0].0 { "aa" } else { "bb" }.repeat(32);
        let seal = seal::read(Some(text), &tree).unwrap();
        assert_eq!(key().seal(&seal.manifest).unwrap(), text);
    }
}

#[test]
fn a_long_text_signed_by_its_hash_is_accepted_as_the_page_says() {
    let signature = PAGE.lines().skip_while(|line| !line.starts_with("sha512 ")).nth(1).unwrap();
    let signed = |text: String| -> SignedText {
        let value = serde_json::json!({ "text": text, "key": key().public(), "signature": signature });
        serde_json::from_value(value).unwrap()
    };
    assert!(signed("x".repeat(5000)).verified().is_ok());
    assert_eq!(signed("x".repeat(5001)).verified().unwrap_err(), SealError::BadSignature);
}

#[test]
fn a_stranger_checks_a_seal_with_the_commands_of_the_page() {
    let script: Vec<&str> = PAGE
        .lines()
        .skip_while(|line| !line.starts_with("jq -j .manifest"))
        .take_while(|line| !line.starts_with("```"))
        .collect();
    assert_eq!(script.len(), 4);
    let folder = tempfile::tempdir().unwrap();
    let run = |text: &str| {
        fs::write(folder.path().join("seal.json"), text).unwrap();
        let mut command = Command::new("bash");
        let done = command.args(["-ec", &script.join("\n")]).current_dir(&folder).output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    for (text, _) in vectors() {
        assert_eq!(run(text), (true, "Signature Verified Successfully\n".to_owned()));
        assert!(!run(&text.replace("ghe.example.com", "ghe.example.org")).0);
    }
    assert_eq!(lines("{\"ghevault\"").len(), 2);
}
