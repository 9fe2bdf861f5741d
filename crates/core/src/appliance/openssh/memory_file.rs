//! A file that exists in memory only, and a path under which a child process can open it.

use std::{fs::File, io::Write, os::fd::AsRawFd, path::PathBuf};

use rustix::fs::{MemfdFlags, Mode, SealFlags, fchmod, fcntl_add_seals, memfd_create};

/// Sealed bytes without a name on any disk; gone with the value.
pub(super) struct MemoryFile(File);

impl MemoryFile {
    /// A memory file with this content, readable by its owner only and not to be changed any more.
    pub(super) fn holding(content: &[u8]) -> std::io::Result<Self> {
        let memory = memfd_create("ghevault", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut file = File::from(memory);
        fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        file.write_all(content)?;
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(Self(file))
    }

    /// Where a process of the same user finds it, as long as this value lives.
    pub(super) fn path(&self) -> PathBuf {
        path_of(&self.0)
    }
}

/// The path under which other processes of this user can open a descriptor of ours.
///
/// Not `/proc/self`: `ssh` closes what it inherits before it reads anything.
pub(super) fn path_of(descriptor: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), descriptor.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn it_reads_back_as_a_private_file_and_cannot_be_changed() {
        let memory = MemoryFile::holding(b"secret").expect("a memory file");
        assert_eq!(std::fs::read(memory.path()).expect("readable"), b"secret");
        let meta = std::fs::metadata(memory.path()).expect("there");
        assert_eq!((meta.mode() & 0o7777, meta.is_file(), meta.nlink()), (0o600, true, 0));
        assert!(std::fs::write(memory.path(), b"other").is_err());
        assert_eq!(std::fs::read(memory.path()).expect("readable"), b"secret");
    }

    #[test]
    fn it_is_gone_with_the_value() {
        let memory = MemoryFile::holding(b"secret").expect("a memory file");
        let path = memory.path();
        drop(memory);
        assert_ne!(std::fs::read(path).ok().as_deref(), Some(&b"secret"[..]));
    }
}
