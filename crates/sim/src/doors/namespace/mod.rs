//! The inside of the sshd door: first process of a mount and process namespace that looks like an appliance.
//!
//! A new root is put together from this machine's folders, with the appliance's `/data`, `/etc/github`,
//! `/usr/local/share/enterprise` and commands in their real places, and with its own users: `admin` is unprivileged
//! and has `sudo` without password, as on a real appliance (contract §10.1).

mod etc;

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, Write},
    net::SocketAddr,
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    mount::{MountFlags, mount, mount_bind, mount_bind_recursive},
    process::{Pid, Signal, WaitOptions, kill_process, waitpid},
};

use super::{keys, shims, sshd::Reachable};
use crate::{
    appliance::{
        Place, State, commands, membership,
        place::{NAMESPACE_DIR, NAMESPACE_PROGRAM},
    },
    build::owners,
    error::{OnFile, SimError},
};

/// Where the new root is put together.
const ROOT: &str = "/mnt";
/// Folders of the new root that are not this machine's.
const OWN: [&str; 6] = ["data", "etc", "mnt", "proc", "run", "tmp"];

/// Runs the door until stdin closes; the process ends with it.
///
/// # Errors
/// The namespace cannot be set up, or `sshd` does not start.
pub fn run(place: &Place, listen: SocketAddr, live: Option<f64>) -> Result<(), SimError> {
    let root = Path::new(ROOT);
    owners::apply(place)?;
    assemble(place, root)?;
    let reachable =
        Reachable { host: listen.ip().to_string(), port: listen.port(), host_key: keys::fingerprint(place)? };
    rustix::process::chroot(root).on("enter", root)?;
    std::env::set_current_dir("/").on("enter", "/")?;
    // From here on, everything is seen as on the appliance.
    let place = Place::new(NAMESPACE_DIR);
    membership::prepare_ssh(&place, Some(owners::id("admin")))?;
    let sshd = start_sshd(&place, listen)?;
    wait_until_open(&place, sshd)?;
    println!("{}", serde_json::to_string(&reachable).map_err(|error| SimError::Ssh(error.to_string()))?);
    std::io::stdout().flush().on("write", "stdout")?;
    if let Some(rate) = live {
        start_life(rate)?;
    }
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if line == "reload" {
                let _ = kill_process(sshd, Signal::HUP);
            }
        }
        // The first process of a process namespace takes all others with it.
        std::process::exit(0);
    });
    loop {
        match waitpid(None, WaitOptions::empty()) {
            Ok(Some((pid, _))) if pid == sshd => return Err(SimError::Ssh("sshd ended".to_owned())),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno).on("wait for", "sshd"),
        }
    }
}

fn folder(path: &Path) -> Result<(), SimError> {
    fs::create_dir_all(path).on("create", path)
}

fn bind(from: &Path, to: &Path) -> Result<(), SimError> {
    mount_bind(from, to).on("mount on", to)
}

fn tmpfs(on: &Path) -> Result<(), SimError> {
    mount("tmpfs", on, "tmpfs", MountFlags::empty(), Some(c"mode=0755")).on("mount a tmpfs on", on)
}

fn assemble(place: &Place, root: &Path) -> Result<(), SimError> {
    tmpfs(root)?;
    for entry in fs::read_dir("/").on("list", "/")? {
        let entry = entry.on("list", "/")?;
        let (from, to) = (entry.path(), root.join(entry.file_name()));
        if OWN.iter().any(|own| entry.file_name() == *own) {
            continue;
        }
        let kind = entry.file_type().on("inspect", &from)?;
        if kind.is_symlink() {
            symlink(fs::read_link(&from).on("read", &from)?, &to).on("link", &to)?;
        } else if kind.is_dir() {
            folder(&to)?;
            mount_bind_recursive(&from, &to).on("mount on", &to)?;
        }
    }
    for own in OWN {
        folder(&root.join(own))?;
    }
    mount("proc", root.join("proc"), "proc", MountFlags::empty(), None).on("mount on", root.join("proc"))?;
    show_appliance(place, root)?;
    etc::write(place, root)
}

