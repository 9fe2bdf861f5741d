//! For tests: builds, serves, disturbs and inspects appliances from Rust.

mod fleet;

pub use fleet::{DoorKind, Fleet};

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    appliance::{
        Place, State,
        commands::maintenance,
        faults::{Fault, Faults},
        log::{self, LoggedCommand},
    },
    build::{Recipe, settings},
    compare::{Aspects, Comparison, compare},
    doors::{
        embedded::Embedded,
        keys,
        sshd::{Reachable, Sshd},
    },
    error::{OnFile, SimError},
    live::{
        Life,
        journal::{self, Journal},
        life::Living,
    },
};

/// Variable that names the simulator's program, if it is not beside the test's.
pub const PROGRAM_VARIABLE: &str = "GHEVAULT_SIM";

/// The simulator's program: named by the environment, or beside (or above) this process's, or built now.
///
/// # Errors
/// It is nowhere and cannot be built.
pub fn program() -> Result<PathBuf, SimError> {
    if let Some(named) = std::env::var_os(PROGRAM_VARIABLE) {
        return Ok(named.into());
    }
    let own = std::env::current_exe().on("find", "this program")?;
    let find = || own.ancestors().skip(1).take(2).map(|f| f.join("ghevault-sim")).find(|p| p.is_file());
    if let Some(found) = find() {
        return Ok(found);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status =
        Command::new(cargo).args(["build", "--quiet", "-p", "ghevault-sim"]).status().on("run", "cargo")?;
    find().ok_or_else(|| SimError::Program { program: "cargo build".to_owned(), reason: status.to_string() })
}

/// One appliance with up to two doors; dropping it closes the doors and leaves the folder.
#[derive(Debug)]
pub struct Appliance {
    place: Place,
    program: PathBuf,
    embedded: Option<Embedded>,
    sshd: Option<Sshd>,
    fault_generation: u64,
}

impl Appliance {
    /// Builds a new appliance in `folder`.
    ///
    /// # Errors
    /// As [`Recipe::build`], or the simulator's program is missing.
    pub fn build(folder: impl Into<PathBuf>, recipe: &Recipe) -> Result<Self, SimError> {
        let place = Place::new(folder);
        recipe.build(&place)?;
        Self::open(place.root())
    }

    /// Takes an appliance that exists.
    ///
    /// # Errors
    /// There is none, or the simulator's program is missing.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, SimError> {
        let folder = folder.into();
        let place = Place::new(folder.canonicalize().on("find", &folder)?);
        State::load(&place)?;
        Ok(Self { place, program: program()?, embedded: None, sshd: None, fault_generation: 0 })
    }

    /// Its folder.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The file of this machine that is `path` on the appliance.
    #[must_use]
    pub fn disk(&self, path: &str) -> PathBuf {
        self.place.disk(path)
    }

    /// What the simulator remembers of it.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn state(&self) -> Result<State, SimError> {
        State::load(&self.place)
    }

    /// Changes what the simulator remembers, e.g. the knobs.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn change_state(&self, change: impl FnOnce(&mut State)) -> Result<(), SimError> {
        State::update(&self.place, |state| {
            change(state);
            Ok(())
        })
    }

    /// Opens the embedded door on a free port of 127.0.0.1 and returns where.
    ///
    /// # Errors
    /// As [`Embedded::start`].
    pub fn open_embedded(&mut self) -> Result<SocketAddr, SimError> {
        self.open_embedded_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// The same at a chosen address (port 0 chooses one).
    ///
    /// # Errors
    /// As [`Embedded::start`].
    pub fn open_embedded_at(&mut self, listen: SocketAddr) -> Result<SocketAddr, SimError> {
        let door = Embedded::start(&self.place, &self.program, listen)?;
        let address = door.address();
        self.embedded = Some(door);
        Ok(address)
    }

    /// Opens the door of a real `sshd` on a free port of 127.0.0.1 and returns where (needs root).
    ///
    /// # Errors
    /// As [`Sshd::start`].
    pub fn open_sshd(&mut self) -> Result<SocketAddr, SimError> {
        self.open_sshd_on(0, None)
    }

    /// The same on a chosen port (0 chooses), with a living appliance of `live` changes a second.
    ///
    /// # Errors
    /// As [`Sshd::start`].
    pub fn open_sshd_on(&mut self, port: u16, live: Option<f64>) -> Result<SocketAddr, SimError> {
        self.open_sshd_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), live)
    }

    /// The same at a chosen address.
    ///
    /// # Errors
    /// As [`Sshd::start`].
    pub fn open_sshd_at(&mut self, listen: SocketAddr, live: Option<f64>) -> Result<SocketAddr, SimError> {
        let door = Sshd::start(&self.place, &self.program, listen, live)?;
        let Reachable { port, .. } = *door.reachable();
        self.sshd = Some(door);
        Ok(SocketAddr::from((listen.ip(), port)))
    }

    /// Closes both doors; connections end, processes end.
    pub fn close(&mut self) {
        self.embedded = None;
        self.sshd = None;
    }

    /// `SHA256:…` fingerprint of the ed25519 host key.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn host_key(&self) -> Result<String, SimError> {
        keys::fingerprint(&self.place)
    }

    /// A `known_hosts` file for the appliance at `port` of 127.0.0.1.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn known_hosts(&self, port: u16) -> Result<PathBuf, SimError> {
        self.known_hosts_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// The same for another address.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn known_hosts_at(&self, address: SocketAddr) -> Result<PathBuf, SimError> {
        let path = self.place.key(&format!("known_hosts.{}", address.port()));
        fs::write(&path, keys::known_hosts_line(&self.place, address)?).on("write", &path)?;
        Ok(path)
    }

    /// The private key of the admin (ed25519, OpenSSH format, mode 0600).
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.place.key("client")
    }

    /// Replaces the host keys, as a rebuilt appliance would; a running `sshd` shows them soon after.
    ///
    /// # Errors
    /// The keys cannot be written.
    pub fn change_host_keys(&mut self) -> Result<(), SimError> {
        keys::write_host_keys(&self.place, &rand::random())?;
        match &mut self.sshd {
            Some(door) => door.reload(),
            None => Ok(()),
        }
    }

    /// Replaces all faults.
    ///
    /// # Errors
    /// The control file cannot be written.
    pub fn set_faults(&mut self, faults: Vec<Fault>) -> Result<(), SimError> {
        self.fault_generation += 1;
        let banner = Faults::load(&self.place)?.banner;
        Faults { generation: self.fault_generation, banner, faults }.save(&self.place)
    }

    /// Sets or removes the text shown before authentication.
    ///
    /// # Errors
    /// The control file cannot be written.
    pub fn set_banner(&self, banner: Option<&str>) -> Result<(), SimError> {
        Faults { banner: banner.map(str::to_owned), ..Faults::load(&self.place)? }.save(&self.place)
    }

    /// Switches maintenance mode.
    ///
    /// # Errors
    /// The file cannot be made or removed.
    pub fn set_maintenance(&self, on: bool) -> Result<(), SimError> {
        maintenance::switch(&self.place, on)
    }

    /// Changes the version of GHES that it says it is.
    ///
    /// # Errors
    /// The state or a file cannot be written.
    pub fn set_version(&self, version: &str) -> Result<(), SimError> {
        settings::set_version(&self.place, version)?;
        self.change_state(|state| version.clone_into(&mut state.version))
    }

    /// Makes it one of a replication pair, `primary` or `replica`, or (`None`) stand alone again (contract §1.8).
    ///
    /// # Errors
    /// The file cannot be written or removed.
    pub fn set_replication(&self, role: Option<&str>) -> Result<(), SimError> {
        let path = self.disk("/etc/github/repl-state");
        match role {
            Some(role) => fs::write(&path, format!("{role}\n")).on("write", path),
            None => fs::remove_file(&path).on("remove", path),
        }
    }

    /// Lets it live on by `rounds` random changes, with maintenance in between.
    ///
    /// # Errors
    /// As [`Life::live`].
    pub fn mutate(&self, rounds: u64, seed: u64) -> Result<(), SimError> {
        Life::new(&self.place, &self.program, seed).live(rounds)
    }

    /// Lets it live in a thread of this process, at `rate` changes a second, until the result is stopped or dropped.
    ///
    /// For the sshd door prefer [`Appliance::open_sshd_on`]: there maintenance must run inside the namespace to be seen.
    #[must_use]
    pub fn live(&self, rate: f64, seed: u64) -> Living {
        Living::start(Life::new(&self.place, &self.program, seed), rate)
    }

    /// Compares it with another.
    ///
    /// # Errors
    /// As [`compare`].
    pub fn compare(&self, other: &Self, aspects: &Aspects) -> Result<Comparison, SimError> {
        compare(&self.place, &other.place, aspects)
    }

    /// Every command so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn commands(&self) -> Result<Vec<LoggedCommand>, SimError> {
        log::read(&self.place)
    }

    /// Every value each reference ever had.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn journal(&self) -> Result<Journal, SimError> {
        journal::read(&self.place)
    }

    /// Whether the gate is closed for maintenance (the file exists).
    #[must_use]
    pub fn gate_exists(&self) -> bool {
        self.place.gate().exists()
    }

    /// An `ssh` command line up to the host, for the appliance at `port`.
    ///
    /// # Errors
    /// The `known_hosts` file cannot be written.
    pub fn ssh(&self, port: u16) -> Result<Command, SimError> {
        self.ssh_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// The same for another address.
    ///
    /// # Errors
    /// The `known_hosts` file cannot be written.
    pub fn ssh_at(&self, address: SocketAddr) -> Result<Command, SimError> {
        let mut command = Command::new("ssh");
        command
            .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-l", "admin"])
            .arg("-i")
            .arg(self.client_key())
            .arg("-o")
            .arg(option("UserKnownHostsFile", &self.known_hosts_at(address)?))
            .args(["-p", &address.port().to_string(), &address.ip().to_string()]);
        Ok(command)
    }
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}
