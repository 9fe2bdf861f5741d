//! What every dataset of a run works with, and what it gives back.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    sync::atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;

pub use super::ground::Ground;

use super::{
    files::{entry_node::Owners, resolve::Trees, survey::Known},
    machines::Machines,
    settings::BackupSettings,
    spread::Spread,
};
use crate::{
    appliance::{
        channel::{Channel, ChannelError, Exit, RemoteCommand},
        facts::Facts,
        fleet::Nodes,
        quote::quote,
    },
    progress::{Event, Progress},
    vault::{BlobWriter, DataId, Metadata, Node, Tree, TreeId, VaultError, VaultReader},
};

/// The surroundings of a run.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The appliance: the machine that we are connected to.
    pub channel: &'a dyn Channel,
    /// The way to the other machines of its fleet.
    pub nodes: &'a dyn Nodes,
    /// Those machines, as far as this run needs them.
    pub machines: &'a Machines<'a>,
    /// Where the dataset at hand lies on the nodes of a cluster; `None` elsewhere: all on the connected machine.
    pub spread: Option<&'a Spread>,
    /// Its facts.
    pub facts: &'a Facts,
    /// What the user wants.
    pub settings: &'a BackupSettings,
    /// The snapshot that this one builds on.
    pub parent: Option<TreeId>,
    /// Unit digests of the parent.
    pub known: &'a Known,
    /// Reads the parent.
    pub reader: &'a VaultReader,
    /// Stores what is new.
    pub writer: &'a BlobWriter,
    /// Whom to tell.
    pub progress: &'a dyn Progress,
    /// Names of owners.
    pub owners: &'a Owners,
    /// Start of the run: the time stamp of everything that comes from a command.
    pub started: Timestamp,
    /// Whether the parent snapshot is of another machine of the same pair, or of the same appliance before a restore
    /// (contract §6.5): chains that belong to one server begin anew, and file facts of the parent say nothing.
    pub promoted: bool,
}

