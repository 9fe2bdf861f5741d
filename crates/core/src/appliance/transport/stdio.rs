//! The two pipes between blocking callers and a connection's task: stdout out, stdin in, both bounded.
//!
//! Stdout's bound is a budget of bytes. On a connection of its own, a full budget makes the connection wait, which
//! makes the remote command wait. On the shared connection nobody may wait for one reader (the gate's heartbeats travel
//! there), so a full budget ends the command instead.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use bytes::{Buf, Bytes};
use tokio::sync::{Semaphore, mpsc};

use super::fault::Fault;

/// Unread output that a bulk command may have in memory, in bytes.
pub(crate) const BULK_BYTES_WAITING: usize = 4 * 1024 * 1024;
/// Unread output at which a command on the shared connection is ended, in bytes.
pub(crate) const SHARED_BYTES_WAITING: usize = 64 * 1024 * 1024;
/// Bytes that one write hands over at most.
const STDIN_PIECE_BYTES: usize = 64 * 1024;
/// Pieces of stdin that wait for the connection.
const STDIN_PIECES_WAITING: usize = 16;

/// What travels to the reader.
enum Piece {
    Bytes(Bytes),
    End,
    Fault(Fault),
}

/// What happened to a piece of output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    /// It is on its way to the reader, or nobody wants it any more.
    Taken,
    /// The budget is used up, and waiting is not allowed.
    Full,
}

/// Makes the two ends of a command's stdout.
pub(crate) fn stdout_pipe(label: &str, bulk: bool) -> (StdoutFeed, StdoutReader) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let budget = Arc::new(Semaphore::new(if bulk { BULK_BYTES_WAITING } else { SHARED_BYTES_WAITING }));
    let feed = StdoutFeed { pieces: sender, budget: Arc::clone(&budget), waits: bulk, ended: false };
    let reader = StdoutReader {
        label: label.to_owned(),
        pieces: receiver,
        budget,
        current: Bytes::new(),
        taken: 0,
        end: None,
    };
    (feed, reader)
}

/// The connection's end of stdout.
pub(crate) struct StdoutFeed {
    pieces: mpsc::UnboundedSender<Piece>,
    budget: Arc<Semaphore>,
    waits: bool,
    ended: bool,
}

impl StdoutFeed {
    /// Hands bytes to the reader; on a bulk command's pipe waits until there is room.
    pub(crate) async fn feed(&self, bytes: Bytes) -> Fed {
        // A single piece above the budget could never pass.
        let cost = u32::try_from(bytes.len().min(BULK_BYTES_WAITING)).unwrap_or(u32::MAX);
        if self.waits {
            // An error says that the reader is gone: its output is nobody's business any more.
            let Ok(permit) = self.budget.acquire_many(cost).await else { return Fed::Taken };
            permit.forget();
        } else {
            match self.budget.try_acquire_many(cost) {
                Ok(permit) => permit.forget(),
                Err(tokio::sync::TryAcquireError::NoPermits) => return Fed::Full,
                Err(tokio::sync::TryAcquireError::Closed) => return Fed::Taken,
            }
        }
        let _ = self.pieces.send(Piece::Bytes(bytes));
        Fed::Taken
    }

    /// Tells the reader that the output is complete.
    pub(crate) fn end(&mut self) {
        if !self.ended {
            self.ended = true;
            let _ = self.pieces.send(Piece::End);
        }
    }

    /// Tells the reader that the output is not complete, unless its end was told before.
    pub(crate) fn break_off(&mut self, fault: &Fault) {
        if !self.ended {
            self.ended = true;
            let _ = self.pieces.send(Piece::Fault(fault.clone()));
        }
    }
}

/// The caller's end of stdout.
pub(crate) struct StdoutReader {
    label: String,
    pieces: mpsc::UnboundedReceiver<Piece>,
    budget: Arc<Semaphore>,
    current: Bytes,
    taken: usize,
    end: Option<Result<(), Fault>>,
}

impl StdoutReader {
    /// Gives the room of the piece that was read back to the connection.
    fn release(&mut self) {
        self.budget.add_permits(self.taken.min(BULK_BYTES_WAITING));
        self.taken = 0;
    }
}

