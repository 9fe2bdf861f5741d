//! Running commands of a restore on the appliance: every exit status is checked, every stream is counted, and a stream
//! that could not be completed from our side never looks complete to the other.

use std::{
    io::{self, BufWriter, Write},
    time::Duration,
};

use super::error::StepError;
use crate::{
    appliance::{
        channel::{Channel, Exit, RemoteCommand},
        quote::quote,
    },
    restore::{entry::show, view::SnapshotView},
};

/// Bytes gathered before they go to the connection.
const BUFFER: usize = 256 << 10;

/// Characters of a command's stderr in an error.
const SAID_MAX: usize = 600;

/// The appliance, as steps use it.
pub struct Remote<'a> {
    /// The way to it.
    pub channel: &'a dyn Channel,
    /// Longest silence while data moves.
    pub idle: Duration,
}

/// How feeding a command failed.
pub enum FeedError<E> {
    /// Our side could not go on; the command was cut off.
    Ours(E),
    /// The command or the connection failed.
    Theirs(StepError),
}

/// A command's stdin that remembers whether it was the one that failed.
pub struct Feed<'w> {
    out: &'w mut dyn Write,
    /// Bytes written.
    pub bytes: u64,
    broken: Option<io::Error>,
}

impl Write for Feed<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buf);
        let n = self.kept(written)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.kept(flushed)
    }
}

impl Feed<'_> {
    /// Remembers a failure of the other side and hands on an error of the same kind.
    fn kept<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            self.broken = Some(error);
            kind.into()
        })
    }
}

impl Remote<'_> {
    /// Runs a short command that must succeed, and returns its output.
    pub fn ask(&self, label: &str, script: &str) -> Result<Vec<u8>, StepError> {
        self.told(label, script, &[])
    }

    /// Runs a short command with input; it must succeed.
    pub fn told(&self, label: &str, script: &str, stdin: &[u8]) -> Result<Vec<u8>, StepError> {
        let output = self.channel.run(&RemoteCommand::new(label, script), stdin)?;
        check(label, &output.exit)?;
        Ok(output.stdout)
    }

    /// Whether a short command succeeds.
    pub fn test(&self, label: &str, script: &str) -> Result<bool, StepError> {
        Ok(self.channel.run(&RemoteCommand::new(label, script), &[])?.exit.status.success())
    }

    /// As [`Remote::work`], and returns what the command complained of although it succeeded.
    pub fn heard(&self, label: &str, script: &str, stdin: &[u8]) -> Result<String, StepError> {
        let mut command = RemoteCommand::bulk(label, format!("bash -c {}", quote(script)), self.idle);
        command.idle = None;
        let output = self.channel.run(&command, stdin)?;
        check(label, &output.exit)?;
        Ok(String::from_utf8_lossy(&output.exit.stderr).into_owned())
    }

    /// Runs a bash script that may take hours in silence; it must succeed.
    pub fn work(&self, label: &str, script: &str, stdin: &[u8]) -> Result<Vec<u8>, StepError> {
        let mut command = RemoteCommand::bulk(label, format!("bash -c {}", quote(script)), self.idle);
        command.idle = None;
        let output = self.channel.run(&command, stdin)?;
        check(label, &output.exit)?;
        Ok(output.stdout)
    }

    /// Streams what `write` writes into a command, which must succeed; returns the bytes that went out.
    ///
    /// If `write` fails for a reason of its own the command is cut off. It then sees an early end of input, so it must
    /// be one that does not take this for success (tar), or only keep the bytes (an upload whose size is checked).
    pub fn feed<E>(
        &self,
        label: &str,
        script: &str,
        write: impl FnOnce(&mut Feed<'_>) -> Result<(), E>,
    ) -> Result<u64, FeedError<E>> {
        let command = RemoteCommand::bulk(label, script, self.idle);
        let mut running = self.channel.start(&command).map_err(|e| FeedError::Theirs(e.into()))?;
        let (Some(stdin), stdout) = (running.take_stdin(), running.take_stdout()) else {
            let what = "without taking input".to_owned();
            return Err(FeedError::Theirs(StepError::Answer { label: label.into(), what }));
        };
        std::thread::scope(|scope| {
            scope.spawn(move || stdout.map(|mut out| io::copy(&mut out, &mut io::sink())));
            let mut out = BufWriter::with_capacity(BUFFER, stdin);
            let mut feed = Feed { out: &mut out, bytes: 0, broken: None };
            let written = write(&mut feed);
            if let (Err(ours), None) = (written, &feed.broken) {
                drop(running);
                return Err(FeedError::Ours(ours));
            }
            let _ = feed.flush();
            let (bytes, broken) = (feed.bytes, feed.broken.take());
            drop(out);
            let exit = running.wait().map_err(|e| FeedError::Theirs(e.into()))?;
            check(label, &exit).map_err(FeedError::Theirs)?;
            match broken {
                Some(source) => Err(FeedError::Theirs(StepError::Stream { label: label.into(), source })),
                None => Ok(bytes),
            }
        })
    }

    /// Puts a file of the snapshot into a new file on the appliance, made and owned by root, and checks its size.
    /// `change` may transform the content on its way. Returns the bytes that stand on the appliance.
    pub fn upload(
        &self,
        view: SnapshotView<'_>,
        path: &str,
        to: &str,
        pour: impl FnOnce(
            &mut dyn FnMut(&mut dyn Write) -> Result<(), StepError>,
            &mut Feed<'_>,
        ) -> Result<(), StepError>,
    ) -> Result<u64, StepError> {
        let entry = view.find(path.as_bytes())?.ok_or_else(|| StepError::Missing(path.into()))?;
        let mut dump = |out: &mut dyn Write| -> Result<(), StepError> {
            let found = view.dump(path.as_bytes(), &entry, out)?;
            if found == entry.size {
                return Ok(());
            }
            Err(StepError::Length { path: show(path.as_bytes()), expected: entry.size, found })
        };
        let label = format!("upload {path}");
        let file = quote(to);
        let script = format!("sudo dd of={file} bs=1M 2>/dev/null");
        let sent = self.feed(&label, &script, |feed| pour(&mut dump, feed)).map_err(FeedError::into_step)?;
        let answer = self.ask(&label, &format!("sudo stat -c %s {file}"))?;
        let stands = String::from_utf8_lossy(&answer).trim().parse::<u64>().ok();
        if stands == Some(sent) {
            return Ok(sent);
        }
        Err(StepError::Answer { label, what: format!("{stands:?} bytes after {sent} were sent") })
    }
}

impl FeedError<StepError> {
    /// Whose failure it was does not matter.
    pub fn into_step(self) -> StepError {
        match self {
            Self::Ours(error) | Self::Theirs(error) => error,
        }
    }
}

/// A failed command as an error, with the end of what it said.
pub fn check(label: &str, exit: &Exit) -> Result<(), StepError> {
    if exit.status.success() {
        return Ok(());
    }
    Err(StepError::Failed {
        label: label.into(),
        status: exit.status.clone(),
        said: last_words(&exit.stderr),
    })
}

/// The end of a command's stderr on one line.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines[lines.len().saturating_sub(4)..].join("; ");
    let skip = line.chars().count().saturating_sub(SAID_MAX);
    line.chars().skip(skip).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn errors_carry_the_last_words_only() {
        let stderr = b"1\n2\n3\n4\n\n5\x1b[0m\n";
        assert_eq!(last_words(stderr), "2; 3; 4; 5 [0m");
        assert_eq!(last_words(&[b'x'; 5000]).len(), super::SAID_MAX);
    }
}
