//! The files of a snapshot directory's root and of `audit-log`: stored as a backup stores them, so that both share what is the same
//! (docs/design/snapshot-layout.md). The way back is `restore/export.rs`.

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    sync::{Mutex, PoisonError},
};

use super::{
    folder::{FolderError, SnapshotFolder},
    judge::owner,
    tree::{Builder, Built},
};
use crate::{
    appliance::{
        listing::{Entry, Kind},
        secret_table::DERIVED_FILE,
    },
    backup::{
        context::{Ends, Watched},
        dataset::{audit_log, mysql},
        files::{
            capture::{Content, lossy},
            entry_node::node_of,
            fetch::{Fate, Wanted},
        },
    },
    vault::{Metadata, Node, NodeType, VaultError},
};

/// The MySQL dump as backup-utils names it, whatever its kind.
pub(super) const DUMP: &str = "mysql.sql.gz";
/// Folder of the streams of an incremental chain.
pub(super) const CHAIN: &str = "mysql-chain";
const SENTINEL: &[u8] = b"mysql-binary-backup-sentinel";

/// Where a file goes, and whether it is unpacked on the way.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// It is left out; worth a warning, if there is a text.
    Out(Option<&'static str>),
    /// Under this path, as it is.
    AsIs(Vec<u8>),
    /// Under this path, without its gzip.
    Unpacked(Vec<u8>),
}

fn place(path: &[u8], size: u64, binary: bool) -> Place {
    if let Some(name) = path.strip_prefix(b"audit-log/") {
        let renamed = |stem: &[u8], end: &[u8]| [b"audit-log/", stem, end].concat();
        return if let Some(stem) = name.strip_suffix(b".gz.size") {
            Place::AsIs(renamed(stem, b".size"))
        } else if let Some(stem) = name.strip_suffix(b".gz") {
            Place::Unpacked(renamed(stem, b".json"))
        } else {
            Place::AsIs(path.to_vec())
        };
    }
    match path {
        b"incomplete" => Place::Out(None),
        name if name.ends_with(b"+") => Place::Out(Some("is left of a fetch that was cut off")),
        // backup-utils makes it even without keying material; restored, it would wipe the key (contract §2.3).
        name if name == DERIVED_FILE.as_bytes() && size <= 1 => {
            Place::Out(Some("is empty, and would wipe the key"))
        }
        name if name == DUMP.as_bytes() && !binary => Place::Unpacked(b"mysql.sql".to_vec()),
        name => Place::AsIs(name.to_vec()),
    }
}

/// One file as it was read.
struct ReadFile {
    content: Option<Content>,
    ends: Ends,
    trouble: Option<String>,
}

