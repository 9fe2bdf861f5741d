//! The public keys by which appliances are known, and the store in which they are pinned.

mod leaked;
mod pins;

use std::fmt;

use russh::keys::{
    HashAlg, PublicKey,
    ssh_key::{Algorithm, EcdsaCurve},
};

pub use leaked::LeakedKeys;
pub use pins::{KNOWN_HOSTS, PinError, PinStore};

/// The public key by which an appliance is known.
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey(PublicKey);

impl HostKey {
    /// Wraps a key as the protocol delivered it, without a comment.
    #[must_use]
    pub fn new(key: &PublicKey) -> Self {
        Self(PublicKey::new(key.key_data().clone(), ""))
    }

    /// Reads `type base64`.
    ///
    /// # Errors
    /// The text is no public key; the message says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        PublicKey::from_openssh(text.trim()).map(|key| Self::new(&key)).map_err(|error| error.to_string())
    }

    /// `SHA256:…`, as OpenSSH shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Sixteen pairs of hexadecimal digits with colons: the older form, in which leaked keys are listed (contract §9).
    ///
    /// # Errors
    /// The key has a form that cannot be written.
    pub fn md5_fingerprint(&self) -> Result<String, String> {
        let bytes = self.0.to_bytes().map_err(|error| error.to_string())?;
        let pairs: Vec<String> = md5::compute(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(pairs.join(":"))
    }

    /// Type name, e.g. `ssh-ed25519`.
    #[must_use]
    pub fn kind(&self) -> String {
        self.0.algorithm().to_string()
    }

    /// Names of the signature algorithms with which a server can prove that it holds this key.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        match self.0.algorithm() {
            Algorithm::Rsa { .. } => vec![
                Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
                Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
            ],
            other => vec![other],
        }
    }

    /// `type base64`.
    ///
    /// # Errors
    /// The key has a form that cannot be written.
    pub fn text(&self) -> Result<String, String> {
        self.0.to_openssh().map(|text| text.trim_end().to_owned()).map_err(|error| error.to_string())
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.fingerprint())
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({self})")
    }
}

/// Every algorithm with which we let a host show itself, the best first; SHA-1 signatures are not among them.
#[must_use]
pub fn host_key_algorithms() -> Vec<Algorithm> {
    [ED25519, ECDSA, RSA].concat()
}

const ED25519: &[Algorithm] = &[Algorithm::Ed25519];
const ECDSA: &[Algorithm] = &[
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];
const RSA: &[Algorithm] =
    &[Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, Algorithm::Rsa { hash: Some(HashAlg::Sha256) }];

/// The kinds of keys a host may have, one group per handshake of a scan.
pub(crate) const KEY_KINDS: [&[Algorithm]; 3] = [ED25519, ECDSA, RSA];

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";

    fn key(text: &str) -> HostKey {
        HostKey::parse(text).expect("a key")
    }

    #[test]
    fn fingerprints_are_those_of_openssh() {
        // ssh-keygen -lf says the same.
        assert_eq!(key(A).fingerprint(), "SHA256:wX9j+SP2h7N0y1ZKQdM3E2rXGeJIBFZbmJjfvWeAgd0");
        assert_eq!(
            key(A).md5_fingerprint().as_deref(),
            Ok("5f:62:94:ff:69:d8:3b:77:30:44:9e:34:cc:de:bc:bf")
        );
        assert_eq!(key(A).to_string(), format!("ssh-ed25519 {}", key(A).fingerprint()));
    }
}
