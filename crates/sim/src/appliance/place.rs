//! Where the parts of one simulated appliance are on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::error::{OnFile, SimError};

/// Environment variable that tells an appliance command which appliance it belongs to.
pub const DIR_VARIABLE: &str = "GHEVAULT_SIM_DIR";
/// Where the sshd door shows the appliance's folder to the commands inside its mount namespace.
pub const NAMESPACE_DIR: &str = "/run/sim/dir";
/// Where the sshd door shows this program inside its mount namespace.
pub const NAMESPACE_PROGRAM: &str = "/run/sim/program";

/// The folder of one simulated appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    root: PathBuf,
}

impl Place {
    /// The appliance in `root`; nothing is checked or made.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The appliance that an appliance command was called for.
    #[must_use]
    pub fn of_command() -> Self {
        Self::new(std::env::var_os(DIR_VARIABLE).map_or_else(|| PathBuf::from(NAMESPACE_DIR), PathBuf::from))
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of this machine that is `path` (absolute) on the appliance.
    #[must_use]
    pub fn disk(&self, path: &str) -> PathBuf {
        self.root.join("disk").join(path.trim_start_matches('/'))
    }

    /// `/data/user/repositories` of the appliance.
    #[must_use]
    pub fn repositories(&self) -> PathBuf {
        self.disk("/data/user/repositories")
    }

    /// The gate of the repositories (contract §3.2).
    #[must_use]
    pub fn gate(&self) -> PathBuf {
        self.disk("/data/user/repositories/.sync_in_progress")
    }

    /// Things the appliance keeps in services rather than in files: `stores/NAME`.
    #[must_use]
    pub fn store(&self, name: &str) -> PathBuf {
        self.root.join("stores").join(name)
    }

    /// What the simulator remembers of the appliance.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("state.json")
    }

    /// The faults to play.
    #[must_use]
    pub fn faults(&self) -> PathBuf {
        self.root.join("faults.json")
    }

    /// Every value every reference ever had.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.jsonl")
    }

    /// The log of commands.
    #[must_use]
    pub fn command_log(&self) -> PathBuf {
        self.root.join("log/commands.jsonl")
    }

    /// What `logger` was told.
    #[must_use]
    pub fn syslog(&self) -> PathBuf {
        self.root.join("log/syslog")
    }

    /// Files that live as long as a door is open.
    #[must_use]
    pub fn run(&self, name: &str) -> PathBuf {
        self.root.join("run").join(name)
    }

    /// Keys of the admin user: `client`, `client.pub`, `authorized_keys`.
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.root.join("keys").join(name)
    }

    /// Makes the folders that the simulator itself needs, and the empty logs.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn prepare(&self) -> Result<(), SimError> {
        use std::os::unix::fs::PermissionsExt;
        for name in ["disk", "stores/audit-log", "log", "run/faults", "keys", "tmp"] {
            let folder = self.root.join(name);
            fs::create_dir_all(&folder).on("create", &folder)?;
        }
        // The unprivileged admin of the sshd door writes here too.
        for name in ["log", "run/faults", "tmp"] {
            let folder = self.root.join(name);
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).on("open up", &folder)?;
        }
        for log in [self.command_log(), self.syslog()] {
            if !log.exists() {
                fs::write(&log, "").on("create", &log)?;
            }
            fs::set_permissions(&log, fs::Permissions::from_mode(0o666)).on("open up", &log)?;
        }
        Ok(())
    }
}
