//! The host keys we trust: our own `known_hosts` below the state directory, and nobody else's.
//!
//! One line per pinned key in OpenSSH's form, `[host]:port type base64`, so that the OpenSSH client reads the same
//! file. Only exact names count: no patterns, no hashed names, no certificate authorities. Lines of others are kept as
//! they are; a line of ours that cannot be read is an error, never "no pin".

use std::{
    fs::{DirBuilder, File},
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::HostKey;
use crate::appliance::target::Target;

/// Name of the store's file below the state directory.
pub const KNOWN_HOSTS: &str = "known_hosts";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file cannot be read or written.
    #[error("cannot {what} the host key store `{path}`")]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A line about the target cannot be read.
    #[error("line {line} of the host key store `{path}` cannot be read: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// The store of pinned host keys.
#[derive(Clone, Debug)]
pub struct PinStore {
    path: PathBuf,
}

impl PinStore {
    /// The store of this state directory; nothing is read or made yet.
    #[must_use]
    pub fn below(state_dir: &Path) -> Self {
        Self { path: state_dir.join(KNOWN_HOSTS) }
    }

    /// The file in OpenSSH's `known_hosts` format.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys pinned for a target; none if the file does not exist.
    ///
    /// # Errors
    /// The file, or a line of it about this target, cannot be read.
    pub fn pins(&self, target: &Target) -> Result<Vec<HostKey>, PinError> {
        self.pins_of(&target.known_hosts_name())
    }

    /// The keys pinned under a name in OpenSSH's form.
    ///
    /// # Errors
    /// As [`PinStore::pins`].
    pub fn pins_of(&self, name: &str) -> Result<Vec<HostKey>, PinError> {
        let mut pins = Vec::new();
        for (index, line) in self.text()?.lines().enumerate() {
            let unreadable = |reason| PinError::Line { path: self.path.clone(), line: index + 1, reason };
            match Line::read(line) {
                Line::Other => {}
                Line::Key { names, .. } if !names.split(',').any(|n| n.eq_ignore_ascii_case(name)) => {}
                Line::Key { marker: Some(marker), .. } => {
                    return Err(unreadable(format!("the marker `{marker}` is not supported here")));
                }
                Line::Key { key, .. } => {
                    let key = HostKey::parse(key).map_err(unreadable)?;
                    if !pins.contains(&key) {
                        pins.push(key);
                    }
                }
            }
        }
        Ok(pins)
    }

    /// Pins further keys for a target, beside those that are pinned already.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn pin(&self, target: &Target, keys: &[HostKey]) -> Result<(), PinError> {
        let mut all = self.pins(target)?;
        for key in keys {
            if !all.contains(key) {
                all.push(key.clone());
            }
        }
        self.replace(target, &all)
    }

    /// Makes `keys` the only ones pinned for a target.
    ///
    /// # Errors
    /// The store cannot be read or written; it is then as it was.
    pub fn replace(&self, target: &Target, keys: &[HostKey]) -> Result<(), PinError> {
        self.replace_of(&target.known_hosts_name(), keys)
    }

    /// Makes `keys` the only ones pinned under a name in OpenSSH's form.
    ///
    /// # Errors
    /// As [`PinStore::replace`].
    pub fn replace_of(&self, name: &str, keys: &[HostKey]) -> Result<(), PinError> {
        let mut text = String::new();
        for line in self.text()?.lines() {
            match Line::read(line) {
                Line::Key { names, .. } if names.split(',').any(|n| n.eq_ignore_ascii_case(name)) => {
                    // A line may name several hosts; the others keep it.
                    let rest = names.split(',').filter(|n| !n.eq_ignore_ascii_case(name));
                    let rest = rest.collect::<Vec<_>>().join(",");
                    if !rest.is_empty() {
                        text.push_str(&line.replacen(names, &rest, 1));
                        text.push('\n');
                    }
                }
                _ => {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        for key in keys {
            let key = key.text().map_err(|reason| PinError::Line {
                path: self.path.clone(),
                line: text.lines().count() + 1,
                reason,
            })?;
            text.extend([name, " ", key.as_str(), "\n"]);
        }
        self.write(&text).map_err(|source| PinError::File { what: "write", path: self.path.clone(), source })
    }

    fn text(&self) -> Result<String, PinError> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(PinError::File { what: "read", path: self.path.clone(), source }),
        }
    }

    /// Writes beside, syncs, renames: whoever reads sees the old file or the new one.
    fn write(&self, text: &str) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut file = tempfile::Builder::new().prefix(".known_hosts.").tempfile_in(folder)?;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    }
}

