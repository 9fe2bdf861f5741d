//! `key` against a KMS that fails in each of its ways, and with an instance's metadata; what needs a real one is in
//! `suite_accounts_keys.rs`.

use crate::support;
use support::{
    Desk, Done,
    wire::{Answer, Metadata, ROLE_KEY, ROLE_TOKEN, Wire, metadata},
};

/// Some ciphertext.
const CIPHERTEXT: &str =
    "aws:kms:AQICAHhsOmeBytesThatOnlyKMSCanReadOmeBytesThatOnlyKMSCanReadOmeBytesThatOnlyKMSCanRead0";

/// A desk whose SSH key is encrypted, with credentials of its own.
fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.set("GHEVAULT_SSH_KEY", CIPHERTEXT);
    desk.use_aws_keys("eu-west-1");
    desk
}

/// Asks for the public half of the SSH key while KMS answers like this.
fn public(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Done {
    let kms = Wire::start(move |_| answer());
    let mut desk = desk();
    desk.set("AWS_ENDPOINT_URL_KMS", &kms.url);
    desk.run(&["key", "public", "--json"])
}

/// The same for a code of KMS.
fn refused(status: u16, code: &'static str) -> Done {
    public(move || Answer::json_error(status, code, "no"))
}

/// The same desk with an instance's role in place of credentials of its own.
fn instance(mode: Metadata) -> (Desk, Wire) {
    let (mut desk, metadata) = (desk(), metadata(mode));
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"] {
        desk.unset(name);
    }
    desk.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url);
    (desk, metadata)
}

/// A KMS that decrypts everything, to something that is no key.
fn generous() -> Wire {
    Wire::start(|_| {
        Answer::Say(
            200,
            "application/x-amz-json-1.1",
            "{\"KeyId\":\"arn:aws:kms:eu-central-1:1:key/x\",\"Plaintext\":\"bm90IGEga2V5\"}".to_owned(),
        )
    })
}

#[test]
fn each_refusal_of_kms_has_its_own_message_and_exit_code() {
    let mut messages = std::collections::BTreeSet::new();
    for (status, code, exit, says) in [
        (400, "IncorrectKeyException", 12, "was not made with"),
        (400, "InvalidCiphertextException", 13, "damaged or cut short"),
        (400, "AccessDeniedException", 14, "may not use"),
        (400, "DisabledException", 14, "is disabled"),
        (400, "KMSInvalidStateException", 14, "pending deletion"),
        (400, "NotFoundException", 2, "there is no such KMS key"),
        (400, "ExpiredTokenException", 1, "have expired"),
        (400, "UnrecognizedClientException", 2, "does not accept the credentials"),
        (400, "InvalidKeyUsageException", 2, "is not made for this"),
        (400, "TagException", 1, "KMS refused"),
    ] {
        let done = refused(status, code).exits(exit).complains(says).complains(code);
        messages.insert(done.json()["error"].as_str().expect("an error").to_owned());
    }
    assert_eq!(messages.len(), 10);
}

#[test]
fn a_denial_by_iam_in_xml_is_a_denial() {
    public(|| {
        let body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform: kms:Decrypt</Message></Error></ErrorResponse>";
        Answer::Say(403, "text/xml", body.to_owned())
    })
    .exits(14)
    .complains("may not use the KMS key")
    .complains("not authorized to perform: kms:Decrypt")
    .complains("kms:Decrypt (to make keys");
}

#[test]
fn throttling_is_waited_out_and_told_when_it_lasts() {
    let kms = Wire::start(|_| Answer::json_error(400, "ThrottlingException", "Rate exceeded"));
    let mut desk = desk();
    desk.set("AWS_ENDPOINT_URL_KMS", &kms.url);
    desk.run(&["key", "public"]).exits(1).complains("KMS is asked too often").complains("later");
    assert_eq!(kms.seen().len(), 5);
}

#[test]
fn a_kms_that_is_not_there_or_does_not_answer_is_told_apart() {
    let mut desk = desk();
    // nobody listens on the discard port
    desk.set("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9");
    desk.run(&["key", "public"]).exits(1).complains("KMS cannot be reached").complains("VPC endpoints");
    public(|| Answer::Silence).exits(1).complains("KMS did not answer in time");
    refused(500, "KMSInternalException").exits(1).complains("KMS cannot serve at present");
}

#[test]
fn nothing_is_guessed_without_region_or_credentials() {
    let mut desk = desk();
    desk.unset("AWS_REGION");
    desk.run(&["key", "public"])
        .exits(2)
        .complains("the AWS region is not known")
        .complains("GHEVAULT_AWS_REGION");
    desk.set("GHEVAULT_AWS_REGION", "eu-west-1");
    desk.unset("AWS_ACCESS_KEY_ID");
    desk.run(&["key", "public"]).exits(2).complains("there are no AWS credentials").complains("a role");
}

#[test]
fn role_and_region_come_from_the_instance_with_a_token_only() {
    let (mut desk, metadata) = instance(Metadata::Sound);
    let kms = generous();
    desk.unset("AWS_REGION");
    desk.set("AWS_ENDPOINT_URL_KMS", &kms.url);
    // what this KMS decrypts is no key
    desk.run(&["key", "public"]).exits(2).complains("it is not a private key");
    let asked = kms.seen();
    let request = asked.first().expect("KMS was asked");
    let signed = request.header("authorization").expect("signed");
    assert!(signed.contains(&format!("{ROLE_KEY}/")) && signed.contains("/eu-central-1/kms/"), "{signed}");
    assert_eq!(request.header("x-amz-security-token"), Some(ROLE_TOKEN));
    for request in metadata.seen() {
        let token = request.method == "PUT" || request.header("x-aws-ec2-metadata-token").is_some();
        assert!(token, "version 1 was tried: {request:?}");
    }
}

