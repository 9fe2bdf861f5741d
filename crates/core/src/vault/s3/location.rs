//! Which bucket: restic's spellings, Amazon's own, and what the settings add.

use super::super::error::{VaultError, VaultResult};
use crate::aws::AwsSettings;
use jiff::Timestamp;
use std::fmt;

/// What the settings say about a vault's bucket beyond its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3Settings {
    /// Region, endpoint and profile, where the location does not name them.
    pub aws: AwsSettings,
    /// Whether the bucket stands in the path; `None`: with an endpoint that is not Amazon's.
    pub path_style: Option<bool>,
    /// KMS key that S3 encrypts with; `None`: as the bucket says.
    pub kms_key: Option<String>,
    /// Days for which every file is locked when it is written (compliance mode); `None`: as the bucket says.
    pub retention_days: Option<u32>,
}

/// A place in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    /// The bucket.
    pub bucket: String,
    /// Folders in it, without `/` at either end; empty for none.
    pub prefix: String,
    /// Address of the server; `None`: Amazon's for the region.
    pub endpoint: Option<String>,
    /// Region by the name of the host.
    pub region: Option<String>,
    /// What the settings add.
    pub settings: S3Settings,
    /// The moment as of which the bucket is read; nothing is written then.
    pub as_of: Option<Timestamp>,
}

/// What stands before the bucket's name.
enum Host {
    Endpoint(String),
    Region(String),
    Amazon,
}

impl S3Location {
    /// Reads `s3:https://HOST/BUCKET/PREFIX`, `s3:HOST/BUCKET/PREFIX` (restic's), `s3:REGION/BUCKET/PREFIX` and
    /// `s3://BUCKET/PREFIX` (Amazon's); `None` for what does not begin with `s3:`.
    pub(crate) fn parse(text: &str) -> Option<VaultResult<Self>> {
        let rest = text.strip_prefix("s3:")?;
        Some(Self::of_rest(rest).map_err(|why| VaultError::Invalid(format!("\"{text}\" {why}"))))
    }

    fn of_rest(rest: &str) -> Result<Self, String> {
        let (host, path) = if rest.starts_with("https://") || rest.starts_with("http://") {
            let (scheme, after) = rest.split_once("://").unwrap_or_default();
            let (host, path) = after.split_once('/').unwrap_or((after, ""));
            if host.is_empty() || host.contains(['@', '?', '#']) {
                return Err("names no host, or more than a host and a port".into());
            }
            (of_amazon(host).unwrap_or_else(|| Host::Endpoint(format!("{scheme}://{host}"))), path)
        } else if let Some(after) = rest.strip_prefix("//") {
            let (first, path) = after.split_once('/').unwrap_or((after, ""));
            match of_amazon(first) {
                Some(host) => (host, path),
                None if first.contains(':') => (Host::Endpoint(format!("https://{first}")), path),
                None if first.contains('.') => {
                    return Err(format!(
                        "may mean the host or the bucket \"{first}\"; write s3:https://{first}/BUCKET or s3:REGION/{first}"
                    ));
                }
                None => (Host::Amazon, after),
            }
        } else {
            let (first, path) = rest.split_once('/').unwrap_or((rest, ""));
            match of_amazon(first) {
                Some(host) => (host, path),
                None if first.contains(['.', ':']) || first == "localhost" => {
                    (Host::Endpoint(format!("https://{first}")), path)
                }
                None if is_region(first) => (Host::Region(first.to_owned()), path),
                None => return Err("names neither a host nor a region before the bucket".into()),
            }
        };
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        check_bucket(bucket)?;
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() && prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err("has an empty folder, `.` or `..` in its prefix".into());
        }
        let (endpoint, region) = match host {
            Host::Endpoint(endpoint) => (Some(endpoint), None),
            Host::Region(region) => (None, Some(region)),
            Host::Amazon => (None, None),
        };
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint,
            region,
            settings: S3Settings::default(),
            as_of: None,
        })
    }

    /// Settings of the session for this bucket.
    pub(crate) fn aws(&self) -> AwsSettings {
        let settings = &self.settings.aws;
        AwsSettings {
            region: self.region.clone().or_else(|| settings.region.clone()),
            endpoint: self.endpoint.clone().or_else(|| settings.endpoint.clone()),
            profile: settings.profile.clone(),
        }
    }

    /// Whether the bucket stands in the path, not in the host's name.
    pub(crate) fn path_style(&self) -> bool {
        self.settings.path_style.unwrap_or_else(|| self.aws().endpoint.is_some())
    }

    /// Key of a file of the vault, or of a folder's beginning.
    pub(crate) fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aws = self.aws();
        match (aws.endpoint, aws.region) {
            (Some(endpoint), _) => write!(f, "s3:{endpoint}/{}", self.bucket)?,
            (None, Some(region)) if region.starts_with("cn-") => {
                write!(f, "s3:s3.{region}.amazonaws.com.cn/{}", self.bucket)?;
            }
            (None, Some(region)) => write!(f, "s3:s3.{region}.amazonaws.com/{}", self.bucket)?,
            (None, None) => write!(f, "s3://{}", self.bucket)?,
        }
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

