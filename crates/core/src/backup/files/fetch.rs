//! Fetches the contents of files through one tar stream, and accounts for every single one that was asked for.
//!
//! Nothing here trusts a status alone: a file that tar left out, padded, cut or replaced is named in the `Fetched` report, and
//! whoever asked decides what that means for its unit.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    time::Duration,
};

use super::tar_stream::TarStream;
use crate::appliance::{
    channel::{Channel, ChannelError, RemoteCommand},
    quote::quote,
};

/// Longest time without a byte from the appliance while it reads files, in seconds: disks under load stall.
const IDLE: Duration = Duration::from_mins(5);

/// A file whose content is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Path below the data folder.
    pub path: Vec<u8>,
    /// Size that the listing told, in bytes.
    pub size: u64,
}

/// What became of one wanted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate<T> {
    /// It arrived whole.
    Stored(T),
    /// It arrived, but changed while tar read it, or has another size than the listing said.
    Unsteady(T),
    /// It was gone when tar wanted to read it.
    Vanished,
    /// tar could not read it, for this reason.
    Failed(String),
}

/// Why a fetch ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The command could not be run or followed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The stream broke or is not tar.
    #[error("the file stream broke: {0}")]
    Stream(#[source] io::Error),
    /// The receiving side failed.
    #[error("cannot store `{path}`")]
    Store {
        /// The file, lossily as text.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// tar ended with a failure that its messages do not explain.
    #[error("tar ended with {status}: {stderr}")]
    Tar {
        /// Its status.
        status: String,
        /// The end of its messages.
        stderr: String,
    },
}

/// Fetches `wanted` in this order from below `data_root`; `store` takes each body and must read it to its end.
///
/// # Errors
/// The stream as a whole failed; what single files met is in the result.
pub fn fetch<T>(
    channel: &dyn Channel,
    data_root: &str,
    nice: &str,
    wanted: &[Wanted],
    mut store: impl FnMut(usize, &mut dyn Read) -> io::Result<T>,
) -> Result<Vec<Fate<T>>, FetchError> {
    let mut fates: Vec<Option<Fate<T>>> = Vec::with_capacity(wanted.len());
    fates.resize_with(wanted.len(), || None);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let script = format!(
        "LC_ALL=C exec {nice} sudo tar -C {} --create --format=gnu --no-recursion --hard-dereference \
         --ignore-failed-read --quoting-style=escape --blocking-factor=128 --null -T - -f -",
        quote(data_root)
    );
    let mut running = channel.start(&RemoteCommand::bulk("read files", script, IDLE))?;
    let input = running.take_stdin();
    let Some(output) = running.take_stdout() else {
        return Err(FetchError::Stream(io::ErrorKind::NotConnected.into()));
    };
    let streamed = std::thread::scope(|scope| {
        let names = scope.spawn(move || send_names(input, wanted));
        let result = receive(output, wanted, &mut fates, &mut store);
        // A broken pipe here shows up as a broken stream or a status there.
        let _ = names.join();
        result
    });
    streamed?;
    let exit = running.wait()?;
    judge(&exit.stderr, &exit.status, wanted, fates)
}

fn send_names(input: Option<Box<dyn Write + Send>>, wanted: &[Wanted]) -> io::Result<()> {
    let Some(input) = input else { return Ok(()) };
    let mut input = io::BufWriter::with_capacity(64 * 1024, input);
    for file in wanted {
        input.write_all(&file.path)?;
        input.write_all(&[0])?;
    }
    input.flush()
}

fn receive<T>(
    output: impl Read,
    wanted: &[Wanted],
    fates: &mut [Option<Fate<T>>],
    store: &mut impl FnMut(usize, &mut dyn Read) -> io::Result<T>,
) -> Result<(), FetchError> {
    let mut stream = TarStream::new(io::BufReader::with_capacity(256 * 1024, output));
    let mut next = 0;
    while let Some(member) = stream.next_member().map_err(FetchError::Stream)? {
        // Members come in the order of the request; those skipped over were not delivered.
        let Some(at) = (next..wanted.len()).find(|at| wanted[*at].path == member.name) else {
            return Err(FetchError::Stream(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("tar delivered `{}`, which was not asked for", String::from_utf8_lossy(&member.name)),
            )));
        };
        next = at + 1;
        if member.kind != b'0' {
            fates[at] = Some(Fate::Vanished);
            continue;
        }
        let mut body = stream.body();
        let value = store(at, &mut body).map_err(|source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                return FetchError::Stream(source);
            }
            FetchError::Store { path: String::from_utf8_lossy(&wanted[at].path).into_owned(), source }
        })?;
        let steady = member.size == wanted[at].size;
        fates[at] = Some(if steady { Fate::Stored(value) } else { Fate::Unsteady(value) });
    }
    Ok(())
}

