//! Who owns what on an appliance: its users, and the ownership of its disk (only applied when run as root).

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::Path,
};

use crate::{
    appliance::Place,
    error::{OnFile, SimError},
};

/// A user of the appliance, with a group of the same name and number.
#[derive(Clone, Copy, Debug)]
pub struct User {
    /// Login name.
    pub name: &'static str,
    /// User and group number.
    pub id: u32,
    /// Home folder.
    pub home: &'static str,
}

/// The users; the first is the admin.
pub const USERS: [User; 9] = [
    User { name: "admin", id: 5000, home: "/run/admin" },
    User { name: "git", id: 5001, home: "/data/user/git" },
    User { name: "alambic", id: 5002, home: "/nonexistent" },
    User { name: "mysql", id: 5003, home: "/nonexistent" },
    User { name: "mssql", id: 5004, home: "/nonexistent" },
    User { name: "elasticsearch", id: 5005, home: "/nonexistent" },
    User { name: "actions", id: 5006, home: "/nonexistent" },
    User { name: "minio", id: 5007, home: "/nonexistent" },
    User { name: "babeld", id: 5008, home: "/nonexistent" },
];

/// Trees below `/data/user` that belong to somebody other than root, and are closed to others.
const TREES: [(&str, &str); 9] = [
    ("repositories", "git"),
    ("pages", "git"),
    ("git-hooks", "git"),
    ("storage", "alambic"),
    ("elasticsearch", "elasticsearch"),
    ("mysql", "mysql"),
    ("mssql", "mssql"),
    ("actions", "actions"),
    ("minio", "minio"),
];

/// Files of root that nobody else may read.
const SECRETS: [&str; 4] = [
    "/data/user/common/secrets.conf",
    "/data/user/common/saml-sp.p12",
    "/data/user/common/ssh_host_ed25519_key",
    "/data/enterprise/enterprise.ghl",
];

/// The number of a user; root's for unknown names.
#[must_use]
pub fn id(name: &str) -> u32 {
    USERS.iter().find(|user| user.name == name).map_or(0, |user| user.id)
}

/// Gives every file its owner and closes what is secret; without root only the modes are set.
///
/// # Errors
/// A file cannot be inspected or changed.
pub fn apply(place: &Place) -> Result<(), SimError> {
    let root = rustix::process::geteuid().is_root();
    for (tree, owner) in TREES {
        let tree = place.disk("/data/user").join(tree);
        if !tree.exists() {
            continue;
        }
        fs::set_permissions(&tree, fs::Permissions::from_mode(0o750)).on("protect", &tree)?;
        if root {
            give(&tree, id(owner))?;
        }
    }
    for secret in SECRETS {
        let path = place.disk(secret);
        if path.exists() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).on("protect", &path)?;
        }
    }
    let dump = place.disk(crate::appliance::commands::redis::DUMP);
    if dump.exists() {
        fs::set_permissions(&dump, fs::Permissions::from_mode(0o640)).on("protect", dump)?;
    }
    Ok(())
}

/// Gives something new the owner of `like` (only when run as root).
///
/// # Errors
/// A file cannot be inspected or changed.
pub fn adopt(path: &Path, like: &Path) -> Result<(), SimError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    give(path, owner(like)?)
}

/// The same for one file or folder, without what is in it.
///
/// # Errors
/// As [`adopt`].
pub fn adopt_one(path: &Path, like: &Path) -> Result<(), SimError> {
    if rustix::process::geteuid().is_root() {
        let owner = owner(like)?;
        lchown(path, Some(owner), Some(owner)).on("give away", path)?;
    }
    Ok(())
}

/// The number of a file's owner.
///
/// # Errors
/// It cannot be inspected.
pub fn owner(path: &Path) -> Result<u32, SimError> {
    Ok(fs::metadata(path).on("inspect", path)?.uid())
}

/// Gives a tree away; what already belongs to the owner is left alone.
fn give(path: &Path, owner: u32) -> Result<(), SimError> {
    let meta = fs::symlink_metadata(path).on("inspect", path)?;
    if meta.uid() != owner || meta.gid() != owner {
        lchown(path, Some(owner), Some(owner)).on("give away", path)?;
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path).on("list", path)? {
            give(&entry.on("list", path)?.path(), owner)?;
        }
    }
    Ok(())
}
