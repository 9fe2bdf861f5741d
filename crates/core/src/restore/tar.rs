//! Writing a tar stream for GNU tar on the other side: names and link targets as raw bytes of any length, exact sizes,
//! nanosecond times where they matter.
//!
//! Long names travel in GNU's `L` and `K` records, which are bytes; times with a fraction in a pax record, which is
//! ASCII. A file's size stands in its header before its content is known, so content of another length ends the stream
//! with an error instead of shifting everything behind it.

use std::io::{self, Read, Write};

use jiff::Timestamp;

const BLOCK: usize = 512;

/// Largest number that fits into eleven octal digits.
const OCTAL_MAX: u64 = 0o777_7777_7777;

/// Writes entries to a stream; without [`TarWriter::finish`] the reader sees a stream that was cut off.
pub struct TarWriter<W> {
    out: W,
}

/// What every entry has.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The path below the folder that is unpacked into.
    pub path: &'a [u8],
    /// Permission bits (`0o7777`).
    pub mode: u32,
    /// Time of last change.
    pub modified: Option<Timestamp>,
    /// Whether the fraction of the time is sent too (it costs a kilobyte).
    pub exact_time: bool,
}

impl<W: Write> TarWriter<W> {
    /// Starts a stream.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// A directory.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn directory(&mut self, member: &Member<'_>) -> io::Result<()> {
        let path = [member.path, b"/"].concat();
        self.header(&Member { path: &path, ..*member }, b'5', 0, b"")
    }

    /// A symbolic link.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn symlink(&mut self, member: &Member<'_>, target: &[u8]) -> io::Result<()> {
        self.header(member, b'2', 0, target)
    }

    /// A named pipe.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn pipe(&mut self, member: &Member<'_>) -> io::Result<()> {
        self.header(member, b'6', 0, b"")
    }

    /// A regular file of exactly `size` bytes, read from `content`.
    ///
    /// # Errors
    /// The stream cannot be written, or `content` fails or has another length; the stream is useless then.
    pub fn file(&mut self, member: &Member<'_>, size: u64, content: &mut dyn Read) -> io::Result<()> {
        self.header(member, b'0', size, b"")?;
        let copied = io::copy(
            &mut content.take(size.saturating_add(1)),
            &mut Limited { out: &mut self.out, left: size },
        )?;
        if copied != size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{copied} of {size} bytes")));
        }
        self.pad(size)
    }

    /// Starts a regular file whose content the caller writes; it must be exactly `size` bytes.
    ///
    /// # Errors
    /// The stream cannot be written, or `write` fails or writes another length; the stream is useless then.
    pub fn file_from<E: From<io::Error>>(
        &mut self,
        member: &Member<'_>,
        size: u64,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        self.header(member, b'0', size, b"")?;
        let mut limited = Limited { out: &mut self.out, left: size };
        write(&mut limited)?;
        if limited.left > 0 {
            let what = format!("{} of {size} bytes are missing", limited.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what).into());
        }
        Ok(self.pad(size)?)
    }

    /// Ends the stream and hands back what it was written to.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn header(&mut self, member: &Member<'_>, kind: u8, size: u64, link: &[u8]) -> io::Result<()> {
        let nanoseconds = member.modified.map_or(0, Timestamp::as_nanosecond);
        let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).unwrap_or(0);
        let fraction = nanoseconds.rem_euclid(1_000_000_000);
        if member.exact_time && fraction != 0 {
            self.record(b"././@PaxHeader", b'x', &pax_time(seconds, fraction))?;
        }
        if member.path.len() > 100 {
            self.record(b"././@LongLink", b'L', &[member.path, b"\0"].concat())?;
        }
        if link.len() > 100 {
            self.record(b"././@LongLink", b'K', &[link, b"\0"].concat())?;
        }
        self.block(member.path, kind, size, link, member.mode, seconds)
    }

    /// A record that describes the next entry.
    fn record(&mut self, name: &[u8], kind: u8, content: &[u8]) -> io::Result<()> {
        let size = content.len() as u64;
        self.block(name, kind, size, b"", 0o644, 0)?;
        self.out.write_all(content)?;
        self.pad(size)
    }

    fn block(
        &mut self,
        name: &[u8],
        kind: u8,
        size: u64,
        link: &[u8],
        mode: u32,
        seconds: i64,
    ) -> io::Result<()> {
        let mut block = [0_u8; BLOCK];
        put(&mut block[0..100], name);
        octal(&mut block[100..108], u64::from(mode & 0o7777));
        octal(&mut block[108..116], 0);
        octal(&mut block[116..124], 0);
        number(&mut block[124..136], i128::from(size));
        number(&mut block[136..148], i128::from(seconds));
        block[148..156].fill(b' ');
        block[156] = kind;
        put(&mut block[157..257], link);
        block[257..265].copy_from_slice(b"ustar  \0");
        let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
        octal(&mut block[148..155], sum);
        self.out.write_all(&block)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        if over == 0 { Ok(()) } else { self.out.write_all(&[0; BLOCK][over..]) }
    }
}

/// Lets exactly as many bytes through as the header promised.
struct Limited<'w, W> {
    out: &'w mut W,
    left: u64,
}

