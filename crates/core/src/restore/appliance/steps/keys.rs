//! SSH keys: the administrators' and the appliance's own.

use super::{
    super::{error::StepError, report::Done, run::Scene},
    pipe, small,
};
use crate::appliance::{hostkeys::HostKey, quote::quote};

/// Imports the keys of the appliance's administrators.
pub fn authorized_keys(scene: &Scene<'_>) -> Result<Done, StepError> {
    pipe(scene, "authorized-keys.json", "import administrators' SSH keys", "ghe-import-authorized-keys")
}

/// Imports the appliance's host keys: the very last call, on the connection that stands, because every new connection
/// will show the new key (contract §5.4, step 21).
pub fn ssh_host_keys(scene: &Scene<'_>) -> Result<Done, StepError> {
    let content = small(scene, "ssh-host-keys.tar")?;
    if scene.cluster.is_some() {
        scene.remote.work("import SSH host keys", &unpack(&scene.data("common")), &content)?;
    } else {
        scene.remote.told("import SSH host keys", "ghe-import-ssh-host-keys", &content)?;
    }
    Ok(Done { host_keys: fingerprints(&content), ..Done::one(content.len() as u64) })
}

/// Unpacks host keys on a cluster's machine and gives them to the others.
fn unpack(common: &str) -> String {
    let folder = quote(common);
    format!(
        "set -e; sudo tar -xpf - -C {folder}; sudo sh -c {} sh {folder}; \
         PATH=/usr/local/share/enterprise:$PATH; ghe-cluster-config-update -s </dev/null >/dev/null",
        quote("chown babeld:babeld \"$1\"/ssh_host_*")
    )
}

/// The fingerprints of the public keys in the archive (contract §2.4), as far as they can be read.
fn fingerprints(archive: &[u8]) -> Vec<String> {
    const BLOCK: usize = 512;
    let mut found = Vec::new();
    let mut rest = archive;
    while rest.len() >= BLOCK {
        let (header, content) = rest.split_at(BLOCK);
        let field = |from: usize, to: usize| {
            let text = &header[from..to];
            String::from_utf8_lossy(&text[..text.iter().position(|b| *b == 0).unwrap_or(text.len())])
                .trim()
                .to_owned()
        };
        let Ok(size) = usize::from_str_radix(&field(124, 136), 8) else { break };
        let Some(file) = content.get(..size) else { break };
        if field(0, 100).strip_suffix(".pub").is_some()
            && let Ok(key) = HostKey::parse(&String::from_utf8_lossy(file))
        {
            found.push(key.fingerprint());
        }
        rest = content.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::fingerprints;
    use crate::restore::tar::{Member, TarWriter};

    #[test]
    fn public_keys_are_found_among_the_private_ones() {
        let member = |path| Member { path, mode: 0o600, modified: None, exact_time: false };
        let public =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS name\n";
        let mut tar = TarWriter::new(Vec::new());
        let private = vec![b'x'; 700];
        tar.file(&member(b"ssh_host_ed25519_key"), 700, &mut private.as_slice()).expect("memory");
        tar.file(&member(b"ssh_host_ed25519_key.pub"), public.len() as u64, &mut public.as_bytes())
            .expect("memory");
        let found = fingerprints(&tar.finish().expect("memory"));
        assert!(found.len() == 1 && found[0].starts_with("SHA256:"), "{found:?}");
        assert!(fingerprints(b"noise").is_empty());
    }
}