/// Why a dataset, or a part of it, could not be captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The appliance or the connection to it.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A command of the appliance failed.
    #[error("`{label}` failed with {status}: {stderr}")]
    Command {
        /// The command.
        label: String,
        /// Its status.
        status: String,
        /// The end of its messages.
        stderr: String,
    },
    /// A stream broke.
    #[error("the stream of `{label}` broke: {source}")]
    Stream {
        /// The command.
        label: String,
        /// The cause.
        source: io::Error,
    },
    /// A listing cannot be understood.
    #[error(transparent)]
    Listing(#[from] crate::appliance::listing::ListingError),
    /// Files could not be fetched.
    #[error(transparent)]
    Fetch(#[from] super::files::fetch::FetchError),
    /// The appliance answered something that makes no sense.
    #[error("{0}")]
    Unexpected(String),
    /// The run was cancelled.
    #[error("the run was cancelled")]
    Cancelled,
}

impl CaptureError {
    /// Whether the whole run must end: the vault cannot take anything, or the user wants it so.
    #[must_use]
    pub fn ends_run(&self) -> bool {
        match self {
            Self::Vault(source) => !matches!(source, VaultError::Stream(_)),
            Self::Cancelled | Self::Fetch(super::files::fetch::FetchError::Store { .. }) => true,
            _ => false,
        }
    }
}

/// What one dataset contributes to the new tree and to the report.
#[derive(Debug, Default)]
pub struct Captured {
    /// Finished nodes by path.
    pub replace: BTreeMap<Vec<u8>, Node>,
    /// Paths that are gone.
    pub remove: BTreeSet<Vec<u8>>,
    /// Folders whose own facts changed.
    pub folders: BTreeMap<Vec<u8>, Metadata>,
    /// Unit digests to remember.
    pub units: Vec<(Vec<u8>, [u8; 16])>,
    /// Ref digests of repositories that were taken.
    pub refs: Vec<(Vec<u8>, [u8; 32])>,
    /// Names of repositories that were taken.
    pub names: Vec<(Vec<u8>, String)>,
    /// Files or items in the snapshot.
    pub items: u64,
    /// Bytes in the snapshot.
    pub bytes: u64,
    /// Bytes read from the appliance.
    pub bytes_read: u64,
    /// New or different files.
    pub files_changed: u64,
    /// All routes that the appliance named, those of other shards among them.
    pub routes: BTreeSet<Vec<u8>>,
    /// What is missing or stale; makes the dataset partial.
    pub problems: Vec<String>,
    /// What is worth knowing.
    pub warnings: Vec<String>,
}

impl Trees for VaultReader {
    fn tree(&self, id: &TreeId) -> Result<Tree, VaultError> {
        Self::tree(self, id)
    }
}

impl Context<'_> {
    /// Ends the run when the user wants it.
    ///
    /// # Errors
    /// [`CaptureError::Cancelled`].
    pub fn check_cancelled(&self) -> Result<(), CaptureError> {
        if self.settings.cancel.is_cancelled() { Err(CaptureError::Cancelled) } else { Ok(()) }
    }

    /// A command line as the admin user's bash runs it: niced, and failing when any part of a pipe fails.
    #[must_use]
    pub fn bash(&self, script: &str) -> String {
        format!("LC_ALL=C exec {} bash -o pipefail -c {}", self.settings.nice, quote(script))
    }

    /// A command that streams.
    #[must_use]
    pub fn stream(&self, label: &str, script: &str) -> RemoteCommand {
        RemoteCommand::bulk(label, self.bash(script), self.settings.idle)
    }

    /// Runs a command that must succeed, and returns what it printed.
    ///
    /// # Errors
    /// The channel fails, or the command's status is not 0.
    pub fn output(&self, label: &str, script: &str, stdin: &[u8]) -> Result<Vec<u8>, CaptureError> {
        let mut command = RemoteCommand::new(label, self.bash(script));
        command.deadline = Some(self.settings.idle);
        let out = self.channel.run(&command, stdin)?;
        check(label, &out.exit)?;
        Ok(out.stdout)
    }

    /// The part of it that knows the vault alone.
    #[must_use]
    pub fn ground(&self) -> Ground<'_> {
        Ground { parent: self.parent, reader: self.reader, writer: self.writer, started: self.started }
    }

    /// See [`Ground::parent_node`].
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn parent_node(&self, path: &[u8]) -> Result<Option<Node>, VaultError> {
        self.ground().parent_node(path)
    }

    /// See [`Ground::gone_from`].
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn gone_from(&self, folder: &[u8], names: &BTreeSet<Vec<u8>>) -> Result<Vec<Vec<u8>>, VaultError> {
        self.ground().gone_from(folder, names)
    }

    /// See [`Ground::synthetic`].
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn synthetic(&self, path: &[u8], content: Vec<DataId>, size: u64) -> Result<Node, VaultError> {
        self.ground().synthetic(path, content, size)
    }

    /// See [`Ground::synthetic_meta`].
    #[must_use]
    pub fn synthetic_meta(&self, mode: u32, size: u64) -> Metadata {
        self.ground().synthetic_meta(mode, size)
    }

    /// See [`Ground::store_bytes`].
    ///
    /// # Errors
    /// The vault fails.
    pub fn store_bytes(&self, path: &[u8], bytes: &[u8]) -> Result<Node, VaultError> {
        self.ground().store_bytes(path, bytes)
    }

    /// Streams a command's output into the file `path`; `gunzip` undoes compression on the way. `whole` looks at the first and last
    /// bytes of the content and says why it cannot be the whole of it.
    ///
    /// # Errors
    /// The command fails, its stream breaks, or the vault fails: then there is no node.
    pub fn store_output(
        &self,
        part: &str,
        path: &[u8],
        command: &RemoteCommand,
        gunzip: bool,
        whole: fn(&Ends) -> Result<(), &'static str>,
    ) -> Result<(Node, u64), CaptureError> {
        let mut running = self.channel.start(command)?;
        drop(running.take_stdin());
        let label = &command.label;
        let Some(output) = running.take_stdout() else {
            return Err(CaptureError::Unexpected(format!("`{label}` has no output stream")));
        };
        let total = AtomicU64::new(0);
        let counted = Counted { input: output, part, progress: self.progress, total: &total };
        let mut ends = Ends::default();
        let stored = if gunzip {
            let plain = flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(128 * 1024, counted));
            self.writer.put_file(&mut Watched { input: plain, ends: &mut ends })
        } else {
            self.writer.put_file(&mut Watched { input: counted, ends: &mut ends })
        };
        let stored = match stored {
            Ok(stored) => stored,
            Err(VaultError::Stream(source)) => {
                // How the command ended tells more than that its stream did.
                check(label, &running.wait()?)?;
                let source = io::Error::new(source.kind(), source.to_string());
                return Err(CaptureError::Stream { label: label.clone(), source });
            }
            Err(other) => return Err(other.into()),
        };
        check(label, &running.wait()?)?;
        whole(&ends).map_err(|why| {
            CaptureError::Unexpected(format!("what `{label}` delivered is not whole: {why}"))
        })?;
        Ok((self.synthetic(path, stored.content, stored.size)?, total.into_inner()))
    }
}