impl<W: Write> Write for Limited<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.len() as u64 > self.left {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the content is longer than its size says",
            ));
        }
        let n = self.out.write(buf)?;
        self.left -= n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn put(field: &mut [u8], text: &[u8]) {
    let n = text.len().min(field.len());
    field[..n].copy_from_slice(&text[..n]);
}

/// Zero-filled octal digits and a closing NUL.
fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    field[..digits].copy_from_slice(format!("{value:0digits$o}").as_bytes());
}

/// Octal where it fits, else GNU's base 256 (large sizes, times before 1970).
fn number(field: &mut [u8], value: i128) {
    match u64::try_from(value) {
        Ok(small) if small <= OCTAL_MAX => octal(field, small),
        _ => {
            let bytes = value.to_be_bytes();
            field.copy_from_slice(&bytes[bytes.len() - field.len()..]);
            field[0] = if value < 0 { 0xff } else { 0x80 };
        }
    }
}

/// A pax record carries its own length, digits included.
fn pax_time(seconds: i64, fraction: i128) -> Vec<u8> {
    // Before 1970 pax wants the sum of both parts as one decimal.
    let text = if seconds < 0 {
        let rest = 1_000_000_000 - fraction;
        format!("-{}.{rest:09}", (seconds + 1).unsigned_abs())
    } else {
        format!("{seconds}.{fraction:09}")
    };
    let rest = format!(" mtime={text}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        os::unix::{
            ffi::OsStrExt,
            fs::{MetadataExt, PermissionsExt},
        },
        process::{Command, Stdio},
    };

    use super::{Member, TarWriter, pax_time};

    fn unpack(stream: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let mut tar = Command::new("tar")
            .args([
                "-x",
                "-P",
                "-p",
                "--no-same-owner",
                "--delay-directory-restore",
                "--warning=no-timestamp",
                "-f",
                "-",
                "-C",
            ])
            .arg(folder.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tar is installed");
        tar.stdin.take().expect("stdin").write_all(stream).expect("tar reads");
        let output = tar.wait_with_output().expect("tar ends");
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        folder
    }

    fn member(path: &[u8]) -> Member<'_> {
        let modified = "2001-02-03T04:05:06.123456789Z".parse().ok();
        Member { path, mode: 0o644, modified, exact_time: true }
    }

    #[test]
    fn gnu_tar_reads_back_names_targets_modes_and_times() {
        let long = [b"d/".as_slice(), &[b'x'; 120], b"/", &[0xe9; 130], b"\nend"].concat();
        let target = [b"../".as_slice(), &[0xff; 150], b"\n"].concat();
        let mut tar = TarWriter::new(Vec::new());
        tar.directory(&Member { mode: 0o2750, ..member(b"d") }).expect("memory");
        tar.file(&member(&long), 3, &mut b"abc".as_slice()).expect("memory");
        tar.symlink(&member(b"d/link"), &target).expect("memory");
        tar.symlink(&member(b"d/absolute"), b"/nowhere/hooks").expect("memory");
        let old = Member { modified: "1969-12-31T23:59:58.25Z".parse().ok(), mode: 0o4711, ..member(b"old") };
        tar.file(&old, 0, &mut io::empty()).expect("memory");
        tar.file(&Member { exact_time: false, ..member(b"-rounded") }, 1, &mut b"1".as_slice())
            .expect("memory");
        let folder = unpack(&tar.finish().expect("memory"));
        let at = |path: &[u8]| folder.path().join(std::ffi::OsStr::from_bytes(path));
        assert_eq!(std::fs::read(at(&long)).expect("the file"), b"abc");
        assert_eq!(std::fs::read_link(at(b"d/link")).expect("the link").as_os_str().as_bytes(), target);
        assert_eq!(std::fs::read_link(at(b"d/absolute")).expect("the link").as_os_str(), "/nowhere/hooks");
        let directory = std::fs::metadata(at(b"d")).expect("the directory");
        assert_eq!(directory.permissions().mode() & 0o7777, 0o2750);
        assert_eq!((directory.mtime(), directory.mtime_nsec()), (981_173_106, 123_456_789));
        let old = std::fs::metadata(at(b"old")).expect("the file");
        assert_eq!((old.mtime(), old.mtime_nsec(), old.mode() & 0o7777), (-2, 250_000_000, 0o4711));
        let rounded = std::fs::metadata(at(b"-rounded")).expect("the file");
        assert_eq!((rounded.mtime(), rounded.mtime_nsec()), (981_173_106, 0));
    }

    #[test]
    fn content_of_another_length_is_an_error() {
        let mut tar = TarWriter::new(Vec::new());
        assert!(tar.file(&member(b"short"), 4, &mut b"abc".as_slice()).is_err());
        assert!(tar.file(&member(b"long"), 2, &mut b"abc".as_slice()).is_err());
        let written = tar.file_from::<io::Error>(&member(b"x"), 2, |out| out.write_all(b"abc"));
        assert!(written.is_err());
        let written = tar.file_from::<io::Error>(&member(b"x"), 4, |out| out.write_all(b"abc"));
        assert!(written.is_err());
    }

    #[test]
    fn pax_records_count_their_own_length() {
        let record = pax_time(981_173_106, 5);
        assert_eq!(record, b"29 mtime=981173106.000000005\n");
        assert_eq!(record.len(), 29);
    }
}
