//! Cuts a stream where its content says so, at exactly the places where rustic and restic cut it.
//!
//! Rabin's rolling hash over 64 bytes; a cut where its low bits are zero, never before the minimum and at the latest at the
//! maximum size. The tables come from `rustic_cdc`; our loop reads the window from the chunk itself instead of a ring
//! buffer, and takes large reads.

use super::error::{VaultError, VaultResult};
use rustic_cdc::{Polynom, Polynom64, Rabin64, RollingHash64};
use rustic_core::repofile::{Chunker as ChunkerKind, ConfigFile};
use std::io::{self, Read};

const WINDOW: usize = 64;
const WINDOW_BITS: u32 = 6;
/// How much is read at a time once the minimum size is reached.
const READ_STEP: usize = 256 * 1024;

/// Parameters of a vault's chunker, with the tables of its polynomial.
#[derive(Clone)]
pub(super) struct ChunkRules {
    rabin: Rabin64,
    out: Box<[Polynom64; 256]>,
    modulo: Box<[Polynom64; 256]>,
    shift: u32,
    mask: u64,
    min: usize,
    max: usize,
}

impl ChunkRules {
    /// Reads them from the vault's configuration.
    pub(super) fn new(config: &ConfigFile) -> VaultResult<Self> {
        if config.chunker() != ChunkerKind::Rabin {
            return Err(VaultError::Unsupported { what: "a vault with fixed-size chunks".into() });
        }
        let (size, min, max) = (config.chunk_size(), config.chunk_min_size(), config.chunk_max_size());
        let poly = config.poly().map_err(|e| VaultError::rustic("reading the chunker's polynomial", &e))?;
        if !size.is_power_of_two() || min < WINDOW || min > size || max < size || poly.degree() < 16 {
            return Err(VaultError::damaged("configuration", "config", "its chunk sizes make no sense"));
        }
        Ok(Self {
            rabin: Rabin64::new_with_polynom(WINDOW_BITS, &poly),
            out: Box::new(Rabin64::calculate_out_table(WINDOW, &poly)),
            modulo: Box::new(Rabin64::calculate_mod_table(&poly)),
            shift: u32::try_from(poly.degree() - 8).unwrap_or_default(),
            mask: size as u64 - 1,
            min,
            max,
        })
    }

    /// Files up to this size are one chunk, whatever is in them.
    pub(super) fn min(&self) -> usize {
        self.min
    }

    /// First cut in `chunk[min..]`, given what is known of the stream so far; else the state to go on from.
    fn search(&self, chunk: &[u8], state: &mut Search) -> Option<usize> {
        let limit = chunk.len().min(self.max);
        let mut hash = state.hash;
        let mut at = state.at;
        // rustic fills the window with the 63 bytes before the last one of the minimum, so for one window's length
        // the outgoing byte lies 65 back, and after that 64
        let seam = self.min + WINDOW;
        while at < limit {
            if hash & self.mask == 0 {
                return Some(at);
            }
            let back = if at >= seam {
                let run = &chunk[at..limit];
                let outgoing = &chunk[at - WINDOW..limit - WINDOW];
                for (&incoming, &gone) in run.iter().zip(outgoing) {
                    hash ^= self.out[usize::from(gone)];
                    let top = usize::from((hash >> self.shift).to_le_bytes()[0]);
                    hash = ((hash << 8) | u64::from(incoming)) ^ self.modulo[top];
                    at += 1;
                    if hash & self.mask == 0 {
                        return Some(at);
                    }
                }
                break;
            } else if at == self.min {
                0
            } else {
                chunk[at - WINDOW - 1]
            };
            hash ^= self.out[usize::from(back)];
            let top = usize::from((hash >> self.shift).to_le_bytes()[0]);
            hash = ((hash << 8) | u64::from(chunk[at])) ^ self.modulo[top];
            at += 1;
        }
        state.hash = hash;
        state.at = at;
        (hash & self.mask == 0 || at >= self.max).then_some(at)
    }
}

struct Search {
    hash: u64,
    at: usize,
}

/// The chunks of one stream.
pub(super) struct Chunks<'r> {
    rules: &'r ChunkRules,
    /// Read but not yet handed out.
    rest: Vec<u8>,
    ended: bool,
}

impl<'r> Chunks<'r> {
    pub(super) fn new(rules: &'r ChunkRules) -> Self {
        Self { rules, rest: Vec::new(), ended: false }
    }

