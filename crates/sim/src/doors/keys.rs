//! SSH keys: the admin's client key, and the appliance's host keys in `/data/user/common`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use russh::keys::{
    HashAlg, PrivateKey, PublicKey,
    ssh_key::{LineEnding, private::Ed25519Keypair},
};

use super::shims::on_path;
use crate::{
    appliance::Place,
    error::{OnFile, SimError},
};

fn ssh<E: std::fmt::Display>(error: E) -> SimError {
    SimError::Ssh(error.to_string())
}

/// Makes an ed25519 key pair from 32 secret bytes: `path` (0600, OpenSSH format) and `path.pub`.
///
/// # Errors
/// A file cannot be written.
pub fn write_ed25519(path: &Path, secret: &[u8; 32], comment: &str) -> Result<PublicKey, SimError> {
    let key = PrivateKey::new(Ed25519Keypair::from_seed(secret).into(), comment).map_err(ssh)?;
    let text = key.to_openssh(LineEnding::LF).map_err(ssh)?;
    fs::write(path, text.as_bytes()).on("write", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).on("protect", path)?;
    let public = key.public_key().clone();
    let public_path = public_of(path);
    fs::write(&public_path, format!("{}\n", public.to_openssh().map_err(ssh)?)).on("write", public_path)?;
    Ok(public)
}

fn public_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Makes the admin's client key if there is none, and allows it to log in.
///
/// # Errors
/// A file cannot be written.
pub fn prepare_client(place: &Place) -> Result<PathBuf, SimError> {
    let path = place.key("client");
    if !path.exists() {
        write_ed25519(&path, &rand::random(), "admin@client")?;
        allow(place, &public_of(&path))?;
    }
    Ok(path)
}

/// Allows the public keys in a file to log in as admin.
///
/// # Errors
/// A file cannot be read or written.
pub fn allow(place: &Place, public_keys: &Path) -> Result<(), SimError> {
    let list = place.key("authorized_keys");
    let mut text = fs::read_to_string(&list).unwrap_or_default();
    for line in fs::read_to_string(public_keys).on("read", public_keys)?.lines() {
        if !text.lines().any(|known| known == line) {
            text.push_str(line);
            text.push('\n');
        }
    }
    fs::write(&list, text).on("write", list)
}

/// The public keys that may log in.
///
/// # Errors
/// The list cannot be read.
pub fn allowed(place: &Place) -> Result<Vec<PublicKey>, SimError> {
    let list = place.key("authorized_keys");
    let text = fs::read_to_string(&list).on("read", list)?;
    Ok(text.lines().filter_map(|line| PublicKey::from_openssh(line).ok()).collect())
}

/// The file of the ed25519 host key.
#[must_use]
pub fn host_key_file(place: &Place) -> PathBuf {
    place.disk("/data/user/common/ssh_host_ed25519_key")
}

/// Makes new host keys: ed25519 from `secret`, and RSA and ECDSA where `ssh-keygen` is present.
///
/// # Errors
/// A file cannot be written.
pub fn write_host_keys(place: &Place, secret: &[u8; 32]) -> Result<(), SimError> {
    let path = host_key_file(place);
    write_ed25519(&path, secret, "appliance")?;
    for (kind, bits) in [("rsa", "2048"), ("ecdsa", "256")] {
        if on_path("ssh-keygen").is_none() {
            continue;
        }
        let path = path.with_file_name(format!("ssh_host_{kind}_key"));
        let _ = fs::remove_file(&path);
        Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-b", bits, "-N", "", "-C", "appliance", "-f"])
            .arg(path)
            .stdin(Stdio::null())
            .status()
            .on("run", "ssh-keygen")?;
    }
    Ok(())
}

/// The ed25519 host key.
///
/// # Errors
/// The key cannot be read.
pub fn host_key(place: &Place) -> Result<PrivateKey, SimError> {
    let path = host_key_file(place);
    PrivateKey::read_openssh_file(&path)
        .map_err(|error| SimError::Corrupt { path, reason: error.to_string() })
}

/// The `SHA256:…` fingerprint of the ed25519 host key.
///
/// # Errors
/// The key cannot be read.
pub fn fingerprint(place: &Place) -> Result<String, SimError> {
    Ok(host_key(place)?.public_key().fingerprint(HashAlg::Sha256).to_string())
}

/// The line of a `known_hosts` file for this appliance at an address.
///
/// # Errors
/// The key cannot be read.
pub fn known_hosts_line(place: &Place, address: std::net::SocketAddr) -> Result<String, SimError> {
    let mut public = host_key(place)?.public_key().clone();
    public.set_comment("");
    let (ip, port) = (address.ip(), address.port());
    Ok(format!("[{ip}]:{port} {}\n", public.to_openssh().map_err(ssh)?.trim()))
}

/// Tells a running `sshd` that its host keys have changed (called inside its namespace); the embedded door looks by
/// itself.
///
/// # Errors
/// There is a pid file but no such process.
pub fn changed(place: &Place) -> Result<(), SimError> {
    let path = place.run("sshd.pid");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    if place.root() != Path::new(crate::appliance::place::NAMESPACE_DIR) {
        return Ok(());
    }
    let Some(pid) = text.trim().parse().ok().and_then(rustix::process::Pid::from_raw) else { return Ok(()) };
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).on("signal", path)
}
