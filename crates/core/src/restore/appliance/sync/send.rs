//! Sending entries as one tar stream.
//!
//! Small files are read from the vault ahead of the stream by a few threads and are whole before their header goes out.
//! A large file is streamed; when the vault fails in the middle of one, its header is out already: the stream is cut,
//! the file named and removed, and a new stream goes on behind it.

use crossbeam_channel::{Receiver, Sender};

use super::{Item, Sameness, Sync, Transfer, as_user, compare::is_content_addressed, join_from};
use crate::{
    appliance::quote::quote,
    progress::Event,
    restore::{
        appliance::{
            error::StepError,
            remote::{Feed, FeedError},
            report::Done,
        },
        entry::{Kind, show},
        report::Problem,
        tar::{Member, TarWriter},
        view::{SnapshotView, ViewError},
    },
};

/// Largest file that is read ahead, in bytes; together with [`AHEAD`] this bounds the memory.
const SMALL: u64 = 1 << 20;

/// Files read ahead of the stream.
const AHEAD: usize = 64;

/// Threads that read ahead.
const READERS: usize = 4;

/// Streams that may be cut by damage before a step gives up.
const CUTS_MAX: usize = 1000;

/// A small file's content, or why there is none.
type Content = Result<Vec<u8>, String>;

/// The stream had to be cut at an item.
struct Cut {
    at: usize,
    why: String,
}

impl Sync<'_> {
    /// Sends `items` in their order.
    pub(super) fn send(&self, transfer: &Transfer<'_>, items: &[Item]) -> Result<Done, StepError> {
        let mut done = Done::default();
        let mut cut_files = Vec::new();
        let directories = items.iter().take_while(|(_, entry)| entry.is_directory()).count();
        let mut start = 0;
        while start < items.len() {
            match self.stream(transfer, items, directories, start, &mut done)? {
                None => break,
                Some(Cut { at, why }) => {
                    done.problems.push(problem(transfer, &items[at].0, &why));
                    cut_files.push(items[at].0.clone());
                    start = at + 1;
                    if cut_files.len() >= CUTS_MAX {
                        let what = format!("the vault failed {CUTS_MAX} times while files were sent");
                        return Err(StepError::Answer { label: "send files".into(), what });
                    }
                }
            }
        }
        self.remove(transfer, &cut_files)?;
        Ok(done)
    }

    /// One stream from item `start` on, with all directories in front.
    fn stream(
        &self,
        transfer: &Transfer<'_>,
        items: &[Item],
        directories: usize,
        start: usize,
        done: &mut Done,
    ) -> Result<Option<Cut>, StepError> {
        let script = format!(
            "cd {} && tar -x -P -p --no-same-owner --delay-directory-restore --warning=no-timestamp -f -",
            quote(transfer.to)
        );
        let label = format!("unpack {}", show(transfer.from));
        let order: Vec<usize> =
            (0..directories.min(items.len())).chain(start.max(directories)..items.len()).collect();
        let sent = self.remote.feed(&label, &as_user(transfer.user, &script), |feed| {
            std::thread::scope(|scope| {
                let (queue, queued) = crossbeam_channel::bounded(AHEAD);
                let (jobs, work) = crossbeam_channel::bounded(AHEAD);
                for _ in 0..READERS {
                    let work = work.clone();
                    scope.spawn(move || read_ahead(self.view, transfer, items, &work));
                }
                let order = &order;
                scope.spawn(move || line_up(items, order, &jobs, &queue));
                self.write(transfer, items, &queued, feed, done)
            })
        });
        match sent {
            Ok(_) => Ok(None),
            Err(FeedError::Ours(cut)) => Ok(Some(cut)),
            Err(FeedError::Theirs(error)) => Err(error),
        }
    }

    fn write(
        &self,
        transfer: &Transfer<'_>,
        items: &[Item],
        queued: &Receiver<(usize, Option<Receiver<Content>>)>,
        feed: &mut Feed<'_>,
        done: &mut Done,
    ) -> Result<(), Cut> {
        let mut tar = TarWriter::new(feed);
        for (at, content) in queued {
            let (path, entry) = &items[at];
            let member = Member {
                path,
                mode: entry.mode.unwrap_or(if entry.is_directory() { 0o755 } else { 0o644 }),
                modified: entry.modified,
                exact_time: wants_exact_time(transfer.sameness, path, &entry.kind),
            };
            let cut = |error: std::io::Error| Cut { at, why: error.to_string() };
            let bytes = match (&entry.kind, content) {
                (Kind::Directory(_), _) => tar.directory(&member).map(|()| 0).map_err(cut)?,
                (Kind::Symlink(target), _) => tar.symlink(&member, target).map(|()| 0).map_err(cut)?,
                (Kind::Fifo, _) => tar.pipe(&member).map(|()| 0).map_err(cut)?,
                (Kind::Other(what), _) => {
                    done.problems.push(problem(transfer, path, &format!("a {what} is not restored")));
                    continue;
                }
                (Kind::File, Some(content)) => {
                    match content.recv().unwrap_or_else(|_| Err("its reader ended early".into())) {
                        Ok(content) => {
                            tar.file(&member, entry.size, &mut content.as_slice()).map_err(cut)?;
                            entry.size
                        }
                        Err(why) => {
                            done.problems.push(problem(transfer, path, &why));
                            continue;
                        }
                    }
                }
                (Kind::File, None) => {
                    if let Some(found) = self.view.length(entry).filter(|found| *found != entry.size) {
                        let why = format!("the snapshot says {} bytes but holds {found}", entry.size);
                        done.problems.push(problem(transfer, path, &why));
                        continue;
                    }
                    let below = join_from(transfer.from, path);
                    tar.file_from(&member, entry.size, |out| {
                        self.view.dump(&below, entry, out).map(drop).map_err(Broken::from)
                    })
                    .map_err(|broken| Cut { at, why: broken.0 })?;
                    entry.size
                }
            };
            done.bytes += bytes;
            done.items += u64::from(!entry.is_directory());
            self.progress.event(Event::Advanced { part: transfer.part, bytes, items: 1 });
        }
        let last = items.len().saturating_sub(1);
        tar.finish().map(drop).map_err(|error| Cut { at: last, why: error.to_string() })
    }
}