/// Reads tar's messages, and gives every wanted file its fate.
fn judge<T>(
    stderr: &[u8],
    status: &crate::appliance::channel::ExitStatus,
    wanted: &[Wanted],
    mut fates: Vec<Option<Fate<T>>>,
) -> Result<Vec<Fate<T>>, FetchError> {
    let index: HashMap<Vec<u8>, usize> =
        wanted.iter().enumerate().map(|(at, file)| (escape(&file.path), at)).collect();
    let mut explained = false;
    for line in stderr.split(|b| *b == b'\n') {
        let Some(message) = line.strip_prefix(b"tar: ").or_else(|| {
            // Some builds put their path in front: `/bin/tar: …`.
            line.windows(5).position(|w| w == b"tar: ").map(|at| &line[at + 5..])
        }) else {
            continue;
        };
        // The file's name is the longest prefix before `: ` that was asked for.
        let found = message
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| *pair == b": ")
            .filter_map(|(at, _)| Some((*index.get(&message[..at])?, &message[at + 2..])))
            .next_back();
        let Some((at, what)) = found else { continue };
        explained = true;
        let what = String::from_utf8_lossy(what).into_owned();
        let gone = what.contains("No such file") || what.contains("removed before we read");
        let unsteady = what.contains("changed as we read") || what.contains("padding with zeros");
        fates[at] = Some(match fates[at].take() {
            _ if gone => Fate::Vanished,
            Some(Fate::Stored(value) | Fate::Unsteady(value)) if unsteady => Fate::Unsteady(value),
            _ => Fate::Failed(what),
        });
    }
    let silent = fates.iter().any(Option::is_none);
    // 0: fine; 1: files changed; 2 with messages about files: those files. Anything else is a failure of the whole.
    let fine = match status.code() {
        Some(0 | 1) => true,
        Some(2) => explained,
        _ => false,
    };
    if !fine || (silent && !explained && status.code() != Some(0)) {
        let text = String::from_utf8_lossy(stderr);
        let tail: Vec<&str> = text.lines().rev().take(3).collect();
        return Err(FetchError::Tar { status: status.to_string(), stderr: tail.join(" / ") });
    }
    Ok(fates
        .into_iter()
        .map(|fate| fate.unwrap_or_else(|| Fate::Failed("tar did not deliver it and did not say why".into())))
        .collect())
}

/// GNU tar's `escape` quoting of names in its messages.
fn escape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for byte in path {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\x07' => out.extend_from_slice(b"\\a"),
            b'\x08' => out.extend_from_slice(b"\\b"),
            b'\x0b' => out.extend_from_slice(b"\\v"),
            b'\x0c' => out.extend_from_slice(b"\\f"),
            b' '..=b'~' => out.push(*byte),
            other => out.extend_from_slice(format!("\\{other:03o}").as_bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::channel::ExitStatus;

    fn wanted(names: &[&str]) -> Vec<Wanted> {
        names.iter().map(|n| Wanted { path: n.as_bytes().to_vec(), size: 1 }).collect()
    }

    fn verdict(stderr: &str, code: u32, fates: Vec<Option<Fate<()>>>) -> Result<Vec<Fate<()>>, FetchError> {
        judge(stderr.as_bytes(), &ExitStatus::Code(code), &wanted(&["a", "b: c"]), fates)
    }

    #[test]
    fn a_vanished_file_is_told_from_one_that_cannot_be_read() {
        let fates = verdict(
            "tar: a: Warning: Cannot stat: No such file or directory\ntar: b: c: Cannot open: Input/output error\n",
            2,
            vec![None, None],
        )
        .unwrap();
        assert_eq!(fates[0], Fate::Vanished);
        assert_eq!(fates[1], Fate::Failed("Cannot open: Input/output error".into()));
    }

    #[test]
    fn padding_makes_a_file_unsteady_though_it_arrived() {
        let fates = verdict(
            "tar: a: File shrank by 3 bytes; padding with zeros\n",
            1,
            vec![Some(Fate::Stored(())), Some(Fate::Stored(()))],
        )
        .unwrap();
        assert_eq!(fates, [Fate::Unsteady(()), Fate::Stored(())]);
    }

    #[test]
    fn a_file_that_did_not_come_is_never_passed_over() {
        let fates = verdict("", 0, vec![Some(Fate::Stored(())), None]).unwrap();
        assert!(matches!(&fates[1], Fate::Failed(_)));
    }

    #[test]
    fn a_failure_without_explanation_fails_the_fetch() {
        assert!(verdict("tar: Error is not recoverable: exiting now\n", 2, vec![None, None]).is_err());
        assert!(verdict("", 137, vec![Some(Fate::Stored(())), Some(Fate::Stored(()))]).is_err());
    }

    #[test]
    fn a_body_that_was_not_asked_for_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x"), b"1").unwrap();
        let out = std::process::Command::new("tar")
            .args(["-c", "-f", "-", "-C"])
            .arg(dir.path())
            .arg("x")
            .output()
            .unwrap();
        let mut fates = vec![None];
        let end = receive(out.stdout.as_slice(), &wanted(&["y"]), &mut fates, &mut |_, _| Ok(()));
        assert!(matches!(end, Err(FetchError::Stream(_))));
    }
}
