//! Fleets for tests: machines with doors of their own that can be stopped and started, replicated, promoted.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::Appliance;
use crate::{
    appliance::membership::Membership,
    build::fleet::{self, FleetRecipe, Kind, Manifest},
    compare::{Aspects, Comparison, compare_folders},
    doors::port,
    error::{OnFile, SimError},
};

/// Which door a fleet's machines have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorKind {
    /// The embedded SSH server.
    Embedded,
    /// A real `sshd` in its own namespaces (needs root).
    Sshd,
}

/// An installation of several machines; dropping it closes all doors and leaves the folder.
#[derive(Debug)]
pub struct Fleet {
    folder: PathBuf,
    manifest: Manifest,
    nodes: Vec<Appliance>,
    door: Option<(DoorKind, u16)>,
}

impl Fleet {
    /// Builds a new fleet in `folder`.
    ///
    /// # Errors
    /// As [`FleetRecipe::build`], or the simulator's program is missing.
    pub fn build(folder: impl Into<PathBuf>, recipe: &FleetRecipe) -> Result<Self, SimError> {
        let folder = folder.into();
        recipe.build(&folder)?;
        Self::open(folder)
    }

    /// Takes a fleet that exists.
    ///
    /// # Errors
    /// There is none, or the simulator's program is missing.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, SimError> {
        let folder = folder.into();
        let folder = folder.canonicalize().on("find", &folder)?;
        let manifest = Manifest::load(&folder)?;
        let nodes = manifest
            .nodes
            .iter()
            .map(|peer| Appliance::open(folder.join(&peer.name)))
            .collect::<Result<_, _>>()?;
        Ok(Self { folder, manifest, nodes, door: None })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What kind of fleet it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.manifest.kind
    }

    /// The machines' names; the first is the one that clients connect to.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.manifest.nodes.iter().map(|peer| peer.name.as_str()).collect()
    }

    fn index(&self, name: &str) -> Result<usize, SimError> {
        let unknown =
            || SimError::Refused(format!("the fleet has no node `{name}`: {}", self.names().join(", ")));
        self.manifest.nodes.iter().position(|peer| peer.name == name).ok_or_else(unknown)
    }

    /// One machine.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn node(&self, name: &str) -> Result<&Appliance, SimError> {
        Ok(&self.nodes[self.index(name)?])
    }

    /// One machine, to be changed.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn node_mut(&mut self, name: &str) -> Result<&mut Appliance, SimError> {
        let index = self.index(name)?;
        Ok(&mut self.nodes[index])
    }

    /// The machine that clients connect to at first.
    #[must_use]
    pub fn first(&self) -> &Appliance {
        &self.nodes[0]
    }

    /// Opens the embedded door of every machine; returns the port that all share.
    ///
    /// # Errors
    /// No port is free on all addresses.
    pub fn open_embedded(&mut self) -> Result<u16, SimError> {
        self.open_doors(DoorKind::Embedded, 0, None)
    }

    /// Opens a real `sshd` for every machine (needs root); returns the port that all share.
    ///
    /// # Errors
    /// As [`crate::doors::sshd::Sshd::start`].
    pub fn open_sshd(&mut self) -> Result<u16, SimError> {
        self.open_doors(DoorKind::Sshd, 0, None)
    }

    /// Opens the doors at a chosen port (0 chooses one). With `live`, the first machine changes meanwhile, that many
    /// times a second (`sshd` only; for the embedded door see [`Appliance::live`]).
    ///
    /// # Errors
    /// A door does not open.
    pub fn open_doors(&mut self, kind: DoorKind, port: u16, live: Option<f64>) -> Result<u16, SimError> {
        let tries = if port == 0 { 10 } else { 1 };
        let mut last = Err(SimError::Ssh("not tried".to_owned()));
        for _ in 0..tries {
            self.close();
            last = self.try_open(kind, port, live);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    fn try_open(&mut self, kind: DoorKind, port: u16, live: Option<f64>) -> Result<u16, SimError> {
        let port = if port == 0 { self.free_port()? } else { port };
        for (peer, node) in self.manifest.nodes.iter().zip(&self.nodes) {
            let peers = self.manifest.nodes.clone();
            Membership { own: peer.name.clone(), port, peers }.save(node.place())?;
        }
        self.door = Some((kind, port));
        for index in 0..self.nodes.len() {
            self.open_one(index, live.filter(|_| index == 0))?;
        }
        Ok(port)
    }

    /// Opens the door of one machine only, at all addresses of this host: for a host, or a container, of its own.
    ///
    /// # Errors
    /// There is none of that name, or the door does not open.
    pub fn open_alone(
        &mut self,
        name: &str,
        kind: DoorKind,
        port: u16,
        live: Option<f64>,
    ) -> Result<(), SimError> {
        self.close();
        let index = self.index(name)?;
        let peers = self.manifest.nodes.clone();
        let node = &mut self.nodes[index];
        Membership { own: name.to_owned(), port, peers }.save(node.place())?;
        self.door = Some((kind, port));
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        match kind {
            DoorKind::Embedded => node.open_embedded_at(listen).map(|_| ()),
            DoorKind::Sshd => node.open_sshd_at(listen, live).map(|_| ()),
        }
    }

    /// A port that is free on the first address; on the others it is found out by opening.
    fn free_port(&self) -> Result<u16, SimError> {
        let first = SocketAddr::new(self.manifest.nodes[0].address, 0);
        let probe = port::listen(first).on("listen on", first.ip().to_string())?;
        Ok(probe.local_addr().on("listen on", first.ip().to_string())?.port())
    }

    fn open_one(&mut self, index: usize, live: Option<f64>) -> Result<(), SimError> {
        let Some((kind, port)) = self.door else {
            return Err(SimError::Refused("the fleet's doors were never opened".to_owned()));
        };
        let listen = SocketAddr::from((self.manifest.nodes[index].address, port));
        match kind {
            DoorKind::Embedded => self.nodes[index].open_embedded_at(listen).map(|_| ()),
            DoorKind::Sshd => self.nodes[index].open_sshd_at(listen, live).map(|_| ()),
        }
    }

    /// Where a machine listens.
    ///
    /// # Errors
    /// There is none of that name, or no door was opened.
    pub fn address(&self, name: &str) -> Result<SocketAddr, SimError> {
        let closed = || SimError::Refused("the fleet's doors are closed".to_owned());
        let (_, port) = self.door.ok_or_else(closed)?;
        Ok(SocketAddr::from((self.manifest.nodes[self.index(name)?].address, port)))
    }

    /// Makes a machine unreachable: its door closes, connections and processes end.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn stop_node(&mut self, name: &str) -> Result<(), SimError> {
        let index = self.index(name)?;
        self.nodes[index].close();
        Ok(())
    }

    /// Makes a machine reachable again, at the same place.
    ///
    /// # Errors
    /// There is none of that name, or the door does not open.
    pub fn start_node(&mut self, name: &str) -> Result<(), SimError> {
        let index = self.index(name)?;
        self.nodes[index].close();
        self.open_one(index, None)
    }

    /// Closes all doors.
    pub fn close(&mut self) {
        for node in &mut self.nodes {
            node.close();
        }
    }

    /// An `ssh` command line up to the host, for one machine.
    ///
    /// # Errors
    /// There is none of that name, or its `known_hosts` file cannot be written.
    pub fn ssh(&self, name: &str) -> Result<Command, SimError> {
        self.node(name)?.ssh_at(self.address(name)?)
    }

    /// Runs a command on a machine as the admin, through its door.
    ///
    /// # Errors
    /// SSH cannot be started; what the command ends with is in the result.
    pub fn run(&self, name: &str, script: &str) -> Result<Output, SimError> {
        self.ssh(name)?.arg(script).stdin(std::process::Stdio::null()).output().on("run", "ssh")
    }

    /// Compares it with what another folder holds, an appliance's or a fleet's.
    ///
    /// # Errors
    /// As [`compare_folders`].
    pub fn compare(&self, other: &Path, aspects: &Aspects) -> Result<Comparison, SimError> {
        compare_folders(&self.folder, other, aspects)
    }

    /// Brings the replicas of a pair to what the primary holds now.
    ///
    /// # Errors
    /// As [`fleet::replicate`], or this is no pair.
    pub fn replicate(&self) -> Result<(), SimError> {
        if self.kind() != Kind::Ha {
            return Err(SimError::Refused("only a high-availability pair replicates".to_owned()));
        }
        let primary = self.nodes[0].place();
        self.nodes[1..].iter().try_for_each(|replica| fleet::replicate(primary, replica.place()))
    }

    /// Promotes a replica, with the appliance's own command.
    ///
    /// # Errors
    /// The command fails.
    pub fn promote(&self, name: &str) -> Result<(), SimError> {
        let output = self.run(name, "ghe-repl-promote")?;
        if output.status.success() {
            return Ok(());
        }
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(SimError::Program { program: "ghe-repl-promote".to_owned(), reason })
    }
}
