//! What the tests of two accounts share: the servers that `scripts/test accounts` starts, buckets, identities, stock restic.

pub mod proxy;
pub mod vaults;

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Builder, Credentials, Region},
    types::{
        DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode, ObjectLockRule,
    },
};
use ghevault_core::{
    aws::AwsSettings,
    vault::{S3Settings, VaultLocation},
};
use std::{
    fs,
    process::{Command, Output},
};

pub const PASSWORD: &str = "correct horse";

/// A variable that the suite sets.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this with `scripts/test accounts`"))
}

/// Address of the S3 server.
pub fn endpoint() -> String {
    variable("GHEVAULT_TEST_S3_ENDPOINT")
}

/// Key id and secret of an identity: `admin`, `a-runner`, `a-prune`, `a-locks`, `a-reader`, `b-runner`, …
pub fn keys(profile: &str) -> (String, String) {
    let text = fs::read_to_string(variable("GHEVAULT_TEST_S3_CREDENTIALS")).expect("profiles");
    let (_, rest) =
        text.split_once(&format!("[{profile}]")).unwrap_or_else(|| panic!("no profile {profile}"));
    let value = |name: &str| {
        let (_, rest) = rest.split_once(&format!("{name} = ")).expect("a key");
        rest.lines().next().expect("a value").to_owned()
    };
    (value("aws_access_key_id"), value("aws_secret_access_key"))
}

/// How a bucket guards its files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Not at all.
    Open,
    /// Object Lock without a default: files have versions, and are locked one by one.
    Versioned,
    /// Object Lock: every file is locked for a day, in compliance mode.
    Locked,
}

/// A bucket of its own for one test.
pub struct TestBucket {
    pub name: String,
    runtime: tokio::runtime::Runtime,
}

impl TestBucket {
    /// Makes a bucket of account `a` or `b`.
    pub fn new(account: &str, guard: Guard) -> Self {
        let name = format!("{account}-{:016x}", rand::random::<u64>());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let bucket = Self { name, runtime };
        let admin = Self::client("admin");
        bucket.wait(async {
            admin
                .create_bucket()
                .bucket(&bucket.name)
                .object_lock_enabled_for_bucket(guard != Guard::Open)
                .send()
                .await
                .expect("a bucket");
            if guard == Guard::Locked {
                let retention =
                    DefaultRetention::builder().mode(ObjectLockRetentionMode::Compliance).days(1).build();
                let configuration = ObjectLockConfiguration::builder()
                    .object_lock_enabled(ObjectLockEnabled::Enabled)
                    .rule(ObjectLockRule::builder().default_retention(retention).build())
                    .build();
                admin
                    .put_object_lock_configuration()
                    .bucket(&bucket.name)
                    .object_lock_configuration(configuration)
                    .send()
                    .await
                    .expect("a default retention");
            }
        });
        bucket
    }

    pub fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// A client of the SDK with an identity, to look behind the scenes.
    pub fn client(profile: &str) -> Client {
        let (key, secret) = keys(profile);
        Client::from_conf(
            Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .endpoint_url(endpoint())
                .region(Region::new("eu-central-1"))
                .force_path_style(true)
                .credentials_provider(Credentials::new(key, secret, None, None, "test"))
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .build(),
        )
    }

    /// The vault in this bucket, as an identity sees it.
    pub fn location(&self, profile: &str) -> VaultLocation {
        self.location_at(&endpoint(), profile)
    }

    /// The same through another address.
    pub fn location_at(&self, endpoint: &str, profile: &str) -> VaultLocation {
        self.location_with(endpoint, profile, S3Settings::default())
    }

    /// The same with other settings.
    pub fn location_with(&self, endpoint: &str, profile: &str, settings: S3Settings) -> VaultLocation {
        let (region, profile) = (Some("eu-central-1".into()), Some(profile.into()));
        let aws = AwsSettings { region, endpoint: None, profile };
        let location =
            VaultLocation::parse(&format!("s3:{endpoint}/{}/vault", self.name)).expect("a location");
        location.with_s3(S3Settings { aws, ..settings })
    }

    /// Keys of all files as the bucket lists them.
    pub fn keys(&self) -> Vec<String> {
        let admin = Self::client("admin");
        self.wait(async {
            let mut keys = Vec::new();
            let mut token = None;
            loop {
                let page = admin
                    .list_objects_v2()
                    .bucket(&self.name)
                    .set_continuation_token(token)
                    .send()
                    .await
                    .expect("a listing");
                keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
                token = page.next_continuation_token;
                if token.is_none() {
                    return keys;
                }
            }
        })
    }

    /// Denies keys of the attacker's own, as `vault policy bucket` says it.
    pub fn deny_foreign_keys(&self) {
        let policy = format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"s3:PutObject\",\
             \"Resource\":\"arn:aws:s3:::{}/*\",\"Condition\":{{\"Null\":{{\"s3:x-amz-server-side-encryption-customer-algorithm\":\
             \"false\"}}}}}}]}}",
            self.name
        );
        let admin = Self::client("admin");
        self.wait(admin.put_bucket_policy().bucket(&self.name).policy(policy).send()).expect("a policy");
    }

    /// A moment after everything that was written until now, by the server's clock, and before everything that comes.
    pub fn next_second(&self) -> jiff::Timestamp {
        let admin = Self::client("admin");
        let written = || {
            self.wait(async {
                let put = admin.put_object().bucket(&self.name).key("clock").body(Vec::new().into());
                put.send().await.expect("written");
                let head = admin.head_object().bucket(&self.name).key("clock").send().await.expect("there");
                head.last_modified.expect("a time").secs()
            })
        };
        let before = written();
        while written() <= before + 1 {}
        jiff::Timestamp::from_second(before).expect("a time")
    }

    /// Runs stock restic on the vault; its output is shown when the test fails.
    pub fn restic(&self, profile: &str, arguments: &[&str]) -> Output {
        self.restic_with(profile, PASSWORD, arguments)
    }

    /// The same with another password.
    pub fn restic_with(&self, profile: &str, password: &str, arguments: &[&str]) -> Output {
        let (key, secret) = keys(profile);
        let output = Command::new("restic")
            .args(["--no-cache", "--no-lock", "--repo", &format!("s3:{}/{}/vault", endpoint(), self.name)])
            .args(arguments)
            .env("RESTIC_PASSWORD", password)
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_DEFAULT_REGION", "eu-central-1")
            .env("TZ", "UTC")
            .output()
            .expect("stock restic must be installed");
        println!("restic {arguments:?}: {}", output.status);
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        output
    }
}
