//! Names that only those can read who know the appliance: hashes with its UUID as key.
//!
//! Both vaults of an appliance know its UUID, a board does not. Object names stand as they are: a hash tells nothing about
//! what it names.

use sha2::{Digest, Sha256};

/// A repository, by its path in the snapshots.
pub type RepositoryKey = [u8; 16];
/// A reference of one repository.
pub type ReferenceKey = [u8; 8];

/// Turns names into keys.
#[derive(Clone)]
pub struct Blind {
    salt: [u8; 32],
}

impl std::fmt::Debug for Blind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blind")
    }
}

impl Blind {
    /// The keys of an appliance.
    #[must_use]
    pub fn new(uuid: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"ghevault names v1\n");
        hash.update(uuid.trim().to_ascii_lowercase());
        Self { salt: hash.finalize().into() }
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    fn first<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut first = [0; N];
        first.copy_from_slice(&self.hash(parts)[..N]);
        first
    }

    /// Which appliance it is, without its UUID.
    #[must_use]
    pub fn appliance(&self) -> String {
        hex::encode(self.first::<8>(&[b"appliance"]))
    }

    /// The key of a repository.
    #[must_use]
    pub fn repository(&self, path: &[u8]) -> RepositoryKey {
        self.first(&[b"repository", path])
    }

    /// The key of a reference of a repository; `HEAD` is one.
    #[must_use]
    pub fn reference(&self, path: &[u8], name: &[u8]) -> ReferenceKey {
        self.first(&[b"reference", path, name])
    }

    /// A value as it is shown: an object's name as it is, anything else (`ref: …`) as `~` and a hash.
    #[must_use]
    pub fn value(&self, value: &[u8]) -> String {
        match std::str::from_utf8(value) {
            Ok(text) if is_object(text) => text.to_ascii_lowercase(),
            _ => format!("~{}", hex::encode(self.first::<8>(&[b"value", value]))),
        }
    }
}

/// Whether a text is an object's name.
#[must_use]
pub fn is_object(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn names_differ_by_appliance_and_object_names_stay() {
        let (a, b) = (Blind::new("11111111-aaaa"), Blind::new("22222222-bbbb"));
        assert_ne!(a.repository(b"x"), b.repository(b"x"));
        assert_ne!(a.appliance(), b.appliance());
        assert_ne!(a.reference(b"x", b"refs/heads/main"), a.reference(b"y", b"refs/heads/main"));
        assert_eq!(a.value(OBJECT.as_bytes()), OBJECT);
        assert!(a.value(b"ref: refs/heads/secret").starts_with('~'));
        assert_eq!(Blind::new("11111111-AAAA\n").appliance(), a.appliance());
    }
}