fn problem(transfer: &Transfer<'_>, path: &[u8], what: &str) -> Problem {
    Problem { path: show(&join_from(transfer.from, path)), what: what.to_owned() }
}

/// Whether the fraction of a second is worth a kilobyte: where it decides about sending the file again.
fn wants_exact_time(sameness: Sameness, path: &[u8], kind: &Kind) -> bool {
    *kind == Kind::File
        && match sameness {
            Sameness::Time => true,
            Sameness::Git => !is_content_addressed(path),
            Sameness::Size => false,
        }
}

/// Hands small files to the readers and everything, in order, to the stream.
fn line_up(
    items: &[Item],
    order: &[usize],
    jobs: &Sender<(usize, Sender<Content>)>,
    queue: &Sender<(usize, Option<Receiver<Content>>)>,
) {
    for at in order {
        let entry = &items[*at].1;
        let content = if entry.is_file() && entry.size <= SMALL {
            let (result, content) = crossbeam_channel::bounded(1);
            if jobs.send((*at, result)).is_err() {
                return;
            }
            Some(content)
        } else {
            None
        };
        if queue.send((*at, content)).is_err() {
            return;
        }
    }
}

fn read_ahead(
    view: SnapshotView<'_>,
    transfer: &Transfer<'_>,
    items: &[Item],
    work: &Receiver<(usize, Sender<Content>)>,
) {
    for (at, result) in work {
        let (path, entry) = &items[at];
        let mut content = Vec::with_capacity(usize::try_from(entry.size).unwrap_or(0));
        let read = view.dump(&join_from(transfer.from, path), entry, &mut content);
        let content = match read {
            Ok(found) if found == entry.size => Ok(content),
            Ok(found) => Err(format!("the snapshot says {} bytes but holds {found}", entry.size)),
            Err(error) => Err(Broken::from(error).0),
        };
        // Nobody waits any more when the stream was cut.
        let _ = result.send(content);
    }
}

/// Why a large file could not be streamed.
struct Broken(String);

impl From<ViewError> for Broken {
    fn from(error: ViewError) -> Self {
        let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Self(format!("cannot be read from the vault: {why}"))
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
