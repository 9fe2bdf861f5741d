//! `seal.key`: the key that signs comes from a secret source like any other, or never leaves KMS.
//!
//! No emulator of KMS signs with Ed25519, so a server of this test does, by the wire format of KMS.

use crate::support;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ghevault_core::seal::SealKey;
use ghevault_sim::{
    build::{git, layout},
    harness::Appliance,
    live::refs,
};
use serde_json::{Value, json};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use support::{
    Desk, appliance,
    wire::{Answer, Request, Wire},
};

/// Most bytes that KMS signs.
const MESSAGE_BYTES_MAX: usize = 4096;
/// The DER form of an Ed25519 key without its 32 bytes (RFC 8410).
const DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn key(byte: u8) -> SealKey {
    SealKey::from_text(&BASE64.encode([byte; 32])).expect("a key")
}

fn bytes(text: &str) -> Vec<u8> {
    BASE64.decode(text).expect("base64")
}

fn said(value: &Value) -> Answer {
    Answer::Say(200, "application/x-amz-json-1.1", value.to_string())
}

/// A KMS with one Ed25519 key. `denies`: it shows the key and does not sign.
fn signing(denies: Arc<AtomicBool>) -> Wire {
    Wire::start(move |request| answer(request, &key(5), denies.load(Ordering::Relaxed)))
}

fn answer(request: &Request, hand: &SealKey, denies: bool) -> Answer {
    let asked: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(asked["KeyId"], "alias/seal");
    match request.header("x-amz-target") {
        Some("TrentService.GetPublicKey") => said(&json!({
            "KeyId": "arn:aws:kms:eu-west-1:1:key/x", "KeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY",
            "PublicKey": BASE64.encode([&DER[..], &bytes(&key(5).public())].concat()),
        })),
        Some("TrentService.Sign") if denies => Answer::json_error(400, "AccessDeniedException", "no"),
        Some("TrentService.Sign") => {
            assert_eq!(
                (&asked["SigningAlgorithm"], &asked["MessageType"]),
                (&"ED25519_SHA_512".into(), &"RAW".into())
            );
            let message = bytes(asked["Message"].as_str().expect("a message"));
            if message.len() > MESSAGE_BYTES_MAX {
                return Answer::json_error(400, "ValidationException", "too long");
            }
            let message = String::from_utf8(message).expect("text");
            let signed = hand.sign(message).expect("signed");
            said(
                &json!({ "KeyId": "x", "Signature": signed.signature(), "SigningAlgorithm": "ED25519_SHA_512" }),
            )
        }
        other => panic!("asked for {other:?}"),
    }
}

/// A desk with a vault and a trusted appliance, whose seals are signed at that KMS.
fn desk_at(kms: &Wire, seed: u64) -> (Desk, Appliance, tempfile::TempDir) {
    let (mut appliance, folder) = appliance(seed);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.use_aws_keys("eu-west-1");
    desk.set("AWS_ENDPOINT_URL_KMS", &kms.url);
    desk.set("GHEVAULT_SEAL_KEY", "aws:kms-key:alias/seal");
    (desk, appliance, folder)
}

#[test]
fn kms_signs_snapshots_reports_and_checkpoints_and_no_key_lies_in_the_state_folder() {
    let kms = signing(Arc::default());
    let (desk, appliance, _folder) = desk_at(&kms, 1);
    many_branches(&appliance);
    for _ in 0..2 {
        desk.run(&["backup", "--quiet"]).exits(0);
    }
    let public = key(5).public();
    desk.run(&["verify", "--seal-key", &public]).exits(0);
    desk.run(&["verify", "--seal-key", &key(6).public()]).exits(13);
    let shown = desk.run(&["doctor", "--json"]).exits(0).stdout;
    assert!(shown.contains(&format!("{public}, `aws:kms-key:alias/seal`")), "{shown}");

    // A drill's report and a sheet of references are longer than what KMS takes.
    desk.run(&["drill", "--quiet", "--json"]);
    let reports = desk.run(&["drill", "--list", "--json"]).exits(0).json();
    assert_eq!(reports[0]["signed_by"], public.as_str(), "{reports}");
    let board = desk.path("board").display().to_string();
    fs::create_dir(&board).expect("a board");
    desk.run(&["witness", "publish", "--board", &board]).exits(0);
    desk.run(&["witness", "verify", "--board", &board, "--key", &public]).exits(0);
    let is_long = |path: &String| {
        path.rsplit_once('.').is_some_and(|(_, end)| end == "refs")
            && fs::metadata(path).expect("a sheet").len() > MESSAGE_BYTES_MAX as u64
    };
    assert!(walk(&desk.path("board")).iter().any(is_long), "no long text was signed");

    assert!(!desk.path("state/seal.key").exists());
    let asked = kms.seen();
    assert!(asked.iter().any(|one| one.header("x-amz-target") == Some("TrentService.Sign")));
}

