//! Packs: there, of the right size, and (depth content) every byte as it was written.

use super::{
    super::{
        error::VaultResult,
        format::{PackedBlob, decode_header, hash},
        reader::{VaultReader, open_in_pack},
        store::file_name,
    },
    CheckDepth, CheckProgress, CheckReport, DamageKind, Findings, OTHER_HASH,
};
use rustic_core::{Id, repofile::FileType};
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// Threads at most: each holds one whole pack.
const THREADS_MAX: usize = 4;

/// A pack of the index with the blobs that are read from it.
struct Pack {
    id: Id,
    /// Bytes that the index makes it.
    size: u64,
    blobs: Vec<PackedBlob>,
}

pub(super) fn check(
    reader: &VaultReader,
    depth: CheckDepth,
    progress: CheckProgress<'_>,
    findings: &mut Findings,
) -> VaultResult<CheckReport> {
    let mut there: HashMap<Id, u64> = reader.store.list(FileType::Pack)?.into_iter().collect();
    let mut packs: Vec<_> = reader
        .index
        .packs()
        .iter()
        .map(|(id, size)| Pack { id: *id, size: *size, blobs: Vec::new() })
        .collect();
    let mut report = CheckReport { packs: packs.len() as u64, ..CheckReport::default() };
    if depth != CheckDepth::Presence {
        for (number, blob) in reader.index.blobs() {
            if let Some(pack) = packs.get_mut(number) {
                pack.blobs.push(blob);
            }
        }
    }
    packs.retain(|pack| match there.remove(&pack.id) {
        None => {
            let at =
                findings.add(DamageKind::PackMissing, file_name(FileType::Pack, &pack.id), &"it is missing");
            findings.lost_pack(pack.id, at);
            false
        }
        Some(size) if size != pack.size => {
            let why = format!("it has {size} bytes instead of {}", pack.size);
            let at = findings.add(DamageKind::PackSize, file_name(FileType::Pack, &pack.id), &why);
            if depth == CheckDepth::Presence {
                findings.lost_pack(pack.id, at);
            } else {
                // its blobs are tried one by one
                lose_unreadable(reader, pack, findings, at);
            }
            false
        }
        Some(size) => {
            report.bytes += size;
            true
        }
    });
    (report.orphan_packs, report.orphan_bytes) = (there.len() as u64, there.values().sum());
    if depth != CheckDepth::Presence {
        packs.retain(|pack| depth.reads(&pack.id));
        report.bytes = packs.iter().map(|pack| pack.size).sum();
        read_all(reader, &packs, progress, findings, &mut report);
    }
    Ok(report)
}

/// What is wrong with one pack.
struct PackDamage {
    pack: Id,
    whys: Vec<String>,
    lost: Vec<PackedBlob>,
    wholly: bool,
}

fn read_all(
    reader: &VaultReader,
    packs: &[Pack],
    progress: CheckProgress<'_>,
    findings: &mut Findings,
    report: &mut CheckReport,
) {
    let total = report.bytes;
    let (next, bytes, blobs) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let found = Mutex::new(Vec::new());
    let work = || {
        while let Some(pack) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(damage) = read_pack(reader, pack) {
                found.lock().unwrap_or_else(PoisonError::into_inner).push(damage);
            }
            blobs.fetch_add(pack.blobs.len() as u64, Ordering::Relaxed);
            progress(bytes.fetch_add(pack.size, Ordering::Relaxed) + pack.size, total);
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(THREADS_MAX);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|damage: &PackDamage| damage.pack);
    for damage in found {
        let file = file_name(FileType::Pack, &damage.pack);
        let at = findings.add(DamageKind::PackContent, file, &damage.whys.join("; "));
        if damage.wholly {
            findings.lost_pack(damage.pack, at);
        }
        for blob in damage.lost {
            findings.lost_blob(blob.kind, blob.id, at);
        }
    }
    report.blobs_read = blobs.into_inner();
}

fn read_pack(reader: &VaultReader, pack: &Pack) -> Option<PackDamage> {
    let mut damage = PackDamage { pack: pack.id, whys: Vec::new(), lost: Vec::new(), wholly: false };
    match reader.store.read(FileType::Pack, &pack.id) {
        Err(error) => {
            damage.whys.push(error.to_string());
            damage.wholly = true;
        }
        Ok(bytes) => {
            if hash(&bytes) != pack.id {
                damage.whys.push(OTHER_HASH.into());
            }
            if let Err(why) = check_header(reader, &bytes, pack) {
                damage.whys.push(why.into());
            }
            for blob in &pack.blobs {
                if let Err(error) = open_in_pack(&reader.cipher, &pack.id, &bytes, blob) {
                    damage.whys.push(error.to_string());
                    damage.lost.push(*blob);
                }
            }
            // one reason more would say nothing new
            damage.whys.truncate(10);
        }
    }
    (!damage.whys.is_empty()).then_some(damage)
}

/// The header at the end of a pack must be authentic and agree with the index.
fn check_header(reader: &VaultReader, bytes: &[u8], pack: &Pack) -> Result<(), &'static str> {
    let (rest, length) = bytes.split_last_chunk::<4>().ok_or("it is too short for a header")?;
    let length = u32::from_le_bytes(*length) as usize;
    let start = rest.len().checked_sub(length).ok_or("its header is longer than it")?;
    let header = reader.cipher.open(&rest[start..]).ok_or("its header fails authentication")?;
    let listed = decode_header(&header).ok_or("its header is malformed")?;
    let listed: HashMap<u32, PackedBlob> = listed.into_iter().map(|b| (b.offset, b)).collect();
    let agrees = pack.blobs.iter().all(|b| listed.get(&b.offset) == Some(b));
    if agrees { Ok(()) } else { Err("its header and the index disagree") }
}

/// Of a pack with a wrong size: finds out which blobs can still be read.
fn lose_unreadable(reader: &VaultReader, pack: &Pack, findings: &mut Findings, at: usize) {
    let bytes = reader.store.read(FileType::Pack, &pack.id).unwrap_or_default();
    for blob in &pack.blobs {
        if open_in_pack(&reader.cipher, &pack.id, &bytes, blob).is_err() {
            findings.lost_blob(blob.kind, blob.id, at);
        }
    }
}
