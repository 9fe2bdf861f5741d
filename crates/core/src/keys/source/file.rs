//! A secret in a file: only a regular one, of ours or of root, that nobody else may change.

use super::{LoadedSecret, SECRET_BYTES_MAX, SecretError, SecretWarning};
use crate::keys::Secret;
use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Reads the whole file, if it is kept well; says whether others can read it.
pub(super) fn read(path: &Path) -> Result<LoadedSecret, SecretError> {
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

/// Reads a stream to its end.
pub(super) fn read_stream(mut stream: impl Read) -> std::io::Result<Secret> {
    let room = usize::try_from(SECRET_BYTES_MAX + 1).unwrap_or(usize::MAX);
    let mut bytes = zeroize::Zeroizing::new(vec![0; room]);
    let mut filled = 0;
    loop {
        match stream.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled == bytes.len() {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "longer than any secret"));
        }
    }
    bytes.truncate(filled);
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}
