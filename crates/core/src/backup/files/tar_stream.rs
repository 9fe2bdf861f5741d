//! Reads the members of a GNU tar stream one after the other, as far as a fetch needs it.

use std::io::{self, Read};

/// A header block of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The member's name as it was requested, as bytes.
    pub name: Vec<u8>,
    /// Size of its body in bytes.
    pub size: u64,
    /// Type flag; `b'0'` is a regular file.
    pub kind: u8,
}

/// Splits a stream into members.
#[derive(Debug)]
pub struct TarStream<R> {
    input: R,
    /// Bytes of the present body, padding included, that were not read yet.
    left: u64,
    padding: u64,
    ended: bool,
}

const BLOCK: usize = 512;
/// Longest name of a member, in bytes; Linux takes 4096.
const NAME_MAX: u64 = 1 << 16;
/// Largest body, in bytes: what a file can have.
const SIZE_MAX: u64 = i64::MAX as u64 - BLOCK as u64;

impl<R: Read> TarStream<R> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0, ended: false }
    }

    /// The next member; the body of the one before is skipped. `None` after the end marker.
    ///
    /// # Errors
    /// The stream breaks, ends without its end marker, or is not tar.
    pub fn next_member(&mut self) -> io::Result<Option<Member>> {
        let mut long_name: Option<Vec<u8>> = None;
        loop {
            self.skip_body()?;
            if self.ended {
                return Ok(None);
            }
            let mut block = [0; BLOCK];
            self.input.read_exact(&mut block)?;
            if block.iter().all(|b| *b == 0) {
                // The rest is padding to the blocking factor; reading it lets the command end by itself.
                io::copy(&mut self.input, &mut io::sink())?;
                self.ended = true;
                return Ok(None);
            }
            check_sum(&block)?;
            let size = number(&block[124..136])?;
            if size > SIZE_MAX {
                return Err(bad_number());
            }
            self.left = size;
            self.padding = size.next_multiple_of(BLOCK as u64) - size;
            let kind = block[156];
            if kind == b'L' {
                if size > NAME_MAX {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a tar header has an endless name",
                    ));
                }
                let mut name = Vec::new();
                self.body().read_to_end(&mut name)?;
                while name.last() == Some(&0) {
                    name.pop();
                }
                long_name = Some(name);
                continue;
            }
            let name = long_name.take().unwrap_or_else(|| until_nul(&block[..100]).to_vec());
            return Ok(Some(Member { name, size, kind: if kind == 0 { b'0' } else { kind } }));
        }
    }

    /// The body of the present member; ends with an error if the stream ends first.
    pub fn body(&mut self) -> Body<'_, R> {
        Body { stream: self }
    }

    fn skip_body(&mut self) -> io::Result<()> {
        let skip = self.left + self.padding;
        if skip > 0 {
            let skipped = io::copy(&mut (&mut self.input).take(skip), &mut io::sink())?;
            if skipped < skip {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            (self.left, self.padding) = (0, 0);
        }
        Ok(())
    }
}

/// Reader of one member's body.
#[derive(Debug)]
pub struct Body<'a, R> {
    stream: &'a mut TarStream<R>,
}

impl<R: Read> Read for Body<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.stream.left).unwrap_or(usize::MAX).min(buf.len());
        if most == 0 {
            return Ok(0);
        }
        let got = self.stream.input.read(&mut buf[..most])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.stream.left -= got as u64;
        Ok(got)
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    &field[..memchr::memchr(0, field).unwrap_or(field.len())]
}

fn bad_number() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a tar header has a bad number")
}

/// Octal text, or base 256 when the first bit is set.
fn number(field: &[u8]) -> io::Result<u64> {
    if field[0] & 0x80 != 0 {
        return Ok(field[field.len() - 8..].iter().fold(0, |n, b| (n << 8) | u64::from(*b)));
    }
    let text = std::str::from_utf8(until_nul(field)).map_err(|_| bad_number())?.trim();
    u64::from_str_radix(text, 8).map_err(|_| bad_number())
}

fn check_sum(block: &[u8; BLOCK]) -> io::Result<()> {
    let spaces = 8 * u64::from(b' ');
    let sum: u64 =
        block.iter().enumerate().filter(|(at, _)| !(148..156).contains(at)).map(|(_, b)| u64::from(*b)).sum();
    if number(&block[148..156]).ok() == Some(sum + spaces) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "the stream is not a tar archive"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn tar_of(folder: &std::path::Path, names: &[&str]) -> Vec<u8> {
        let out = Command::new("tar")
            .args(["--create", "--format=gnu", "--no-recursion", "-f", "-", "-C"])
            .arg(folder)
            .args(names)
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert!(out.status.success());
        out.stdout
    }

    #[test]
    fn members_come_with_their_names_and_bodies() {
        let dir = tempfile::tempdir().unwrap();
        let long = "n".repeat(180);
        std::fs::write(dir.path().join("a"), b"hello").unwrap();
        std::fs::write(dir.path().join(&long), vec![7; 1000]).unwrap();
        let bytes = tar_of(dir.path(), &["a", &long]);
        let mut stream = TarStream::new(bytes.as_slice());
        let first = stream.next_member().unwrap().unwrap();
        assert_eq!((first.name.as_slice(), first.size, first.kind), (&b"a"[..], 5, b'0'));
        let second = stream.next_member().unwrap().unwrap();
        assert_eq!((second.name, second.size), (long.into_bytes(), 1000));
        let mut body = Vec::new();
        stream.body().read_to_end(&mut body).unwrap();
        assert_eq!(body, vec![7; 1000]);
        assert_eq!(stream.next_member().unwrap(), None);
    }

    /// A header of this kind that says this size, with a right checksum.
    fn header(kind: u8, size: u64) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..1].copy_from_slice(b"a");
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size.to_be_bytes());
        block[156] = kind;
        let sum: u64 = block.iter().map(|b| u64::from(*b)).sum::<u64>() + 8 * u64::from(b' ');
        block[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
        block
    }

    #[test]
    fn sizes_that_nothing_can_have_are_refused() {
        for (kind, size) in [(b'0', u64::MAX), (b'0', u64::MAX - 511), (b'L', u64::MAX), (b'L', NAME_MAX + 1)]
        {
            let error = TarStream::new(&header(kind, size)[..]).next_member().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{size}");
        }
        let member = TarStream::new(&header(b'0', 1 << 40)[..]).next_member().unwrap().unwrap();
        assert_eq!(member.size, 1 << 40);
    }

    #[test]
    fn a_stream_that_is_cut_at_any_byte_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), vec![1; 700]).unwrap();
        let bytes = tar_of(dir.path(), &["a"]);
        for cut in [0, 100, 511, 512, 600, 1100, 1535] {
            let mut stream = TarStream::new(&bytes[..cut]);
            let end = (|| -> io::Result<()> {
                while stream.next_member()?.is_some() {
                    io::copy(&mut stream.body(), &mut io::sink())?;
                }
                Ok(())
            })();
            assert!(end.is_err(), "cut at {cut} was not noticed");
        }
    }

    #[test]
    fn something_else_is_not_taken_for_tar() {
        let mut stream = TarStream::new(&[b'x'; 2048][..]);
        assert!(stream.next_member().is_err());
    }
}