/// A host name of Amazon's S3: what region it stands for.
fn of_amazon(host: &str) -> Option<Host> {
    let name = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    if name == "s3" {
        return Some(Host::Amazon);
    }
    let region = name.strip_prefix("s3.").or_else(|| name.strip_prefix("s3-"))?;
    is_region(region).then(|| Host::Region(region.to_owned()))
}

/// `eu-central-1`, `us-gov-west-1`.
fn is_region(word: &str) -> bool {
    let parts: Vec<_> = word.split('-').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    parts.len() >= 3
        && first.len() == 2
        && (last.len() <= 2 && !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()))
        && parts[..parts.len() - 1].iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase()))
}

fn check_bucket(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("names no bucket".into());
    }
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b));
    if !plain || !(3..=63).contains(&name.len()) {
        return Err(format!(
            "names the bucket \"{name}\", which has 3 to 63 lower-case letters, digits, `-`, `.` and `_` nowhere"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> S3Location {
        S3Location::parse(text).expect("S3").unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn spellings_of_restic_and_of_amazon_are_read() {
        for (text, endpoint, region, bucket, prefix) in [
            (
                "s3:https://s3.example.com:9000/vault-a/prod",
                Some("https://s3.example.com:9000"),
                None,
                "vault-a",
                "prod",
            ),
            ("s3:http://127.0.0.1:8333/vault-a", Some("http://127.0.0.1:8333"), None, "vault-a", ""),
            ("s3:https://s3.amazonaws.com/vault-a/x/y/", None, None, "vault-a", "x/y"),
            ("s3:s3.amazonaws.com/vault-a", None, None, "vault-a", ""),
            ("s3:s3.eu-central-1.amazonaws.com/vault-a", None, Some("eu-central-1"), "vault-a", ""),
            ("s3:s3-us-west-2.amazonaws.com/vault-a", None, Some("us-west-2"), "vault-a", ""),
            ("s3:s3.cn-north-1.amazonaws.com.cn/vault-a", None, Some("cn-north-1"), "vault-a", ""),
            ("s3:minio.example.com/vault-a/p", Some("https://minio.example.com"), None, "vault-a", "p"),
            ("s3:eu-central-1/vault-a/p", None, Some("eu-central-1"), "vault-a", "p"),
            ("s3://vault-a/p/q", None, None, "vault-a", "p/q"),
            ("s3://vault-a", None, None, "vault-a", ""),
            ("s3://host:9000/vault-a", Some("https://host:9000"), None, "vault-a", ""),
        ] {
            let read = parse(text);
            let found = (read.endpoint.as_deref(), read.region.as_deref(), &*read.bucket, &*read.prefix);
            assert_eq!(found, (endpoint, region, bucket, prefix), "{text}");
            assert_eq!(parse(&read.to_string()), read, "{text} is shown as {read}");
        }
    }

    #[test]
    fn what_may_mean_two_things_is_refused() {
        for (text, word) in [
            ("s3://s3.example.com/vault-a", "may mean"),
            ("s3:vault-a/p", "neither a host nor a region"),
            ("s3:https://host/", "names no bucket"),
            ("s3:https://key:secret@host/vault-a", "more than a host"),
            ("s3:eu-central-1/Vault", "lower-case"),
            ("s3://vault-a/x//y", "empty folder"),
            ("s3://vault-a/../y", "empty folder"),
        ] {
            let error = S3Location::parse(text).expect("S3").unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(S3Location::parse("/srv/s3:x").is_none());
    }

    #[test]
    fn the_location_wins_over_the_settings() {
        let mut location = parse("s3:eu-central-1/vault-a");
        location.settings.aws =
            AwsSettings { region: Some("us-east-1".into()), endpoint: None, profile: Some("p".into()) };
        assert_eq!(location.aws().region.as_deref(), Some("eu-central-1"));
        assert!(!location.path_style());
        location.settings.aws.endpoint = Some("http://127.0.0.1:1".into());
        assert!(location.path_style());
        assert_eq!(location.to_string(), "s3:http://127.0.0.1:1/vault-a");
        assert_eq!(location.key("config"), "config");
    }
}
