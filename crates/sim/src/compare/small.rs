//! The small datasets: dumps, settings, secrets, keys, and what the appliance has registered.

#![allow(clippy::unnecessary_wraps, reason = "all datasets are compared through one signature")]

use std::{fs, path::Path};

use super::{Aspects, Finding};
use crate::{
    appliance::{
        Place, State,
        commands::{ca_certificates, elasticsearch, mysql as mysql_command, redis as redis_command},
    },
    error::SimError,
};

fn files<'a>(pairs: impl IntoIterator<Item = (&'a str, std::path::PathBuf, std::path::PathBuf)>) -> Finding {
    let mut finding = Finding::default();
    for (name, a, b) in pairs {
        finding.items += 1;
        // A file that is missing on both sides is the same.
        if fs::read(&a).ok() != fs::read(&b).ok() {
            finding.differs(format!("`{name}` is different"));
        }
    }
    finding
}

fn on_disk<'a>(a: &Place, b: &Place, paths: impl IntoIterator<Item = &'a str>) -> Finding {
    files(paths.into_iter().map(|path| (path, a.disk(path), b.disk(path))))
}

pub(super) fn audit_log(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    let mut names: Vec<String> = [elasticsearch::indices(a)?, elasticsearch::indices(b)?]
        .concat()
        .into_iter()
        .map(|(index, _)| index)
        .collect();
    names.sort();
    names.dedup();
    let file = elasticsearch::index_file;
    Ok(files(names.iter().map(|name| (name.as_str(), file(a, name), file(b, name)))))
}

pub(super) fn mysql(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    Ok(files([("dump", a.store(mysql_command::STORE), b.store(mysql_command::STORE))]))
}

/// The rows of Actions' databases.
pub(super) fn mssql(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    let (a, b) = (State::load(a)?.mssql, State::load(b)?.mssql);
    let mut finding = Finding::default();
    for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
        finding.items += 1;
        match (a.get(name), b.get(name)) {
            (Some(a), Some(b)) if a.rows == b.rows => {}
            (Some(_), Some(_)) => finding.differs(format!("the rows of `{name}` are different")),
            (Some(_), None) => finding.differs(format!("`{name}` is missing")),
            _ => finding.differs(format!("`{name}` is too much")),
        }
    }
    Ok(finding)
}

pub(super) fn redis(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    Ok(on_disk(a, b, [redis_command::DUMP]))
}

pub(super) fn settings(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    Ok(on_disk(a, b, ["/data/user/common/github.conf"]))
}

/// Secrets are compared key by key; values are never shown.
pub(super) fn secrets(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    let read = |place: &Place| pairs(&place.disk("/data/user/common/secrets.conf"));
    let (all_a, mut all_b) = (read(a), read(b));
    let mut finding = Finding::default();
    for (key, value) in all_a {
        finding.items += 1;
        if all_b.remove(&key) != Some(value) {
            finding.differs(format!("`{key}` is different"));
        }
    }
    for key in all_b.keys() {
        finding.items += 1;
        finding.differs(format!("`{key}` is too much"));
    }
    Ok(finding)
}

fn pairs(path: &Path) -> std::collections::BTreeMap<String, String> {
    let output = std::process::Command::new("git").args(["config", "-z", "-l", "-f"]).arg(path).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split('\0')
        .filter_map(|pair| pair.split_once('\n'))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

pub(super) fn license(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    Ok(on_disk(a, b, ["/data/enterprise/enterprise.ghl"]))
}

pub(super) fn saml_keys(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    Ok(on_disk(a, b, ["/data/user/common/idp.crt", "/data/user/common/saml-sp.p12"]))
}

pub(super) fn ca_certificates(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    Ok(files([("certificates", a.store(ca_certificates::STORE), b.store(ca_certificates::STORE))]))
}

/// UUID, the admin's keys, host keys, the migration sentinel.
pub(super) fn identity(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    let hosts = ["ed25519", "rsa", "ecdsa"].map(|kind| format!("/data/user/common/ssh_host_{kind}_key"));
    let publics = hosts.clone().map(|path| path + ".pub");
    let fixed =
        ["uuid", "authorized_keys", "es-scan-complete"].map(|name| format!("/data/user/common/{name}"));
    Ok(on_disk(a, b, fixed.iter().chain(&hosts).chain(&publics).map(String::as_str)))
}

pub(super) fn registered(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    let (a, b) = (State::load(a)?, State::load(b)?);
    let mut finding = Finding { items: a.networks.len() as u64, ..Finding::default() };
    for (what, same) in [
        ("networks", a.networks == b.networks),
        ("gists", a.gists == b.gists),
        ("pages", a.pages == b.pages),
        ("storage", a.storage == b.storage),
    ] {
        if !same {
            finding.differs(format!("the registered {what} are different"));
        }
    }
    Ok(finding)
}
