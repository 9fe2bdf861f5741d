//! How the machines of a fleet reach each other: names, addresses, one port, and the SSH of the appliance's own.
//!
//! On a real installation all machines listen on port 122 and hold keys for each other (contract §6.1, §10.1). Here they
//! have addresses of their own on this machine and share a free port, so `ssh` on a node is led there whatever port the
//! caller names.

use std::{
    fmt::Write as _,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};

use super::Place;
use crate::error::{OnFile, SimError};

/// The port that the appliance's own programs name.
pub const ADMIN_PORT: u16 = 122;

/// One machine of a fleet, as the others reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its host name, and the name of its folder.
    pub name: String,
    /// Its address.
    pub address: std::net::IpAddr,
}

/// What one machine knows of its fleet's ways: `fleet.json` in its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The machine's own name.
    pub own: String,
    /// The port that all machines listen on; 0 while no door is open.
    pub port: u16,
    /// All machines, this one too.
    pub peers: Vec<Peer>,
}

impl Membership {
    fn file(place: &Place) -> PathBuf {
        place.root().join("fleet.json")
    }

    /// Reads it; an appliance that was made alone has none.
    ///
    /// # Errors
    /// The file exists but cannot be read or does not parse.
    pub fn load(place: &Place) -> Result<Option<Self>, SimError> {
        let path = Self::file(place);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| SimError::Corrupt { path, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).on("read", path),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, place: &Place) -> Result<(), SimError> {
        let path = Self::file(place);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| SimError::Corrupt { path: path.clone(), reason: error.to_string() })?;
        fs::write(&path, text).on("write", path)
    }

    /// Where a host and port that somebody on this fleet names really are.
    #[must_use]
    pub fn lead(&self, host: &str, port: u16) -> (String, u16) {
        let named = |peer: &&Peer| peer.name == host || peer.address.to_string() == host;
        match self.peers.iter().find(named) {
            Some(peer) => (peer.address.to_string(), if port == ADMIN_PORT { self.port } else { port }),
            None => (host.to_owned(), port),
        }
    }

    /// Folders of the other machines, beside the one at `root`.
    #[must_use]
    pub fn siblings(&self, root: &Path) -> Vec<PathBuf> {
        let beside = root.parent().unwrap_or(root);
        self.peers.iter().filter(|peer| peer.name != self.own).map(|peer| beside.join(&peer.name)).collect()
    }
}

/// Writes what `ssh` on this machine needs to reach the others; called when a door opens, and harmless without a fleet.
///
/// # Errors
/// A file cannot be written.
pub fn prepare_ssh(place: &Place, owner: Option<u32>) -> Result<(), SimError> {
    let Some(membership) = Membership::load(place)? else { return Ok(()) };
    let folder = place.run("ssh");
    fs::create_dir_all(&folder).on("create", &folder)?;
    let key = folder.join("key");
    let _ = fs::remove_file(&key);
    fs::copy(place.key("fleet"), &key).on("copy", &key)?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).on("protect", &key)?;
    if let Some(owner) = owner {
        std::os::unix::fs::chown(&key, Some(owner), Some(owner)).on("give away", &key)?;
    }
    let mut config = String::new();
    for peer in &membership.peers {
        let _ = writeln!(config, "Host {}\n  HostName {}", peer.name, peer.address);
    }
    let _ = writeln!(
        config,
        "Host *\n  User admin\n  Port {}\n  IdentityFile \"{}\"\n  IdentitiesOnly yes\n  BatchMode yes\n  \
         StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n  ConnectTimeout 10",
        membership.port,
        key.display()
    );
    let path = folder.join("config");
    fs::write(&path, config).on("write", path)
}

/// The machine's real SSH client, set up for the fleet; arguments that name another port are overruled.
///
/// # Errors
/// There is no SSH client, or the membership cannot be read.
pub fn ssh(place: &Place) -> Result<Command, SimError> {
    let mut command = Command::new(real("ssh")?);
    if let Some(membership) = Membership::load(place)? {
        command.arg("-F").arg(place.run("ssh/config")).arg("-o").arg(format!("Port={}", membership.port));
    }
    Ok(command)
}

/// What a command on another machine of the fleet gave.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its exit code; 255 if the machine could not be reached.
    pub code: u8,
    /// What it wrote.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

/// Runs a command on a machine of the fleet, with `input` on its stdin.
///
/// # Errors
/// SSH cannot be started.
pub fn on_node(place: &Place, node: &str, script: &str, input: &[u8]) -> Result<Answer, SimError> {
    let mut child = ssh(place)?
        .args([node, "--", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .on("run", "ssh")?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A command may end without reading its input.
            let _ = stdin.map(|mut stdin| io::Write::write_all(&mut stdin, input));
        });
        child.wait_with_output()
    })
    .on("wait for", "ssh")?;
    Ok(Answer {
        code: output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A program of this machine by name, passing over this program's own links.
fn real(name: &str) -> Result<PathBuf, SimError> {
    let own = std::env::current_exe().and_then(fs::canonicalize).on("find", "this program")?;
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|found| found.is_file() && fs::canonicalize(found).is_ok_and(|target| target != own))
        .ok_or_else(|| SimError::Refused(format!("this machine has no program `{name}`")))
}
