//! What is different between two snapshots: repositories and their references, settings, secrets (names only), site
//! administrators, administrators' keys, hooks.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    HistoryError, Moment, Move, RefTable,
    admins::{self, Appointments},
    ancestry::{Ancestry, Commits, Unasked},
    moves,
};
use crate::{
    appliance::{git_config::GitConfig, secret_table::SECRETS},
    backup::pages,
    restore::{
        entry::{Entry, Kind, join, show},
        repository::find::Named,
        view::SnapshotView,
    },
    vault::{Snapshot, VaultReader},
};

/// Largest file that is read for its content, in bytes.
const SMALL_MAX: u64 = 64 << 20;

/// Small files whose change is told by name alone.
const FILES: [&str; 6] =
    ["uuid", "version", "enterprise.ghl", "saml-keys.tar", "ssl-ca-certificates.tar", "ssh-host-keys.tar"];

/// What happened to something that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only the later snapshot has it.
    Added,
    /// Only the earlier snapshot has it.
    Removed,
    /// Both have it, not alike.
    Changed,
}

/// A named thing and what happened to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// What happened.
    pub change: Change,
}

/// A repository that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepositoryChange {
    /// Its name; its path when it has none.
    pub name: String,
    /// Its path in the snapshots.
    pub path: String,
    /// What happened.
    pub change: Change,
    /// Its name in the earlier snapshot, when that was another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What its references did, when it is in both.
    pub moves: Vec<Move>,
}

/// All differences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The earlier snapshot.
    pub from: Moment,
    /// The later one.
    pub to: Moment,
    /// Repositories, wikis and gists, by path.
    pub repositories: Vec<RepositoryChange>,
    /// Keys of `settings.json`, never their values: some are secret.
    pub settings: Vec<Changed>,
    /// Secrets by name.
    pub secrets: Vec<Changed>,
    /// Keys that may enter the admin shell, by type and fingerprint.
    pub authorized_keys: Vec<Changed>,
    /// Who became a site administrator (added) and who no longer is one (removed), by the audit log.
    pub site_admins: Vec<Changed>,
    /// Files of hooks.
    pub hooks: Vec<Changed>,
    /// Other small files.
    pub files: Vec<Changed>,
}

impl Difference {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.repositories.is_empty()
            && [
                &self.settings,
                &self.secrets,
                &self.authorized_keys,
                &self.site_admins,
                &self.hooks,
                &self.files,
            ]
            .iter()
            .all(|list| list.is_empty())
    }
}

/// Compares two snapshots. With `scratch` what moves of branches mean is asked of the commits, which takes the objects of
/// each repository that moved; without it such moves are unproven.
///
/// # Errors
/// One of them cannot be read.
pub fn between(
    reader: &VaultReader,
    from: &Snapshot,
    to: &Snapshot,
    scratch: Option<&Path>,
) -> Result<Difference, HistoryError> {
    let view = |snapshot: &Snapshot| SnapshotView::new(reader, snapshot.tree);
    let (a, b) = (view(from), view(to));
    let moment = |s: &Snapshot| Moment { snapshot: s.id.to_string(), time: s.time };
    let text = |view: SnapshotView<'_>, path: &str| -> Result<Vec<u8>, HistoryError> {
        Ok(view.read(path.as_bytes(), SMALL_MAX)?.unwrap_or_default())
    };
    let mut files = Vec::new();
    for name in FILES {
        let of = |view: SnapshotView<'_>| view.read(name.as_bytes(), SMALL_MAX);
        files.extend(
            change(of(a)?.as_ref(), of(b)?.as_ref()).map(|change| Changed { name: name.into(), change }),
        );
    }
    let mut hooks = Vec::new();
    changed_paths((a, b), b"git-hooks", &mut hooks)?;
    hooks.sort();
    Ok(Difference {
        from: moment(from),
        to: moment(to),
        repositories: repositories(reader, from, to, scratch)?,
        settings: compared(&settings(&text(a, "settings.json")?), &settings(&text(b, "settings.json")?)),
        secrets: compared(&secrets(a)?, &secrets(b)?),
        authorized_keys: came_and_went(
            &keys(&text(a, "authorized-keys.json")?),
            &keys(&text(b, "authorized-keys.json")?),
        ),
        site_admins: site_admins(&admins::between(reader, from.tree, to.tree)?),
        hooks,
        files,
    })
}