    /// The next chunk; `None` after the last.
    pub(super) fn next(&mut self, from: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
        let min = self.rules.min;
        let mut chunk = std::mem::take(&mut self.rest);
        if chunk.len() < min && !self.ended {
            let missing = (min - chunk.len()) as u64;
            self.ended = (from.take(missing).read_to_end(&mut chunk)? as u64) < missing;
        }
        if chunk.len() < min {
            return Ok((!chunk.is_empty()).then_some(chunk));
        }
        let mut rabin = self.rules.rabin.clone();
        rabin.reset_and_prefill_window(&mut chunk[min - WINDOW..min].iter().copied());
        let mut state = Search { hash: rabin.hash, at: min };
        loop {
            if let Some(cut) = self.rules.search(&chunk, &mut state) {
                self.rest = chunk.split_off(cut);
                return Ok(Some(chunk));
            }
            if self.ended {
                return Ok(Some(chunk));
            }
            chunk.reserve(READ_STEP);
            self.ended = from.take(READ_STEP as u64).read_to_end(&mut chunk)? < READ_STEP;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngCore, SeedableRng, rngs::StdRng};

    const POLYNOMIAL: &str = "3DA3358B4DC173";

    fn rules(min: usize, size: usize, max: usize) -> ChunkRules {
        let mut config =
            ConfigFile { version: 2, chunker_polynomial: POLYNOMIAL.into(), ..ConfigFile::default() };
        config.chunk_size = Some(size);
        config.chunk_min_size = Some(min);
        config.chunk_max_size = Some(max);
        ChunkRules::new(&config).unwrap()
    }

    /// The published algorithm, a byte at a time with the library's own ring buffer.
    fn plain(rules: &ChunkRules, data: &[u8]) -> Vec<usize> {
        let mut cuts = Vec::new();
        let mut start = 0;
        while data.len() - start >= rules.min {
            let mut rabin = rules.rabin.clone();
            let mut at = start + rules.min;
            rabin.reset_and_prefill_window(&mut data[at - WINDOW..at].iter().copied());
            while at - start < rules.max && rabin.hash & rules.mask != 0 && at < data.len() {
                rabin.slide(data[at]);
                at += 1;
            }
            cuts.push(at - start);
            start = at;
        }
        if start < data.len() {
            cuts.push(data.len() - start);
        }
        cuts
    }

    fn cuts(rules: &ChunkRules, mut from: impl Read) -> (Vec<usize>, Vec<u8>) {
        let mut chunks = Chunks::new(rules);
        let (mut sizes, mut all) = (Vec::new(), Vec::new());
        while let Some(chunk) = chunks.next(&mut from).unwrap() {
            sizes.push(chunk.len());
            all.extend(chunk);
        }
        (sizes, all)
    }

    struct Dribble<'a>(&'a [u8], usize);
    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 % 977 + 13;
            let n = self.1.min(into.len());
            self.0.read(&mut into[..n])
        }
    }

    #[test]
    fn cuts_are_those_of_the_plain_algorithm() {
        let mut data = vec![0; 3_000_000];
        StdRng::seed_from_u64(7).fill_bytes(&mut data);
        data[1_000_000..1_400_000].fill(0); // a stretch without natural cuts
        for (min, size, max) in
            [(64, 256, 1024), (512, 1024, 8192), (65_536, 131_072, 262_144), (1000, 4096, 70_000)]
        {
            let rules = rules(min, size, max);
            for length in [0, 1, min - 1, min, min + 1, min + 64, min + 65, max, max + 1, 500_000, data.len()]
            {
                let expected = plain(&rules, &data[..length]);
                let (sizes, all) = cuts(&rules, &data[..length]);
                assert_eq!(sizes, expected, "min {min}, length {length}");
                assert!(all == data[..length]);
                assert_eq!(cuts(&rules, Dribble(&data[..length], 0)).0, expected);
            }
        }
    }

    #[test]
    fn a_failing_reader_is_an_error_and_not_an_end() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("cut"))
            }
        }
        let rules = rules(64, 256, 1024);
        let data = [1_u8; 100];
        let mut from = data.chain(Fails);
        assert!(Chunks::new(&rules).next(&mut from).is_err());
    }

    #[test]
    fn fixed_size_chunks_are_refused() {
        let config =
            ConfigFile { version: 2, chunker: Some(ChunkerKind::FixedSize), ..ConfigFile::default() };
        assert!(matches!(ChunkRules::new(&config), Err(VaultError::Unsupported { .. })));
    }
}
