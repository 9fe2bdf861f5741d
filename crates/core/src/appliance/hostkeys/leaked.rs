//! Host keys that everybody may have: old images of the appliance shipped with fixed ones (contract §9).
//!
//! Whoever holds such a key can pass himself off as the appliance, so a pin on it proves nothing. The list is data; the
//! finding is advice and never ends a run.

use std::{collections::HashSet, sync::LazyLock};

use super::HostKey;

/// What to do about a leaked key.
pub const ADVICE: &str = "run `ghe-ssh-roll-host-keys` on the appliance, pin the new keys with `ghevault trust`, and back up again";

static KNOWN: LazyLock<LeakedKeys> =
    LazyLock::new(|| LeakedKeys::parse(include_str!("../../../data/leaked-host-keys.txt")));

/// A list of fingerprints.
#[derive(Clone, Debug, Default)]
pub struct LeakedKeys(HashSet<String>);

impl LeakedKeys {
    /// The list that comes with this program.
    #[must_use]
    pub fn known() -> &'static Self {
        &KNOWN
    }

    /// Reads a list: one MD5 fingerprint a line, as sixteen pairs of hexadecimal digits with colons; `#` begins a comment.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(str::to_lowercase).collect())
    }

    /// Those of `keys` that are on the list.
    #[must_use]
    pub fn among<'k>(&self, keys: &'k [HostKey]) -> Vec<&'k HostKey> {
        // A key that cannot be written has no fingerprint to be found by.
        let listed = |key: &&HostKey| key.md5_fingerprint().is_ok_and(|md5| self.0.contains(&md5));
        keys.iter().filter(listed).collect()
    }

    /// A sentence about those of `keys` that are on the list; none if there are none. `whose` says where they were found.
    #[must_use]
    pub fn warning(&self, keys: &[HostKey], whose: &str) -> Option<String> {
        let leaked = self.among(keys);
        if leaked.is_empty() {
            return None;
        }
        let named: Vec<String> = leaked.iter().map(ToString::to_string).collect();
        Some(format!("{whose} use host keys that are publicly known: {}; {ADVICE}", named.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";
    /// What `ssh-keygen -l -E md5` says of it.
    const MD5: &str = "5f:62:94:ff:69:d8:3b:77:30:44:9e:34:cc:de:bc:bf";

    fn keys() -> Vec<HostKey> {
        vec![HostKey::parse(KEY).expect("a key")]
    }

    #[test]
    fn a_listed_key_is_found_by_its_fingerprint() {
        let list = LeakedKeys::parse(&format!("# comment\n\n  {}\n", MD5.to_uppercase()));
        assert_eq!(list.among(&keys()).len(), 1);
        let warning = list.warning(&keys(), "the keys of this snapshot").expect("a warning");
        assert!(warning.contains("SHA256:wX9j") && warning.contains("ghe-ssh-roll-host-keys"), "{warning}");
    }

    #[test]
    fn a_key_of_ones_own_is_no_finding() {
        assert_eq!(LeakedKeys::known().warning(&keys(), "they"), None);
        assert_eq!(LeakedKeys::parse(&format!("#{MD5}")).among(&keys()).len(), 0);
    }

    #[test]
    fn the_list_is_whole_and_every_line_is_a_fingerprint() {
        let known = LeakedKeys::known();
        assert_eq!(known.0.len(), 531);
        let pair = |pair: &str| pair.len() == 2 && pair.chars().all(|c| c.is_ascii_hexdigit());
        assert!(known.0.iter().all(|line| line.split(':').count() == 16 && line.split(':').all(pair)));
    }
}
