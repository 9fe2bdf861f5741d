//! What fuzzing runs: every parser that reads bytes of others, by name. Only there in tests and under a fuzzer.
//!
//! `fuzz/` feeds these functions with what a fuzzer makes up, the tests below with the corpora that are kept there. A function
//! also says what must hold of what was read, where something is known to hold.

use std::io::Read;

use crate::{
    appliance::{
        facts,
        fleet::Fleet,
        git_config::GitConfig,
        hostkeys::{HostKey, LeakedKeys},
        listing,
        target::Target,
    },
    backup::{
        courtesy,
        files::{
            entry_node::Owners,
            refs,
            survey::{Known, Surveyor},
            tar_stream::TarStream,
        },
        layers, mssql, pages, spread,
    },
    compare::Sheet,
    drill, failover, history, import, keys,
    quarantine::{Assessment, ObjectFile, Quarantined, is_sound},
    restore::{self, repository},
    retention::Hold,
    seal::{self, SealKey, SignedText},
    vault::{self, SnapshotId, VaultLocation},
    witness::{Checkpoint, Entry, FileName, Note, PublicKey},
};

/// A parser with its name.
pub type Parser = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Parser] = &[
    ("addresses", addresses),
    ("alternates", repository::fuzz),
    ("audit-log", history::admins::read_any),
    ("backlog", |bytes| courtesy::fuzz(&text(bytes))),
    ("board-names", board_names),
    ("certificates", |bytes| drill::fuzz(&text(bytes))),
    ("checkpoint", checkpoint),
    ("cluster-conf", |bytes| drop(Fleet::parse(&text(bytes), "a"))),
    ("facts", |bytes| facts::fuzz(&text(bytes))),
    ("git-objects", git_objects),
    ("host-keys", host_keys),
    ("import-answers", |bytes| import::fuzz(&text(bytes))),
    ("listing", find_listing),
    ("mssql", |bytes| mssql::fuzz(&text(bytes))),
    ("owners", |bytes| drop(Owners::parse(&text(bytes), &text(bytes)))),
    ("packed-refs", packed_refs),
    ("pages", ref_pages),
    ("records", records),
    ("recovery-kit", |bytes| drop(keys::RecoveryKey::read(&keys::Secret::new(bytes.to_vec())))),
    ("repl-status", |bytes| failover::repl_status::fuzz(&text(bytes))),
    ("routes", routes),
    ("seal", sealed),
    ("secrets-conf", git_config),
    ("settings", history::diff::fuzz),
    ("sheet", sheet),
    ("ssh-key", |bytes| drop(keys::SshKey::parse(&keys::Secret::new(bytes.to_vec()), None))),
    ("tar", tar),
    ("taupage", taupage),
    ("vault-blob", vault::fuzzing::compressed),
    ("vault-index", vault::fuzzing::index),
    ("vault-pack-header", vault::fuzzing::pack_header),
    ("vault-snapshot", vault_snapshot),
    ("vault-tree", vault_tree),
];

/// Runs one; false when there is none of that name.
#[must_use]
pub fn run(name: &str, bytes: &[u8]) -> bool {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    if let Some((_, target)) = found {
        target(bytes);
    }
    found.is_some()
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn find_listing(bytes: &[u8]) {
    let known = Known::new();
    let mut surveyor = Surveyor::new(&known, true);
    let read = listing::for_each_record::<listing::ListingError>(bytes, |record| {
        let _ = listing::parse(record);
        surveyor.add(record);
        Ok(())
    });
    for unit in surveyor.finish().units.values() {
        let _ = unit.entries();
    }
    // The same in small pieces.
    let mut count = 0_u64;
    let pieces = listing::for_each_record::<listing::ListingError>(Pieces(bytes), |_| {
        count += 1;
        Ok(())
    });
    assert_eq!(read.ok(), pieces.ok());
}

/// Hands on a few bytes at a time.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let some = into.len().min(3);
        self.0.read(&mut into[..some])
    }
}

