//! Requests to a bucket: whole answers or errors, bounded retries, names below the vault's prefix.
//!
//! Every call waits in the caller's thread while the session's threads drive it, so as many requests run at once as there
//! are callers.

use super::{
    super::error::{VaultError, VaultResult},
    as_of::Versions,
    errors::sorted,
    location::S3Location,
};
use crate::aws::{Aws, AwsFailure, FailureKind};
use aws_sdk_s3::{Client, operation::get_object::GetObjectOutput, types::ChecksumMode};
use bytes::Bytes;
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};

/// Attempts to read an answer whose content breaks off, the first included.
const ATTEMPTS: u32 = 5;
/// Wait before the second attempt; doubles with each.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Files on one page of a listing: the most that S3 gives.
const PAGE: i32 = 1000;

/// One file in a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    /// Its name below the folder that was listed.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, by the store's clock.
    pub modified: Timestamp,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(super) aws: Aws,
    pub(super) client: Client,
    pub(super) at: Arc<S3Location>,
    place: Arc<str>,
    /// The bucket as it was, instead of as it is.
    view: Option<Arc<Versions>>,
}

/// Part of a file.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub offset: u64,
    pub length: usize,
}

/// A version of a file.
enum Which {
    Current,
    Version(String),
}

/// Why an answer could not be read.
enum Unread {
    Failed(AwsFailure),
    Broken(String),
    Short,
}

impl Bucket {
    /// Prepares the client; asks nothing of the bucket.
    pub(crate) fn connect(at: &S3Location) -> VaultResult<Self> {
        let place = at.to_string();
        let aws = Aws::connect(&at.aws()).map_err(|failure| sorted(&place, "reach", "", failure))?;
        let config =
            aws_sdk_s3::config::Builder::from(aws.config()).force_path_style(at.path_style()).build();
        let view = at.as_of.map(|moment| Arc::new(Versions::new(moment)));
        Ok(Self {
            aws,
            client: Client::from_conf(config),
            at: Arc::new(at.clone()),
            place: place.into(),
            view,
        })
    }

    /// The vault in words.
    pub(crate) fn place(&self) -> String {
        self.place.to_string()
    }

    pub(super) fn failed(&self, action: &'static str, name: &str, failure: AwsFailure) -> VaultError {
        sorted(&self.place, action, name, failure)
    }

    /// Refuses to change a bucket that is looked at as it was.
    pub(super) fn writable(&self) -> VaultResult<()> {
        match self.at.as_of {
            None => Ok(()),
            Some(moment) => Err(VaultError::ReadOnly { location: self.place(), moment }),
        }
    }

    /// Which version of a file is to be read; `None` when there is no such file.
    fn version(&self, name: &str) -> VaultResult<Option<Which>> {
        match &self.view {
            None => Ok(Some(Which::Current)),
            Some(view) => Ok(view.load(self)?.get(name).map(|version| Which::Version(version.id.clone()))),
        }
    }

    /// A whole file; `None` when there is none.
    pub(super) fn get(&self, name: &str) -> VaultResult<Option<Bytes>> {
        self.read(name, None)
    }

    /// A part of a file; `None` when there is no such file.
    pub(super) fn get_part(&self, name: &str, part: Part) -> VaultResult<Option<Bytes>> {
        self.read(name, Some(part))
    }

