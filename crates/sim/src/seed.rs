//! Random numbers that stay the same for ever for the same seed (`SplitMix64`).

/// A stream of random numbers that depends only on its seed.
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    /// A stream for `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x5851_f42d_4c95_7f2d)
    }

    /// An independent stream for one named part, so that parts do not move when another part changes.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        let mut state = self.0;
        for byte in name.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(state)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound` (0 for a bound of 0).
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.draw() % bound }
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// An index into something of `len` elements.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// `len` random bytes (incompressible).
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.draw().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    /// `len` characters of lower-case hexadecimal.
    pub fn hex(&mut self, len: usize) -> String {
        let mut text = hex::encode(self.bytes(len.div_ceil(2)));
        text.truncate(len);
        text
    }

    /// About `len` bytes of text that compresses like source code.
    pub fn text(&mut self, len: usize) -> Vec<u8> {
        const WORDS: [&str; 24] = [
            "let", "value", "return", "import", "class", "string", "result", "error", "config", "server",
            "index", "branch", "commit", "review", "merge", "issue", "deploy", "build", "test", "token",
            "the", "of", "for", "public",
        ];
        let mut text = Vec::with_capacity(len + 16);
        while text.len() < len {
            let draw = self.draw();
            let word = WORDS[usize::try_from(draw % 24).unwrap_or(0)];
            text.extend_from_slice(word.as_bytes());
            match (draw >> 8) % 9 {
                0 => text.push(b'\n'),
                1 => text.extend_from_slice(format!("_{:x} ", (draw >> 16) & 0xfff).as_bytes()),
                _ => text.push(b' '),
            }
        }
        text.push(b'\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn parts_of_a_seed_are_independent_and_stable() {
        let seed = Seed::new(7);
        assert_eq!(seed.part("pages").draw(), seed.part("pages").draw());
        assert_ne!(seed.part("pages").draw(), seed.part("gists").draw());
        assert_eq!(Seed::new(1).draw(), 0xc1b4_bb72_8dd9_6dc3);
    }
}