fn git_config(bytes: &[u8]) {
    let config = GitConfig::parse(&text(bytes));
    for (key, value) in config.entries() {
        let _ = (config.get(&key), config.truth(&key), value.len());
    }
    let _ = config.subsections("cluster");
}

fn host_keys(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(key) = HostKey::parse(&text) {
        let _ = (key.fingerprint(), key.md5_fingerprint(), key.kind(), key.algorithms());
    }
    let _ = LeakedKeys::parse(&text);
}

fn tar(bytes: &[u8]) {
    let mut stream = TarStream::new(bytes);
    let mut read = 0;
    while let Ok(Some(_)) = stream.next_member() {
        let Ok(size) = std::io::copy(&mut stream.body(), &mut std::io::sink()) else { return };
        read += size;
    }
    assert!(read <= bytes.len() as u64);
}

fn packed_refs(bytes: &[u8]) {
    let table = refs::packed(bytes);
    let pairs = || table.iter().map(|(name, value)| (&name[..], &value[..]));
    assert_eq!(refs::digest(b"", pairs()), refs::digest(b"", pairs()));
    let _ = refs::holds_refs(bytes);
}

fn ref_pages(bytes: &[u8]) {
    let _ = layers::ordered(bytes.split(|b| *b == 0));
    let Some(records) = pages::read(bytes) else { return };
    let written = pages::content(records.iter().map(|(path, value)| (&path[..], &value[..])));
    assert_eq!(pages::read(&written), Some(records));
}

fn routes(bytes: &[u8]) {
    for line in bytes.split(|b| *b == b'\n') {
        let _ = spread::route_line(line);
    }
}

fn sealed(bytes: &[u8]) {
    let text = text(bytes);
    let _ = seal::read(Some(&text), "00");
    // What is in it, as if it were signed: a key that signs anything is an attacker's own.
    if let Ok(manifest) = serde_json::from_str::<seal::Manifest>(&text) {
        let key = SealKey::generate();
        let tree = manifest.tree.clone();
        let read = seal::read(key.seal(&manifest).ok().as_deref(), &tree);
        let _ = read.map(|seal| seal.link());
    }
}

fn records(bytes: &[u8]) {
    let _ = serde_json::from_slice::<SignedText>(bytes).map(|signed| signed.verified().is_ok());
    let _ = serde_json::from_slice::<Assessment>(bytes);
    let _ = serde_json::from_slice::<Quarantined>(bytes);
    let _ = serde_json::from_slice::<Hold>(bytes);
    let _ = serde_json::from_slice::<mssql::Chain>(bytes);
}

fn checkpoint(bytes: &[u8]) {
    let text = text(bytes);
    let key = SealKey::generate();
    let Ok(public) = PublicKey::parse(&key.public()) else { return };
    if let Ok(note) = Note::parse(&text) {
        assert_eq!(Note::parse(&note.text()), Ok(note.clone()));
        assert!(note.signed_by("a", &public).is_err());
        assert!(note.cosigned_by(&public).is_err());
    }
    for body in [&*text, text.split_once("\n\n").map_or("", |(body, _)| body)] {
        if let Ok(read) = Checkpoint::parse(body) {
            assert_eq!(read.body(), body);
        }
        for line in body.lines() {
            assert!(Entry::parse(line).is_none_or(|entry| entry.line() == line));
        }
    }
}

fn sheet(bytes: &[u8]) {
    let text = text(bytes);
    let key = SealKey::generate();
    let Ok(public) = PublicKey::parse(&key.public()) else { return };
    assert!(Sheet::read(&text, "a", &public).is_err());
    // As if its own origin had signed it.
    let body = text.split_once("\n\n").map_or(&*text, |(body, _)| body);
    let body = format!("{}\n", body.trim_end_matches('\n'));
    let origin = body.lines().next().unwrap_or_default().to_owned();
    let Ok(signed) = Note::sign(body.clone(), &origin, &key).map(|note| note.text()) else { return };
    if let Ok(sheet) = Sheet::read(&signed, &origin, &public) {
        assert_eq!(sheet.body(), body);
        let _ = Sheet::seal_of(&sheet.name());
    }
}