impl Builder<'_> {
    /// Takes the small files.
    ///
    /// # Errors
    /// The vault or the user; what single files met are problems.
    pub(super) fn take_small(&self, built: &mut Built) -> Result<(), FolderError> {
        let binary = built.root.contains(SENTINEL);
        for entry in std::mem::take(&mut built.small) {
            self.check_cancelled()?;
            if entry.kind != Kind::File {
                if entry.kind == Kind::Folder {
                    self.describe(&entry, built);
                } else {
                    built.graft.replace.insert(entry.path.clone(), node_of(&entry, self.owners));
                }
                continue;
            }
            match place(&entry.path, entry.size, binary) {
                Place::Out(None) => {}
                Place::Out(Some(why)) => {
                    built.warnings.push(format!("`{}` {why}; it was left out", lossy(&entry.path)));
                    built.root.remove(&entry.path);
                }
                Place::AsIs(path) => self.take_one(&entry, path, false, built)?,
                Place::Unpacked(path) => self.take_one(&entry, path, true, built)?,
            }
        }
        Ok(())
    }

    fn take_one(
        &self,
        entry: &Entry,
        path: Vec<u8>,
        unpack: bool,
        built: &mut Built,
    ) -> Result<(), FolderError> {
        let dataset = owner(&entry.path);
        let known = self.parent_node(&path)?.filter(|node| {
            let meta = &node.meta;
            meta.mtime == Some(entry.mtime)
                && meta.inode == entry.inode
                && (unpack || meta.size == entry.size)
        });
        let node = if let Some(known) = known {
            known
        } else {
            let read = self.read_whole(self.folder, &entry.path, entry.size, unpack)?;
            let row = built.rows.entry(dataset.into()).or_default();
            row.bytes_read += entry.size;
            row.files_changed += 1;
            match (read.content, read.trouble) {
                (Some(content), trouble) => {
                    let shown = lossy(&entry.path);
                    let wrong = trouble.or_else(|| wrong(&entry.path, unpack, &read.ends).map(str::to_owned));
                    row.problems.extend(wrong.map(|why| format!("`{shown}` {why}")));
                    if entry.path == b"redis.rdb" && ends_with_text(&read.ends) {
                        built.warnings.push(
                            "`redis.rdb` ends with a line of text, as `ghe-backup -v` of 3.11 leaves it; Redis does not read so far"
                                .into(),
                        );
                    }
                    node(&path, entry, content)
                }
                (None, trouble) => {
                    let why = trouble.unwrap_or_default();
                    row.problems.push(format!("`{}` {why}", lossy(&entry.path)));
                    if !unpack {
                        return Ok(());
                    }
                    // What cannot be unpacked is kept as it is, for whoever wants to look into it.
                    let raw = self.read_whole(self.folder, &entry.path, entry.size, false)?;
                    let Some(content) = raw.content else { return Ok(()) };
                    built.root.insert(entry.path.clone());
                    built.graft.replace.insert(entry.path.clone(), node(&entry.path, entry, content));
                    return Ok(());
                }
            }
        };
        let row = built.rows.entry(dataset.into()).or_default();
        row.items += 1;
        row.bytes += node.meta.size;
        if let Some(first) = path.split(|b| *b == b'/').next() {
            built.root.insert(first.to_vec());
        }
        built.graft.replace.insert(path, node);
        Ok(())
    }

    /// Reads one file whole, and looks at its ends.
    fn read_whole(
        &self,
        folder: &dyn SnapshotFolder,
        path: &[u8],
        size: u64,
        unpack: bool,
    ) -> Result<ReadFile, FolderError> {
        let noted = Mutex::new((Ends::default(), None::<String>));
        let note = || noted.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = [Wanted { path: path.to_vec(), size }];
        let mut fates = folder.read(&wanted, &|_, body| {
            let mut ends = Ends::default();
            let stored = if unpack {
                let plain = flate2::read::MultiGzDecoder::new(io::BufReader::new(&mut *body));
                self.writer.put_file(&mut Watched { input: plain, ends: &mut ends })
            } else {
                self.writer.put_file(&mut Watched { input: &mut *body, ends: &mut ends })
            };
            note().0 = ends;
            match stored {
                Ok(stored) => Ok(Content { ids: stored.content, size: stored.size, bytes: None }),
                Err(VaultError::Stream(why)) if unpack => {
                    // The rest is read all the same: it tells a bad disk from a bad archive.
                    io::copy(&mut body.take(u64::MAX), &mut io::sink())
                        .map_err(|error| VaultError::Stream(error.into()))?;
                    note().1 = Some(format!("is no whole gzip file: {why}"));
                    Ok(Content::default())
                }
                Err(error) => Err(error),
            }
        })?;
        let (ends, broken) = noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (content, trouble) = match fates.pop().unwrap_or(Fate::Vanished) {
            _ if broken.is_some() => (None, broken),
            Fate::Stored(content) => (Some(content), None),
            Fate::Unsteady(content) => (Some(content), Some("changed while it was read".into())),
            Fate::Vanished => (None, Some("vanished before it was read".into())),
            Fate::Failed(why) => (None, Some(format!("cannot be read: {why}"))),
        };
        Ok(ReadFile { content, ends, trouble })
    }

    /// Puts the streams of an incremental chain beside the snapshot's own; `data` is the data directory, `members` its directories,
    /// oldest first, the last one this snapshot's.
    ///
    /// # Errors
    /// The vault; a stream that cannot be read is a problem.
    pub(super) fn take_chain(
        &self,
        data: &dyn SnapshotFolder,
        members: &[(String, u64)],
        built: &mut Built,
    ) -> Result<(), FolderError> {
        let own = built.graft.replace.get(DUMP.as_bytes()).cloned();
        let mut rows = Vec::new();
        for (at, (name, size)) in members.iter().enumerate() {
            let path = format!("{CHAIN}/{name}/{DUMP}");
            let content = match &own {
                Some(own) if at + 1 == members.len() => own.content.clone(),
                _ => match self.parent_node(path.as_bytes())? {
                    Some(known) if known.meta.size == *size => known.content,
                    _ => {
                        let from = format!("{name}/{DUMP}");
                        let read = self.read_whole(data, from.as_bytes(), *size, false)?;
                        if let Some(why) = read.trouble {
                            let problem = format!("`{from}` of its chain {why}");
                            built.rows.entry("mysql".into()).or_default().problems.push(problem);
                        }
                        read.content.map(|content| content.ids)
                    }
                },
            };
            let Some(content) = content else { continue };
            let meta = self.plain_meta(*size);
            let mut node = Node::new_node(OsStr::new(DUMP), NodeType::File, meta);
            node.content = Some(content);
            built.graft.replace.insert(path.clone().into_bytes(), node);
            rows.push(serde_json::json!({ "snapshot": name, "mysql": path }));
        }
        let text = serde_json::json!({ "members": rows }).to_string();
        self.put_record("ghevault/mysql-chain.json", text.as_bytes(), built)?;
        built.root.insert(CHAIN.as_bytes().to_vec());
        Ok(())
    }

    /// Facts of a file that has none of its own.
    pub(super) fn plain_meta(&self, size: u64) -> Metadata {
        let time = Some(self.time);
        Metadata { mode: Some(0o600), mtime: time, atime: time, ctime: time, size, ..Metadata::default() }
    }

    /// Stores one of our own records; the parent's node if nothing changed.
    pub(super) fn put_record(&self, path: &str, bytes: &[u8], built: &mut Built) -> Result<(), VaultError> {
        let stored = self.writer.put_bytes(bytes.to_vec())?;
        let known =
            self.parent_node(path.as_bytes())?.filter(|node| node.content.as_ref() == Some(&stored.content));
        let node = known.unwrap_or_else(|| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let mut node = Node::new_node(OsStr::new(name), NodeType::File, self.plain_meta(stored.size));
            node.content = Some(stored.content);
            node
        });
        built.graft.replace.insert(path.into(), node);
        Ok(())
    }
}