fn show_appliance(place: &Place, root: &Path) -> Result<(), SimError> {
    let sim = root.join("run/sim");
    for name in
        ["run/sim/dir", "run/sim/bin", "run/sim/host-bin", "run/sim/host-share", "run/sshd", "run/lock"]
    {
        folder(&root.join(name))?;
    }
    bind(place.root(), &sim.join("dir"))?;
    fs::write(sim.join("program"), "").on("write", sim.join("program"))?;
    let program = std::env::current_exe().on("find", "this program")?;
    bind(&program, &sim.join("program"))?;
    let program = Path::new(NAMESPACE_PROGRAM);
    shims::link_all(&sim.join("bin"), program, ["door"])?;
    for disk in ["/data/user", "/etc/github"] {
        folder(&place.disk(disk))?;
    }
    bind(&place.disk("/data"), &root.join("data"))?;
    bind(&place.root().join("tmp"), &root.join("tmp"))?;
    let bin = root.join("usr/local/bin");
    let ours = [commands::APPLIANCE, commands::BETWEEN].concat();
    cover(&bin, &sim.join("host-bin"), Path::new("/run/sim/host-bin"), &ours)?;
    let lacking: Vec<&str> = commands::FALLBACKS
        .iter()
        .chain(&["ps"])
        .copied()
        .filter(|name| shims::on_path(name).is_none())
        .collect();
    for name in ours.iter().chain(&lacking) {
        symlink(program, bin.join(name)).on("link", bin.join(name))?;
    }
    let share = root.join("usr/local/share");
    cover(&share, &sim.join("host-share"), Path::new("/run/sim/host-share"), &["enterprise"])?;
    shims::link_all(&share.join("enterprise"), program, commands::ENTERPRISE.iter().copied())
}

/// Makes `on` a folder of its own with links to what it had, except the names in `without`.
fn cover(on: &Path, kept: &Path, shown: &Path, without: &[&str]) -> Result<(), SimError> {
    folder(on)?;
    bind(on, kept)?;
    tmpfs(on)?;
    for entry in fs::read_dir(kept).on("list", kept)? {
        let entry = entry.on("list", kept)?;
        let name = entry.file_name();
        if without.iter().any(|other| name == *other) {
            continue;
        }
        let real = fs::canonicalize(PathBuf::from("/").join(on.strip_prefix(ROOT).unwrap_or(on)).join(&name));
        let is_link = entry.file_type().on("inspect", entry.path())?.is_symlink();
        let target = match real {
            Ok(real) if is_link => real,
            _ => shown.join(&name),
        };
        symlink(target, on.join(&name)).on("link", on.join(&name))?;
    }
    Ok(())
}

fn start_sshd(place: &Place, listen: SocketAddr) -> Result<Pid, SimError> {
    let (ip, port) = (listen.ip(), listen.port());
    let mut config = format!(
        "ListenAddress {ip}\nPort {port}\nPidFile /run/sim/dir/run/sshd.pid\nUsePAM no\nStrictModes no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin no\nAllowUsers admin\n\
         AuthorizedKeysFile /run/sim/authorized_keys\nForceCommand /run/sim/bin/door\nMaxSessions 100\n\
         MaxStartups 200\nPrintMotd no\nPrintLastLog no\nUseDNS no\nLogLevel VERBOSE\nBanner /run/sim/banner\n"
    );
    if State::load(place)?.knobs.no_forwarding {
        config += "AllowTcpForwarding no\n";
    }
    for kind in ["ed25519", "rsa", "ecdsa"] {
        if place.disk(&format!("/data/user/common/ssh_host_{kind}_key")).exists() {
            let _ = writeln!(config, "HostKey /data/user/common/ssh_host_{kind}_key");
        }
    }
    // Copies: the appliance's folder may be closed to the admin, the login's files must not be.
    fs::write("/run/sim/sshd_config", config).on("write", "/run/sim/sshd_config")?;
    symlink("/run/sim/dir/run/banner", "/run/sim/banner").on("link", "/run/sim/banner")?;
    fs::copy(place.key("authorized_keys"), "/run/sim/authorized_keys")
        .on("copy", "/run/sim/authorized_keys")?;
    fs::set_permissions("/run/sim/authorized_keys", fs::Permissions::from_mode(0o644))
        .on("open up", "/run/sim/authorized_keys")?;
    let log_path = place.root().join("log/sshd.log");
    let log = fs::File::create(&log_path).on("create", log_path)?;
    let program =
        shims::on_path("sshd").ok_or_else(|| SimError::Refused("there is no sshd program".to_owned()))?;
    let child = Command::new(program)
        .args(["-D", "-e", "-f", "/run/sim/sshd_config"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .on("start", "sshd")?;
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| SimError::Ssh("sshd has no pid".to_owned()))
}

/// Waits until `sshd` says that it listens; on a port that somebody else took, it ends instead.
fn wait_until_open(place: &Place, sshd: Pid) -> Result<(), SimError> {
    let path = place.root().join("log/sshd.log");
    let log = || fs::read_to_string(&path).unwrap_or_default();
    for _ in 0..1500 {
        if log().contains("Server listening on") {
            return Ok(());
        }
        if waitpid(Some(sshd), WaitOptions::NOHANG).on("wait for", "sshd")?.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(SimError::Ssh(format!("sshd does not listen: {}", log().trim())))
}

/// The living appliance is a process of its own, so that the first process may collect every child.
fn start_life(rate: f64) -> Result<(), SimError> {
    Command::new(NAMESPACE_PROGRAM)
        .arg0("ghevault-sim")
        .args(["live", NAMESPACE_DIR, "--rate", &rate.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map(|_| ())
        .on("start", "the living appliance")
}
