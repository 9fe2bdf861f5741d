//! The offline recovery key: 256 random bits that a person can write down, whole or as k-of-n parts.
//!
//! Its text *is* a password of the vault, as printed, so that stock restic opens the vault with the kit alone. The text
//! carries a checksum: a slip of the pen is told before the vault is asked. Parts are Shamir's, made by `blahaj`; fewer than
//! the threshold tell nothing.

mod parts;
mod text;

pub use parts::{PARTS_MAX, Part, join, split};

use super::Secret;
use rand::RngCore;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// Bytes of the checksum behind it.
const CHECK_BYTES: usize = 3;
/// Bytes of the kit's name.
const NAME_BYTES: usize = 3;

/// A recovery key in memory; wiped when dropped, redacted when printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryKey(Zeroizing<[u8; KEY_BYTES]>);

/// Why a text is no recovery key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// A sign that cannot stand there.
    #[error("line {line}: a sign that is in no recovery kit")]
    BadSign {
        /// The line, from 1.
        line: usize,
    },
    /// Too short or too long.
    #[error(
        "line {line}: {found} letters and digits; a recovery key has {KEY_LETTERS}, a part {PART_LETTERS}"
    )]
    Length {
        /// The line, from 1.
        line: usize,
        /// How many there are.
        found: usize,
    },
    /// The checksum does not fit: something was misread.
    #[error("line {line}: the checksum does not fit, so at least one sign is wrong")]
    Checksum {
        /// The line, from 1.
        line: usize,
    },
    /// Parts of different kits.
    #[error("the parts belong to different kits ({})", names.join(", "))]
    Mixed {
        /// Names of the kits.
        names: Vec<String>,
    },
    /// Not enough different parts.
    #[error("{have} different part(s) of kit {name}, {need} are needed")]
    TooFew {
        /// Name of the kit.
        name: String,
        /// How many there are.
        have: usize,
        /// How many are needed.
        need: usize,
    },
    /// The parts do not give the key whose name they bear.
    #[error("the parts do not fit together: at least one is not what was printed")]
    DoNotFit,
    /// No key and no part.
    #[error("there is neither a recovery key nor a part of one")]
    Nothing,
    /// Numbers that make no sense.
    #[error(
        "{threshold} of {parts} parts: the threshold is at least 2 and at most the number of parts, which is at most {PARTS_MAX}"
    )]
    Numbers {
        /// Parts in all.
        parts: u8,
        /// Parts needed.
        threshold: u8,
    },
}

/// Letters and digits of a recovery key.
const KEY_LETTERS: usize = (KEY_BYTES + CHECK_BYTES) * 8 / 5;
/// Letters and digits of a part.
const PART_LETTERS: usize = parts::BYTES * 8 / 5;