/// A small file's node: private, without owner, with the time and inode that it is recognised by.
fn node(path: &[u8], entry: &Entry, content: Content) -> Node {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let time = Some(entry.mtime);
    let meta = Metadata {
        mode: Some(0o600),
        mtime: time,
        atime: time,
        ctime: time,
        inode: entry.inode,
        size: content.size,
        ..Metadata::default()
    };
    let mut node = Node::new_node(OsStr::from_bytes(name), NodeType::File, meta);
    node.content = Some(content.ids);
    node
}

/// Why a file cannot be the whole of what it should be, by its ends.
fn wrong(path: &[u8], unpacked: bool, ends: &Ends) -> Option<&'static str> {
    match path {
        b"mysql.sql.gz" if unpacked => {
            if ends.head.is_empty() {
                Some("is empty")
            } else {
                mysql::whole(ends).err().map(|_| "is cut off: `-- Dump completed` is missing")
            }
        }
        b"redis.rdb" => (!ends.head.starts_with(b"REDIS")).then_some("is no dump of Redis"),
        _ if unpacked && path.starts_with(b"audit-log/") => {
            audit_log::whole(ends).err().map(|_| "is cut off: its last line does not end")
        }
        _ => None,
    }
}

/// Whether a file ends with a line of printable text of some length.
fn ends_with_text(ends: &Ends) -> bool {
    let Some(body) = ends.tail.strip_suffix(b"\n") else { return false };
    let line = body.rsplit(|b| !(b.is_ascii_graphic() || *b == b' ')).next().unwrap_or_default();
    line.len() >= 12
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(head: &[u8], tail: &[u8]) -> Ends {
        Ends { head: head.into(), tail: tail.into() }
    }

    #[test]
    fn files_go_where_a_backup_puts_them() {
        assert_eq!(place(b"mysql.sql.gz", 9, false), Place::Unpacked(b"mysql.sql".to_vec()));
        assert_eq!(place(b"mysql.sql.gz", 9, true), Place::AsIs(b"mysql.sql.gz".to_vec()));
        assert_eq!(place(b"audit-log/a-1.gz", 9, false), Place::Unpacked(b"audit-log/a-1.json".to_vec()));
        assert_eq!(place(b"audit-log/a-1.gz.size", 9, false), Place::AsIs(b"audit-log/a-1.size".to_vec()));
        assert_eq!(place(b"settings.json", 9, false), Place::AsIs(b"settings.json".to_vec()));
    }

    #[test]
    fn what_would_do_harm_or_means_nothing_is_left_out() {
        assert_eq!(place(b"incomplete", 0, false), Place::Out(None));
        assert!(matches!(place(b"manage-password+", 5, false), Place::Out(Some(_))));
        assert!(matches!(place(DERIVED_FILE.as_bytes(), 1, false), Place::Out(Some(_))));
        assert!(matches!(place(DERIVED_FILE.as_bytes(), 33, false), Place::AsIs(_)));
    }

    #[test]
    fn a_line_of_text_behind_a_redis_dump_is_noticed() {
        assert!(ends_with_text(&ends(
            b"REDIS",
            b"\xff\x01\x02\x03\x04\x05\x06\x07\x08ghe-backup-redis took 3s\n"
        )));
        assert!(!ends_with_text(&ends(b"REDIS", b"\xff\x01\x02\x03\x04\x05\x06\x07\n")));
        assert_eq!(wrong(b"redis.rdb", false, &ends(b"SELECT", b"")), Some("is no dump of Redis"));
    }
}