/// Turns a status other than 0 into an error with the end of the messages.
///
/// # Errors
/// The status is not 0.
pub fn check(label: &str, exit: &Exit) -> Result<(), CaptureError> {
    if exit.status.success() {
        return Ok(());
    }
    Err(CaptureError::Command {
        label: label.into(),
        status: exit.status.to_string(),
        stderr: last_lines(&exit.stderr),
    })
}

/// The last lines of a command's messages, on one line.
#[must_use]
pub fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).rev().take(3).collect();
    lines.reverse();
    if lines.is_empty() { "it said nothing".into() } else { lines.join(" / ") }
}

/// The first and the last bytes of a stream: an export that was cut off on the appliance ends there with exit code 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// At most the first [`Ends::BYTES_MAX`] bytes.
    pub head: Vec<u8>,
    /// At most the last [`Ends::BYTES_MAX`] bytes.
    pub tail: Vec<u8>,
}

impl Ends {
    /// How many bytes of either end are kept.
    pub const BYTES_MAX: usize = 128;

    fn note(&mut self, bytes: &[u8]) {
        let room = Self::BYTES_MAX - self.head.len();
        self.head.extend_from_slice(&bytes[..room.min(bytes.len())]);
        if bytes.len() >= Self::BYTES_MAX {
            self.tail.clear();
        }
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(Self::BYTES_MAX)..]);
        let over = self.tail.len().saturating_sub(Self::BYTES_MAX);
        self.tail.drain(..over);
    }
}

/// Keeps the ends of what passes.
pub(crate) struct Watched<'a, R> {
    pub(crate) input: R,
    pub(crate) ends: &'a mut Ends,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buf)?;
        self.ends.note(&buf[..got]);
        Ok(got)
    }
}

/// Counts what passes, and tells the progress.
pub struct Counted<'a, R> {
    /// The source.
    pub input: R,
    /// The part that is told.
    pub part: &'a str,
    /// Whom to tell.
    pub progress: &'a dyn Progress,
    /// Sum so far.
    pub total: &'a AtomicU64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buf)?;
        self.total.fetch_add(got as u64, Ordering::Relaxed);
        self.progress.event(Event::Advanced { part: self.part, bytes: got as u64, items: 0 });
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_stream_are_kept_whatever_its_pieces() {
        let bytes: Vec<u8> = (0..1000_u32).map(|n| (n % 251) as u8).collect();
        for piece in [1, 7, 100, 128, 129, 1000] {
            let mut ends = Ends::default();
            bytes.chunks(piece).for_each(|chunk| ends.note(chunk));
            assert_eq!(ends.head, bytes[..128], "pieces of {piece}");
            assert_eq!(ends.tail, bytes[872..], "pieces of {piece}");
        }
    }
}