fn board_names(bytes: &[u8]) {
    for line in text(bytes).lines() {
        let _ = (FileName::parse(line), Sheet::seal_of(line), PublicKey::parse(line));
    }
}

fn git_objects(bytes: &[u8]) {
    for kind in [ObjectFile::Pack, ObjectFile::Index, ObjectFile::Loose] {
        let _ = is_sound(kind, bytes);
    }
    let _ = ObjectFile::of(bytes);
}

fn taupage(bytes: &[u8]) {
    let _ = keys::yaml::top_level_text(&text(bytes), "kms_private_ssh_key");
    let _ = keys::Ciphertext::from_base64(&text(bytes));
}

fn vault_snapshot(bytes: &[u8]) {
    let _ = seal::read(vault::fuzzing::snapshot(bytes).as_deref(), "00");
}

fn vault_tree(bytes: &[u8]) {
    for node in vault::fuzzing::tree(bytes) {
        if let Ok(entry) = restore::entry::Entry::decode(node) {
            assert!(!entry.name.contains(&b'/') && !matches!(&entry.name[..], b"" | b"." | b".."));
        }
    }
}

fn addresses(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(target) = Target::parse(&text) {
        assert_eq!(Target::parse(&target.to_string()), Ok(target));
    }
    let _ = (VaultLocation::parse(&text).is_ok(), repository::RemoteUrl::parse(&text).is_ok());
    let _ = text.parse::<SnapshotId>();
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

    use super::*;

    #[test]
    fn every_parser_has_a_corpus_and_reads_all_of_it() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        for (name, target) in TARGETS {
            let folder = corpora.join(name);
            let files: Vec<_> = fs::read_dir(&folder)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
                .collect();
            assert!(!files.is_empty(), "{name}");
            for file in files {
                target(&fs::read(file.unwrap().path()).unwrap());
            }
            target(b"");
        }
    }

    /// Changes some bytes: other values, numbers at their ends, pieces doubled, moved or cut out.
    fn mutated(bytes: &[u8], random: &mut SmallRng) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..random.random_range(1..6) {
            let (a, b) = (random.random_range(0..=bytes.len()), random.random_range(0..=bytes.len()));
            let piece = bytes[a.min(b)..a.max(b)].to_vec();
            match random.random_range(0..6) {
                0 => drop(bytes.drain(a.min(b)..a.max(b).min(a.min(b) + 16))),
                1 => drop(bytes.splice(a..a, piece.into_iter().take(64))),
                2 => bytes.truncate(a),
                3 => drop(bytes.splice(a..a, *b"99999999999999999999")),
                _ if bytes.is_empty() => bytes.push(random.random()),
                4 => {
                    let at = a.min(bytes.len() - 1);
                    bytes[at] = [0, 0xff, b'\n', b'-', 0x80, b'=', b'/', b' '][random.random_range(0..8)];
                }
                _ => {
                    let at = a.min(bytes.len() - 1);
                    bytes[at] ^= 1 << random.random_range(0..8);
                }
            }
        }
        bytes
    }

    /// What a fuzzer does for long, done for a moment: the seed is in the message.
    #[test]
    fn no_parser_stumbles_over_changes_of_its_corpus() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        let first: u64 = rand::random();
        for (name, target) in TARGETS {
            for file in fs::read_dir(corpora.join(name)).unwrap() {
                let file = file.unwrap().path();
                let bytes = fs::read(&file).unwrap();
                for seed in (0..100).map(|step| first.wrapping_add(step)) {
                    let input = mutated(&bytes, &mut SmallRng::seed_from_u64(seed));
                    let read = std::panic::catch_unwind(|| target(&input));
                    assert!(
                        read.is_ok(),
                        "{name}: {} with seed {seed}: {}",
                        file.display(),
                        hex::encode(&input)
                    );
                }
            }
        }
    }

    #[test]
    fn names_are_told_apart() {
        assert!(run("tar", b"") && !run("nothing", b""));
        assert!(TARGETS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
