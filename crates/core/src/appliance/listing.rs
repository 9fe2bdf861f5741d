//! What `find` on the appliance says about files, read as a stream of records.
//!
//! One record is everything that tells whether an entry changed. Most records of an hourly run are only hashed, never
//! parsed: parsing is for entries of units that changed.

use std::io::{BufRead, Read};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The `-printf` format of one record: type, mode, owner, group, size, mtime, ctime, inode, link count, link target;
/// then the path; each part ends with NUL.
pub const FORMAT: &str = r"%y%m %U %G %s %T@ %C@ %i %n %l\0%p\0";

/// The `-printf` format that only names a folder which another listing covers.
pub const FORMAT_PLACE: &str = r"@\0%p\0";

/// What kind of file an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device or something that `find` does not know.
    Other,
}

/// One record as it travelled: the facts and the path, both without their NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Everything but the path.
    pub facts: &'a [u8],
    /// The path below `/data/user`, as bytes.
    pub path: &'a [u8],
}

impl Record<'_> {
    /// Whether the record only names a place that is listed elsewhere ([`FORMAT_PLACE`]).
    #[must_use]
    pub fn is_place(&self) -> bool {
        self.facts == b"@"
    }

    /// Whether the entry is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.facts.first() == Some(&b'd')
    }
}

/// One parsed entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path below `/data/user`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, with set-id and sticky bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last change of content or metadata.
    pub ctime: Timestamp,
    /// Inode number.
    pub inode: u64,
    /// Number of hard links.
    pub links: u64,
    /// Link target, of links only.
    pub target: Vec<u8>,
}

/// A listing that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The stream broke.
    #[error("the listing broke off")]
    Read(#[source] std::io::Error),
    /// The stream ended inside a record.
    #[error("the listing ended inside a record")]
    Truncated,
    /// A record has not the expected form.
    #[error("the listing has a record that is not understood: `{record}`")]
    Malformed {
        /// The record's facts, lossily as text.
        record: String,
    },
}

/// Calls `each` for every record of a listing.
///
/// # Errors
/// The stream breaks or ends inside a record, or `each` says so.
pub fn for_each_record<E: From<ListingError>>(
    input: impl Read,
    mut each: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let mut reader = std::io::BufReader::with_capacity(256 * 1024, input);
    let mut carry: Vec<u8> = Vec::new();
    let mut bytes = 0_u64;
    loop {
        let chunk = reader.fill_buf().map_err(|e| E::from(ListingError::Read(e)))?;
        if chunk.is_empty() {
            break;
        }
        let len = chunk.len();
        bytes += len as u64;
        let mut rest = chunk;
        if !carry.is_empty() {
            // Finish the record that began in the chunk before; it has at most two NULs.
            let missing = 2 - memchr::memchr_iter(0, &carry).count();
            match memchr::memchr_iter(0, rest).nth(missing - 1) {
                None => {
                    carry.extend_from_slice(rest);
                    reader.consume(len);
                    continue;
                }
                Some(end) => {
                    carry.extend_from_slice(&rest[..=end]);
                    rest = &rest[end + 1..];
                    each(split(&carry))?;
                    carry.clear();
                }
            }
        }
        let mut start = 0;
        let mut first = None;
        for nul in memchr::memchr_iter(0, rest) {
            match first.take() {
                None => first = Some(nul),
                Some(middle) => {
                    each(Record { facts: &rest[start..middle], path: &rest[middle + 1..nul] })?;
                    start = nul + 1;
                }
            }
        }
        carry.extend_from_slice(&rest[start..]);
        reader.consume(len);
    }
    if carry.is_empty() { Ok(bytes) } else { Err(E::from(ListingError::Truncated)) }
}

/// Splits one whole record, both NULs included.
fn split(record: &[u8]) -> Record<'_> {
    let middle = memchr::memchr(0, record).unwrap_or(record.len());
    Record { facts: &record[..middle], path: &record[(middle + 1).min(record.len())..record.len() - 1] }
}

/// Parses a record.
///
/// # Errors
/// The record has not the form of [`FORMAT`].
pub fn parse(record: Record<'_>) -> Result<Entry, ListingError> {
    parse_facts(record)
        .ok_or_else(|| ListingError::Malformed { record: String::from_utf8_lossy(record.facts).into_owned() })
}

fn parse_facts(record: Record<'_>) -> Option<Entry> {
    let mut fields = record.facts.splitn(9, |b| *b == b' ');
    let first = fields.next()?;
    let (kind, mode) = first.split_first()?;
    let kind = match kind {
        b'f' => Kind::File,
        b'd' => Kind::Folder,
        b'l' => Kind::Link,
        b'p' => Kind::Fifo,
        b's' => Kind::Socket,
        _ => Kind::Other,
    };
    let text = |field: &[u8]| std::str::from_utf8(field).ok().map(str::to_owned);
    let mode = u32::from_str_radix(&text(mode)?, 8).ok()?;
    let uid = text(fields.next()?)?.parse().ok()?;
    let gid = text(fields.next()?)?.parse().ok()?;
    let size = text(fields.next()?)?.parse().ok()?;
    let mtime = parse_time(&text(fields.next()?)?)?;
    let ctime = parse_time(&text(fields.next()?)?)?;
    let inode = text(fields.next()?)?.parse().ok()?;
    let rest = fields.next()?;
    let links = text(rest)?.parse().ok()?;
    let target = fields.next()?;
    Some(Entry {
        path: record.path.to_vec(),
        kind,
        mode,
        uid,
        gid,
        size,
        mtime,
        ctime,
        inode,
        links,
        target: target.to_vec(),
    })
}

