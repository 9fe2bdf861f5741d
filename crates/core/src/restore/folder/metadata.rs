//! Owner, mode, attributes and times of a restored entry, in the order in which they do not undo each other.

use std::os::fd::AsFd;

use rustix::{
    fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags},
    io::Errno,
};

use crate::restore::entry::Entry;

/// Whether owners can be given: only root may.
#[must_use]
pub fn owners_wanted() -> bool {
    rustix::process::geteuid().is_root()
}

/// Sets everything on an open file or directory.
///
/// # Errors
/// What was tried, and the system's answer.
pub fn apply(fd: impl AsFd, entry: &Entry, owners: bool) -> Result<(), (&'static str, Errno)> {
    let fd = fd.as_fd();
    if owners {
        let (uid, gid) = owner(entry);
        rustix::fs::fchown(fd, Some(uid), Some(gid)).map_err(|e| ("set the owner", e))?;
    }
    if let Some(mode) = entry.mode {
        rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)).map_err(|e| ("set the mode", e))?;
    }
    for attribute in &entry.node.meta.extended_attributes {
        let value = attribute.value.as_deref().unwrap_or_default();
        rustix::fs::fsetxattr(fd, attribute.name.as_str(), value, XattrFlags::empty())
            .map_err(|e| ("set an extended attribute", e))?;
    }
    rustix::fs::futimens(fd, &times(entry)).map_err(|e| ("set the times", e))
}

/// Sets owner and times of something that cannot be opened (a symbolic link, a pipe), without following it.
///
/// # Errors
/// What was tried, and the system's answer.
pub fn apply_at(
    at: impl AsFd,
    name: &[u8],
    entry: &Entry,
    owners: bool,
) -> Result<(), (&'static str, Errno)> {
    let at = at.as_fd();
    if owners {
        let (uid, gid) = owner(entry);
        rustix::fs::chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| ("set the owner", e))?;
    }
    rustix::fs::utimensat(at, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| ("set the times", e))
}

/// The time as the system takes it.
#[must_use]
pub fn timespec(time: jiff::Timestamp) -> Timespec {
    // A time before 1970 has a negative fraction in jiff; the system wants floor seconds and a positive one.
    let nanoseconds = time.as_nanosecond();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).unwrap_or(0);
    let fraction = i64::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or(0);
    Timespec { tv_sec: seconds, tv_nsec: fraction as _ }
}

/// An entry without owner belongs to root, as it does for restic.
fn owner(entry: &Entry) -> (Uid, Gid) {
    (Uid::from_raw(entry.uid.unwrap_or(0)), Gid::from_raw(entry.gid.unwrap_or(0)))
}

fn times(entry: &Entry) -> Timestamps {
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let modified = entry.modified.map_or(omit, timespec);
    Timestamps {
        last_access: entry.accessed.or(entry.modified).map_or(omit, timespec),
        last_modification: modified,
    }
}

#[cfg(test)]
mod tests {
    use super::timespec;

    #[test]
    fn times_before_1970_have_floor_seconds() {
        let time = jiff::Timestamp::from_nanosecond(-1_500_000_000).expect("a valid time");
        let spec = timespec(time);
        assert_eq!((spec.tv_sec, spec.tv_nsec), (-2, 500_000_000));
    }
}
