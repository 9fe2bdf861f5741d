//! Which process holds a lease, and whether it is still there.

use serde::{Deserialize, Serialize};
use std::{fs, io};

/// A process, told apart from every other one as far as this host can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessMark {
    pub host: String,
    pub boot: String,
    /// Process namespace: the same number in another container is another process.
    pub namespace: String,
    pub pid: u32,
    /// Start of the process in the kernel's ticks: the same number later is another process.
    pub started: String,
}

fn started(pid: u32) -> io::Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // the name (field 2) may contain anything but ends at the last parenthesis; field 22 is the start
    let field = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19));
    field.map(str::to_owned).ok_or_else(|| io::Error::other("unknown form of /proc/PID/stat"))
}

impl ProcessMark {
    pub(super) fn own() -> Self {
        let pid = std::process::id();
        let namespace = fs::read_link("/proc/self/ns/pid").map(|p| p.display().to_string());
        Self {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned(),
            namespace: namespace.unwrap_or_default(),
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// Whether this process is certainly gone; in doubt it is not.
    pub(super) fn is_dead(&self, me: &Self) -> bool {
        let comparable = !self.boot.is_empty()
            && !self.namespace.is_empty()
            && self.boot == me.boot
            && self.namespace == me.namespace
            && !self.started.is_empty();
        comparable
            && match started(self.pid) {
                Ok(now) => now != self.started,
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            }
    }
}
