//! Where a vault stands.

use super::{
    error::{VaultError, VaultResult},
    folder::FolderStore,
    locks::LockStore,
    own::OwnStore,
    s3::{Bucket, S3Location, S3Settings},
    store::Store,
};
use jiff::Timestamp;
use std::{fmt, path::PathBuf, sync::Arc};

/// The place of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultLocation {
    /// A folder of a local or mounted file system.
    Folder(PathBuf),
    /// A bucket, or a part of one.
    S3(Box<S3Location>),
}

impl VaultLocation {
    /// Reads a path, `local:PATH` (restic's spelling), a `file://` URL, or what begins with `s3:`.
    ///
    /// # Errors
    /// [`VaultError::Unsupported`] for other schemes, [`VaultError::Invalid`] for an empty path.
    pub fn parse(text: &str) -> VaultResult<Self> {
        if let Some(bucket) = S3Location::parse(text) {
            return bucket.map(|bucket| Self::S3(Box::new(bucket)));
        }
        let path = if let Some(rest) = text.strip_prefix("file://") {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') {
                return Err(VaultError::Invalid(format!(
                    "\"{text}\" must name an absolute path on this host"
                )));
            }
            percent_decoded(path)
                .ok_or_else(|| VaultError::Invalid(format!("\"{text}\" is not a valid file URL")))?
        } else if let Some(rest) = text.strip_prefix("local:") {
            rest.to_owned()
        } else {
            if let Some(scheme) = scheme(text) {
                return Err(VaultError::Unsupported { what: format!("a vault at \"{scheme}:\"") });
            }
            text.to_owned()
        };
        if path.is_empty() {
            return Err(VaultError::Invalid("the vault's location is empty".into()));
        }
        Ok(Self::Folder(path.into()))
    }

    /// Who writes to the vault there now, in words; needs no password.
    ///
    /// # Errors
    /// Its leases cannot be read.
    pub fn current_writer(&self) -> VaultResult<Option<String>> {
        super::lease::current_writer(self.stores()?.1)
    }

    /// Adds what the settings say about buckets; a folder needs none of it.
    #[must_use]
    pub fn with_s3(mut self, settings: S3Settings) -> Self {
        if let Self::S3(bucket) = &mut self {
            bucket.settings = settings;
        }
        self
    }

    /// The place as it was at a moment, to be read only.
    ///
    /// # Errors
    /// [`VaultError::Unsupported`] where no versions are kept.
    pub fn as_of(mut self, moment: Timestamp) -> VaultResult<Self> {
        match &mut self {
            Self::S3(bucket) => bucket.as_of = Some(moment),
            Self::Folder(_) => {
                return Err(VaultError::Unsupported { what: "looking at a folder as it was".into() });
            }
        }
        Ok(self)
    }

    /// Locks and versions of the vault's files; `None` where there are none.
    pub(super) fn locks(&self) -> VaultResult<Option<Arc<dyn LockStore>>> {
        match self {
            Self::Folder(_) => Ok(None),
            Self::S3(at) => Ok(Some(Arc::new(Bucket::connect(at)?))),
        }
    }

    /// The two sides of the place: restic's files and ours.
    pub(super) fn stores(&self) -> VaultResult<(Arc<dyn Store>, Arc<dyn OwnStore>)> {
        match self {
            Self::Folder(root) => {
                let folder = FolderStore::new(root);
                Ok((Arc::new(folder.clone()), Arc::new(folder)))
            }
            Self::S3(at) => {
                let bucket = Bucket::connect(at)?;
                Ok((Arc::new(bucket.clone()), Arc::new(bucket)))
            }
        }
    }
}

/// `s3` of `s3:bucket`; a path that merely contains a colon later (`./a:b`, `/a:b`) has no scheme.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let mut bytes = scheme.bytes();
    let first = bytes.next()?;
    (first.is_ascii_alphabetic() && bytes.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)))
        .then_some(scheme)
}

fn percent_decoded(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            out.push(*byte);
        }
    }
    String::from_utf8(out).ok()
}

impl fmt::Display for VaultLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::S3(bucket) => bucket.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &str) -> VaultLocation {
        VaultLocation::Folder(path.into())
    }

    #[test]
    fn paths_and_file_urls_name_folders() {
        for (text, path) in [
            ("/srv/vault", "/srv/vault"),
            ("relative/dir", "relative/dir"),
            ("./a:b", "./a:b"),
            ("local:/srv/vault", "/srv/vault"),
            ("file:///srv/my%20vault", "/srv/my vault"),
            ("file://localhost/srv", "/srv"),
        ] {
            assert_eq!(VaultLocation::parse(text).unwrap(), folder(path), "{text}");
        }
    }

    #[test]
    fn other_stores_are_refused_by_name() {
        for text in ["https://host/x", "rest:http://h/", "sftp:h:/x", "b2:bucket:x"] {
            let error = VaultLocation::parse(text).unwrap_err().to_string();
            assert!(error.contains("is not supported by this release"), "{text}: {error}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "file://otherhost/x", "file:///a%zz", "local:"] {
            assert!(matches!(VaultLocation::parse(text), Err(VaultError::Invalid(_))), "{text}");
        }
    }
}