fn change<T: PartialEq>(before: Option<&T>, after: Option<&T>) -> Option<Change> {
    match (before, after) {
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        (Some(before), Some(after)) if before != after => Some(Change::Changed),
        _ => None,
    }
}

/// The names whose values differ.
fn compared<V: PartialEq>(before: &BTreeMap<String, V>, after: &BTreeMap<String, V>) -> Vec<Changed> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let one = |name: &String| {
        change(before.get(name), after.get(name)).map(|change| Changed { name: name.clone(), change })
    };
    names.into_iter().filter_map(one).collect()
}

/// What is only in one of two sets.
fn came_and_went(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<Changed> {
    let is = |change| move |name: &String| Changed { name: name.clone(), change };
    let mut all: Vec<Changed> = after.difference(before).map(is(Change::Added)).collect();
    all.extend(before.difference(after).map(is(Change::Removed)));
    all
}

/// Appointments as changes.
fn site_admins(found: &Appointments) -> Vec<Changed> {
    let is = |change| move |who: &String| Changed { name: who.clone(), change };
    let made = found.made.iter().map(is(Change::Added));
    made.chain(found.unmade.iter().map(is(Change::Removed))).collect()
}

fn repositories(
    reader: &VaultReader,
    from: &Snapshot,
    to: &Snapshot,
    scratch: Option<&Path>,
) -> Result<Vec<RepositoryChange>, HistoryError> {
    let refs = |s: &Snapshot| pages::read_all::<Vec<u8>>(reader, s.tree, pages::REFS);
    let names = |s: &Snapshot| pages::read_all::<Vec<u8>>(reader, s.tree, pages::NAMES);
    let (refs_a, refs_b, names_a, names_b) = (refs(from)?, refs(to)?, names(from)?, names(to)?);
    let name = |names: &HashMap<Vec<u8>, Vec<u8>>, path: &[u8]| {
        names.get(path).map(|name| String::from_utf8_lossy(name).into_owned())
    };
    let paths: BTreeSet<&Vec<u8>> = refs_a.keys().chain(refs_b.keys()).collect();
    let mut changes = Vec::new();
    for path in paths {
        let (old, new) = (name(&names_a, path), name(&names_b, path));
        let change = change(refs_a.get(path), refs_b.get(path));
        let renamed = old.is_some() && new.is_some() && old != new;
        let Some(change) = change.or(renamed.then_some(Change::Changed)) else { continue };
        let shown = new.clone().or_else(|| old.clone()).unwrap_or_else(|| show(path));
        let mut moves = Vec::new();
        if change == Change::Changed {
            let view = |s: &Snapshot| SnapshotView::new(reader, s.tree);
            let table = |s: &Snapshot| RefTable::read(view(s), path).map(Option::unwrap_or_default);
            let repository = Named { name: shown.clone(), path: path.clone() };
            let mut asked =
                scratch.map(|scratch| Commits::new(repository, vec![view(to), view(from)], scratch));
            let mut unasked = Unasked;
            let ancestry: &mut dyn Ancestry = match &mut asked {
                Some(commits) => commits,
                None => &mut unasked,
            };
            moves = moves::between(&table(from)?, &table(to)?, ancestry);
        }
        let was = old.filter(|_| renamed);
        changes.push(RepositoryChange { name: shown, path: show(path), change, was, moves });
    }
    Ok(changes)
}

/// Keys and values of a JSON text; a nested key is joined by dots. A text that is none is one value.
fn settings(text: &[u8]) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    match serde_json::from_slice::<serde_json::Value>(text) {
        Ok(value) => flatten("", &value, &mut flat),
        Err(_) if text.is_empty() => {}
        Err(_) => {
            flat.insert("settings.json".to_owned(), hex::encode(Sha256::digest(text)));
        }
    }
    flat
}

fn flatten(prefix: &str, value: &serde_json::Value, flat: &mut BTreeMap<String, String>) {
    match value {
        serde_json::Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&key, value, flat);
            }
        }
        other => {
            flat.insert(prefix.to_owned(), other.to_string());
        }
    }
}

