//! Text in git-config syntax, as the appliance keeps its configuration (contract §1.8, §2.4, §7.1).

use std::collections::BTreeMap;

/// The values of one file: the last one of each key counts, as for `git config --get`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitConfig {
    /// Section (lower case), subsection (as written), name (lower case) → value.
    values: BTreeMap<(String, String, String), String>,
}

impl GitConfig {
    /// Reads a file; lines that make no sense are passed over, since newer releases may write what we do not know.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        let mut section = (String::new(), String::new());
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(h, _)| h)
            {
                section = section_of(header);
                continue;
            }
            let (name, value) = line.split_once('=').map_or((line, "true"), |(n, v)| (n, v));
            let key = (section.0.clone(), section.1.clone(), name.trim().to_lowercase());
            values.insert(key, unquoted(value.trim()));
        }
        Self { values }
    }

    /// The value of `section.name` or `section.sub.section.name`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let (section, rest) = key.split_once('.')?;
        let (sub, name) = rest.rsplit_once('.').unwrap_or(("", rest));
        let key = (section.to_lowercase(), sub.to_owned(), name.to_lowercase());
        self.values.get(&key).map(String::as_str)
    }

    /// Whether a value is set and true.
    #[must_use]
    pub fn truth(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| matches!(value.to_lowercase().as_str(), "true" | "yes" | "on" | "1"))
    }

    /// All keys in full, e.g. `secrets.manage-auth.argon-secret`, in order.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.entries().map(|(key, _)| key)
    }

    /// All keys in full with their values, in order.
    pub fn entries(&self) -> impl Iterator<Item = (String, &str)> {
        self.values.iter().map(|((section, sub, name), value)| match sub.as_str() {
            "" => (format!("{section}.{name}"), value.as_str()),
            sub => (format!("{section}.{sub}.{name}"), value.as_str()),
        })
    }

    /// The subsections of a section, in order.
    #[must_use]
    pub fn subsections(&self, section: &str) -> Vec<&str> {
        let mut found: Vec<&str> = self
            .values
            .keys()
            .filter(|(name, sub, _)| name == section && !sub.is_empty())
            .map(|(_, sub, _)| sub.as_str())
            .collect();
        found.dedup();
        found
    }
}

/// `section "sub"`, or the old form `section.sub`.
fn section_of(header: &str) -> (String, String) {
    if let Some((name, sub)) = header.split_once(char::is_whitespace) {
        return (name.to_lowercase(), unquoted(sub.trim()));
    }
    let (name, sub) = header.split_once('.').unwrap_or((header, ""));
    (name.to_lowercase(), sub.to_owned())
}

/// A value without its quotes, escapes and trailing comment.
fn unquoted(text: &str) -> String {
    let mut value = String::new();
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => match characters.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some(other) => value.push(other),
                None => {}
            },
            '#' | ';' if !quoted => break,
            other => value.push(other),
        }
    }
    if text.ends_with('"') { value } else { value.trim_end().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::GitConfig;

    const TEXT: &str = "[cluster]\n\tmysql-master = node-a ; the first\n[Cluster \"node-a\"]\n\tipv4 = 10.0.0.1\n\
                        \tgit-server\n[secrets \"manage-auth\"]\n\targon-secret = \"a \\\"b\\\" # c\"\n[app.actions]\nenabled=YES\n";

    #[test]
    fn values_are_found_by_their_full_key() {
        let config = GitConfig::parse(TEXT);
        assert_eq!(config.get("cluster.mysql-master"), Some("node-a"));
        assert_eq!(config.get("cluster.node-a.ipv4"), Some("10.0.0.1"));
        assert!(config.truth("cluster.node-a.git-server"));
        assert_eq!(config.get("secrets.manage-auth.argon-secret"), Some("a \"b\" # c"));
        assert!(config.truth("app.actions.enabled"));
        assert_eq!(config.get("app.none"), None);
    }

    #[test]
    fn subsections_and_keys_are_listed() {
        let config = GitConfig::parse(TEXT);
        assert_eq!(config.subsections("cluster"), ["node-a"]);
        assert!(config.keys().any(|key| key == "secrets.manage-auth.argon-secret"));
    }
}