/// `%T@`: floor seconds, a point, and the fraction, which also counts forward before 1970.
fn parse_time(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds: i64 = seconds.parse().ok()?;
    let digits: String = fraction.chars().take(9).collect();
    let nanoseconds: i64 = format!("{digits:0<9}").parse().ok()?;
    let whole = Timestamp::from_second(seconds).ok()?;
    whole.checked_add(jiff::SignedDuration::from_nanos(nanoseconds)).ok()
}

/// A digest over a set of records that does not depend on their order.
///
/// The sum (modulo 2⁶⁴ in four lanes) of the records' SHA-256 values. It detects change, not forgery: whoever can
/// forge file times on the appliance needs no collision. `--full` does not use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetDigest {
    lanes: [u64; 4],
    count: u64,
}

impl SetDigest {
    /// Adds one record.
    pub fn add(&mut self, record: Record<'_>) {
        let mut hash = Sha256::new();
        hash.update(record.facts);
        hash.update([0]);
        hash.update(record.path);
        let value = hash.finalize();
        for (lane, bytes) in self.lanes.iter_mut().zip(value.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_le_bytes(*bytes));
        }
        self.count += 1;
    }

    /// Adds all records of another set.
    pub fn absorb(&mut self, other: &Self) {
        for (lane, more) in self.lanes.iter_mut().zip(other.lanes) {
            *lane = lane.wrapping_add(more);
        }
        self.count += other.count;
    }

    /// How many records were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The digest of the set, 16 bytes.
    #[must_use]
    pub fn finish(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        for lane in self.lanes {
            hash.update(lane.to_le_bytes());
        }
        hash.update(self.count.to_le_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize()[..16]);
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all = Vec::new();
        for_each_record::<ListingError>(bytes, |r| {
            all.push((r.facts.to_vec(), r.path.to_vec()));
            Ok(())
        })
        .unwrap();
        all
    }

    /// A reader that gives one byte at a time, so that every record crosses a border.
    struct Dribble<'a>(&'a [u8]);
    impl Read for Dribble<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            buf[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn a_record_is_parsed_with_all_its_fields() {
        let line = b"f100644 500 501 12 1763800000.1234567890 1763800001.5000000000 77 2 \0a/b\nc\0";
        let line: Vec<u8> = line.iter().copied().filter(|_| true).collect();
        let text = String::from_utf8(line).unwrap().replace("f100644", "f644");
        let all = records(text.as_bytes());
        let entry = parse(Record { facts: &all[0].0, path: &all[0].1 }).unwrap();
        assert_eq!((entry.kind, entry.mode, entry.uid, entry.gid), (Kind::File, 0o644, 500, 501));
        assert_eq!((entry.size, entry.inode, entry.links), (12, 77, 2));
        assert_eq!(entry.mtime.as_nanosecond(), 1_763_800_000_123_456_789);
        assert_eq!(entry.path, b"a/b\nc");
    }

    #[test]
    fn link_targets_keep_their_spaces_and_bytes() {
        let bytes = b"l777 0 0 3 0.0 0.0 1 1 to \xff there\0x\0";
        let all = records(bytes);
        let entry = parse(Record { facts: &all[0].0, path: &all[0].1 }).unwrap();
        assert_eq!(entry.target, b"to \xff there");
    }

    #[test]
    fn times_before_1970_count_forward_from_the_floor() {
        assert_eq!(parse_time("-2.2500000000").unwrap().as_nanosecond(), -1_750_000_000);
    }

    #[test]
    fn records_survive_any_chunking() {
        let bytes = b"f644 0 0 1 0.0 0.0 1 1 \0one\0@\0two\0";
        let mut seen = Vec::new();
        for_each_record::<ListingError>(Dribble(bytes), |r| {
            seen.push((r.facts.to_vec(), r.path.to_vec()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, records(bytes));
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn a_listing_that_ends_inside_a_record_is_an_error() {
        let end = for_each_record::<ListingError>(&b"f644 0 0 1 0.0 0.0 1 1 \0on"[..], |_| Ok(()));
        assert!(matches!(end, Err(ListingError::Truncated)));
    }

    #[test]
    fn the_set_digest_does_not_depend_on_order_but_on_every_byte() {
        let (a, b) = (Record { facts: b"f1", path: b"a" }, Record { facts: b"f1", path: b"b" });
        let digest = |records: &[Record<'_>]| {
            let mut set = SetDigest::default();
            for record in records {
                set.add(*record);
            }
            set.finish()
        };
        assert_eq!(digest(&[a, b]), digest(&[b, a]));
        assert_ne!(digest(&[a, b]), digest(&[a, Record { facts: b"f2", path: b"b" }]));
        assert_ne!(digest(&[a]), digest(&[a, a]));
    }
}
