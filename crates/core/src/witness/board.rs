//! Notice boards: where checkpoints hang. Files are created once and never overwritten; what a board shows is believed by
//! nobody, only what is signed.

use super::{bucket::BucketBoard, folder::FolderBoard};
use crate::vault::{NoteBucket, S3Settings, VaultError};

/// Why a board could not be used.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// The place is none that this release knows.
    #[error("`{0}` is no notice board of a kind that this release knows")]
    Unknown(String),
    /// A bucket.
    #[error(transparent)]
    Bucket(#[from] VaultError),
    /// A board behind HTTP did not give what it should.
    #[error("the board at `{place}` cannot be used: {why}")]
    Answer {
        /// Which.
        place: String,
        /// Why.
        why: String,
    },
    /// The file system refused.
    #[error("cannot {action} `{place}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        place: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// A file of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardFile {
    /// Its name within its origin's folder.
    pub name: String,
    /// Its content; bytes that are no text are replaced, which no signature survives.
    pub text: String,
}

/// A place that keeps notes by origin.
pub trait Board {
    /// Where it is.
    fn place(&self) -> String;
    /// The origins that it has notes of, sorted.
    ///
    /// # Errors
    /// It cannot be listed.
    fn origins(&self) -> Result<Vec<String>, BoardError>;
    /// Names of all files of an origin, sorted; of one that it does not know none.
    ///
    /// # Errors
    /// They cannot be listed.
    fn names(&self, origin: &str) -> Result<Vec<String>, BoardError>;
    /// A file; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, origin: &str, name: &str) -> Result<Option<String>, BoardError>;
    /// All files of an origin by name.
    ///
    /// # Errors
    /// They cannot be listed or read.
    fn files(&self, origin: &str) -> Result<Vec<BoardFile>, BoardError> {
        read_each(self, origin, self.names(origin)?)
    }
    /// Creates a file, durably and atomically; `false` when there is one of that name, which then stays.
    ///
    /// # Errors
    /// It cannot be written.
    fn create(&self, origin: &str, name: &str, text: &str) -> Result<bool, BoardError>;
    /// Whether it is the board of somebody else, on which this host hangs up nothing.
    fn is_read_only(&self) -> bool {
        false
    }
}

/// The files of these names, but those that are gone.
pub(super) fn read_each<B: Board + ?Sized>(
    board: &B,
    origin: &str,
    names: Vec<String>,
) -> Result<Vec<BoardFile>, BoardError> {
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        if let Some(text) = board.read(origin, &name)? {
            files.push(BoardFile { name, text });
        }
    }
    Ok(files)
}

/// A board that is looked at and left as it is.
struct ReadOnly(Box<dyn Board>);

impl Board for ReadOnly {
    fn place(&self) -> String {
        self.0.place()
    }

    fn origins(&self) -> Result<Vec<String>, BoardError> {
        self.0.origins()
    }

    fn names(&self, origin: &str) -> Result<Vec<String>, BoardError> {
        self.0.names(origin)
    }

    fn files(&self, origin: &str) -> Result<Vec<BoardFile>, BoardError> {
        self.0.files(origin)
    }

    fn read(&self, origin: &str, name: &str) -> Result<Option<String>, BoardError> {
        self.0.read(origin, name)
    }

    fn create(&self, _: &str, _: &str, _: &str) -> Result<bool, BoardError> {
        Err(BoardError::Answer { place: self.place(), why: "it is there to be read only".into() })
    }

    fn is_read_only(&self) -> bool {
        true
    }
}

/// The board at a place: `dir:PATH`, a path, or a bucket as `s3://BUCKET/PREFIX`; with `read:` before it one to be read only.
///
/// # Errors
/// [`BoardError::Unknown`], [`BoardError::Bucket`].
pub fn open(place: &str, settings: &S3Settings) -> Result<Box<dyn Board>, BoardError> {
    if let Some(theirs) = place.strip_prefix("read:") {
        return Ok(Box::new(ReadOnly(open(theirs, settings)?)));
    }
    if let Some(bucket) = NoteBucket::connect(place, settings)? {
        return Ok(Box::new(BucketBoard(bucket)));
    }
    open_folder(place).ok_or_else(|| BoardError::Unknown(place.to_owned()))
}

/// The board in a folder: `dir:PATH`, or a path; `None` for anything else.
#[must_use]
pub fn open_folder(place: &str) -> Option<Box<dyn Board>> {
    let path = place.strip_prefix("dir:").unwrap_or(place);
    let has_scheme = path.split_once(':').is_some_and(|(scheme, _)| !scheme.contains('/'));
    (!path.is_empty() && !has_scheme).then(|| Box::new(FolderBoard::new(path)) as Box<dyn Board>)
}

/// What the name of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileName {
    /// A checkpoint: size and root (hexadecimal).
    Note(usize, String),
    /// The same with the cosignature of the key of that short form.
    Cosigned(usize, String, String),
}

impl FileName {
    /// The name of a checkpoint's file.
    #[must_use]
    pub fn note(size: usize, root: &[u8; 32]) -> String {
        Self::note_named(size, &hex::encode(root))
    }

    /// The same, of a root in hexadecimal digits.
    pub(super) fn note_named(size: usize, root: &str) -> String {
        format!("{size:08}-{root}.note")
    }

    /// The name of a cosigned copy.
    #[must_use]
    pub fn cosigned(size: usize, root: &[u8; 32], by: &str) -> String {
        format!("{size:08}-{}.{by}.cosigned", hex::encode(root))
    }

    /// Reads a name; none for files that are not ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (size, rest) = name.split_once('-')?;
        let size = size.parse().ok()?;
        let (root, kind) = rest.split_once('.')?;
        match kind.split_once('.') {
            None if kind == "note" => Some(Self::Note(size, root.to_owned())),
            Some((by, "cosigned")) => Some(Self::Cosigned(size, root.to_owned(), by.to_owned())),
            _ => None,
        }
    }
}
