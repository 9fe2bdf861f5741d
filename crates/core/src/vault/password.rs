//! The password of a vault, wiped from memory when it is dropped and never printed.

use std::fmt;
use zeroize::Zeroizing;

/// A vault's password. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the password as it is; nothing is trimmed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The password itself, for the one call that needs it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it (a vault is never made with an empty password).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Password;

    #[test]
    fn debug_output_does_not_reveal_it() {
        assert_eq!(format!("{:?}", Password::new("s3cret")), "Password(..)");
    }
}
