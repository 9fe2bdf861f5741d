//! Desks in the two AWS accounts of the suite: KMS of moto with IAM switched on.

use super::Desk;

/// A variable that the suite sets.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this with `scripts/test accounts`"))
}

/// ARN of a KMS key: `A1`, `A2`, `B1`, `B2`.
pub fn kms_key(name: &str) -> String {
    variable(&format!("GHEVAULT_TEST_KMS_KEY_{name}"))
}

impl Desk {
    /// A desk without a password, in the account and role of a profile: `a-keys`, `a-runner`, `a-nobody`, `b-runner`, …
    pub fn in_account(profile: &str) -> Self {
        let mut desk = Self::new();
        desk.unset("GHEVAULT_PASSWORD");
        desk.set("AWS_ENDPOINT_URL_KMS", &variable("GHEVAULT_TEST_KMS_ENDPOINT"));
        desk.use_aws("eu-west-1", &variable("GHEVAULT_TEST_S3_CREDENTIALS"), profile);
        desk
    }

    /// Takes another role.
    pub fn become_role(&mut self, profile: &str) {
        self.set("AWS_PROFILE", profile);
    }

    /// Takes KMS away: nobody listens on the discard port.
    pub fn lose_kms(&mut self) {
        self.set("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9");
    }

    /// Encrypts a file with a KMS key, as whoever may; returns `aws:kms:…`.
    #[track_caller]
    pub fn encrypted(&self, file: &std::path::Path, key: &str) -> String {
        let from = format!("file:{}", file.display());
        let done = self.run(&["key", "encrypt", "--kms-key", key, "--from", &from, "--json"]).exits(0);
        done.json()["secret"].as_str().expect("a secret").to_owned()
    }
}
