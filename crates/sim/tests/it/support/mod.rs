//! Appliances with a real SSH client before them.

use std::{
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use ghevault_sim::{build::Recipe, harness::Appliance};

/// One open door.
pub struct Door {
    pub appliance: Appliance,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

/// What a command gave.
pub struct Output {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub code: Option<i32>,
}

impl Output {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn error(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl Door {
    /// The embedded door of a new appliance.
    pub fn embedded(recipe: &Recipe) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut appliance = Appliance::build(folder.path().join("appliance"), recipe).unwrap();
        let address = appliance.open_embedded().unwrap();
        Self { appliance, address, _folder: folder }
    }

    pub fn ssh(&self) -> Command {
        self.appliance.ssh(self.address.port()).unwrap()
    }

    pub fn ssh_with(&self, key: &Path) -> Command {
        let mut command = Command::new("ssh");
        command
            .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-l", "admin"])
            .arg("-i")
            .arg(key)
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                self.appliance.known_hosts(self.address.port()).unwrap().display()
            ))
            .args(["-p", &self.address.port().to_string(), "127.0.0.1"]);
        command
    }

    /// Runs a command (an empty one is a shell request without terminal) with `input` on its stdin.
    pub fn run(&self, command: &str, input: &[u8]) -> Output {
        let mut ssh = self.ssh();
        if command.is_empty() {
            ssh.arg("-T");
        } else {
            ssh.arg(command);
        }
        Self::output(&mut ssh, input)
    }

    pub fn output(command: &mut Command, input: &[u8]) -> Output {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                // A command may end without reading its input.
                let _ = stdin.write_all(input);
            });
            child.wait_with_output().unwrap()
        });
        Output { stdout: output.stdout, stderr: output.stderr, code: output.status.code() }
    }
}

fn appliance() -> (tempfile::TempDir, Appliance) {
    let folder = tempfile::tempdir().unwrap();
    let appliance = Appliance::build(folder.path().join("appliance"), &Recipe::small(1)).unwrap();
    (folder, appliance)
}

/// Runs a test before the embedded door and before the sshd door.
pub fn with_both_doors(test: impl Fn(&mut Door)) {
    let (folder, mut appliance) = appliance();
    let address = appliance.open_embedded().unwrap();
    test(&mut Door { appliance, address, _folder: folder });
    with_sshd(test);
}

/// Runs a test before the sshd door.
pub fn with_sshd(test: impl Fn(&mut Door)) {
    let (folder, mut appliance) = appliance();
    let address = appliance.open_sshd().unwrap();
    test(&mut Door { appliance, address, _folder: folder });
}

/// Waits for a condition, at most half a minute.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(30), "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The names in a tar stream, one a line.
pub fn list_tar(stream: &[u8]) -> String {
    let mut tar = Command::new("tar");
    Door::output(tar.args(["-tf", "-"]), stream).text()
}

/// A tar of host keys that are not the appliance's.
pub fn other_host_keys() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    ghevault_sim::doors::keys::write_ed25519(&folder.path().join("ssh_host_ed25519_key"), &[7; 32], "x")
        .unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(folder.path()).args(["-cf", "-", "ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]);
    Door::output(&mut tar, b"").stdout
}

/// How many processes name a folder in their arguments or see it as the appliance's.
pub fn processes_of(folder: &Path) -> usize {
    let folder = folder.to_string_lossy().into_owned();
    let own = std::process::id().to_string();
    let named = |pid: &str| {
        let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let args = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        mounts.contains(&folder) || String::from_utf8_lossy(&args).contains(&format!("namespace\0{folder}"))
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.parse::<u32>().is_ok() && *name != own && named(name))
        .count()
}
