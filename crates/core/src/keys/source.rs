//! Where a secret comes from: `file:PATH`, `env:NAME`.
//!
//! The core reads no environment: the face lends a look-up. A secret itself is never accepted in place of its source,
//! because it would then stand in arguments, histories and configuration files.

use std::{
    ffi::OsString,
    fmt,
    fs::{File, OpenOptions},
    io::Read,
    os::unix::{
        ffi::OsStringExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    str::FromStr,
};

use super::Secret;

/// Longest secret, in bytes; the largest private keys are far below.
pub const SECRET_BYTES_MAX: u64 = 1024 * 1024;

/// A place that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A regular file, owned by us or by root, that only its owner may change.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
}

/// A secret and what is to be said about the way it is kept.
#[derive(Debug)]
pub struct LoadedSecret {
    /// The secret.
    pub secret: Secret,
    /// Something that works but is not good.
    pub warning: Option<SecretWarning>,
}

/// Something about a secret's place that works but is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretWarning {
    /// Others than the owner may read the file. Not refused: secret mounts of container platforms look like this.
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl fmt::Display for SecretWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadableByOthers { path, mode } => {
                write!(f, "`{}` can be read by others than its owner (mode {mode:04o})", path.display())
            }
        }
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is neither of the forms; it may be a secret, so it is not repeated.
    #[error("not a secret source: expected `file:PATH` or `env:NAME`, never the secret itself")]
    NotASource,
    /// A form that later releases understand.
    #[error("secret source `{form}` is not supported by this release")]
    Unsupported {
        /// The form, without its content.
        form: &'static str,
    },
    /// The variable is not set.
    #[error("environment variable `{name}` is not set")]
    NotSet {
        /// Its name.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read secret file `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is kept in a way that lets others choose the secret.
    #[error("secret file `{path}` is refused: {reason}")]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing in it.
    #[error("the secret from {place} is empty")]
    Empty {
        /// The source, as text.
        place: String,
    },
}

impl FromStr for SecretSource {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("aws", rest)) if rest.starts_with("kms:") => {
                Err(SecretError::Unsupported { form: "aws:kms:…" })
            }
            _ => Err(SecretError::NotASource),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
        }
    }
}

