//! Where a secret comes from: a file, the environment, a ciphertext for KMS, Taupage's file, standard input.
//!
//! The core reads no environment: the face lends a look-up. A secret itself is never accepted in place of its source,
//! because it would then stand in arguments, histories and configuration files. Whatever a source gives that begins with
//! `aws:kms:` is decrypted by KMS, in memory; for an SSH key a bare base64 ciphertext is recognised, too, because that is
//! what secret mounts hold.

mod error;
mod file;
mod seal_key;
#[cfg(test)]
mod tests;

pub use error::{SecretError, SecretWarning};
pub use seal_key::SealKeySource;

use super::{Ciphertext, KeyService, KmsError, Secret, ciphertext, yaml};
use std::{
    ffi::OsString,
    fmt,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// Longest secret, in bytes; the largest private keys are far below.
pub const SECRET_BYTES_MAX: u64 = 1024 * 1024;

/// Taupage's file, inside the folder that a host shows its containers.
const TAUPAGE_FILE: &str = "taupage.yaml";
/// The key under which the SSH key stands, in Taupage's file and in the Kubernetes mount alike.
const SSH_KEY_NAME: &str = "kms_private_ssh_key";
/// The mount of a Kubernetes secret, inside the same folder.
const KUBERNETES_MOUNT: &str = "ghe-backup-secret";

/// A place that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A regular file, owned by us or by root, that only its owner may change.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// A ciphertext for KMS.
    Kms(Ciphertext),
    /// A top-level key of Taupage's file.
    Taupage {
        /// The file; `None`: the usual one.
        path: Option<PathBuf>,
        /// The key; `None`: the one of the SSH key.
        key: Option<String>,
    },
    /// An ssh-agent that signs with a key which nobody sees; `None`: the one of the environment.
    Agent(Option<PathBuf>),
    /// Standard input, to its end.
    Stdin,
}

/// What a secret is for; SSH keys can be told from ciphertexts by their form, passwords cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// A private SSH key, as text.
    SshKey,
    /// A password, or anything else without a form of its own.
    Password,
}

/// What sources may reach for.
pub struct Reach<'a> {
    /// Looks a variable of the environment up.
    pub environment: &'a dyn Fn(&str) -> Option<OsString>,
    /// Connects to KMS; called only when something is encrypted.
    pub kms: &'a dyn Fn() -> Result<Arc<dyn KeyService>, KmsError>,
    /// The folder of Taupage's file and Kubernetes' mounts: `/meta`.
    pub meta: &'a Path,
}

/// A secret and what is to be said about the way it is kept.
#[derive(Debug)]
pub struct LoadedSecret {
    /// The secret.
    pub secret: Secret,
    /// Something that works but is not good.
    pub warning: Option<SecretWarning>,
}

impl FromStr for SecretSource {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if let Some(base64) = Ciphertext::after_prefix(text) {
            let place = || "the setting".to_owned();
            return Ciphertext::from_base64(base64)
                .map(Self::Kms)
                .ok_or_else(|| SecretError::NotACiphertext { place: place() });
        }
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("taupage", rest)) => {
                let (path, key) = rest.split_once('#').unwrap_or((rest, ""));
                let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
                Ok(Self::Taupage { path: some(path).map(PathBuf::from), key: some(key) })
            }
            Some(("agent", "")) => Ok(Self::Agent(None)),
            Some(("agent", socket)) => Ok(Self::Agent(Some(PathBuf::from(socket)))),
            Some(("stdin", "")) => Ok(Self::Stdin),
            _ => Err(SecretError::NotASource),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Kms(_) => write!(f, "{}…", ciphertext::PREFIX),
            Self::Taupage { path, key } => {
                write!(f, "taupage:")?;
                if let Some(path) = path {
                    write!(f, "{}", path.display())?;
                }
                key.as_ref().map_or(Ok(()), |key| write!(f, "#{key}"))
            }
            Self::Agent(None) => write!(f, "agent:"),
            Self::Agent(Some(socket)) => write!(f, "agent:{}", socket.display()),
            Self::Stdin => write!(f, "stdin:"),
        }
    }
}

/// What a source holds before anything is decrypted.
enum Held {
    Ciphertext(Ciphertext),
    Plain(LoadedSecret),
}

