//! Starts and stops the sshd door: a child in its own mount and process namespaces that lives as long as its stdin.
//!
//! When whoever started it dies, however hard, the pipe closes, the namespace's first process ends, and the kernel
//! ends everything else in it: no `sshd`, no shell and no maintenance worker is left over.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use serde::{Deserialize, Serialize};

use crate::{
    appliance::Place,
    error::{OnFile, SimError},
};

/// First line of a door's stdout, as JSON: how to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reachable {
    /// Address it listens on.
    pub host: String,
    /// Port it listens on.
    pub port: u16,
    /// `SHA256:…` fingerprint of its ed25519 host key.
    pub host_key: String,
}

/// A running sshd door; dropping it stops it.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    control: Option<ChildStdin>,
    reachable: Reachable,
}

impl Sshd {
    /// Serves the appliance at `place` (needs root); port 0 chooses one. With `live`, the appliance changes meanwhile,
    /// that many times a second.
    ///
    /// # Errors
    /// Not root, no `sshd`, or the address is taken; the door's own words are passed on.
    pub fn start(
        place: &Place,
        program: &Path,
        listen: SocketAddr,
        live: Option<f64>,
    ) -> Result<Self, SimError> {
        place.prepare()?;
        if !rustix::process::geteuid().is_root() {
            return Err(SimError::Refused("the sshd door needs root".to_owned()));
        }
        // A chosen port may be taken by somebody else before `sshd` has it.
        let tries = if listen.port() == 0 { 3 } else { 1 };
        let mut last = Err(SimError::Ssh("not tried".to_owned()));
        for _ in 0..tries {
            last = Self::open(place, program, listen, live);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    fn open(place: &Place, program: &Path, listen: SocketAddr, live: Option<f64>) -> Result<Self, SimError> {
        let root = place.root().canonicalize().on("find", place.root())?;
        let listen = choose_port(listen)?;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--"])
            .arg(program)
            .arg("namespace")
            .arg(&root)
            .args(["--listen", &listen.to_string()]);
        if let Some(rate) = live {
            command.args(["--live", &rate.to_string()]);
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().on("start", "unshare")?;
        let pipe = child.stdin.take();
        let mut first = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut first).on("read", "the door's first line")?;
        }
        match serde_json::from_str(&first) {
            Ok(reachable) => Ok(Self { child, control: pipe, reachable }),
            Err(error) => {
                drop(pipe);
                let _ = child.wait();
                Err(SimError::Ssh(format!("the sshd door did not open: {error}; {first}")))
            }
        }
    }

    /// How to reach it.
    #[must_use]
    pub fn reachable(&self) -> &Reachable {
        &self.reachable
    }

    /// Makes `sshd` read its host keys again.
    ///
    /// # Errors
    /// The door is closed.
    pub fn reload(&mut self) -> Result<(), SimError> {
        match &mut self.control {
            Some(control) => {
                control.write_all(b"reload\n").and_then(|()| control.flush()).on("write to", "the sshd door")
            }
            None => Err(SimError::Refused("the sshd door is closed".to_owned())),
        }
    }

    /// Whether it is still open.
    pub fn is_open(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.control = None;
        let _ = self.child.wait();
    }
}

/// `sshd` cannot choose a port by itself.
fn choose_port(listen: SocketAddr) -> Result<SocketAddr, SimError> {
    if listen.port() != 0 {
        return Ok(listen);
    }
    let probe = super::port::listen(listen).on("listen on", listen.to_string())?;
    probe.local_addr().on("listen on", listen.to_string())
}
