//! Policies that a vault's bucket and its identities need, as JSON to be given to AWS. Pure.

use super::location::S3Location;
use serde_json::{Value, json};

/// Whose policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyFor {
    /// The bucket's own: what it denies to everybody.
    Bucket,
    /// The identity that backs up, verifies and restores: it can put, get and list.
    Runner,
    /// The identity that forgets and prunes: it can also delete what no lock holds.
    Maintenance,
    /// The identity that extends locks: it can make locks longer, and neither write nor delete.
    Locks,
    /// The identity that looks behind delete markers (`--as-of`) and at the bucket's settings: it can read versions.
    Reader,
}

/// Where policies are for China and for governments: another name space.
fn partition(region: Option<&str>) -> &'static str {
    match region {
        Some(region) if region.starts_with("cn-") => "aws-cn",
        Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

impl S3Location {
    /// A policy for this vault.
    #[must_use]
    pub fn policy(&self, whose: PolicyFor) -> Value {
        let partition = partition(self.aws().region.as_deref());
        let bucket = format!("arn:{partition}:s3:::{}", self.bucket);
        let files = format!("{bucket}/{}", self.key("*"));
        let statements = match whose {
            PolicyFor::Bucket => denials(&bucket),
            PolicyFor::Runner => {
                self.allowed(&bucket, &files, &["s3:PutObject", "s3:GetObject"], &["s3:ListBucket"])
            }
            PolicyFor::Maintenance => self.allowed(
                &bucket,
                &files,
                &[
                    "s3:PutObject",
                    "s3:GetObject",
                    "s3:GetObjectRetention",
                    "s3:DeleteObject",
                    "s3:DeleteObjectVersion",
                ],
                &["s3:ListBucket", "s3:ListBucketVersions"],
            ),
            PolicyFor::Locks => {
                let mut statements = self.allowed(
                    &bucket,
                    &files,
                    &["s3:GetObject", "s3:GetObjectRetention", "s3:PutObjectRetention"],
                    &["s3:ListBucket"],
                );
                // it takes the lease, like every writer
                statements.push(json!({
                    "Sid": "Leases",
                    "Effect": "Allow",
                    "Action": "s3:PutObject",
                    "Resource": format!("{bucket}/{}", self.key("ghevault/leases/*")),
                }));
                statements
            }
            PolicyFor::Reader => self.allowed(
                &bucket,
                &files,
                &["s3:GetObject", "s3:GetObjectVersion"],
                &[
                    "s3:ListBucket",
                    "s3:ListBucketVersions",
                    "s3:GetBucketVersioning",
                    "s3:GetBucketObjectLockConfiguration",
                    "s3:GetBucketPolicy",
                ],
            ),
        };
        json!({ "Version": "2012-10-17", "Statement": statements })
    }

    fn allowed(&self, bucket: &str, files: &str, on_files: &[&str], on_bucket: &[&str]) -> Vec<Value> {
        let mut on_bucket =
            json!({ "Sid": "Bucket", "Effect": "Allow", "Action": on_bucket, "Resource": bucket });
        if !self.prefix.is_empty() {
            // only requests that have a prefix are bound to it
            on_bucket["Condition"] = json!({ "StringLikeIfExists": { "s3:prefix": [self.key("*")] } });
        }
        let writes = on_files.contains(&"s3:PutObject");
        let mut statements = vec![
            json!({ "Sid": "Files", "Effect": "Allow", "Action": on_files, "Resource": files }),
            on_bucket,
        ];
        if let Some(key) = self.settings.kms_key.as_ref().filter(|key| key.starts_with("arn:")) {
            let actions: &[&str] =
                if writes { &["kms:GenerateDataKey", "kms:Decrypt"] } else { &["kms:Decrypt"] };
            statements.push(json!({ "Sid": "Key", "Effect": "Allow", "Action": actions, "Resource": key }));
        }
        statements
    }
}

/// What a bucket denies to everybody: weak transport, foreign encryption keys, overwriting.
fn denials(bucket: &str) -> Vec<Value> {
    let files = format!("{bucket}/*");
    vec![
        json!({
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket, files],
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        }),
        json!({
            "Sid": "NoForeignKeys",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": files,
            "Condition": { "Null": { "s3:x-amz-server-side-encryption-customer-algorithm": "false" } },
        }),
        json!({
            "Sid": "OnlyNewFiles",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": files,
            "Condition": { "Null": { "s3:if-none-match": "true" } },
        }),
    ]
}