impl RecoveryKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::rng().fill_bytes(&mut *key);
        Self(key)
    }

    /// The name of the kit: says which kit it is and nothing about the key.
    #[must_use]
    pub fn name(&self) -> String {
        hex::encode(name_of(&*self.0))
    }

    /// The text: groups of four with a checksum inside; exactly this is the password for restic.
    #[must_use]
    pub fn text(&self) -> Secret {
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + CHECK_BYTES));
        bytes.extend_from_slice(&*self.0);
        bytes.extend_from_slice(&checksum(b"key", &*self.0));
        Secret::new(text::encode(&bytes).into_bytes())
    }

    /// Reads the text of a key, or enough parts of one, one a line; case, spaces, hyphens and lines without letters of a
    /// kit do not matter (`O` is read as 0, `I` and `L` as 1).
    ///
    /// # Errors
    /// See [`RecoveryError`].
    pub fn read(input: &Secret) -> Result<Self, RecoveryError> {
        let input = std::str::from_utf8(input.bytes()).map_err(|_| RecoveryError::BadSign { line: 1 })?;
        let mut found = Vec::new();
        for (index, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line_number = index + 1;
            let bytes = text::decode(line).ok_or(RecoveryError::BadSign { line: line_number })?;
            match bytes.len() {
                n if n == KEY_BYTES + CHECK_BYTES => return Self::checked(&bytes, line_number),
                parts::BYTES => found.push(Part::checked(&bytes, line_number)?),
                _ => {
                    let found = line.chars().filter(char::is_ascii_alphanumeric).count();
                    return Err(RecoveryError::Length { line: line_number, found });
                }
            }
        }
        join(&found)
    }

    /// The same with lines from several places.
    ///
    /// # Errors
    /// See [`RecoveryError`]; lines count through all places.
    pub fn read_all(inputs: &[Secret]) -> Result<Self, RecoveryError> {
        // one allocation, so that no copy is left behind by a growing buffer
        let length = inputs.iter().map(|input| input.bytes().len() + 1).sum();
        let mut all = Zeroizing::new(Vec::with_capacity(length));
        for input in inputs {
            all.extend_from_slice(input.bytes());
            all.push(b'\n');
        }
        Self::read(&Secret::new(std::mem::take(&mut *all)))
    }

    fn checked(bytes: &[u8], line: usize) -> Result<Self, RecoveryError> {
        let (key, check) = bytes.split_at(KEY_BYTES);
        if check != checksum(b"key", key) {
            return Err(RecoveryError::Checksum { line });
        }
        let mut own = Zeroizing::new([0; KEY_BYTES]);
        own.copy_from_slice(key);
        Ok(Self(own))
    }
}

impl std::fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecoveryKey({})", self.name())
    }
}

/// The first bytes of a digest; `purpose` keeps digests for different things apart.
fn digest<const N: usize>(purpose: &[u8], bytes: &[u8]) -> [u8; N] {
    let mut hasher = Sha256::new();
    hasher.update(b"ghevault recovery ");
    hasher.update(purpose);
    hasher.update([0]);
    hasher.update(bytes);
    let mut full = hasher.finalize();
    let mut first = [0; N];
    first.copy_from_slice(&full[..N]);
    full.zeroize();
    first
}

fn checksum(purpose: &[u8], bytes: &[u8]) -> [u8; CHECK_BYTES] {
    digest(purpose, bytes)
}

fn name_of(key: &[u8]) -> [u8; NAME_BYTES] {
    digest(b"name", key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &RecoveryKey) -> String {
        String::from_utf8(key.text().bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_key_is_read_back_however_it_was_typed() {
        let key = RecoveryKey::generate();
        let text = text(&key);
        assert_eq!(text.len(), 56 + 13);
        for typed in [
            text.clone(),
            text.to_lowercase(),
            text.replace('-', " "),
            text.replace('-', ""),
            format!("\n  {}\r\n", text.replace('0', "o").replace('1', "L")),
        ] {
            assert_eq!(
                RecoveryKey::read(&Secret::new(typed.clone().into_bytes())).as_ref(),
                Ok(&key),
                "{typed}"
            );
        }
        assert!(!format!("{key:?}").contains(&text[..9]));
    }

    #[test]
    fn every_single_slip_is_told() {
        let text = text(&RecoveryKey::generate());
        for at in (0..text.len()).filter(|at| text.as_bytes()[*at] != b'-') {
            let mut slip = text.clone().into_bytes();
            slip[at] = if slip[at] == b'7' { b'8' } else { b'7' };
            let error = RecoveryKey::read(&Secret::new(slip)).unwrap_err();
            assert_eq!(error, RecoveryError::Checksum { line: 1 });
        }
        let read = |text: &str| RecoveryKey::read(&Secret::new(text.into())).unwrap_err();
        assert_eq!(read("abc?"), RecoveryError::BadSign { line: 1 });
        assert!(matches!(read(&text[..20]), RecoveryError::Length { found: 16, .. }));
        assert_eq!(read("\n"), RecoveryError::Nothing);
    }
}
