//! The one table of options: name in `ghevault.toml`, environment variable, flag, default, meaning.
//!
//! The file reader, the environment reader and the tests of the reference page all read this table.

mod around;
mod work;

use ghevault_core::keys::{SealKeySource, SecretSource};

/// One option that a user can set.
#[derive(Debug)]
pub struct OptionRow {
    /// Its name in `ghevault.toml`; a dot separates section and key.
    pub key: &'static str,
    /// The environment variable that sets it.
    pub env: Option<&'static str>,
    /// The global flag that sets it.
    pub flag: Option<&'static str>,
    /// What holds when nobody sets it, as the reference page says it.
    pub default: &'static str,
    /// What it means, as the reference page says it.
    pub meaning: &'static str,
}

/// Shortens the rows below.
const fn row(
    key: &'static str,
    env: Option<&'static str>,
    flag: Option<&'static str>,
    default: &'static str,
    meaning: &'static str,
) -> OptionRow {
    OptionRow { key, env, flag, default, meaning }
}

/// All options.
pub fn all() -> impl Iterator<Item = &'static OptionRow> {
    work::ROWS.iter().chain(around::ROWS)
}

impl OptionRow {
    /// Whether the value names where a secret is.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.meaning.starts_with("secret source")
    }
}

/// The value of an option as it may be shown.
#[must_use]
pub fn shown(key: &str, text: &str) -> String {
    if key == "seal.key" {
        let source: Option<SealKeySource> = text.parse().ok();
        return source.map_or_else(|| "(not shown)".to_owned(), |source| source.to_string());
    }
    if find(key).is_some_and(OptionRow::is_secret) {
        let source: Option<SecretSource> = text.parse().ok();
        return source.map_or_else(|| "(not shown)".to_owned(), |source| source.to_string());
    }
    // A proxy's command may have a password in it.
    if key == "ssh_options" {
        return format!("({} given)", text.lines().count());
    }
    text.to_owned()
}

/// The row of a key.
#[must_use]
pub fn find(key: &str) -> Option<&'static OptionRow> {
    all().find(|row| row.key == key)
}

/// The known key that is most like `key`, if any is near enough to be a slip of the hand.
#[must_use]
pub fn nearest(key: &str) -> Option<&'static str> {
    all()
        .map(|row| (strsim::damerau_levenshtein(row.key, key), row.key))
        .chain(all().map(|row| {
            let last = row.key.rsplit('.').next().unwrap_or(row.key);
            (strsim::damerau_levenshtein(last, key), row.key)
        }))
        .min()
        .filter(|(distance, _)| *distance <= 3.max(key.len() / 3))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::{all, nearest};

    #[test]
    fn slips_of_the_hand_find_their_key() {
        assert_eq!(nearest("hots"), Some("host"));
        assert_eq!(nearest("pasword"), Some("password"));
        assert_eq!(nearest("backup.skipp"), Some("backup.skip"));
        assert_eq!(nearest("drain_s"), Some("backup.drain_s"));
        assert_eq!(nearest("something_else_entirely"), None);
    }

    #[test]
    fn the_reference_page_lists_every_option() {
        let page = include_str!("../../../../docs/configuration.md");
        for row in all() {
            assert!(page.contains(&format!("| `{}` |", row.key)), "`{}` is missing", row.key);
            for name in [row.env, row.flag].into_iter().flatten() {
                assert!(page.contains(&format!("`{name}`")), "`{name}` is missing");
            }
            for text in [row.meaning, row.default] {
                assert!(page.contains(text), "`{}` is told differently: {text}", row.key);
            }
        }
    }

    #[test]
    fn every_key_is_declared_once() {
        let mut keys: Vec<_> = all().map(|row| row.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all().count());
    }
}
