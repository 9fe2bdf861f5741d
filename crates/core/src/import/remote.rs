//! A snapshot directory on the appliance: the same listing and the same tar stream that other files travel by.

use std::{
    io::{self, Read},
    time::Duration,
};

use super::folder::{FolderError, SnapshotFolder, Standing, Store};
use crate::{
    appliance::{
        channel::{Channel, RemoteCommand},
        listing::{ListingError, Record, for_each_record},
        quote::quote,
    },
    backup::{
        context::{CaptureError, check, last_lines},
        files::{
            capture::Content,
            fetch::{Fate, FetchError, Wanted, fetch},
        },
    },
    vault::VaultError,
};

/// Two `-printf` formats, of folders and of everything else: facts that hold whatever other snapshots come and go.
pub(super) const FORMAT_SNAPSHOT: [&str; 2] =
    [r"%y%m %U %G 0 %T@ %T@ 0 1 \0%P\0", r"%y%m %U %G %s %T@ %T@ %i 1 %l\0%P\0"];

/// A snapshot directory on an appliance.
pub struct RemoteFolder<'a> {
    /// The way there.
    pub channel: &'a dyn Channel,
    /// The directory.
    pub path: String,
    /// Words in front of commands.
    pub nice: String,
    /// Longest silence while it lists.
    pub idle: Duration,
}

impl SnapshotFolder for RemoteFolder<'_> {
    fn list(
        &self,
        each: &mut dyn FnMut(Record<'_>) -> Result<(), ListingError>,
    ) -> Result<Vec<(Vec<u8>, String)>, FolderError> {
        let label = "list the Backup Service's snapshot";
        let [folders, others] = FORMAT_SNAPSHOT;
        let script = format!(
            "LC_ALL=C exec {} bash -o pipefail -c {}",
            self.nice,
            quote(&format!(
                r"sudo find {} -mindepth 1 \( -type d -printf '{folders}' -o -printf '{others}' \) | gzip -1",
                quote(&self.path)
            ))
        );
        let mut running = self.channel.start(&RemoteCommand::bulk(label, script, self.idle))?;
        drop(running.take_stdin());
        let Some(output) = running.take_stdout() else {
            return Err(CaptureError::Unexpected(format!("`{label}` has no output stream")).into());
        };
        let reader = flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(128 * 1024, output));
        let listed = for_each_record::<ListingError>(reader, each);
        let exit = running.wait()?;
        if exit.status.code() == Some(1) {
            // find names what it could not list and goes on; whether the directory is gone is asked at the end.
            let text = last_lines(&exit.stderr);
            listed?;
            return Ok(vec![(Vec::new(), text)]);
        }
        check(label, &exit)?;
        listed?;
        Ok(Vec::new())
    }

    fn read(&self, wanted: &[Wanted], store: &Store<'_>) -> Result<Vec<Fate<Content>>, FolderError> {
        fetch(self.channel, &self.path, &self.nice, wanted, |at, body| {
            store(at, body as &mut dyn Read).map_err(|source| match source {
                VaultError::Stream(inner) => io::Error::new(io::ErrorKind::UnexpectedEof, inner.to_string()),
                other => io::Error::other(other),
            })
        })
        .map_err(|source: FetchError| CaptureError::from(source).into())
    }

    fn standing(&self) -> Result<Standing, FolderError> {
        let path = quote(&self.path);
        let script = format!(
            "if sudo test -e {path}/incomplete; then echo incomplete; elif sudo test -d {path}; then echo whole; else echo gone; fi"
        );
        let label = "look at the Backup Service's snapshot";
        let out = self.channel.run(&RemoteCommand::new(label, script), &[])?;
        check(label, &out.exit)?;
        match out.stdout.trim_ascii() {
            b"whole" => Ok(Standing::Whole),
            b"incomplete" => Ok(Standing::Incomplete),
            b"gone" => Ok(Standing::Gone),
            other => Err(CaptureError::Unexpected(format!(
                "`{label}` answered `{}`",
                String::from_utf8_lossy(other)
            ))
            .into()),
        }
    }
}