/// Gives a repository so many branches that a sheet of references is longer than what KMS signs.
fn many_branches(appliance: &Appliance) {
    let path = appliance.place().repositories().join(layout::network(1)).join("1.git");
    let tip = refs::read_all(&path).expect("references")[&b"refs/heads/main"[..]].clone();
    for number in 0..100 {
        let words = ["update-ref", &format!("refs/heads/many-{number}"), &tip];
        git::run(&path, &words, b"").expect("a branch");
    }
}

/// All files below a folder.
fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path.display().to_string()) }
    }
    found
}

#[test]
fn a_role_that_may_see_the_key_and_not_sign_is_told_so_before_and_after() {
    let denies = Arc::new(AtomicBool::new(true));
    let kms = signing(Arc::clone(&denies));
    let (desk, _appliance, _folder) = desk_at(&kms, 2);
    let shown = desk.run(&["doctor"]).exits(14).stdout;
    assert!(shown.contains("may not use") && shown.contains("kms:Sign"), "{shown}");
    desk.run(&["backup", "--quiet"]).exits(14).complains("may not use the KMS key alias/seal");
    assert_eq!(desk.run(&["snapshots", "--json"]).exits(0).json(), json!([]));
    denies.store(false, Ordering::Relaxed);
    desk.run(&["backup", "--quiet"]).exits(0);
}

#[test]
fn a_service_that_signs_with_another_key_makes_no_snapshot() {
    let kms = Wire::start(|request| answer(request, &key(6), false));
    let (desk, _appliance, _folder) = desk_at(&kms, 3);
    desk.run(&["backup", "--quiet"])
        .exits(14)
        .complains("does not fit the public key that it shows")
        .complains("hint: ");
    assert_eq!(desk.run(&["snapshots", "--json"]).exits(0).json(), json!([]));
}

#[test]
fn a_seal_key_under_kms_is_decrypted_in_memory_and_written_nowhere() {
    let text = BASE64.encode([9; 32]);
    let plain = BASE64.encode(&text);
    let kms = Wire::start(move |request| {
        assert_eq!(request.header("x-amz-target"), Some("TrentService.Decrypt"));
        said(&json!({ "KeyId": "x", "Plaintext": plain }))
    });
    let (mut desk, _appliance, _folder) = desk_at(&kms, 4);
    desk.set(
        "GHEVAULT_SEAL_KEY",
        "aws:kms:AQICAHhsOmeBytesThatOnlyKMSCanReadOmeBytesThatOnlyKMSCanReadOmeBytesThatOnlyKMSCanRead0",
    );
    desk.set("RUST_LOG", "trace");
    let said = desk.run(&["backup"]).exits(0);
    assert!(!said.stdout.contains(&text) && !said.stderr.contains(&text));
    desk.run(&["verify", "--seal-key", &key(9).public()]).exits(0);
    assert!(!desk.path("state/seal.key").exists());
    for path in walk(&desk.path("")) {
        let held = fs::read(&path).expect("readable");
        assert!(!String::from_utf8_lossy(&held).contains(&text), "{path} holds the seal key");
    }
}

#[test]
fn what_is_no_seal_key_is_told_without_being_shown() {
    let mut desk = Desk::new();
    let file = desk.write("seal", "not a key at all\n");
    desk.set("GHEVAULT_SEAL_KEY", &format!("file:{}", file.display()));
    desk.run(&["init"]).exits(0);
    let done = desk.run(&["witness", "publish", "--board", &desk.path("").display().to_string()]);
    let done = done.exits(2).complains("no seal key").complains("hint: ");
    assert!(!done.stderr.contains("not a key at all"));
    for (source, says) in
        [("stdin:", "not a source of a seal key"), ("aws:kms-key:", "not a source of a seal key")]
    {
        desk.set("GHEVAULT_SEAL_KEY", source);
        desk.run(&["snapshots"]).exits(2).complains(says).complains("GHEVAULT_SEAL_KEY");
    }
}
