//! Who became a site administrator and who no longer is one, by the appliance's audit log (contract §2.9).
//!
//! GitHub documents two actions: `user.promote` and `user.demote`. A month has one index, which is exported anew when it has grown. Only
//! what is new in the later snapshot is searched; where it names one of the two, both exports are read, and what the earlier one has
//! already is no news: an export may come in any order.

use super::HistoryError;
use crate::vault::{DataId, Node, Tree, TreeId, VaultReader};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashSet},
    io::{BufRead, BufReader, Read},
};

/// The folder of exports in a snapshot.
const FOLDER: &[u8] = b"audit-log";
/// The action that makes a site administrator, and the one that unmakes one.
const MADE: &str = "user.promote";
const UNMADE: &str = "user.demote";
/// Most bytes of one export that are searched.
const SEARCHED_MAX: u64 = 512 << 20;
/// Longest entry, in bytes.
const LINE_MAX: u64 = 1 << 20;
/// Longest name that is shown, in characters.
const NAME_MAX: usize = 100;

/// What two snapshots' audit logs say about site administrators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appointments {
    /// Who became one: `NAME, by NAME at TIME`.
    pub made: Vec<String>,
    /// Who no longer is one.
    pub unmade: Vec<String>,
    /// Exports that were not searched, and why.
    pub not_looked: Vec<String>,
}

/// One entry that makes or unmakes a site administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    made: bool,
    text: String,
}

/// Events by the ids of their entries.
type Events = BTreeMap<String, Event>;

/// What the later snapshot's audit log has more than the earlier one's.
///
/// # Errors
/// One of the two cannot be read.
pub fn between(reader: &VaultReader, before: TreeId, after: TreeId) -> Result<Appointments, HistoryError> {
    let (old, new) = (exports(reader, before)?, exports(reader, after)?);
    let mut found = Appointments::default();
    for (name, node) in &new {
        let same = old.get(name);
        if same.is_some_and(|same| same.content == node.content) {
            continue;
        }
        let shown = String::from_utf8_lossy(name);
        match is_named(reader, same, node)? {
            None => found.not_looked.push(format!("{shown}: more than {} MiB are new", SEARCHED_MAX >> 20)),
            Some(false) => {}
            Some(true) => {
                // An index that is new took its entries from one that is gone, if it is a new form of it.
                let gone = old.iter().filter(|(name, _)| !new.contains_key(*name)).map(|(_, node)| node);
                let known: Vec<&Node> = same.map_or_else(|| gone.collect(), |same| vec![same]);
                let mut before = Events::new();
                for node in known {
                    before.extend(events(reader.read_file(node)?)?);
                }
                for (id, event) in events(reader.read_file(node)?)? {
                    if !before.contains_key(&id) {
                        if event.made { &mut found.made } else { &mut found.unmade }.push(event.text);
                    }
                }
            }
        }
    }
    found.made.sort();
    found.unmade.sort();
    Ok(found)
}

/// The exports of a snapshot by name.
fn exports(reader: &VaultReader, root: TreeId) -> Result<BTreeMap<Vec<u8>, Node>, HistoryError> {
    let folder = reader.node_at(root, FOLDER)?.and_then(|node| node.subtree);
    let nodes =
        folder.map(|id| reader.tree(&id)).transpose()?.map(|tree: Tree| tree.nodes).unwrap_or_default();
    let name = |node: &Node| std::os::unix::ffi::OsStrExt::as_bytes(&*node.name()).to_vec();
    let exports = nodes.into_iter().filter(|node| node.is_file() && name(node).ends_with(b".json"));
    Ok(exports.map(|node| (name(&node), node)).collect())
}

/// Whether what is new in an export names one of the two actions; none when it is too much to search.
fn is_named(reader: &VaultReader, old: Option<&Node>, new: &Node) -> Result<Option<bool>, HistoryError> {
    let known: HashSet<&DataId> = old.iter().filter_map(|node| node.content.as_ref()).flatten().collect();
    let mut searched = 0;
    // The end of the piece before: an entry may lie across the border of two.
    let mut carried: Vec<u8> = Vec::new();
    let mut skipped: Option<&DataId> = None;
    for id in new.content.iter().flatten() {
        if known.contains(id) {
            // It is needed only where it ends, at a border with something new.
            (skipped, carried) = (Some(id), Vec::new());
            continue;
        }
        if let Some(before) = skipped.take() {
            carried = tail(reader.data_blob(before)?);
        }
        let piece = reader.data_blob(id)?;
        searched += piece.len() as u64;
        if searched > SEARCHED_MAX {
            return Ok(None);
        }
        carried.extend_from_slice(&piece);
        if [MADE, UNMADE].iter().any(|action| memchr::memmem::find(&carried, action.as_bytes()).is_some()) {
            return Ok(Some(true));
        }
        carried = tail(carried);
    }
    Ok(Some(false))
}

