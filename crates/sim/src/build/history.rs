//! Histories as `git fast-import` streams: commits on branches, tags, text and binary files.

use crate::seed::Seed;

/// A stream under construction.
#[derive(Debug)]
pub struct History {
    stream: Vec<u8>,
    seed: Seed,
    time: u64,
    marks: u64,
}

impl History {
    /// An empty history; what is drawn depends on `seed`.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        Self { stream: Vec::new(), seed, time: 1_690_000_000, marks: 0 }
    }

    fn line(&mut self, text: &str) {
        self.stream.extend_from_slice(text.as_bytes());
        self.stream.push(b'\n');
    }

    fn data(&mut self, bytes: &[u8]) {
        self.line(&format!("data {}", bytes.len()));
        self.stream.extend_from_slice(bytes);
        self.stream.push(b'\n');
    }

    /// Adds `commits` commits to `reference`, the first one upon `from` (an object id or a mark `:N`), and returns the
    /// mark of the last.
    pub fn commits(&mut self, reference: &str, from: Option<&str>, commits: u64) -> String {
        for number in 0..commits {
            self.marks += 1;
            self.time += self.seed.between(60, 90_000);
            let (mark, time) = (self.marks, self.time);
            self.line(&format!("commit {reference}"));
            self.line(&format!("mark :{mark}"));
            let author = ["Mona Lisa", "Hubot", "Ada Byron"][self.seed.index(3)];
            self.line(&format!(
                "committer {author} <{}@example.com> {time} +0000",
                author.to_lowercase().replace(' ', ".")
            ));
            let message = format!("Change {} {}", mark, self.seed.hex(8));
            self.data(message.as_bytes());
            if let (0, Some(from)) = (number, from) {
                self.line(&format!("from {from}"));
            }
            for _ in 0..self.seed.between(1, 3) {
                let path = format!("src/part{}/file{}.txt", self.seed.below(4), self.seed.below(12));
                let bytes = if self.seed.chance(10) {
                    let len = self.seed.between(200, 6000);
                    self.seed.bytes(usize::try_from(len).unwrap_or(0))
                } else {
                    let len = self.seed.between(100, 3000);
                    self.seed.text(usize::try_from(len).unwrap_or(0))
                };
                self.line(&format!("M 100644 inline {path}"));
                self.data(&bytes);
            }
            self.line("");
        }
        format!(":{}", self.marks)
    }

    /// Adds one commit with one file to `reference`, upon what it points to in this stream.
    pub fn file(&mut self, reference: &str, path: &str, bytes: &[u8]) {
        self.time += 60;
        let time = self.time;
        self.line(&format!("commit {reference}\ncommitter Hubot <hubot@example.com> {time} +0000"));
        self.data(format!("Add {path}").as_bytes());
        self.line(&format!("M 100644 inline {path}"));
        self.data(bytes);
        self.line("");
    }

    /// Points a reference (its name as bytes) at a mark or object.
    pub fn point(&mut self, reference: &[u8], at: &str) {
        self.stream.extend_from_slice(b"reset ");
        self.stream.extend_from_slice(reference);
        self.line(&format!("\nfrom {at}\n"));
    }

    /// Adds an annotated tag.
    pub fn tag(&mut self, name: &str, at: &str) {
        let time = self.time;
        self.line(&format!("tag {name}\nfrom {at}\ntagger Mona Lisa <mona@example.com> {time} +0000"));
        self.data(format!("Release {name}").as_bytes());
    }

    /// The stream.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.line("done");
        self.stream
    }
}
