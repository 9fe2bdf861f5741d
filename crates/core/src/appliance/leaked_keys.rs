//! Host keys whose private halves are known to everybody, since old images of the appliance were shipped with them (contract §9).
//!
//! Whoever has such a key can answer in the appliance's place. The list is data: MD5 fingerprints, as its publisher gives them; MD5 names
//! a key here and proves nothing.

use std::{collections::BTreeSet, io::Read, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};

/// The published list, with its origin and licence.
const LIST: &str = include_str!("../../data/leaked-host-keys.txt");

/// What to do about a leaked key.
pub const ADVICE: &str =
    "roll the host keys with `ghe-ssh-roll-host-keys` on the appliance, then take a new backup";

/// Largest tar of host keys that is looked into, in bytes.
const TAR_MAX: u64 = 1024 * 1024;

static LEAKED: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| fingerprints(LIST));

/// The fingerprints in a list; `#` begins a comment.
fn fingerprints(list: &str) -> BTreeSet<&str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The MD5 fingerprint of a public key in one line (`type base64 comment`), as colon-separated pairs of hex digits; `None` for anything
/// else.
#[must_use]
pub fn fingerprint(public: &str) -> Option<String> {
    let blob = STANDARD.decode(public.split_whitespace().nth(1)?).ok()?;
    let pairs: Vec<String> = md5::compute(blob).0.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(pairs.join(":"))
}

/// Whether a public key in one line is a known one.
#[must_use]
pub fn is_leaked(public: &str) -> bool {
    is_listed(public, &LEAKED)
}

fn is_listed(public: &str, list: &BTreeSet<&str>) -> bool {
    fingerprint(public).is_some_and(|fingerprint| list.contains(fingerprint.as_str()))
}

/// What is wrong with the host keys in `ssh-host-keys.tar`: one line per leaked key, and one if it cannot be looked into.
#[must_use]
pub fn in_tar(tar: &[u8]) -> Vec<String> {
    warnings(tar, &LEAKED)
}

/// What is wrong with the key that a host showed.
#[must_use]
pub fn of_connection(public: &str) -> Option<String> {
    let fingerprint = fingerprint(public).filter(|_| is_leaked(public))?;
    Some(format!(
        "the appliance shows the leaked SSH host key MD5:{fingerprint}, which anybody may have; {ADVICE}"
    ))
}

fn warnings(tar: &[u8], list: &BTreeSet<&str>) -> Vec<String> {
    let members = match public_keys(tar) {
        Ok(members) => members,
        Err(error) => {
            return vec![format!("the SSH host keys were not compared with the leaked ones: {error}")];
        }
    };
    let leaked = members.iter().filter(|(_, key)| is_listed(key, list));
    leaked
        .map(|(name, key)| {
            let fingerprint = fingerprint(key).unwrap_or_default();
            format!("the SSH host key `{name}` (MD5:{fingerprint}) is a leaked one, which anybody may have; {ADVICE}")
        })
        .collect()
}

/// The public keys in a tar, with the names of their members.
fn public_keys(tar: &[u8]) -> std::io::Result<Vec<(String, String)>> {
    let mut keys = Vec::new();
    let mut rest = tar;
    let mut block = [0_u8; 512];
    while rest.read(&mut block)? == block.len() && block.iter().any(|byte| *byte != 0) {
        let text = |field: &[u8]| {
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let size = u64::from_str_radix(&text(&block[124..136]), 8).unwrap_or(u64::MAX);
        let padded = size
            .checked_next_multiple_of(512)
            .filter(|padded| size <= TAR_MAX && *padded <= rest.len() as u64);
        let Some(padded) = padded.and_then(|padded| usize::try_from(padded).ok()) else {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "they are no whole tar archive",
            ));
        };
        let (body, after) = rest.split_at(padded);
        let name = text(&block[..100]);
        if std::path::Path::new(&name).extension().is_some_and(|ending| ending == "pub") {
            let body = &body[..usize::try_from(size).unwrap_or(padded)];
            keys.push((name, String::from_utf8_lossy(body).trim().to_owned()));
        }
        rest = after;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::{LEAKED, fingerprint, fingerprints, in_tar, is_leaked, warnings};

    /// A key that was made for this test.
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOJi55iV2H4f8+KATQbVWeAgIvqy2B7boxLPi12oSUhh host";
    /// Its fingerprint, as `ssh-keygen -l -E md5` prints it.
    const PRINT: &str = "b3:f3:93:ab:b8:a6:a2:2d:a9:84:8f:8f:b9:6c:0c:f8";

    fn tar(name: &str, body: &str) -> Vec<u8> {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..136].copy_from_slice(format!("{:011o}\0", body.len()).as_bytes());
        let mut tar = header.to_vec();
        tar.extend_from_slice(body.as_bytes());
        tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
        tar
    }

    #[test]
    fn the_list_is_the_published_one() {
        assert_eq!(LEAKED.len(), 531);
        assert!(
            LEAKED
                .iter()
                .all(|print| print.len() == 47 && print.bytes().filter(|b| *b == b':').count() == 15)
        );
    }

    #[test]
    fn a_listed_key_in_a_tar_is_named_with_what_to_do() {
        assert_eq!(fingerprint(KEY).as_deref(), Some(PRINT));
        let list = format!("# ours\n{PRINT}\n");
        let list = fingerprints(&list);
        let found = warnings(&tar("ssh_host_ed25519_key.pub", KEY), &list);
        assert!(
            found.len() == 1 && found[0].contains(PRINT) && found[0].contains("ghe-ssh-roll-host-keys"),
            "{found:?}"
        );
        assert!(
            warnings(&tar("ssh_host_ed25519_key", KEY), &list).is_empty(),
            "only public halves are looked at"
        );
    }

    #[test]
    fn a_key_of_ones_own_is_no_leaked_one_and_garbage_is_told() {
        assert!(!is_leaked(KEY) && !is_leaked("") && !is_leaked("ssh-rsa ???"));
        assert!(in_tar(&tar("ssh_host_rsa_key.pub", KEY)).is_empty());
        assert!(in_tar(&[b'x'; 700])[0].contains("not compared"));
    }
}
