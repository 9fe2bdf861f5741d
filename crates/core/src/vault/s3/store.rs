//! restic's files in a bucket.

use super::{
    super::{
        error::{VaultError, VaultResult},
        store::{Store, file_name, kind_word},
    },
    bucket::{Bucket, Part},
    put::Put,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use rustic_core::{Id, repofile::FileType};
use sha2::{Digest, Sha256};

/// Uploads at once. Latency, not bandwidth, bounds one.
const WRITES_AT_ONCE: usize = 4;

fn missing(kind: FileType, id: &Id) -> VaultError {
    VaultError::damaged(kind_word(kind), file_name(kind, id), "the file is missing")
}

/// One piece of memory; an upload may have to begin again.
fn joined(content: &[Bytes]) -> Bytes {
    match content {
        [one] => one.clone(),
        many => many.concat().into(),
    }
}

impl Store for Bucket {
    fn location(&self) -> String {
        self.place()
    }

    fn writes_at_once(&self) -> usize {
        WRITES_AT_ONCE
    }

    /// A bucket needs no folders; that it answers is checked.
    fn create(&self) -> VaultResult<()> {
        self.writable()?;
        self.answers()
    }

    fn exists(&self, kind: FileType, id: &Id) -> VaultResult<bool> {
        self.examine(&file_name(kind, id)).map(|found| found.is_some())
    }

    fn list(&self, kind: FileType) -> VaultResult<Vec<(Id, u64)>> {
        if kind == FileType::Config {
            let found = self.examine("config")?;
            return Ok(found.map(|(size, _)| (Id::default(), size)).into_iter().collect());
        }
        let files = Bucket::list(self, &format!("{}/", kind.dirname()), "")?;
        let ids = files.into_iter().filter_map(|file| {
            let (folder, name) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
            let in_place = match kind {
                FileType::Pack => name.get(..2) == Some(folder),
                _ => folder.is_empty(),
            };
            let id = (in_place && name.len() == 64).then(|| name.parse().ok())??;
            Some((id, file.size))
        });
        Ok(ids.collect())
    }

    fn read(&self, kind: FileType, id: &Id) -> VaultResult<Bytes> {
        self.get(&file_name(kind, id))?.ok_or_else(|| missing(kind, id))
    }

    fn read_part(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> VaultResult<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let found = self.get_part(&file_name(kind, id), Part { offset, length });
        let found = found.map_err(|error| match error {
            VaultError::Damaged { file, why, .. } => VaultError::damaged(kind_word(kind), file, why),
            other => other,
        });
        found?.ok_or_else(|| missing(kind, id))
    }

    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> VaultResult<()> {
        let name = file_name(kind, id);
        let content = joined(content);
        let digest = Sha256::digest(&content);
        let perhaps_ours = match self.put_new(&name, &content, &digest)? {
            Put::Written => return Ok(()),
            Put::Exists { perhaps_ours } => perhaps_ours,
        };
        if kind == FileType::Config {
            let ours = perhaps_ours && self.get(&name)?.is_some_and(|there| there == content);
            return if ours { Ok(()) } else { Err(VaultError::AlreadyExists { location: self.place() }) };
        }
        // names are digests: what is there under this name should be what was to be written
        match self.examine(&name)? {
            Some((size, told))
                if size == content.len() as u64
                    && told.as_ref().is_none_or(|told| *told == BASE64_STANDARD.encode(digest)) =>
            {
                Ok(())
            }
            Some(_) => Err(VaultError::damaged(
                kind_word(kind),
                name,
                "a file of this name with other content is there",
            )),
            None => Err(VaultError::damaged(kind_word(kind), name, "the file vanished while it was written")),
        }
    }

    fn remove(&self, kind: FileType, id: &Id) -> VaultResult<()> {
        Bucket::remove(self, &file_name(kind, id))
    }
}