impl Read for StdoutReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !buffer.is_empty() {
            if let Some(end) = &self.end {
                return match end {
                    Ok(()) => Ok(0),
                    Err(fault) => Err(fault.clone().into_io(&self.label)),
                };
            }
            self.release();
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => {
                    self.taken = bytes.len();
                    self.current = bytes;
                }
                Some(Piece::End) => self.end = Some(Ok(())),
                Some(Piece::Fault(fault)) => self.end = Some(Err(fault)),
                None => {
                    self.end = Some(Err(Fault::Ended { reason: "the transport was shut down".to_owned() }));
                }
            }
        }
        let length = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl Drop for StdoutReader {
    fn drop(&mut self) {
        // Whoever waits for room learns that nobody reads on.
        self.budget.close();
    }
}

/// Makes the two ends of a command's stdin.
pub(crate) fn stdin_pipe() -> (StdinWriter, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(STDIN_PIECES_WAITING);
    (StdinWriter { pieces: sender }, receiver)
}

/// The caller's end of stdin; dropping it is end of input.
pub(crate) struct StdinWriter {
    pieces: mpsc::Sender<Bytes>,
}

impl Write for StdinWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = buffer.len().min(STDIN_PIECE_BYTES);
        if length > 0 {
            let piece = Bytes::copy_from_slice(&buffer[..length]);
            self.pieces.blocking_send(piece).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
        Ok(length)
    }

    /// Everything written is on its way already.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
    }

    #[test]
    fn bytes_arrive_in_order_and_only_a_told_end_is_an_end() {
        let (mut feed, mut reader) = stdout_pipe("x", true);
        runtime().block_on(async {
            feed.feed(Bytes::from_static(b"ab")).await;
            feed.feed(Bytes::from_static(b"c")).await;
        });
        feed.end();
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("complete");
        assert_eq!(text, "abc");
    }

    #[test]
    fn a_feed_that_vanishes_is_an_error_and_stays_one() {
        let (feed, mut reader) = stdout_pipe("x", true);
        runtime().block_on(feed.feed(Bytes::from_static(b"ab")));
        drop(feed);
        let mut bytes = Vec::new();
        let error = reader.read_to_end(&mut bytes).expect_err("incomplete");
        assert_eq!((bytes.as_slice(), error.kind()), (&b"ab"[..], io::ErrorKind::ConnectionAborted));
        assert!(reader.read(&mut [0; 1]).is_err());
    }

    #[test]
    fn an_end_that_was_told_is_not_taken_back() {
        let (mut feed, mut reader) = stdout_pipe("x", true);
        feed.end();
        feed.break_off(&Fault::Ended { reason: "later".to_owned() });
        assert_eq!(reader.read(&mut [0; 1]).expect("an end"), 0);
    }

    #[test]
    fn a_bulk_feed_waits_for_its_reader() {
        let (feed, mut reader) = stdout_pipe("x", true);
        let half = Bytes::from(vec![7; BULK_BYTES_WAITING / 2]);
        runtime().block_on(async {
            feed.feed(half.clone()).await;
            feed.feed(half.clone()).await;
            let mut third = Box::pin(feed.feed(half.clone()));
            let mut noop = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(third.as_mut().poll(&mut noop).is_pending());
            let reading =
                std::thread::spawn(move || reader.read_exact(&mut vec![0; BULK_BYTES_WAITING / 2 + 1]));
            assert_eq!(third.await, Fed::Taken);
            reading.join().expect("no panic").expect("read");
        });
    }

    #[test]
    fn a_bulk_feed_without_a_reader_does_not_wait() {
        let (feed, reader) = stdout_pipe("x", true);
        drop(reader);
        let piece = Bytes::from(vec![7; BULK_BYTES_WAITING]);
        runtime().block_on(async {
            assert_eq!(feed.feed(piece.clone()).await, Fed::Taken);
            assert_eq!(feed.feed(piece).await, Fed::Taken);
        });
    }

    #[test]
    fn a_shared_feed_never_waits() {
        let (feed, _reader) = stdout_pipe("x", false);
        let piece = Bytes::from(vec![7; BULK_BYTES_WAITING]);
        runtime().block_on(async {
            for _ in 0..SHARED_BYTES_WAITING / BULK_BYTES_WAITING {
                assert_eq!(feed.feed(piece.clone()).await, Fed::Taken);
            }
            assert_eq!(feed.feed(piece).await, Fed::Full);
        });
    }

    #[test]
    fn writing_to_a_command_that_ended_is_a_broken_pipe() {
        let (mut writer, pieces) = stdin_pipe();
        drop(pieces);
        let error = writer.write_all(b"x").expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
