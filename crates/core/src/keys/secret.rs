//! Bytes that wipe themselves and do not show themselves.

use std::fmt;

use zeroize::Zeroizing;

/// A secret in memory: wiped when dropped, redacted when printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; they are wiped with the secret.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// All bytes, as they were read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes without the one line end that an editor leaves behind (`\n` or `\r\n`): a password.
    #[must_use]
    pub fn password(&self) -> &[u8] {
        let bytes = self.bytes();
        match bytes.strip_suffix(b"\n") {
            Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
            None => bytes,
        }
    }

    /// [`Secret::password`] as text; `None` if it is not UTF-8.
    #[must_use]
    pub fn password_text(&self) -> Option<&str> {
        std::str::from_utf8(self.password()).ok()
    }

    /// Whether there is nothing in it, or nothing but one line end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.password().is_empty()
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_line_end_is_not_part_of_a_password() {
        let password = |text: &str| Secret::new(text.into()).password().to_vec();
        assert_eq!(password("word\n"), b"word");
        assert_eq!(password("word\r\n"), b"word");
        assert_eq!(password("word\n\n"), b"word\n");
        assert_eq!(password(" word "), b" word ");
        assert_eq!(Secret::new(b"word\n".to_vec()).bytes(), b"word\n");
    }

    #[test]
    fn printing_shows_nothing() {
        let secret = Secret::new(b"hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn a_lone_line_end_is_empty() {
        assert!(Secret::new(b"\n".to_vec()).is_empty());
        assert!(!Secret::new(b" ".to_vec()).is_empty());
    }
}