impl SecretSource {
    /// Fetches the secret, decrypted.
    ///
    /// # Errors
    /// There is no secret there, it is kept unsafely, or KMS does not decrypt it; see [`SecretError`].
    pub fn load(&self, kind: SecretKind, reach: &Reach<'_>) -> Result<LoadedSecret, SecretError> {
        let place = || format!("`{self}`");
        let ciphertext = match self.held(kind, reach)? {
            Held::Plain(loaded) if loaded.secret.is_empty() => {
                return Err(SecretError::Empty { place: place() });
            }
            Held::Plain(loaded) => return Ok(loaded),
            Held::Ciphertext(ciphertext) => ciphertext,
        };
        let decrypted = (reach.kms)().and_then(|kms| kms.decrypt(ciphertext.bytes(), None, &[]));
        let secret = decrypted.map_err(|source| SecretError::Decrypt { place: place(), source })?;
        if secret.is_empty() {
            return Err(SecretError::Empty { place: place() });
        }
        Ok(LoadedSecret { secret, warning: None })
    }

    /// The ciphertext that the source holds; `None` when it holds a secret in plain.
    ///
    /// # Errors
    /// As [`SecretSource::load`], KMS aside: it is not asked.
    pub fn ciphertext(&self, kind: SecretKind, reach: &Reach<'_>) -> Result<Option<Ciphertext>, SecretError> {
        Ok(match self.held(kind, reach)? {
            Held::Ciphertext(ciphertext) => Some(ciphertext),
            Held::Plain(_) => None,
        })
    }

    fn held(&self, kind: SecretKind, reach: &Reach<'_>) -> Result<Held, SecretError> {
        let unwarned = |secret| LoadedSecret { secret, warning: None };
        let loaded =
            match self {
                Self::Kms(ciphertext) => return Ok(Held::Ciphertext(ciphertext.clone())),
                Self::Agent(_) => return Err(SecretError::Agent),
                Self::File(path) => file::read(path)?,
                Self::Environment(name) => {
                    let unset = || SecretError::NotSet { name: name.clone() };
                    unwarned(Secret::new((reach.environment)(name).ok_or_else(unset)?.into_vec()))
                }
                Self::Taupage { path, key } => {
                    let path = path.clone().unwrap_or_else(|| reach.meta.join(TAUPAGE_FILE));
                    let key = key.as_deref().unwrap_or(SSH_KEY_NAME);
                    let file = file::read(&path)?;
                    let text = in_taupage(&path, &file.secret, key)?
                        .ok_or_else(|| SecretError::NoSuchKey { path, key: key.to_owned() })?;
                    LoadedSecret { secret: text, warning: file.warning }
                }
                Self::Stdin => unwarned(file::read_stream(std::io::stdin().lock()).map_err(|source| {
                    SecretError::Read { path: PathBuf::from("(standard input)"), source }
                })?),
            };
        let place = || format!("`{self}`");
        Ok(match encrypted(kind, &loaded.secret, place)? {
            Some(ciphertext) => Held::Ciphertext(ciphertext),
            None => Held::Plain(loaded),
        })
    }

    /// Where an SSH key is looked for when none is configured: Taupage's file, then the Kubernetes mount.
    ///
    /// # Errors
    /// Taupage's file is there and cannot be used.
    pub fn usual_ssh_key(meta: &Path) -> Result<Option<Self>, SecretError> {
        let taupage = meta.join(TAUPAGE_FILE);
        if taupage.is_file() && in_taupage(&taupage, &file::read(&taupage)?.secret, SSH_KEY_NAME)?.is_some() {
            return Ok(Some(Self::Taupage { path: None, key: None }));
        }
        let mounted = meta.join(KUBERNETES_MOUNT).join(SSH_KEY_NAME);
        Ok(mounted.is_file().then_some(Self::File(mounted)))
    }
}

/// A top-level text of a YAML file.
fn in_taupage(path: &Path, content: &Secret, key: &str) -> Result<Option<Secret>, SecretError> {
    let failed = |source| SecretError::Yaml { path: path.to_owned(), source };
    let text =
        std::str::from_utf8(content.bytes()).map_err(|_| failed(yaml::YamlError::NotYaml { line: 1 }))?;
    Ok(yaml::top_level_text(text, key).map_err(failed)?.map(|text| Secret::new(text.into_bytes())))
}

/// The ciphertext that a text is, if it is one.
fn encrypted(
    kind: SecretKind,
    secret: &Secret,
    place: impl Fn() -> String,
) -> Result<Option<Ciphertext>, SecretError> {
    let Ok(text) = std::str::from_utf8(secret.bytes()) else { return Ok(None) };
    if let Some(base64) = Ciphertext::after_prefix(text) {
        let wrong = || SecretError::NotACiphertext { place: place() };
        return Ciphertext::from_base64(base64).map(Some).ok_or_else(wrong);
    }
    Ok(match kind {
        SecretKind::SshKey => Ciphertext::from_base64(text),
        SecretKind::Password => None,
    })
}
