//! Where restored items go, and their registration afterwards (contract §5.6).
//!
//! An item is registered only if the machines that its line names really hold it; for each that is not, one warning goes
//! to stderr and the command still ends well, as on a real appliance.

use std::{collections::BTreeMap, path::Path};

use super::{Call, Ended, config_apply};
use crate::{
    appliance::{
        Place, State, membership,
        placement::{self, Held},
        roster::Roster,
        state::StoredObject,
    },
    error::{OnFile, SimError},
};

/// Which protocol a program speaks.
fn held(program: &str) -> (Held, &'static str) {
    match program.split('-').next() {
        Some("dpages") => (Held::Pages, "pages-server"),
        Some("storage") => (Held::Storage, "storage-server"),
        _ => (Held::Git, "git-server"),
    }
}

/// Each item goes to this appliance, or to machines of the cluster: those that have it, or new ones.
pub(super) fn routes(call: &Call, program: &str) -> Ended {
    let (held, kind) = held(program);
    let state = State::load(&call.place)?;
    let cluster = Roster::load(&call.place)?.filter(|roster| !roster.ha);
    let mut text = String::new();
    for line in call.stdin_lines()? {
        let item = line.split(' ').next().unwrap_or_default();
        text += item;
        match &cluster {
            None => text.extend([" ", &State::server(&call.place, kind)]),
            Some(roster) => {
                let mut uuids = placement::online(roster, &state.replicas, item);
                if uuids.is_empty() {
                    uuids = placement::choose(roster, held, item);
                }
                for uuid in &uuids {
                    text.extend([" ", kind, "-", uuid]);
                }
            }
        }
        text.push('\n');
    }
    call.print(text)?;
    Ok(0)
}

/// One line of a finalize program's input.
struct Item {
    /// What the databases call it: a route, or the digest of an object.
    key: String,
    /// Its path below the folder of its kind.
    path: String,
    uuids: Vec<String>,
}

impl Item {
    /// Understands a line; `None` if it is not what the program takes.
    fn parse(program: &str, line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let first = words.next()?.to_owned();
        let (key, path) = match program.split('-').next()? {
            "dgit" | "gist" => {
                let path = words.next()?.strip_prefix("/data/repositories/")?.to_owned();
                let name = path.rsplit('/').next()?;
                if name.strip_suffix(".git").unwrap_or(name) != first {
                    return None;
                }
                (path.clone(), path)
            }
            "dpages" => (first.clone(), first),
            "storage" if first.len() == 64 => {
                let path = format!("{}/{}/{}/{first}", first.get(..1)?, first.get(..2)?, first.get(2..4)?);
                (first, path)
            }
            _ => return None,
        };
        let kind = format!("{}-", held(program).1);
        let uuids =
            words.map(|server| server.strip_prefix(&kind).map(str::to_owned)).collect::<Option<Vec<_>>>()?;
        (!uuids.is_empty()).then_some(Self { key, path, uuids })
    }
}

/// What a machine holds of the asked paths: size, and names below.
type Holdings = BTreeMap<String, (u64, Vec<String>)>;

/// Registers items; one warning on stderr for each that cannot be.
pub(super) fn finalize(call: &Call, program: &str) -> Ended {
    let (kind, _) = held(program);
    let lines = call.stdin_lines()?;
    let items: Vec<(&String, Option<Item>)> =
        lines.iter().map(|line| (line, Item::parse(program, line))).collect();
    let mut asked = BTreeMap::<String, Vec<String>>::new();
    for item in items.iter().filter_map(|(_, item)| item.as_ref()) {
        for uuid in &item.uuids {
            asked.entry(uuid.clone()).or_default().push(item.path.clone());
        }
    }
    let mut holdings = BTreeMap::new();
    for (uuid, paths) in asked {
        holdings.insert(uuid.clone(), look(&call.place, kind, &uuid, &paths)?);
    }
    State::update(&call.place, |state| {
        for (line, item) in &items {
            let holders = |item: &Item| -> Option<(u64, Vec<String>)> {
                let found = |uuid: &String| holdings.get(uuid).and_then(|held| held.get(&item.path)).cloned();
                item.uuids.iter().map(found).collect::<Option<Vec<_>>>()?.pop()
            };
            if let Some((item, (bytes, names))) = item.as_ref().and_then(|item| Some((item, holders(item)?)))
            {
                register(state, program, item, bytes, &names);
                state.replicas.insert(item.key.clone(), item.uuids.clone());
            } else {
                let words: Vec<&str> = line.splitn(3, ' ').collect();
                eprintln!("{}: {}", words.first().unwrap_or(&""), words.get(1).unwrap_or(&""));
            }
        }
        Ok(())
    })?;
    Ok(0)
}

fn register(state: &mut State, program: &str, item: &Item, bytes: u64, names: &[String]) {
    match program.split('-').next() {
        Some("dgit") => {
            if let Some(network) = config_apply::network(&item.key, names.iter().map(String::as_str)) {
                state.networks.insert(network.id, network);
            }
        }
        Some("gist") => _ = state.gists.insert(item.key.clone()),
        Some("dpages") => _ = state.pages.insert(item.key.clone()),
        _ => {
            state.storage.retain(|object| object.sha256 != item.key);
            state.storage.insert(StoredObject { sha256: item.key.clone(), bytes });
        }
    }
}

/// Looks for paths on the machine with a UUID; a machine that is unknown or cannot be reached holds nothing.
fn look(place: &Place, kind: Held, uuid: &str, paths: &[String]) -> Result<Holdings, SimError> {
    let Some(roster) = Roster::load(place)?.filter(|roster| !roster.ha) else {
        let own = State::server(place, "");
        if own.trim_start_matches('-') != uuid {
            return Ok(Holdings::new());
        }
        let root = place.disk(kind.folder());
        return paths.iter().filter(|path| root.join(path).exists()).map(|path| here(&root, path)).collect();
    };
    let Some(member) = roster.serving(kind.role()).find(|member| member.uuid == uuid) else {
        return Ok(Holdings::new());
    };
    let script = format!(
        "sudo sh -c 'cd {} && while IFS= read -r path; do if [ -e \"$path\" ]; then \
         echo \"$path $(stat -c %s \"$path\") $(ls \"$path\" | tr \"\\n\" \" \")\"; fi; done'",
        kind.folder()
    );
    let answer = membership::on_node(place, &member.name, &script, (paths.join("\n") + "\n").as_bytes())?;
    let entry = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let path = words.next()?;
        let bytes = words.next()?.parse().ok()?;
        Some((path, (bytes, words.collect())))
    };
    Ok(answer.stdout.lines().filter_map(entry).collect())
}

fn here(root: &Path, path: &str) -> Result<(String, (u64, Vec<String>)), SimError> {
    let full = root.join(path);
    let meta = std::fs::metadata(&full).on("inspect", &full)?;
    let mut names = Vec::new();
    if meta.is_dir() {
        for entry in std::fs::read_dir(&full).on("list", &full)? {
            names.push(entry.on("list", &full)?.file_name().to_string_lossy().into_owned());
        }
    }
    Ok((path.to_owned(), (meta.len(), names)))
}