/// The end of a piece, shorter than what is searched for.
fn tail(mut piece: Vec<u8>) -> Vec<u8> {
    let longest = MADE.len().max(UNMADE.len()) - 1;
    piece.split_off(piece.len().saturating_sub(longest))
}

/// The events of an export.
fn events(export: impl Read) -> Result<Events, HistoryError> {
    let failed = |source: std::io::Error| HistoryError::AuditLog { source };
    let mut export = BufReader::new(export);
    let mut events = Events::new();
    loop {
        let mut line = Vec::new();
        let read = (&mut export).take(LINE_MAX).read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            return Ok(events);
        }
        if let Some((id, event)) = event(line.trim_ascii_end()) {
            events.insert(id, event);
        }
    }
}

/// The event in an entry, if it is one: a document, or a hit with its document inside.
fn event(line: &[u8]) -> Option<(String, Event)> {
    let named = |action: &str| memchr::memmem::find(line, action.as_bytes()).is_some();
    if !named(MADE) && !named(UNMADE) {
        return None;
    }
    let entry: Value = serde_json::from_slice(line).ok()?;
    let document = entry.get("_source").unwrap_or(&entry);
    let made = match document.get("action")?.as_str()? {
        MADE => true,
        UNMADE => false,
        _ => return None,
    };
    let field = |names: &[&str]| -> Option<String> {
        let value = names.iter().find_map(|name| document.get(name))?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(text.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect())
    };
    let unknown = || "somebody".to_owned();
    let user = field(&["user", "user_login", "user_id"]).unwrap_or_else(unknown);
    let actor = field(&["actor", "actor_id"]).unwrap_or_else(unknown);
    let at =
        field(&["@timestamp", "created_at"]).map(|at| format!(" at {}", moment(&at))).unwrap_or_default();
    let id = entry.get("_id").or_else(|| document.get("_document_id")).and_then(Value::as_str);
    let id = id.map_or_else(|| hex::encode(Sha256::digest(line)), str::to_owned);
    Some((id, Event { made, text: format!("{user}, by {actor}{at}") }))
}

/// Milliseconds since 1970 as a time; anything else as it stands.
fn moment(text: &str) -> String {
    let time = text.parse().ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| text.to_owned(), |time| time.to_string())
}

/// Reads made-up bytes as an export: for fuzzing.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_any(bytes: &[u8]) {
    if let Ok(events) = events(bytes) {
        assert!(events.values().all(|event| event.text.len() < 16 * NAME_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_as_document_and_as_hit() {
        let document = r#"{"action":"user.promote","user":"mona","actor":"eve","created_at":1767225600000,"_document_id":"x"}"#;
        let hit = r#"{"_id":"x","_source":{"action":"user.promote","user":"mona","actor":"eve","@timestamp":1767225600000}}"#;
        for line in [document, hit] {
            let (id, event) = event(line.as_bytes()).unwrap();
            assert_eq!(
                (id.as_str(), event.made, event.text.as_str()),
                ("x", true, "mona, by eve at 2026-01-01T00:00:00Z")
            );
        }
    }

    #[test]
    fn words_in_other_fields_and_torn_lines_are_no_event() {
        for line in [
            r#"{"action":"repo.create","repo":"user.promote/x"}"#,
            r#"{"action":"user.promote","user":"mo"#,
            r#"["user.promote"]"#,
            "user.promote",
        ] {
            assert_eq!(event(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn what_is_missing_is_somebody_and_an_entry_without_id_is_known_by_its_bytes() {
        let line = br#"{"action":"user.demote","user":"a\u0007b"}"#;
        let (id, event) = event(line).unwrap();
        assert_eq!((event.made, event.text.as_str()), (false, "ab, by somebody"));
        assert_eq!(id, hex::encode(Sha256::digest(line)));
        assert_eq!(events(&[&line[..], line].join(&b'\n')[..]).unwrap().len(), 1);
    }
}
