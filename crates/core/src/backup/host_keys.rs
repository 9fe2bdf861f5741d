//! The host keys in a snapshot's `ssh-host-keys.tar` (contract §2.4), looked at for keys that are publicly known (contract §9).

use std::io::{self, Read};

use super::files::tar_stream::TarStream;
use crate::appliance::hostkeys::{HostKey, LeakedKeys};

/// Longest public key that is read, in bytes.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// The public halves in the tar; members that are none, or that cannot be read as a key, are passed over.
///
/// # Errors
/// The bytes are no tar.
pub fn public_keys(tar: &[u8]) -> io::Result<Vec<HostKey>> {
    let mut stream = TarStream::new(tar);
    let mut keys = Vec::new();
    while let Some(member) = stream.next_member()? {
        let name = String::from_utf8_lossy(&member.name).into_owned();
        let name = name.rsplit('/').next().unwrap_or_default();
        if !name.starts_with("ssh_host_") || !name.ends_with("_key.pub") {
            continue;
        }
        let mut text = String::new();
        if stream.body().take(KEY_BYTES_MAX).read_to_string(&mut text).is_ok() {
            keys.extend(HostKey::parse(&text));
        }
    }
    Ok(keys)
}

/// A warning about leaked keys in the tar, or that it could not be looked at; none if all is well.
#[must_use]
pub fn warning(tar: &[u8], list: &LeakedKeys) -> Option<String> {
    match public_keys(tar) {
        Ok(keys) => list.warning(&keys, "the SSH host keys of the snapshot"),
        Err(source) => Some(format!("the SSH host keys were not looked at for leaked ones: {source}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";
    const MD5: &str = "5f:62:94:ff:69:d8:3b:77:30:44:9e:34:cc:de:bc:bf";

    fn tar(members: &[(&str, &str)]) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in members {
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        let mut command = std::process::Command::new("tar");
        command.args(["-c", "-f", "-", "-C"]).arg(dir.path()).args(members.iter().map(|(name, _)| name));
        command.output().expect("tar runs").stdout
    }

    #[test]
    fn only_public_halves_are_read() {
        let tar = tar(&[
            ("ssh_host_ed25519_key", "private"),
            ("ssh_host_ed25519_key.pub", &format!("{KEY} root@ghe\n")),
            ("ssh_host_rsa_key.pub", "nonsense"),
            ("notes.pub", KEY),
        ]);
        assert_eq!(public_keys(&tar).expect("a tar").len(), 1);
    }

    #[test]
    fn a_leaked_key_in_a_snapshot_is_told_and_a_broken_tar_is_no_silence() {
        let tar = tar(&[("ssh_host_ed25519_key.pub", KEY)]);
        assert!(warning(&tar, &LeakedKeys::parse(MD5)).is_some_and(|text| text.contains("publicly known")));
        assert_eq!(warning(&tar, LeakedKeys::known()), None);
        assert!(warning(&[1; 700], LeakedKeys::known()).is_some_and(|text| text.contains("not looked at")));
    }
}
