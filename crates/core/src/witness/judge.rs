//! What a board shows of one origin, judged from its files and public keys alone; pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::{
    board::{BoardFile, FileName},
    checkpoint::Checkpoint,
    finding::{Finding, FindingKind},
    log::Log,
    note::{Note, PublicKey},
};

/// Clocks of several machines may differ by this much, and a seal may be signed that long before the vault shows it.
pub(super) const SLACK: SignedDuration = SignedDuration::from_hours(1);

/// A checkpoint whose signature was checked.
#[derive(Clone, Debug)]
pub struct Noted {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// As it was signed, without the cosignatures.
    pub note: Note,
    /// Whose cosignatures it has (public keys), and when.
    pub cosigned: BTreeMap<String, Timestamp>,
    /// Whether its own file is on the board, not only a cosigned copy.
    is_standing: bool,
}

impl Noted {
    fn file(&self) -> String {
        FileName::note(self.checkpoint.size, &self.checkpoint.root)
    }
}

/// One origin on one board.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The board.
    pub board: String,
    /// Whose.
    pub origin: String,
    /// All entries that are proven from the first on.
    pub log: Log,
    /// The checkpoints with a good signature, by size.
    pub notes: Vec<Noted>,
    /// What does not fit, sorted.
    pub findings: Vec<Finding>,
    /// What is worth a word.
    pub remarks: Vec<String>,
}

impl Judged {
    /// The checkpoint of the whole log.
    #[must_use]
    pub fn newest(&self) -> Option<&Noted> {
        self.notes
            .iter()
            .filter(|one| one.checkpoint.root == self.log.root() && one.checkpoint.size == self.log.size())
            .max_by_key(|one| one.checkpoint.time)
    }

    fn find(&mut self, kind: FindingKind, on: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding::new(kind, &self.origin, on, what));
    }
}

/// Judges the files of an origin for which `key` speaks; cosignatures of `keys` are looked at.
#[must_use]
pub fn judge(
    board: &str,
    origin: &str,
    files: &[BoardFile],
    key: &PublicKey,
    keys: &[PublicKey],
    now: Timestamp,
) -> Judged {
    let mut judged = Judged {
        board: board.to_owned(),
        origin: origin.to_owned(),
        log: Log::default(),
        notes: Vec::new(),
        findings: Vec::new(),
        remarks: Vec::new(),
    };
    collect(&mut judged, files, key, keys);
    let logs = resolve(&mut judged);
    choose(&mut judged, &logs);
    times(&mut judged, key, now);
    links(&mut judged);
    judged.findings.sort();
    judged.findings.dedup();
    judged
}

/// Reads files and checks signatures.
fn collect(judged: &mut Judged, files: &[BoardFile], key: &PublicKey, keys: &[PublicKey]) {
    let mut notes: BTreeMap<(usize, String), Noted> = BTreeMap::new();
    for file in files {
        let (size, root, by) = match FileName::parse(&file.name) {
            Some(FileName::Note(size, root)) => (size, root, None),
            Some(FileName::Cosigned(size, root, by)) => (size, root, Some(by)),
            None => {
                judged.remarks.push(format!("{}: not a file of a board", file.name));
                continue;
            }
        };
        let read = Note::parse(&file.text).and_then(|note| Ok((Checkpoint::parse(&note.body)?, note)));
        let (checkpoint, note) = match read {
            Ok(read) => read,
            Err(error) => {
                judged.find(FindingKind::Edited, &file.name, error.to_string());
                continue;
            }
        };
        if checkpoint.origin != judged.origin
            || checkpoint.size != size
            || hex::encode(checkpoint.root) != root
        {
            judged.find(FindingKind::Swapped, &file.name, "its name is that of another checkpoint");
            continue;
        }
        if let Err(error) = note.signed_by(&judged.origin, key) {
            judged.find(FindingKind::Forged, &file.name, error.to_string());
            continue;
        }
        let entry = notes.entry((size, note.body.clone())).or_insert_with(|| Noted {
            checkpoint,
            note: note.clone(),
            cosigned: BTreeMap::new(),
            is_standing: false,
        });
        let Some(by) = by else {
            entry.note = note;
            entry.is_standing = true;
            continue;
        };
        let Some(witness) = keys.iter().find(|one| one.short() == by) else {
            judged.remarks.push(format!("{}: cosigned by a key that was not named", file.name));
            continue;
        };
        match note.cosigned_by(witness) {
            Ok(at) => drop(entry.cosigned.insert(witness.text.clone(), at)),
            Err(error) => judged.find(FindingKind::Forged, &file.name, error.to_string()),
        }
    }
    judged.notes = notes.into_values().collect();
}