/// Whether a bucket's policy denies what it must; in the order TLS, foreign keys, overwriting.
pub(super) fn denies(policy: &Value) -> [bool; 3] {
    let statements = match policy.get("Statement") {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let has = |operator: &str, key: &str, wanted: &str, action: &str| {
        statements.iter().any(|statement| {
            let everybody = statement["Principal"] == "*" || statement["Principal"]["AWS"] == "*";
            statement["Effect"] == "Deny"
                && everybody
                && listed(&statement["Action"], |a| a.eq_ignore_ascii_case(action) || a == "s3:*" || a == "*")
                && statement["Condition"].as_object().is_some_and(|conditions| {
                    // a second condition would narrow the denial
                    conditions.len() == 1
                        && conditions.get(operator).and_then(Value::as_object).is_some_and(|keys| {
                            keys.len() == 1
                                && keys.get(key).is_some_and(|value| listed(value, |v| v == wanted))
                        })
                })
        })
    };
    [
        has("Bool", "aws:SecureTransport", "false", "s3:PutObject"),
        has("Null", "s3:x-amz-server-side-encryption-customer-algorithm", "false", "s3:PutObject"),
        has("Null", "s3:if-none-match", "true", "s3:PutObject"),
    ]
}

/// Whether a text, or one of a list, is it.
fn listed(value: &Value, is: impl Fn(&str) -> bool) -> bool {
    match value {
        Value::Array(list) => list.iter().any(|one| one.as_str().is_some_and(&is)),
        Value::Bool(truth) => is(if *truth { "true" } else { "false" }),
        one => one.as_str().is_some_and(is),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location() -> S3Location {
        S3Location::parse("s3:eu-central-1/vault-a/prod").unwrap().unwrap()
    }

    fn actions(policy: &Value) -> String {
        policy["Statement"].as_array().unwrap().iter().map(|s| s["Action"].to_string()).collect()
    }

    #[test]
    fn the_runner_can_neither_delete_nor_unlock() {
        let policy = location().policy(PolicyFor::Runner);
        let all = actions(&policy);
        for word in ["Delete", "Retention", "Bypass", "Version", "\"s3:*\""] {
            assert!(!all.contains(word), "{policy}");
        }
        assert!(policy.to_string().contains("arn:aws:s3:::vault-a/prod/*"));
    }

    #[test]
    fn who_extends_locks_can_write_leases_only() {
        let policy = location().policy(PolicyFor::Locks);
        assert!(!actions(&policy).contains("Delete"));
        for statement in policy["Statement"].as_array().unwrap() {
            if listed(&statement["Action"], |action| action == "s3:PutObject") {
                assert_eq!(statement["Resource"], "arn:aws:s3:::vault-a/prod/ghevault/leases/*");
            }
        }
    }

    #[test]
    fn our_own_policy_of_a_bucket_denies_all_that_must_be_denied() {
        let policy = location().policy(PolicyFor::Bucket);
        assert_eq!(denies(&policy), [true; 3]);
    }

    #[test]
    fn a_denial_for_some_or_under_further_conditions_counts_for_nothing() {
        let mut policy = location().policy(PolicyFor::Bucket);
        policy["Statement"][0]["Principal"] = json!({ "AWS": "arn:aws:iam::111111111111:root" });
        policy["Statement"][1]["Condition"]["StringEquals"] = json!({ "aws:username": "x" });
        policy["Statement"][2]["Effect"] = json!("Allow");
        assert_eq!(denies(&policy), [false; 3]);
        assert_eq!(denies(&json!({})), [false; 3]);
    }
}
