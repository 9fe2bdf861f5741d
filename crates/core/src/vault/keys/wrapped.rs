//! The master key encrypted by KMS: `ghevault/keys/NAME.GENERATION.json`.
//!
//! Files are created once; a new generation of a name supersedes the older ones. KMS binds each ciphertext to its vault by the
//! encryption context, so a file that was copied from another vault does not decrypt, and the log of AWS tells which vault was opened.

use crate::{
    keys::{Ciphertext, KeyService, KmsError, Secret},
    vault::{
        error::{VaultError, VaultResult},
        own::OwnStore,
    },
};
use jiff::Timestamp;
use rustic_core::repofile::MasterKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Folder of these files below ours.
const FOLDER: &str = "keys";
/// Version of the files' form.
const VERSION: u32 = 1;
/// What a file of this kind says of itself.
const KIND: &str = "kms";
/// Longest name of a key.
const NAME_LENGTH_MAX: usize = 40;

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WrappedKey {
    version: u32,
    kind: String,
    /// Name of the key within the vault.
    pub(super) name: String,
    /// Counts up with each time it is wrapped again.
    pub(super) generation: u32,
    /// The vault's id.
    pub(super) vault: String,
    /// When it was wrapped.
    pub(super) created: Timestamp,
    /// ARN of the KMS key.
    pub(super) kms_key: String,
    /// `aws:kms:…`.
    ciphertext: String,
}

/// What KMS binds the ciphertext to.
fn context(vault: &str) -> [(&str, &str); 2] {
    [("ghevault-purpose", "vault-key"), ("ghevault-vault", vault)]
}

impl WrappedKey {
    /// Encrypts the master key of a vault under a KMS key.
    pub(super) fn wrap(
        name: &str,
        vault: &str,
        master: &MasterKey,
        kms_key: &str,
        service: &dyn KeyService,
    ) -> VaultResult<Self> {
        let plain = serde_json::to_vec(master)
            .map(Secret::new)
            .map_err(|_| VaultError::Internal("the master key cannot be written"))?;
        let encrypted = service
            .encrypt(kms_key, &plain, &context(vault))
            .map_err(|error| VaultError::kms("wrap the vault's key", &error))?;
        Ok(Self::new(name, 1, vault, encrypted.key, encrypted.ciphertext))
    }

    /// The same key under another KMS key, one generation on; the plaintext does not leave KMS.
    pub(super) fn rewrap(&self, kms_key: &str, service: &dyn KeyService) -> VaultResult<Self> {
        let encrypted = service
            .re_encrypt(self.ciphertext()?.bytes(), kms_key, &context(&self.vault))
            .map_err(|error| VaultError::kms("wrap the vault's key again", &error))?;
        Ok(Self::new(&self.name, self.generation + 1, &self.vault, encrypted.key, encrypted.ciphertext))
    }

    fn new(name: &str, generation: u32, vault: &str, kms_key: String, ciphertext: Vec<u8>) -> Self {
        Self {
            version: VERSION,
            kind: KIND.to_owned(),
            name: name.to_owned(),
            generation,
            vault: vault.to_owned(),
            created: Timestamp::now(),
            kms_key,
            ciphertext: Ciphertext::new(ciphertext).to_string(),
        }
    }

    fn ciphertext(&self) -> VaultResult<Ciphertext> {
        Ciphertext::after_prefix(&self.ciphertext)
            .and_then(Ciphertext::from_base64)
            .ok_or_else(|| self.damaged("its ciphertext is none"))
    }

    fn damaged(&self, why: &str) -> VaultError {
        VaultError::damaged("wrapped key", format!("{FOLDER}/{}", self.file_name()), why)
    }

    fn file_name(&self) -> String {
        format!("{}.{:08}.json", self.name, self.generation)
    }

    /// Decrypts the master key.
    pub(super) fn unwrap(&self, service: &dyn KeyService) -> Result<VaultResult<MasterKey>, KmsError> {
        let ciphertext = match self.ciphertext() {
            Ok(ciphertext) => ciphertext,
            Err(error) => return Ok(Err(error)),
        };
        let plain = service.decrypt(ciphertext.bytes(), Some(&self.kms_key), &context(&self.vault))?;
        Ok(serde_json::from_slice(plain.bytes()).map_err(|_| self.damaged("it holds no master key")))
    }

    /// Stores the file.
    pub(super) fn store(&self, own: &dyn OwnStore) -> VaultResult<()> {
        let content = serde_json::to_vec_pretty(self)
            .map_err(|_| VaultError::Internal("a wrapped key cannot be written"))?;
        if own.create_own(FOLDER, &self.file_name(), &content)? {
            return Ok(());
        }
        Err(VaultError::Invalid(format!("somebody else just changed the key \"{}\"; try again", self.name)))
    }
}

/// Whether a name can be used.
pub(super) fn check_name(name: &str) -> VaultResult<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=NAME_LENGTH_MAX).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(VaultError::Invalid(format!(
        "the name of a key has letters, digits, \"-\" and \"_\", at most {NAME_LENGTH_MAX}"
    )))
}

/// The newest generation of each name; files that cannot be used are named apart.
pub(super) fn list(own: &dyn OwnStore) -> VaultResult<(Vec<WrappedKey>, Vec<VaultError>)> {
    let (mut newest, mut damaged) = (BTreeMap::<String, WrappedKey>::new(), Vec::new());
    for file in own.list_own(FOLDER, "")? {
        let Some(content) = own.read_own(FOLDER, &file.name)? else { continue };
        let wrong = |why: String| VaultError::damaged("wrapped key", format!("{FOLDER}/{}", file.name), why);
        match serde_json::from_slice::<WrappedKey>(&content) {
            Err(error) => damaged.push(wrong(error.to_string())),
            Ok(key) if key.version != VERSION || key.kind != KIND => {
                damaged.push(wrong(format!("kind \"{}\" of version {} is not known", key.kind, key.version)));
            }
            Ok(key) if key.file_name() != file.name => {
                damaged.push(wrong("its content belongs to another name".into()));
            }
            Ok(key) => {
                let older = newest.get(&key.name).is_none_or(|known| known.generation < key.generation);
                if older {
                    newest.insert(key.name.clone(), key);
                }
            }
        }
    }
    Ok((newest.into_values().collect(), damaged))
}

/// Removes all generations of a name, the newest last, so that no older one comes to life; `false` if there is none.
pub(super) fn remove(own: &dyn OwnStore, name: &str) -> VaultResult<bool> {
    let prefix = format!("{name}.");
    let files = own.list_own(FOLDER, "")?;
    let mut any = false;
    for file in files.iter().filter(|file| file.name.starts_with(&prefix)) {
        own.remove_own(FOLDER, &file.name)?;
        any = true;
    }
    Ok(any)
}

/// Removes what an init left that did not come to its end.
pub(super) fn remove_all(own: &dyn OwnStore) -> VaultResult<()> {
    for file in own.list_own(FOLDER, "")? {
        own.remove_own(FOLDER, &file.name)?;
    }
    Ok(())
}
