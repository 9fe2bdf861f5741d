//! Small public files of a notice board in a bucket: `FOLDER/NAME` below a prefix, created once and never overwritten.

use super::{super::error::VaultResult, Bucket, S3Location, S3Settings, put::Put};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// See the module.
#[derive(Clone)]
pub struct NoteBucket(Bucket);

impl std::fmt::Debug for NoteBucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NoteBucket({})", self.0.place())
    }
}

impl NoteBucket {
    /// The bucket (or a part of it) that a text names, if it begins with `s3:`; asks nothing of it.
    ///
    /// # Errors
    /// The text is no location, or there is no region.
    pub fn connect(text: &str, settings: &S3Settings) -> VaultResult<Option<Self>> {
        let Some(location) = S3Location::parse(text) else { return Ok(None) };
        let location = S3Location { settings: settings.clone(), ..location? };
        Ok(Some(Self(Bucket::connect(&location)?)))
    }

    /// Where it is, in words.
    #[must_use]
    pub fn place(&self) -> String {
        self.0.place()
    }

    /// All folders, sorted.
    ///
    /// # Errors
    /// The bucket cannot be listed.
    pub fn folders(&self) -> VaultResult<Vec<String>> {
        let files = self.0.list("", "")?;
        let first = |name: &str| name.split_once('/').map(|(folder, _)| folder.to_owned());
        let mut folders: Vec<String> = files.iter().filter_map(|file| first(&file.name)).collect();
        folders.sort();
        folders.dedup();
        Ok(folders)
    }

    /// Names of the files of a folder, sorted.
    ///
    /// # Errors
    /// The bucket cannot be listed.
    pub fn names(&self, folder: &str) -> VaultResult<Vec<String>> {
        let files = self.0.list(&format!("{folder}/"), "")?;
        let mut names: Vec<String> = files.into_iter().map(|file| file.name).collect();
        names.retain(|name| !name.contains('/'));
        names.sort();
        Ok(names)
    }

    /// A file; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, folder: &str, name: &str) -> VaultResult<Option<Vec<u8>>> {
        Ok(self.0.get(&format!("{folder}/{name}"))?.map(|bytes| bytes.to_vec()))
    }

    /// Creates a file; `false` when there is one of that name, which then stays.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(&self, folder: &str, name: &str, content: &[u8]) -> VaultResult<bool> {
        let name = format!("{folder}/{name}");
        let content = Bytes::copy_from_slice(content);
        match self.0.put_new(&name, &content, &Sha256::digest(&content))? {
            Put::Written => Ok(true),
            Put::Exists { perhaps_ours: false } => Ok(false),
            Put::Exists { perhaps_ours: true } => {
                Ok(self.0.get(&name)?.is_some_and(|there| there == content))
            }
        }
    }
}
