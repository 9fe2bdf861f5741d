//! All keys of one vault: listed, added, wrapped again, removed.

use super::{Deferred, Opener, wrapped, wrapped::WrappedKey};
use crate::{
    keys::KeyService,
    vault::{
        Password, VaultLocation,
        error::{VaultError, VaultResult},
        format::hash,
        open::{Opened, open_repository},
        own::OwnStore,
        rustic::WipedMaster,
        store::{Store, file_name},
    },
};
use jiff::Timestamp;
use rustic_core::{
    Id, KeyOptions, OpenStatus, Repository,
    repofile::{FileType, KeyFile},
};
use std::sync::Arc;

/// What begins the name of a recovery kit's key.
const RECOVERY: &str = "recovery-";

/// The keys of a new vault; at least one.
#[derive(Clone, Copy, Default)]
pub struct NewKeys<'a> {
    /// Name, KMS key and service of the daily key.
    pub kms: Option<(&'a str, &'a str, &'a dyn KeyService)>,
    /// Passwords and their names; no name for the vault's ordinary password.
    pub passwords: &'a [(Option<&'a str>, &'a Password)],
}

/// What a key is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum KeySort {
    /// The master key under a KMS key.
    Kms {
        /// ARN of the KMS key.
        kms_key: String,
        /// How often it was wrapped.
        generation: u32,
    },
    /// A password.
    Password,
    /// A recovery kit.
    Recovery,
}

/// A key of a vault.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyEntry {
    /// Its name; the beginning of its id for a password key without one.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub sort: KeySort,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Id of restic's key file.
    pub id: Option<String>,
}

/// The keys of an open vault.
pub struct KeyRing {
    location: VaultLocation,
    own: Arc<dyn OwnStore>,
    files: Arc<dyn Store>,
    repository: Repository<OpenStatus>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("location", &self.location).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Opens a vault for work on its keys.
    ///
    /// # Errors
    /// Those of [`crate::vault::Vault::open`].
    pub fn open(location: &VaultLocation, opener: &Opener<'_>) -> VaultResult<Self> {
        let Opened { own, files, repository } = open_repository(location, opener)?;
        Ok(Self { location: location.clone(), own, files: Arc::new(files), repository })
    }

    /// All keys that are sound, by name, and what is wrong with others.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn list(&self) -> VaultResult<(Vec<KeyEntry>, Vec<VaultError>)> {
        let (wrapped, mut damaged) = wrapped::list(&*self.own)?;
        let mut keys: Vec<KeyEntry> = wrapped
            .into_iter()
            .map(|key| KeyEntry {
                name: key.name,
                sort: KeySort::Kms { kms_key: key.kms_key, generation: key.generation },
                created: Some(key.created),
                id: None,
            })
            .collect();
        for (id, _) in self.files.list(FileType::Key)? {
            let bytes = self.files.read(FileType::Key, &id)?;
            match serde_json::from_slice::<KeyFile>(&bytes) {
                Ok(file) if hash(&bytes) == id => keys.push(entry(&id, file)),
                _ => damaged.push(VaultError::damaged(
                    "key file",
                    file_name(FileType::Key, &id),
                    "it is not what was written",
                )),
            }
        }
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((keys, damaged))
    }

    /// Adds a password, as one more key file of restic.
    ///
    /// # Errors
    /// The name is taken or unusable, the password is empty, the store's errors.
    pub fn add_password(&self, name: &str, password: &Password) -> VaultResult<()> {
        self.free_name(name)?;
        add_password(&self.repository, Some(name), password)
    }

    /// Adds a KMS key: the master key encrypted under it.
    ///
    /// # Errors
    /// The name is taken or unusable, KMS refuses, the store's errors.
    pub fn add_kms(&self, name: &str, kms_key: &str, service: &dyn KeyService) -> VaultResult<KeyEntry> {
        self.free_name(name)?;
        let key = wrap(&self.repository, name, kms_key, service)?;
        key.store(&*self.own)?;
        self.entry(name)
    }

    /// Encrypts the master key under another KMS key; the older generations stay until they are removed.
    ///
    /// # Errors
    /// No such key, KMS refuses, the store's errors.
    pub fn rewrap(&self, name: &str, kms_key: &str, service: &dyn KeyService) -> VaultResult<KeyEntry> {
        let (keys, _) = wrapped::list(&*self.own)?;
        let key = keys.iter().find(|key| key.name == name).ok_or_else(|| no_such(name))?;
        key.rewrap(kms_key, service)?.store(&*self.own)?;
        self.entry(name)
    }

    /// Removes a key, by name or by the beginning of its id; never the last one.
    ///
    /// # Errors
    /// No such key, more than one, it is the last, the store's errors.
    pub fn remove(&self, name: &str) -> VaultResult<KeyEntry> {
        let (keys, _) = self.list()?;
        let key = find(&keys, name)?;
        if keys.len() == 1 {
            return Err(VaultError::Invalid(format!(
                "\"{name}\" is the last key of the vault; nobody could open it"
            )));
        }
        match &key.id {
            Some(id) => {
                let id: Id = id.parse().map_err(|_| VaultError::Internal("an id is none"))?;
                self.files.remove(FileType::Key, &id)?;
            }
            None => {
                wrapped::remove(&*self.own, &key.name)?;
            }
        }
        Ok(key.clone())
    }

    fn entry(&self, name: &str) -> VaultResult<KeyEntry> {
        find(&self.list()?.0, name).cloned()
    }

    fn free_name(&self, name: &str) -> VaultResult<()> {
        wrapped::check_name(name)?;
        if self.list()?.0.iter().any(|key| key.name == name) {
            return Err(VaultError::Invalid(format!("the vault has a key \"{name}\" already")));
        }
        Ok(())
    }
}