#[test]
fn the_configured_region_wins_over_environment_and_instance() {
    let (mut desk, _metadata) = instance(Metadata::Sound);
    let kms = generous();
    desk.set("AWS_ENDPOINT_URL_KMS", &kms.url);
    desk.set("GHEVAULT_AWS_REGION", "ap-south-1");
    desk.run(&["key", "public"]).exits(2);
    let asked = kms.seen();
    let signed = asked[0].header("authorization").expect("signed");
    assert!(signed.contains("/ap-south-1/kms/"), "{signed}");
}

#[test]
fn a_silent_metadata_service_is_told_with_its_usual_cause() {
    let (mut desk, _metadata) = instance(Metadata::Silent);
    desk.run(&["key", "public"])
        .exits(1)
        .complains("the instance's metadata service gave no credentials in time")
        .complains("hop limit of 2");
    desk.unset("AWS_REGION");
    desk.run(&["key", "public"])
        .exits(2)
        .complains("the AWS region is not known")
        .complains("hop limit of 2");
}

#[test]
fn a_metadata_service_that_refuses_or_knows_no_region_gives_none() {
    let (mut desk, _metadata) = instance(Metadata::Forbidden);
    desk.run(&["key", "public"]).exits(2).complains("there are no AWS credentials");
    let (mut other, _metadata) = instance(Metadata::NoRegion);
    for desk in [&mut desk, &mut other] {
        desk.unset("AWS_REGION");
        desk.run(&["key", "public"]).exits(2).complains("the AWS region is not known");
    }
}

#[test]
fn a_vault_under_a_kms_that_refuses_is_not_made() {
    let kms = Wire::start(|_| Answer::json_error(400, "AccessDeniedException", "no"));
    let mut desk = desk();
    desk.unset("GHEVAULT_PASSWORD");
    desk.set("AWS_ENDPOINT_URL_KMS", &kms.url);
    desk.run(&["init", "--kms-key", "alias/vault"]).exits(14).complains("alias/vault");
    assert!(!desk.path("vault/config").exists());
    desk.run(&["snapshots"]).exits(10);
}

#[test]
fn what_kms_could_never_encrypt_is_not_sent_there() {
    let kms = generous();
    let mut desk = desk();
    desk.set("AWS_ENDPOINT_URL_KMS", &kms.url);
    let long = desk.write("long", &"x".repeat(4097));
    desk.run(&["key", "encrypt", "--kms-key", "k", "--from", &format!("file:{}", long.display())])
        .exits(2)
        .complains("at most 4096 bytes")
        .complains("Ed25519");
    assert!(kms.seen().is_empty());
}

#[test]
fn an_agent_is_an_ssh_key_and_no_secret() {
    let mut desk = desk();
    desk.set("GHEVAULT_HOST", "127.0.0.1:9");
    desk.set("GHEVAULT_SSH_KEY", "agent:");
    desk.run(&["gate", "status"]).exits(2).complains("SSH_AUTH_SOCK is not set");
    desk.run(&["key", "public"]).exits(2).complains("ssh-add -L");
    desk.set("GHEVAULT_PASSWORD", "agent:");
    desk.run(&["init"]).exits(2).complains("gives no secret away");
}

#[test]
fn a_source_that_is_no_ciphertext_is_told_without_being_repeated() {
    let mut desk = desk();
    desk.set("GHEVAULT_SSH_KEY", "aws:kms:arn:aws:kms:eu-west-1:1:key/hunter2");
    let done = desk.run(&["key", "public"]).exits(2).complains("is not the base64 text");
    assert!(!done.stderr.contains("hunter2"), "{done:?}");
}

#[test]
fn keys_of_a_vault_with_a_password_are_listed_and_a_kit_opens_it() {
    let mut desk = Desk::with_vault();
    let made = desk.run(&["key", "recovery", "--parts", "3", "--threshold", "2", "--json"]).exits(0).json();
    let name = made["name"].as_str().expect("a name").to_owned();
    let parts: Vec<&str> =
        made["parts"].as_array().expect("parts").iter().filter_map(|p| p.as_str()).collect();
    let listed = desk.run(&["key", "list", "--json"]).exits(0).json();
    assert!(
        listed["keys"]
            .as_array()
            .expect("keys")
            .iter()
            .any(|key| key["name"] == name.as_str() && key["kind"] == "recovery")
    );
    desk.unset("GHEVAULT_PASSWORD");
    let two = desk.write("two", &format!("{}\n\n{}\n", parts[2].to_lowercase(), parts[0]));
    desk.set("GHEVAULT_RECOVERY_KEY", &format!("file:{}", two.display()));
    desk.run(&["snapshots"]).exits(0);
    let one = desk.write("one", parts[1]);
    desk.set("GHEVAULT_RECOVERY_KEY", &format!("file:{}", one.display()));
    desk.run(&["snapshots"]).exits(2).complains("1 different part(s)").complains("2 are needed");
    let joined = desk.run(&["key", "join", "one", "two", "--json"]).exits(0).json();
    let whole = desk.write("whole", joined["key"].as_str().expect("a key"));
    desk.set("GHEVAULT_RECOVERY_KEY", &format!("file:{}", whole.display()));
    desk.run(&["key", "remove", &name]).exits(0);
    desk.run(&["snapshots"]).exits(12);
}
