//! Reads the references of all repositories with one command: names by `find`, contents by one `tar`.
//!
//! Git writes `packed-refs` before it removes the loose files that went into it. So loose references are read first and `packed-refs`
//! last: a reference that is being packed is seen in one of them, at the least.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    time::Duration,
};

use super::PulseError;
use crate::{
    appliance::{
        channel::{Channel, RemoteCommand},
        quote::quote,
    },
    backup::{
        files::{refs, tar_stream::TarStream},
        unit::is_repository,
    },
    history::RefTable,
};

/// Longest silence.
const IDLE: Duration = Duration::from_mins(5);
/// The folder of a repository (contract §2.11): of a network, a gist, or an old layout.
const REPOSITORY: &str = "repositories/([^/]+/nw/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+|[^/]+/[^/]+/[^/]+/[^/]+/gist/[^/]+|[^_/][^/]*/[^/]+)\\.git";
/// Messages of `find` and `tar` about what changed while they looked; everything else is a failure.
const NORMAL: [&str; 6] = [
    "No such file or directory",
    "file changed as we read it",
    "File removed before we read it",
    "Exiting with failure status due to previous errors",
    "padding with zeros",
    "file is unchanged; not dumped",
];

/// References by the path of their repository in snapshots.
pub type Tips = BTreeMap<Vec<u8>, RefTable>;

/// Reads them below `data_root` of one machine, with `nice` before the commands.
///
/// # Errors
/// The connection or the commands fail; nothing that is half read is returned.
pub fn read(channel: &dyn Channel, data_root: &str, nice: &str) -> Result<Tips, PulseError> {
    let script = format!("LC_ALL=C exec {nice} bash -c {}", quote(&script(data_root)));
    let mut running = channel.start(&RemoteCommand::bulk("read references", script, IDLE))?;
    let Some(output) = running.take_stdout() else {
        return Err(PulseError::Stream { source: io::ErrorKind::NotConnected.into() });
    };
    let read = collect(output);
    let exit = running.wait()?;
    let said = String::from_utf8_lossy(&exit.stderr);
    let strange = said
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !NORMAL.iter().any(|normal| line.contains(normal)));
    if strange.is_some() || !exit.status.success() {
        return Err(PulseError::Command {
            status: exit.status.to_string(),
            said: strange.unwrap_or_default().to_owned(),
        });
    }
    read.map_err(|source| PulseError::Stream { source })
}

/// What runs on the machine. The status of the pipe is that of `gzip`; what goes wrong before it shows in messages, or in a stream
/// without its end.
fn script(data_root: &str) -> String {
    let root = quote(data_root);
    let find = |folders: &str, files: &str| {
        format!(
            "sudo find repositories -regextype posix-extended -type d -regex {} {folders} -prune -o -type f -regex {} -print0",
            quote(&format!("{REPOSITORY}/[^/]+")),
            quote(&format!("{REPOSITORY}/{files}"))
        )
    };
    let (loose, packed) = (find("! -name refs", "(HEAD|refs/.+)"), find("", "packed-refs"));
    format!(
        "cd {root} && {{ {loose}; {packed}; }} | sudo tar -C {root} --create --format=gnu --no-recursion --ignore-failed-read \
         --blocking-factor=128 --null -T - -f - | gzip -1"
    )
}

/// Sorts the files of the stream into repositories.
fn collect(output: impl Read) -> io::Result<Tips> {
    let reader = flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(128 << 10, output));
    let mut stream = TarStream::new(reader);
    let mut tips = Tips::new();
    while let Some(member) = stream.next_member()? {
        let Some((path, inner)) = parts(&member.name) else { continue };
        if member.kind != b'0' || member.size > refs::BYTES_MAX {
            continue;
        }
        let mut bytes = Vec::new();
        stream.body().read_to_end(&mut bytes)?;
        let table = tips.entry(path.to_vec()).or_default();
        match inner {
            b"HEAD" => table.head = bytes.trim_ascii().to_vec(),
            // A loose reference hides a packed one, and was read before it.
            b"packed-refs" => {
                for (name, value) in refs::packed(&bytes) {
                    table.refs.entry(name).or_insert(value);
                }
            }
            // Somebody is writing it.
            _ if inner.ends_with(b".lock") => {}
            _ => {
                table.refs.insert(inner.to_vec(), bytes.trim_ascii().to_vec());
            }
        }
    }
    // What lost its `HEAD` while it was read is being deleted.
    tips.retain(|_, table| !table.head.is_empty());
    Ok(tips)
}

/// The repository of a file, and the file's name in it.
fn parts(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let ends = memchr::memmem::find_iter(name, b".git/").map(|at| at + 4);
    let mut found = ends.filter(|end| is_repository(&name[..*end]));
    found.next().map(|end| (&name[..end], &name[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::tar::{Member, TarWriter};
    use flate2::{Compression, write::GzEncoder};

    const REPO: &str = "repositories/c/nw/c4/ca/42/1/1.git";

    fn stream(files: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = TarWriter::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, content) in files {
            let member = Member { path: path.as_bytes(), mode: 0o644, modified: None, exact_time: false };
            writer.file(&member, content.len() as u64, &mut content.as_bytes()).expect("written");
        }
        writer.finish().expect("finished").finish().expect("compressed")
    }

    #[test]
    fn loose_references_win_over_packed_ones_and_half_deleted_repositories_are_left_out() {
        let at = |file: &str| format!("{REPO}/{file}");
        let gone = "repositories/c/nw/c4/ca/42/2/2.git/refs/heads/main";
        let bytes = stream(&[
            (&at("HEAD"), "ref: refs/heads/main\n"),
            (&at("refs/heads/main"), "aa\n"),
            (&at("refs/heads/x.git/y"), "cc\n"),
            (&at("refs/heads/main.lock"), "dd\n"),
            (gone, "ee\n"),
            (&at("packed-refs"), "# pack-refs with: peeled\n99 refs/heads/main\nbb refs/tags/v1\n^ff\n"),
        ]);
        let tips = collect(&bytes[..]).expect("readable");
        assert_eq!(tips.len(), 1);
        let table = &tips[REPO.as_bytes()];
        let names: Vec<_> = table.refs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let wanted: [(&[u8], &[u8]); 3] =
            [(b"refs/heads/main", b"aa"), (b"refs/heads/x.git/y", b"cc"), (b"refs/tags/v1", b"bb")];
        assert_eq!(names, wanted);
        assert!(collect(&bytes[..bytes.len() / 2]).is_err(), "a stream that is cut off says nothing");
    }
}
