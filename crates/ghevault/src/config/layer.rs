//! Texts of options with their origin, and which of two layers wins.

use super::option::{self, OptionRow};
use ghevault_core::keys::SecretSource;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Where a value was set; errors name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag of this command line.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The name that stands there.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag `{name}`"),
            Self::Environment(name) => write!(f, "environment variable `{name}`"),
            Self::File { path, line, name } => write!(f, "`{name}` in {}:{line}", path.display()),
        }
    }
}

/// A text and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// As written; lists are joined by newlines.
    pub text: String,
    /// Where it was written.
    pub origin: Origin,
}

/// A setting as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// Its key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// Where it was set.
    pub origin: String,
}

/// Values by option key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    values: BTreeMap<&'static str, Value>,
}

impl Layer {
    /// Sets an option of the table; unknown keys are a slip in this program, not in a file, and are dropped.
    pub fn set(&mut self, key: &str, text: impl Into<String>, origin: Origin) {
        debug_assert!(option::find(key).is_some(), "`{key}` is not in the table of options");
        if let Some(row) = option::find(key) {
            self.values.insert(row.key, Value { text: text.into(), origin });
        }
    }

    /// The value of an option.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// This layer, with what only `weaker` sets added.
    #[must_use]
    pub fn over(mut self, weaker: Self) -> Self {
        for (key, value) in weaker.values {
            self.values.entry(key).or_insert(value);
        }
        self
    }

    /// Everything that is set, as it may be shown: of a secret its source, of an address no user and password.
    pub fn effective(&self) -> Vec<Effective> {
        let shown = |(key, value): (&&'static str, &Value)| Effective {
            key,
            value: option::shown(key, &value.text),
            origin: value.origin.to_string(),
        };
        self.values.iter().map(shown).collect()
    }

    /// The sources of secrets that are set.
    pub fn secret_sources(&self) -> Vec<SecretSource> {
        let secret = |(key, _): &(&&'static str, &Value)| option::find(key).is_some_and(OptionRow::is_secret);
        self.values.iter().filter(secret).filter_map(|(_, value)| value.text.parse().ok()).collect()
    }

    /// The layer of the environment; variables that are set but empty count as not set.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut layer = Self::default();
        for row in option::all() {
            let Some(name) = row.env else { continue };
            if let Some(text) = lookup(name).filter(|text| !text.is_empty()) {
                layer.set(row.key, text, Origin::Environment(name));
            }
        }
        layer
    }
}

#[cfg(test)]
mod tests {
    use super::{Layer, Origin};

    #[test]
    fn the_stronger_layer_wins_and_the_weaker_fills_the_gaps() {
        let mut flags = Layer::default();
        flags.set("host", "from-flag", Origin::Flag("--host"));
        let environment = Layer::from_environment(|name| match name {
            "GHEVAULT_HOST" => Some("from-environment".to_owned()),
            "GHEVAULT_VAULT" => Some("/vault".to_owned()),
            "GHEVAULT_STATE" => Some(String::new()),
            _ => None,
        });
        let merged = flags.over(environment);
        assert_eq!(merged.get("host").map(|value| value.text.as_str()), Some("from-flag"));
        assert_eq!(merged.get("vault").map(|value| value.text.as_str()), Some("/vault"));
        assert_eq!(merged.get("state"), None);
    }
}