/// One line of the file, split but not judged.
enum Line<'a> {
    /// Empty, or a comment.
    Other,
    /// `[@marker] names type base64 [comment]`.
    Key { marker: Option<&'a str>, names: &'a str, key: &'a str },
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Self::Other;
        }
        let (marker, rest) = match line.split_once(char::is_whitespace) {
            Some((marker, rest)) if marker.starts_with('@') => (Some(marker), rest.trim_start()),
            _ => (None, line),
        };
        let (names, key) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        Self::Key { marker, names, key: key.trim_start() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn key(text: &str) -> HostKey {
        HostKey::parse(text).expect("a key")
    }

    fn target(text: &str) -> Target {
        Target::parse(text).expect("a target")
    }

    #[test]
    fn without_a_file_nothing_is_pinned() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        assert_eq!(PinStore::below(&dir.path().join("state")).pins(&target("ghe")).expect("readable"), []);
    }

    #[test]
    fn pins_are_kept_per_host_and_port() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let store = PinStore::below(&dir.path().join("new/state"));
        store.pin(&target("ghe"), &[key(A)]).expect("pinned");
        store.pin(&target("ghe:2222"), &[key(B)]).expect("pinned");
        assert_eq!(store.pins(&target("me@GHE")).expect("readable"), [key(A)]);
        assert_eq!(store.pins(&target("ghe:2222")).expect("readable"), [key(B)]);
        assert_eq!(store.pins(&target("ghe:22")).expect("readable"), []);
        let text = std::fs::read_to_string(store.path()).expect("readable");
        assert_eq!(text, format!("[ghe]:122 {A}\n[ghe]:2222 {B}\n"));
        let mode = std::fs::metadata(store.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn pinning_adds_and_replacing_forgets() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let store = PinStore::below(dir.path());
        store.pin(&target("ghe"), &[key(A)]).expect("pinned");
        store.pin(&target("ghe"), &[key(B), key(A)]).expect("pinned");
        assert_eq!(store.pins(&target("ghe")).expect("readable"), [key(A), key(B)]);
        store.replace(&target("ghe"), &[key(B)]).expect("replaced");
        assert_eq!(store.pins(&target("ghe")).expect("readable"), [key(B)]);
    }

    #[test]
    fn what_others_wrote_stays() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let store = PinStore::below(dir.path());
        let foreign = format!("# note\n|1|c2FsdA==|aGFzaA== {A}\n@cert-authority *.example.com {A}\n");
        std::fs::write(store.path(), format!("{foreign}[ghe]:122,[other]:122 {A} comment\n"))
            .expect("written");
        assert_eq!(store.pins(&target("ghe")).expect("readable"), [key(A)]);
        store.replace(&target("ghe"), &[key(B)]).expect("replaced");
        let text = std::fs::read_to_string(store.path()).expect("readable");
        assert_eq!(text, format!("{foreign}[other]:122 {A} comment\n[ghe]:122 {B}\n"));
    }

    #[test]
    fn an_unreadable_pin_is_an_error_and_not_a_missing_pin() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let store = PinStore::below(dir.path());
        for line in ["[ghe]:122 ssh-ed25519 AAAA", "[ghe]:122", &format!("@revoked [ghe]:122 {A}")] {
            std::fs::write(store.path(), format!("\n{line}\n")).expect("written");
            let error = store.pins(&target("ghe")).expect_err(line);
            assert!(matches!(error, PinError::Line { line: 2, .. }), "{error}");
            assert_eq!(store.pins(&target("other")).expect("readable"), []);
        }
    }
}
