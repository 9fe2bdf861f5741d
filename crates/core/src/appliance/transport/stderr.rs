//! A command's stderr, bounded: its first and its last half, with a note about what is missing between them.

use std::collections::VecDeque;

use crate::appliance::channel::STDERR_BYTES_MAX;

const NOTE_BYTES: usize = 64;
const HALF: usize = (STDERR_BYTES_MAX - NOTE_BYTES) / 2;

/// What is kept of a stream that may be endless.
#[derive(Default)]
pub(crate) struct KeptStderr {
    first: Vec<u8>,
    last: VecDeque<u8>,
    dropped: u64,
}

impl KeptStderr {
    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let to_first = piece.len().min(HALF - self.first.len());
        let (head, tail) = piece.split_at(to_first);
        self.first.extend_from_slice(head);
        let skipped = tail.len().saturating_sub(HALF);
        let tail = &tail[skipped..];
        let leaving = (self.last.len() + tail.len()).saturating_sub(HALF);
        self.last.drain(..leaving);
        self.last.extend(tail);
        self.dropped += (skipped + leaving) as u64;
    }

    /// Everything that was kept, at most [`STDERR_BYTES_MAX`] bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.first;
        if self.dropped > 0 {
            bytes.extend_from_slice(format!("\n[… {} bytes left out …]\n", self.dropped).as_bytes());
        }
        let (a, b) = self.last.as_slices();
        bytes.extend_from_slice(a);
        bytes.extend_from_slice(b);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_stream_is_kept_whole() {
        let mut kept = KeptStderr::default();
        kept.push(b"one ");
        kept.push(b"two");
        assert_eq!(kept.into_bytes(), b"one two");
    }

    #[test]
    fn a_long_stream_keeps_both_ends_and_says_what_is_missing() {
        let line = |n: usize| format!("line {n:08}\n");
        let (mut piecewise, mut whole, mut total) = (KeptStderr::default(), Vec::new(), 0);
        for n in 0..100_000 {
            piecewise.push(line(n).as_bytes());
            whole.extend_from_slice(line(n).as_bytes());
            total += line(n).len();
        }
        let kept = piecewise.into_bytes();
        assert!(kept.len() <= STDERR_BYTES_MAX);
        assert!(kept.starts_with(line(0).as_bytes()));
        assert!(kept.ends_with(line(99_999).as_bytes()));
        let note = format!("[… {} bytes left out …]", total - 2 * HALF);
        assert!(kept.windows(note.len()).any(|window| window == note.as_bytes()));

        let mut at_once = KeptStderr::default();
        at_once.push(&whole);
        assert_eq!(at_once.into_bytes(), kept);
    }
}
