//! Archives of keys and certificates: tar lists them, openssl reads the certificates in them.

use std::{ffi::OsStr, process::Command};

use super::{
    programs,
    report::{Proof, ProofState},
};
use crate::restore::{appliance::content::SMALL, view::SnapshotView};

/// The archives of a snapshot.
const ARCHIVES: [&str; 3] = ["ssh-host-keys.tar", "saml-keys.tar", "ssl-ca-certificates.tar"];

/// The marks around a certificate.
const MARKS: (&str, &str) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");

/// Proves archives and certificates.
pub(super) fn prove(view: SnapshotView<'_>, path: Option<&OsStr>) -> Vec<Proof> {
    let mut certificates = Vec::new();
    let mut problems = Vec::new();
    let (mut there, mut entries) = (0, 0);
    let tar = programs::find(&["tar"], path);
    for name in ARCHIVES {
        let content = match view.read(name.as_bytes(), SMALL) {
            Ok(None) => continue,
            Ok(Some(content)) => content,
            Err(error) => {
                there += 1;
                problems.push(format!("{name}: {error}"));
                continue;
            }
        };
        there += 1;
        let Some(tar) = &tar else { continue };
        match programs::fed(Command::new(tar).args(["-t", "-f", "-"]), &content) {
            Ok(output) if output.status.success() => {
                entries += memchr::memchr_iter(b'\n', &output.stdout).count();
            }
            Ok(output) => problems.push(format!("{name}: {}", programs::said(&output))),
            Err(why) => problems.push(format!("{name}: {why}")),
        }
        if name != "ssh-host-keys.tar"
            && let Ok(output) = programs::fed(Command::new(tar).args(["-x", "-O", "-f", "-"]), &content)
        {
            certificates.extend(certificates_in(&String::from_utf8_lossy(&output.stdout)));
        }
    }
    let archives = match (there, &tar) {
        (0, _) => Proof::new("archives", ProofState::Absent, "the snapshot has none"),
        (_, None) => Proof::new("archives", ProofState::NotProven, "this host has no tar"),
        _ => Proof::judged("archives", there, there, format!("tar lists {entries} entries"), problems),
    };
    vec![archives, certificates_proof(&certificates, path)]
}

fn certificates_proof(certificates: &[String], path: Option<&OsStr>) -> Proof {
    let part = "certificates";
    if certificates.is_empty() {
        return Proof::new(part, ProofState::Absent, "the snapshot has none");
    }
    let Some(openssl) = programs::find(&["openssl"], path) else {
        return Proof::new(part, ProofState::NotProven, "this host has no openssl");
    };
    let mut problems = Vec::new();
    for (number, certificate) in certificates.iter().enumerate() {
        let mut command = Command::new(&openssl);
        match programs::fed(command.args(["x509", "-noout", "-subject"]), certificate.as_bytes()) {
            Ok(output) if output.status.success() => {}
            Ok(output) => problems.push(format!("certificate {}: {}", number + 1, programs::said(&output))),
            Err(why) => problems.push(why),
        }
    }
    let count = certificates.len() as u64;
    Proof::judged(part, count, count, "openssl reads them", problems)
}

/// All certificates in a text.
pub(super) fn certificates_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(MARKS.0) {
        let Some(length) = rest[start..].find(MARKS.1) else { break };
        let end = start + length + MARKS.1.len();
        found.push(format!("{}\n", &rest[start..end]));
        rest = &rest[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::certificates_in;

    #[test]
    fn certificates_are_found_between_other_things_and_a_cut_one_is_none() {
        let one = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----";
        let text = format!("x\n{one}\ny{one}z-----BEGIN CERTIFICATE-----\ncut");
        assert_eq!(certificates_in(&text).len(), 2);
    }
}
