//! A recovery key in n parts, of which any k give it back.

use super::{CHECK_BYTES, KEY_BYTES, NAME_BYTES, RecoveryError, RecoveryKey, checksum, name_of, text};
use crate::keys::Secret;
use blahaj::{Share, Sharks};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Most parts; more would be more than people.
pub const PARTS_MAX: u8 = 20;
/// Bytes of a part: name of the kit, threshold, the share (its number and one byte for each of the key's), checksum.
pub(super) const BYTES: usize = NAME_BYTES + 1 + 1 + KEY_BYTES + CHECK_BYTES;

/// One part of a recovery key; wiped when dropped, redacted when printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Part(Zeroizing<Vec<u8>>);

impl Part {
    /// Number of the part within its kit, from 1.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.0[NAME_BYTES + 1]
    }

    /// The text to print.
    #[must_use]
    pub fn text(&self) -> Secret {
        Secret::new(text::encode(&self.0).into_bytes())
    }

    fn name(&self) -> &[u8] {
        &self.0[..NAME_BYTES]
    }

    fn threshold(&self) -> usize {
        usize::from(self.0[NAME_BYTES])
    }

    fn share(&self) -> &[u8] {
        &self.0[NAME_BYTES + 1..BYTES - CHECK_BYTES]
    }

    /// Takes bytes whose checksum fits.
    pub(super) fn checked(bytes: &[u8], line: usize) -> Result<Self, RecoveryError> {
        let (content, check) = bytes.split_at(BYTES - CHECK_BYTES);
        if check != checksum(b"part", content) {
            return Err(RecoveryError::Checksum { line });
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({} of kit {})", self.number(), hex::encode(self.name()))
    }
}

/// Makes `parts` parts, of which any `threshold` give the key back.
///
/// # Errors
/// [`RecoveryError::Numbers`].
pub fn split(key: &RecoveryKey, parts: u8, threshold: u8) -> Result<Vec<Part>, RecoveryError> {
    if threshold < 2 || threshold > parts || parts > PARTS_MAX {
        return Err(RecoveryError::Numbers { parts, threshold });
    }
    let dealt = Sharks(threshold).dealer(&*key.0);
    Ok(dealt
        .take(parts.into())
        .map(|share| {
            let share = Zeroizing::new(Vec::from(&share));
            let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES));
            bytes.extend_from_slice(&name_of(&*key.0));
            bytes.push(threshold);
            bytes.extend_from_slice(&share);
            let check = checksum(b"part", &bytes);
            bytes.extend_from_slice(&check);
            Part(bytes)
        })
        .collect())
}

/// Puts parts together; one that is given twice counts once.
///
/// # Errors
/// [`RecoveryError::Nothing`], [`RecoveryError::Mixed`], [`RecoveryError::TooFew`], [`RecoveryError::DoNotFit`].
pub fn join(parts: &[Part]) -> Result<RecoveryKey, RecoveryError> {
    let first = parts.first().ok_or(RecoveryError::Nothing)?;
    let mut names: Vec<String> = parts.iter().map(|part| hex::encode(part.name())).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > 1 {
        return Err(RecoveryError::Mixed { names });
    }
    let different: BTreeMap<u8, &Part> = parts.iter().map(|part| (part.number(), part)).collect();
    let need = parts.iter().map(Part::threshold).max().unwrap_or(0);
    if different.len() < need {
        return Err(RecoveryError::TooFew { name: names.swap_remove(0), have: different.len(), need });
    }
    let shares: Result<Vec<Share>, _> =
        different.values().take(need).map(|part| Share::try_from(part.share())).collect();
    let shares = shares.map_err(|_| RecoveryError::DoNotFit)?;
    let threshold = u8::try_from(need).map_err(|_| RecoveryError::DoNotFit)?;
    let bytes = Zeroizing::new(Sharks(threshold).recover(&shares).map_err(|_| RecoveryError::DoNotFit)?);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if bytes.len() != KEY_BYTES || name_of(&bytes) != first.name() {
        return Err(RecoveryError::DoNotFit);
    }
    key.copy_from_slice(&bytes);
    Ok(RecoveryKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&Part]) -> Secret {
        let texts = parts.iter().map(|part| String::from_utf8(part.text().bytes().to_vec()).unwrap());
        Secret::new(texts.collect::<Vec<_>>().join("\n").into_bytes())
    }

    #[test]
    fn any_k_of_n_parts_give_the_key_and_fewer_do_not() {
        let key = RecoveryKey::generate();
        let parts = split(&key, 5, 3).unwrap();
        assert_eq!(parts.iter().map(Part::number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        for a in 0..5 {
            for b in 0..5 {
                for c in 0..5 {
                    let chosen = [&parts[a], &parts[b], &parts[c]];
                    let read = RecoveryKey::read(&lines(&chosen));
                    if a != b && b != c && a != c {
                        assert_eq!(read.as_ref(), Ok(&key));
                    } else {
                        assert!(matches!(read, Err(RecoveryError::TooFew { need: 3, .. })));
                    }
                }
            }
        }
    }

    #[test]
    fn parts_of_different_kits_do_not_mix() {
        let [one, other] = [1, 2].map(|_| split(&RecoveryKey::generate(), 2, 2).unwrap());
        let error = join(&[one[0].clone(), other[1].clone()]).unwrap_err();
        assert!(matches!(error, RecoveryError::Mixed { .. }), "{error}");
    }

    #[test]
    fn parts_that_were_dealt_twice_do_not_pretend_to_fit() {
        let key = RecoveryKey::generate();
        let (one, other) = (split(&key, 2, 2).unwrap(), split(&key, 2, 2).unwrap());
        assert_eq!(join(&[one[0].clone(), other[1].clone()]).unwrap_err(), RecoveryError::DoNotFit);
    }

    #[test]
    fn thresholds_that_make_no_sense_are_refused() {
        for (parts, threshold) in [(3, 1), (2, 3), (0, 0), (21, 2)] {
            let error = split(&RecoveryKey::generate(), parts, threshold).unwrap_err();
            assert_eq!(error, RecoveryError::Numbers { parts, threshold });
        }
    }
}