impl SecretSource {
    /// Fetches the secret; `environment` looks a variable up.
    ///
    /// # Errors
    /// There is no secret there, or it is kept unsafely; see [`SecretError`].
    pub fn load(&self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<LoadedSecret, SecretError> {
        let loaded = match self {
            Self::File(path) => read_file(path)?,
            Self::Environment(name) => {
                let value = environment(name).ok_or_else(|| SecretError::NotSet { name: name.clone() })?;
                LoadedSecret { secret: Secret::new(value.into_vec()), warning: None }
            }
        };
        if loaded.secret.is_empty() {
            return Err(SecretError::Empty { place: format!("`{self}`") });
        }
        Ok(loaded)
    }
}

fn read_file(path: &Path) -> Result<LoadedSecret, SecretError> {
    let failed = |source| SecretError::Read { path: path.to_owned(), source };
    let refused = |reason: String| SecretError::Unsafe { path: path.to_owned(), reason };
    // Without NONBLOCK, opening a pipe that nobody writes to would never return.
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = OpenOptions::new().read(true).custom_flags(nonblock).open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us && meta.uid() != 0 {
        return Err(refused(format!("it belongs to user {}, neither to us ({us}) nor to root", meta.uid())));
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(refused(format!("others than its owner may change it (mode {mode:04o})")));
    }
    let bytes = read_bounded(&mut file, meta.len()).map_err(failed)?;
    let warning =
        (mode & 0o044 != 0).then(|| SecretWarning::ReadableByOthers { path: path.to_owned(), mode });
    Ok(LoadedSecret { secret: bytes, warning })
}

/// Reads everything into one allocation, so that no copy is left behind by a growing buffer.
fn read_bounded(file: &mut File, length: u64) -> std::io::Result<Secret> {
    let too_long = || std::io::Error::new(std::io::ErrorKind::FileTooLarge, "longer than any secret");
    if length > SECRET_BYTES_MAX {
        return Err(too_long());
    }
    let room = usize::try_from(SECRET_BYTES_MAX.min(length + 1)).map_err(|_| too_long())?;
    let mut bytes = zeroize::Zeroizing::new(vec![0; room]);
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn no_environment(_: &str) -> Option<OsString> {
        None
    }

    fn file_with_mode(mode: u32, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let path = dir.path().join("secret");
        std::fs::write(&path, content).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode set");
        (dir, path)
    }

    #[test]
    fn sources_are_told_apart_and_shown_as_written() {
        for text in ["file:/etc/key", "env:GHEVAULT_KEY", "file:relative:with:colons"] {
            assert_eq!(text.parse::<SecretSource>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn plain_words_are_refused_without_being_repeated() {
        for text in ["hunter2", "", "file:", "env:", "https://example.com/key", "aws:s3:x"] {
            let error = text.parse::<SecretSource>().expect_err(text);
            assert!(matches!(error, SecretError::NotASource));
            assert!(!error.to_string().contains("hunter2"));
            assert!(error.to_string().contains("file:PATH"), "{error}");
        }
    }

    #[test]
    fn kms_is_recognised_and_refused_for_now() {
        let error = "aws:kms:AQICAHh".parse::<SecretSource>().expect_err("unsupported");
        assert_eq!(error.to_string(), "secret source `aws:kms:…` is not supported by this release");
    }

    #[test]
    fn a_private_file_is_read_without_a_warning() {
        let (_dir, path) = file_with_mode(0o600, b"word\n");
        let loaded = SecretSource::File(path).load(&no_environment).expect("a secret");
        assert_eq!(loaded.secret.password(), b"word");
        assert_eq!(loaded.warning, None);
    }

    #[test]
    fn a_file_that_others_may_read_is_taken_with_a_warning() {
        let (_dir, path) = file_with_mode(0o644, b"word");
        let loaded = SecretSource::File(path.clone()).load(&no_environment).expect("a secret");
        assert_eq!(loaded.warning, Some(SecretWarning::ReadableByOthers { path, mode: 0o644 }));
    }

    #[test]
    fn a_file_that_others_may_change_is_refused() {
        for mode in [0o620, 0o602, 0o666] {
            let (_dir, path) = file_with_mode(mode, b"word");
            let error = SecretSource::File(path).load(&no_environment).expect_err("refused");
            assert!(matches!(error, SecretError::Unsafe { .. }), "{mode:o}: {error}");
        }
    }

    #[test]
    fn links_are_followed_but_only_to_regular_files() {
        let (dir, path) = file_with_mode(0o600, b"word");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        assert!(SecretSource::File(link).load(&no_environment).is_ok());
        let error = SecretSource::File(dir.path().to_owned()).load(&no_environment).expect_err("a folder");
        assert!(matches!(error, SecretError::Unsafe { .. }), "{error}");
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
        let error = SecretSource::File(pipe).load(&no_environment).expect_err("a pipe");
        assert!(matches!(error, SecretError::Unsafe { .. }), "{error}");
    }

    #[test]
    fn missing_empty_and_endless_secrets_are_errors() {
        let missing = SecretSource::File("/nonexistent/key".into()).load(&no_environment);
        assert!(matches!(missing, Err(SecretError::Read { .. })));
        let unset = SecretSource::Environment("X".into()).load(&no_environment);
        assert!(matches!(unset, Err(SecretError::NotSet { .. })));
        let (_dir, path) = file_with_mode(0o600, b"\n");
        assert!(matches!(SecretSource::File(path).load(&no_environment), Err(SecretError::Empty { .. })));
        let (_dir, path) = file_with_mode(0o600, &vec![b'x'; 1024 * 1024 + 1]);
        assert!(matches!(SecretSource::File(path).load(&no_environment), Err(SecretError::Read { .. })));
    }

    #[test]
    fn the_environment_is_asked_through_the_look_up() {
        let environment = |name: &str| (name == "KEY").then(|| OsString::from("word"));
        let loaded = SecretSource::Environment("KEY".into()).load(&environment).expect("a secret");
        assert_eq!(loaded.secret.bytes(), b"word");
    }
}
