//! An `ssh-agent` of the test's own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running agent; it ends with the value.
pub struct Agent {
    folder: tempfile::TempDir,
    child: Child,
}

impl Agent {
    /// Starts one without keys.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(folder.path().join("agent"))
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent starts");
        let agent = Self { folder, child };
        let by = Instant::now() + Duration::from_secs(10);
        while !agent.socket().exists() {
            assert!(Instant::now() < by, "the agent made no socket");
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        agent
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// Gives it a private key.
    pub fn add(&self, key: &Path) {
        let added = Command::new("ssh-add").arg(key).env("SSH_AUTH_SOCK", self.socket()).output();
        let added = added.expect("ssh-add runs");
        assert!(added.status.success(), "{added:?}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