    fn read(&self, name: &str, part: Option<Part>) -> VaultResult<Option<Bytes>> {
        let Some(version) = self.version(name)? else { return Ok(None) };
        let mut attempt = 1;
        loop {
            match self.aws.wait(self.read_once(name, &version, part)) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(Unread::Failed(failure)) if is_absent(&failure) => return Ok(None),
                Err(Unread::Failed(failure)) => return Err(self.failed("read", name, failure)),
                Err(Unread::Short) => {
                    return Err(VaultError::damaged("file", name, "the file is shorter than it should be"));
                }
                Err(Unread::Broken(words)) if attempt >= ATTEMPTS => {
                    let failure = AwsFailure {
                        service: "S3",
                        action: format!("deliver {name} whole in {ATTEMPTS} attempts"),
                        kind: FailureKind::Unavailable,
                        code: None,
                        status: None,
                        words,
                    };
                    return Err(self.failed("read", name, failure));
                }
                Err(Unread::Broken(words)) => {
                    tracing::debug!(name, attempt, words, "an answer of the bucket broke off; asking again");
                    self.pause(attempt);
                    attempt += 1;
                }
            }
        }
    }

    async fn read_once(&self, name: &str, version: &Which, part: Option<Part>) -> Result<Bytes, Unread> {
        let range = part.map(|part| {
            format!("bytes={}-{}", part.offset, (part.offset + part.length as u64).saturating_sub(1))
        });
        let version = match version {
            Which::Current => None,
            Which::Version(id) => Some(id.clone()),
        };
        let request = self
            .client
            .get_object()
            .bucket(&self.at.bucket)
            .key(self.at.key(name))
            .set_version_id(version)
            .checksum_mode(ChecksumMode::Enabled)
            .set_range(range);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = AwsFailure::of("S3", format!("read {name}"), &error);
                let beyond = failure.code.as_deref() == Some("InvalidRange") || failure.status == Some(416);
                return Err(if beyond { Unread::Short } else { Unread::Failed(failure) });
            }
        };
        whole(answer, part).await
    }

    /// Size in bytes, and SHA-256 in base64 where the store tells it; `None` when there is no such file.
    pub(super) fn examine(&self, name: &str) -> VaultResult<Option<(u64, Option<String>)>> {
        if let Some(view) = &self.view {
            return Ok(view.load(self)?.get(name).map(|version| (version.size, None)));
        }
        let request = self
            .client
            .head_object()
            .bucket(&self.at.bucket)
            .key(self.at.key(name))
            .checksum_mode(ChecksumMode::Enabled);
        match self.aws.wait(request.send()) {
            Ok(head) => {
                let size = u64::try_from(head.content_length.unwrap_or_default()).unwrap_or_default();
                Ok(Some((size, head.checksum_sha256)))
            }
            Err(error) => {
                let failure = AwsFailure::of("S3", format!("examine {name}"), &error);
                if failure.kind == FailureKind::NotFound {
                    // an answer without content does not say whether it is the file or the bucket that is not there
                    self.answers()?;
                    return Ok(None);
                }
                Err(self.failed("examine", name, failure))
            }
        }
    }

    /// Whether the bucket exists and lets itself be listed.
    pub(super) fn answers(&self) -> VaultResult<()> {
        let request = self.client.list_objects_v2().bucket(&self.at.bucket).prefix(self.at.key("config"));
        match self.aws.wait(request.max_keys(1).send()) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed("list", "", AwsFailure::of("S3", "list the bucket", &error))),
        }
    }

    /// All files below `folder` (which ends with `/`) whose names are greater than `after`, by name.
    pub(super) fn list(&self, folder: &str, after: &str) -> VaultResult<Vec<Listed>> {
        self.list_first(folder, after, usize::MAX)
    }

    /// The first `most` of [`Bucket::list`].
    pub(super) fn list_first(&self, folder: &str, after: &str, most: usize) -> VaultResult<Vec<Listed>> {
        if let Some(view) = &self.view {
            let mut found = view.load(self)?.below(folder, after);
            found.truncate(most);
            return Ok(found);
        }
        let prefix = self.at.key(folder);
        let start = (!after.is_empty()).then(|| format!("{prefix}{after}"));
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let request = self
                .client
                .list_objects_v2()
                .bucket(&self.at.bucket)
                .prefix(&prefix)
                .set_start_after(start.clone())
                .max_keys(i32::try_from(most - found.len()).unwrap_or(PAGE).min(PAGE))
                .set_continuation_token(token);
            let page = self.aws.wait(request.send()).map_err(|error| {
                self.failed("list", folder, AwsFailure::of("S3", format!("list {folder}"), &error))
            })?;
            for object in page.contents() {
                let Some(name) = object.key().and_then(|key| key.strip_prefix(&prefix)) else { continue };
                found.push(Listed {
                    name: name.to_owned(),
                    size: u64::try_from(object.size().unwrap_or_default()).unwrap_or_default(),
                    modified: moment(object.last_modified()),
                });
            }
            if found.len() >= most {
                break;
            }
            token = page.next_continuation_token().map(str::to_owned);
            match (page.is_truncated().unwrap_or_default(), &token) {
                (false, _) => break,
                (true, Some(_)) => {}
                (true, None) => {
                    return Err(self.incomplete(folder, "a page says that there are more, but not where"));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// An answer that cannot be the whole truth.
    pub(super) fn incomplete(&self, folder: &str, words: &str) -> VaultError {
        let failure = AwsFailure {
            service: "S3",
            action: format!("list {folder} completely"),
            kind: FailureKind::Unavailable,
            code: None,
            status: None,
            words: words.into(),
        };
        self.failed("list", folder, failure)
    }

    /// Removes a file: in a bucket with versions, hides it.
    pub(super) fn remove(&self, name: &str) -> VaultResult<()> {
        self.writable()?;
        let request = self.client.delete_object().bucket(&self.at.bucket).key(self.at.key(name));
        match self.aws.wait(request.send()) {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(self.failed("remove", name, AwsFailure::of("S3", format!("remove {name}"), &error)))
            }
        }
    }

    /// Waits before attempt `attempt + 1`: twice as long each time, and never at the same beat as others.
    pub(super) fn pause(&self, attempt: u32) {
        let wait = FIRST_WAIT.saturating_mul(1 << (attempt - 1).min(8)).mul_f64(rand::random_range(0.5..1.0));
        self.aws.wait(async { tokio::time::sleep(wait).await });
    }
}

/// The content of an answer, if all of it came.
async fn whole(answer: GetObjectOutput, part: Option<Part>) -> Result<Bytes, Unread> {
    let told = answer.content_length.and_then(|length| usize::try_from(length).ok());
    if let (Some(part), Some(told)) = (part, told)
        && told < part.length
    {
        return Err(Unread::Short);
    }
    let bytes = answer.body.collect().await.map_err(|e| Unread::Broken(e.to_string()))?.into_bytes();
    let expected = part.map(|part| part.length).or(told);
    match expected {
        Some(expected) if bytes.len() != expected => {
            Err(Unread::Broken(format!("{} bytes came instead of {expected}", bytes.len())))
        }
        _ => Ok(bytes),
    }
}

/// Whether what is not there is the file, not the bucket.
fn is_absent(failure: &AwsFailure) -> bool {
    failure.kind == FailureKind::NotFound && failure.code.as_deref() != Some("NoSuchBucket")
}

/// A time of the service; the epoch where it is not told.
pub(super) fn moment(time: Option<&aws_sdk_s3::primitives::DateTime>) -> Timestamp {
    time.and_then(|time| Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}