/// Digests of the secrets by the keys that the appliance has for them: known ones as files, all others in `secrets.conf`.
fn secrets(view: SnapshotView<'_>) -> Result<BTreeMap<String, [u8; 32]>, HistoryError> {
    let mut found = BTreeMap::new();
    for row in SECRETS {
        if let Some(value) = view.read(row.file.as_bytes(), SMALL_MAX)? {
            found.insert(row.key.to_lowercase(), Sha256::digest(value.trim_ascii()).into());
        }
    }
    if let Some(text) = view.read(b"ghevault/secrets.conf", SMALL_MAX)? {
        let config = GitConfig::parse(&String::from_utf8_lossy(&text));
        for (key, value) in config.entries() {
            found.entry(key.to_lowercase()).or_insert_with(|| Sha256::digest(value.trim()).into());
        }
    }
    Ok(found)
}

/// SSH keys in a text of any form, by type, fingerprint and the text behind them.
pub(crate) fn keys(text: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(text);
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | '\\'))
        .filter(|word| !word.is_empty())
        .collect();
    let mut found = BTreeSet::new();
    for pair in words.windows(2) {
        let [kind, key] = pair else { continue };
        if (kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-"))
            && key.starts_with("AAAA")
        {
            let digest = Sha256::digest(decoded(key));
            let print = base64::Engine::encode(&base64::engine::general_purpose::STANDARD_NO_PAD, digest);
            found.insert(format!("{kind} SHA256:{print}"));
        }
    }
    found
}

fn decoded(key: &str) -> Vec<u8> {
    let engine = base64::engine::general_purpose::STANDARD;
    base64::Engine::decode(&engine, key).unwrap_or_else(|_| key.as_bytes().to_vec())
}

/// Files below `path` that differ; folders that are the same tree are not entered.
pub(crate) fn changed_paths(
    (a, b): (SnapshotView<'_>, SnapshotView<'_>),
    path: &[u8],
    found: &mut Vec<Changed>,
) -> Result<(), HistoryError> {
    let kind = |view: SnapshotView<'_>| -> Result<Option<Kind>, HistoryError> {
        Ok(view.find(path)?.map(|entry| entry.kind))
    };
    let (before, after) = (kind(a)?, kind(b)?);
    if before == after {
        return Ok(());
    }
    let entries =
        |view: SnapshotView<'_>, kind: Option<Kind>| -> Result<BTreeMap<Vec<u8>, Entry>, HistoryError> {
            let Some(kind) = kind else { return Ok(BTreeMap::new()) };
            let (entries, _) = view.children(path, &kind)?;
            Ok(entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect())
        };
    let (before, after) = (entries(a, before)?, entries(b, after)?);
    let names: BTreeSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        let path = join(path, name);
        if old.is_some_and(Entry::is_directory) || new.is_some_and(Entry::is_directory) {
            changed_paths((a, b), &path, found)?;
        }
        // what a file is: its content, its rights, where a link leads
        let facts = |entry: &Entry| (entry.kind.clone(), entry.mode, entry.node.content.clone());
        let is_file = |entry: &&Entry| !entry.is_directory();
        let (old, new) = (old.filter(is_file).map(facts), new.filter(is_file).map(facts));
        found.extend(change(old.as_ref(), new.as_ref()).map(|change| Changed { name: show(&path), change }));
    }
    Ok(())
}

/// Settings and keys, for [`crate::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &[u8]) {
    let (settings, keys) = (settings(text), keys(text));
    assert!(compared(&settings, &settings).is_empty() && keys.len() <= text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_compared_key_by_key_and_no_value_is_shown() {
        let before = settings(br#"{"a": {"x": 1, "password": "old"}, "gone": true}"#);
        let after = settings(br#"{"a": {"x": 1, "password": "new"}, "here": []}"#);
        let shown = serde_json::to_string(&compared(&before, &after)).unwrap();
        assert_eq!(
            shown,
            r#"[{"name":"a.password","change":"changed"},{"name":"gone","change":"removed"},{"name":"here","change":"added"}]"#
        );
    }

    #[test]
    fn keys_are_found_in_any_form_of_text() {
        let json = br#"[{"key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== mona@laptop"}]"#;
        let lines = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== another comment\n";
        assert_eq!(keys(json), keys(lines));
        assert!(keys(json).first().unwrap().starts_with("ssh-ed25519 SHA256:"));
        assert!(keys(b"no keys here").is_empty());
    }
}
