//! Whether new Git files are what their names say: the first bytes of packs, pack indexes and loose objects.

use std::{collections::HashMap, io::Read, os::unix::ffi::OsStrExt};

use flate2::read::ZlibDecoder;

use crate::{
    restore::entry::{join, show},
    vault::{Node, TreeId, VaultError, VaultReader},
};

/// Kind of a Git file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectFile {
    /// `*.pack`.
    Pack,
    /// `*.idx`.
    Index,
    /// An object of its own.
    Loose,
}

impl ObjectFile {
    /// The kind that a path speaks of; none for files that are not looked into.
    #[must_use]
    pub fn of(path: &[u8]) -> Option<Self> {
        let mut parts = path.rsplit(|b| *b == b'/');
        let (name, folder) = (parts.next()?, parts.next()?);
        let is_hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
        if folder == b"pack" {
            return match () {
                () if name.ends_with(b".pack") => Some(Self::Pack),
                () if name.ends_with(b".idx") => Some(Self::Index),
                () => None,
            };
        }
        let loose = folder.len() == 2 && is_hex(folder) && matches!(name.len(), 38 | 62) && is_hex(name);
        loose.then_some(Self::Loose)
    }
}

/// Whether the first bytes of a file are those of its kind; an empty file is none.
#[must_use]
pub fn is_sound(kind: ObjectFile, first: &[u8]) -> bool {
    match kind {
        ObjectFile::Pack => {
            first.starts_with(b"PACK\0\0\0") && first.get(7).is_some_and(|version| matches!(version, 2 | 3))
        }
        ObjectFile::Index => {
            first.starts_with(b"\xfftOc\0\0\0\x02")
                || first.starts_with(b"\xfftOc\0\0\0\x03")
                || is_old_index(first)
        }
        ObjectFile::Loose => {
            let mut head = [0; 8];
            let Ok(read) = ZlibDecoder::new(first).read(&mut head) else { return false };
            [&b"commit "[..], b"tree ", b"blob ", b"tag "].iter().any(|kind| head[..read].starts_with(kind))
        }
    }
}

/// An index of the first form begins with 256 numbers that do not fall.
fn is_old_index(first: &[u8]) -> bool {
    let Some(table) = first.get(..1024) else { return false };
    let numbers = table.chunks_exact(4).map(|n| u32::from_be_bytes([n[0], n[1], n[2], n[3]]));
    numbers.is_sorted()
}

/// New Git files below a folder, at most `most`, and those of them that are none.
///
/// # Errors
/// The vault cannot be read.
pub(super) fn look(
    reader: &VaultReader,
    path: &[u8],
    (before, after): (Option<TreeId>, TreeId),
    most: usize,
) -> Result<(u64, Vec<String>), VaultError> {
    let mut files = Vec::new();
    collect(reader, path, (before, after), most, &mut files)?;
    let mut odd = Vec::new();
    let looked = files.len() as u64;
    for (path, kind, node) in files {
        let first = match node.content.iter().flatten().next() {
            Some(id) => reader.data_blob(id)?,
            None => Vec::new(),
        };
        if !is_sound(kind, &first) {
            odd.push(show(&path));
        }
    }
    Ok((looked, odd))
}

fn collect(
    reader: &VaultReader,
    path: &[u8],
    (before, after): (Option<TreeId>, TreeId),
    most: usize,
    files: &mut Vec<(Vec<u8>, ObjectFile, Node)>,
) -> Result<(), VaultError> {
    let known: HashMap<Vec<u8>, Node> = match before {
        Some(before) if before == after => return Ok(()),
        Some(before) => {
            let nodes = reader.tree(&before)?.nodes;
            nodes.into_iter().map(|node| (node.name().as_bytes().to_vec(), node)).collect()
        }
        None => HashMap::new(),
    };
    for node in reader.tree(&after)?.nodes {
        if files.len() >= most {
            break;
        }
        let name = node.name().as_bytes().to_vec();
        let (at, old) = (join(path, &name), known.get(&name));
        if let Some(subtree) = node.subtree {
            collect(reader, &at, (old.and_then(|old| old.subtree), subtree), most, files)?;
        } else if node.is_file()
            && old.is_none_or(|old| old.content != node.content)
            && let Some(kind) = ObjectFile::of(&at)
        {
            files.push((at, kind, node));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn kinds_are_told_by_place_and_name() {
        let of = |path: &str| ObjectFile::of(path.as_bytes());
        assert_eq!(of("r/1.git/objects/pack/pack-ab.pack"), Some(ObjectFile::Pack));
        assert_eq!(of("r/1.git/objects/pack/pack-ab.idx"), Some(ObjectFile::Index));
        assert_eq!(of("r/1.git/objects/pack/pack-ab.bitmap"), None);
        assert_eq!(of(&format!("r/1.git/objects/ab/{}", "0".repeat(38))), Some(ObjectFile::Loose));
        assert_eq!(of("r/1.git/refs/heads/main"), None);
        assert_eq!(of("HEAD"), None);
    }

    #[test]
    fn git_files_are_sound_and_noise_is_not() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(b"commit 12\0tree").unwrap();
        let loose = zlib.finish().unwrap();
        let noise: Vec<u8> = (0..2048_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut old = Vec::new();
        for n in 0..256_u32 {
            old.extend((n * 3).to_be_bytes());
        }
        for (kind, good) in [
            (ObjectFile::Pack, &b"PACK\0\0\0\x02\0\0\0\x01"[..]),
            (ObjectFile::Index, b"\xfftOc\0\0\0\x02"),
            (ObjectFile::Index, &old),
            (ObjectFile::Loose, &loose),
        ] {
            assert!(is_sound(kind, good), "{kind:?}");
            assert!(!is_sound(kind, &noise), "{kind:?}");
            assert!(!is_sound(kind, b""), "{kind:?}");
        }
    }
}
