//! The private key with which a backup host shows itself to an appliance.
//!
//! OpenSSH, PKCS#1, SEC1 and PKCS#8 texts; Ed25519, RSA and ECDSA. Errors say what is wrong with a key and never quote it.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use rand::RngCore;
use russh::keys::{
    HashAlg, PrivateKey,
    ssh_key::{Algorithm, LineEnding, private::Ed25519Keypair, public::RsaPublicKey},
};
use zeroize::Zeroizing;

use super::Secret;

/// Fewest bits of an RSA key; OpenSSH refuses smaller ones, too.
const RSA_BITS_MIN: u32 = 2048;

/// A private SSH key, held in memory only.
#[derive(Clone)]
pub struct SshKey(Arc<PrivateKey>);

/// Why a text is no usable private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// Not text at all, or no private key in it.
    #[error("it is not a private key (expected OpenSSH, PEM or PKCS#8 text)")]
    NotAKey,
    /// The public half was given.
    #[error("it is the public half of a key; the private half is needed")]
    PublicHalf,
    /// The key is protected by a passphrase and none was given.
    #[error("it is protected by a passphrase, and none was given")]
    Encrypted,
    /// The passphrase does not open it.
    #[error("the passphrase does not open it, or it is damaged")]
    Passphrase,
    /// A type that the transport cannot use.
    #[error("keys of type {kind} are not supported; use Ed25519, RSA or ECDSA")]
    Kind {
        /// Type name.
        kind: String,
    },
    /// An RSA key that servers refuse for its length.
    #[error("the RSA key has {bits} bits, fewer than {RSA_BITS_MIN}")]
    Short {
        /// Its length in bits.
        bits: u32,
    },
}

impl SshKey {
    /// Reads a private key from its text.
    ///
    /// # Errors
    /// No private key, a protected one without its passphrase, or a type that is not supported.
    pub fn parse(secret: &Secret, passphrase: Option<&Secret>) -> Result<Self, SshKeyError> {
        let text = std::str::from_utf8(secret.bytes()).map_err(|_| SshKeyError::NotAKey)?;
        if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.contains("BEGIN PUBLIC KEY") {
            return Err(SshKeyError::PublicHalf);
        }
        if !text.contains("PRIVATE KEY-----") {
            return Err(SshKeyError::NotAKey);
        }
        let passphrase = match passphrase {
            Some(secret) => Some(secret.password_text().ok_or(SshKeyError::Passphrase)?),
            None => None,
        };
        let encrypted = text.contains("ENCRYPTED");
        let decoded = match openssh_bytes(text) {
            Some(bytes) => russh::keys::decode_openssh(&bytes, passphrase),
            None => russh::keys::decode_secret_key(text, passphrase),
        };
        let key = decoded.map_err(|error| match error {
            russh::keys::Error::KeyIsEncrypted => SshKeyError::Encrypted,
            _ if encrypted && passphrase.is_none() => SshKeyError::Encrypted,
            _ if passphrase.is_some() => SshKeyError::Passphrase,
            _ => SshKeyError::NotAKey,
        })?;
        if key.is_encrypted() {
            return Err(if passphrase.is_some() { SshKeyError::Passphrase } else { SshKeyError::Encrypted });
        }
        supported(&key)?;
        Ok(Self(Arc::new(key)))
    }

    /// A new Ed25519 key, in memory only.
    ///
    /// # Errors
    /// Never in practice: the parts are of the right lengths.
    pub fn generate() -> Result<Self, SshKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(&mut *seed);
        let pair = Ed25519Keypair::from_seed(&seed);
        PrivateKey::new(pair.into(), "ghevault")
            .map(|key| Self(Arc::new(key)))
            .map_err(|_| SshKeyError::NotAKey)
    }

    /// The private half as OpenSSH text, for the key service.
    ///
    /// # Errors
    /// The key cannot be written in this form.
    pub fn private_text(&self) -> Result<Secret, SshKeyError> {
        self.openssh_text().map(|mut text| Secret::new(std::mem::take(&mut *text).into_bytes()))
    }

    /// `SHA256:…` of the public half.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// The public half as one line for `authorized_keys`, without a comment.
    ///
    /// # Errors
    /// The key cannot be written in this form.
    pub fn public_line(&self) -> Result<String, SshKeyError> {
        let mut public = self.0.public_key().clone();
        public.set_comment("");
        public.to_openssh().map(|line| line.trim_end().to_owned()).map_err(|_| SshKeyError::NotAKey)
    }

    /// Type name, e.g. `ssh-ed25519`.
    #[must_use]
    pub fn kind(&self) -> String {
        self.0.algorithm().to_string()
    }

    /// The key itself, for signing.
    pub(crate) fn private(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.0)
    }

    /// The key as unprotected OpenSSH text, for a file that exists in memory only.
    pub(crate) fn openssh_text(&self) -> Result<Zeroizing<String>, SshKeyError> {
        self.0.to_openssh(LineEnding::LF).map_err(|_| SshKeyError::NotAKey)
    }
}

/// The bytes of a key in OpenSSH's own format. Decoded here, because the library would leave copies of them in memory; the
/// other formats still leave some.
fn openssh_bytes(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = text.split_once("-----BEGIN OPENSSH PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    // as large as they can get from the beginning: growing would leave copies, too
    let mut joined = Zeroizing::new(String::with_capacity(body.len()));
    joined.extend(body.split_ascii_whitespace());
    let mut bytes = Zeroizing::new(Vec::with_capacity(base64::decoded_len_estimate(joined.len())));
    BASE64.decode_vec(joined.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}

fn supported(key: &PrivateKey) -> Result<(), SshKeyError> {
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(()),
        Algorithm::Rsa { .. } => {
            let bits = key.public_key().key_data().rsa().map_or(0, RsaPublicKey::key_size);
            if bits < RSA_BITS_MIN { Err(SshKeyError::Short { bits }) } else { Ok(()) }
        }
        other => Err(SshKeyError::Kind { kind: other.to_string() }),
    }
}

impl fmt::Debug for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SshKey({})", self.fingerprint())
    }
}