/// Makes the keys of a new vault and then its configuration, so that it never exists without a key.
pub(in crate::vault) fn furnish(
    repository: &Repository<OpenStatus>,
    own: &dyn OwnStore,
    keys: &NewKeys<'_>,
    deferred: &Deferred,
) -> VaultResult<()> {
    for (name, password) in keys.passwords {
        name.map_or(Ok(()), wrapped::check_name)?;
        add_password(repository, *name, password)?;
    }
    if let Some((name, kms_key, service)) = keys.kms {
        wrapped::check_name(name)?;
        wrap(repository, name, kms_key, service)?.store(own)?;
    }
    deferred.release()
}

/// Removes what an init left that did not come to its end.
pub(in crate::vault) fn clear(own: &dyn OwnStore) -> VaultResult<()> {
    wrapped::remove_all(own)
}

fn wrap(
    repository: &Repository<OpenStatus>,
    name: &str,
    kms_key: &str,
    service: &dyn KeyService,
) -> VaultResult<WrappedKey> {
    let master = WipedMaster(repository.key());
    let vault = repository.config().id.to_hex().to_string();
    WrappedKey::wrap(name, &vault, &master.0, kms_key, service)
}

fn add_password(
    repository: &Repository<OpenStatus>,
    name: Option<&str>,
    password: &Password,
) -> VaultResult<()> {
    if password.is_empty() {
        return Err(VaultError::Invalid("a vault needs a password that is not empty".into()));
    }
    let mut options = KeyOptions::default().with_created(true);
    options.username = name.map(str::to_owned);
    repository
        .add_key(password.reveal(), &options)
        .map(|_| ())
        .map_err(|e| VaultError::rustic("adding a password", &e))
}

fn entry(id: &Id, file: KeyFile) -> KeyEntry {
    let hex = id.to_hex().to_string();
    let name = file.username.filter(|name| wrapped::check_name(name).is_ok());
    let sort = match &name {
        Some(name) if name.starts_with(RECOVERY) => KeySort::Recovery,
        _ => KeySort::Password,
    };
    KeyEntry {
        name: name.unwrap_or_else(|| hex[..8].to_owned()),
        sort,
        created: file.created.map(|zoned| zoned.timestamp()),
        id: Some(hex),
    }
}

fn no_such(name: &str) -> VaultError {
    VaultError::Invalid(format!("the vault has no key \"{name}\""))
}

fn find<'a>(keys: &'a [KeyEntry], name: &str) -> VaultResult<&'a KeyEntry> {
    let by_id = |key: &&KeyEntry| name.len() >= 4 && key.id.as_ref().is_some_and(|id| id.starts_with(name));
    let named = keys.iter().any(|key| key.name == name);
    let fits = |key: &&KeyEntry| if named { key.name == name } else { by_id(key) };
    let mut found = keys.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err(VaultError::Invalid(format!(
            "more than one key of the vault answers to \"{name}\"; name it by its id"
        ))),
        _ => Err(no_such(name)),
    }
}