/// The log of each checkpoint that is proven from the first entry on.
fn resolve(judged: &mut Judged) -> Vec<(usize, Log)> {
    let mut known: HashMap<(usize, [u8; 32]), Log> = HashMap::new();
    let start = Log::default();
    known.insert((0, start.root()), start);
    let mut logs = Vec::new();
    let there: HashSet<(usize, [u8; 32])> =
        judged.notes.iter().map(|one| (one.checkpoint.size, one.checkpoint.root)).collect();
    let standing: HashSet<String> =
        judged.notes.iter().filter(|one| one.is_standing).map(Noted::file).collect();
    for (place, noted) in judged.notes.clone().iter().enumerate() {
        let (said, file) = (&noted.checkpoint, noted.file());
        if !standing.contains(&file) {
            judged.find(
                FindingKind::Removed,
                &file,
                "only a cosigned copy of this checkpoint is on the board",
            );
        }
        let Some(before) = known.get(&said.after) else {
            if !there.contains(&said.after) {
                let missing = FileName::note(said.after.0, &said.after.1);
                let what = format!("{file} follows this checkpoint, which is not on the board");
                judged.find(FindingKind::Removed, missing, what);
            }
            continue;
        };
        let log = before.clone().with(&said.entries);
        if log.size() != said.size || log.root() != said.root || said.entries.is_empty() {
            judged.find(FindingKind::Edited, file, "its size or root is not that of its entries");
            continue;
        }
        known.insert((said.size, said.root), log.clone());
        logs.push((place, log));
    }
    logs
}

/// Takes the longest log, and finds all that contradict it.
fn choose(judged: &mut Judged, logs: &[(usize, Log)]) {
    let longest = logs.iter().max_by_key(|(place, log)| (log.size(), judged.notes[*place].checkpoint.time));
    judged.log = longest.map(|(_, log)| log.clone()).unwrap_or_default();
    let contradicts = |noted: &&Noted| {
        let root = judged.log.root_at(noted.checkpoint.size);
        root.is_some_and(|root| root != noted.checkpoint.root)
    };
    let forks: Vec<String> = judged.notes.iter().filter(contradicts).map(Noted::file).collect();
    for file in forks {
        let what =
            format!("it is not part of the history of {} entries that the board shows", judged.log.size());
        judged.find(FindingKind::Fork, file, what);
    }
}

/// Times that cannot be true.
fn times(judged: &mut Judged, key: &PublicKey, now: Timestamp) {
    let moments: HashMap<(usize, [u8; 32]), Timestamp> = judged
        .notes
        .iter()
        .map(|one| ((one.checkpoint.size, one.checkpoint.root), one.checkpoint.time))
        .collect();
    for noted in judged.notes.clone() {
        let (said, file) = (&noted.checkpoint, noted.file());
        if said.time > now + SLACK {
            judged.find(FindingKind::BackDated, &file, format!("its time {} has not come yet", said.time));
        }
        if noted.cosigned.values().any(|at| *at + SLACK < said.time) {
            judged.find(FindingKind::BackDated, &file, "it was cosigned before the time that it names");
        }
        for entry in said.entries.iter().filter(|entry| entry.started > said.time + SLACK) {
            let what = format!("it shows {}, later than its checkpoint", entry.started);
            judged.find(FindingKind::BackDated, &entry.hash, what);
        }
        let Some(before) = moments.get(&said.after).copied() else { continue };
        if said.time < before {
            let what = format!("its time {} lies before that of the checkpoint that it follows", said.time);
            judged.find(FindingKind::BackDated, &file, what);
        }
        for entry in said.entries.iter().filter(|entry| entry.key == key.text) {
            if entry.ended.is_some_and(|ended| ended + SLACK < before) {
                let what = format!(
                    "it says that it ended at {}, but the checkpoint of {before} did not know it",
                    entry.ended.unwrap_or_default()
                );
                judged.find(FindingKind::BackDated, &entry.hash, what);
            }
        }
    }
}

/// Whether the seals of the log form chains.
fn links(judged: &mut Judged) {
    let first = judged
        .notes
        .iter()
        .filter(|one| one.checkpoint.after.0 == 0)
        .map(|one| one.checkpoint.size)
        .min()
        .unwrap_or(0);
    let entries = judged.log.entries().to_vec();
    let mut seen: HashMap<&str, (Timestamp, &str)> = HashMap::new();
    let mut followed: HashSet<(&str, &str)> = HashSet::new();
    for (place, entry) in entries.iter().enumerate() {
        if seen.contains_key(entry.hash.as_str()) {
            judged.find(FindingKind::Fork, &entry.hash, "it stands twice in the history");
        }
        if let Some(previous) = entry.previous.as_deref() {
            if !followed.insert((previous, &entry.key)) {
                let what = format!("another seal of the same key follows {previous}, too");
                judged.find(FindingKind::Fork, &entry.hash, what);
            }
            match seen.get(previous) {
                Some((started, key)) if entry.ended.is_some() && *key == entry.key => {
                    if entry.started < *started {
                        let what = format!("it shows {}, earlier than the one before it", entry.started);
                        judged.find(FindingKind::BackDated, &entry.hash, what);
                    }
                }
                Some(_) => {}
                None if place < first => {
                    judged.remarks.push(format!("{}: what came before it was never shown", entry.hash));
                }
                None => {
                    let what = format!("{} follows this seal, which was never shown", entry.hash);
                    judged.find(FindingKind::Removed, previous, what);
                }
            }
        }
        seen.insert(&entry.hash, (entry.started, &entry.key));
    }
}
