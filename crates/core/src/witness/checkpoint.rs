//! What a vault says about its chain: origin, size, root, time, what it follows, and the entries since then.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;

use super::{
    log::Entry,
    note::{Note, NoteError, PublicKey},
};
use crate::seal::{SealError, SealKey};

/// The name under which a key speaks for a vault.
#[must_use]
pub fn origin(vault: &str, key: &PublicKey) -> String {
    format!("ghevault.{vault}.{}", key.short())
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Who speaks.
    pub origin: String,
    /// How many entries the log has.
    pub size: usize,
    /// Its root.
    pub root: [u8; 32],
    /// When the vault was looked at.
    pub time: Timestamp,
    /// Size and root of the checkpoint before; 0 and the root of no entries for the first.
    pub after: (usize, [u8; 32]),
    /// What came since.
    pub entries: Vec<Entry>,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn body(&self) -> String {
        let (size, root) = (self.after.0, BASE64.encode(self.after.1));
        let mut text = format!(
            "{}\n{}\n{}\ntime {}\nafter {size} {root}\n",
            self.origin,
            self.size,
            BASE64.encode(self.root),
            self.time
        );
        for entry in &self.entries {
            text.push_str(&entry.line());
            text.push('\n');
        }
        text
    }

    /// Reads the text of a note; only the form that [`Checkpoint::body`] writes.
    ///
    /// # Errors
    /// [`NoteError::Form`].
    pub fn parse(body: &str) -> Result<Self, NoteError> {
        Self::parsed(body)
            .filter(|read| read.body() == body)
            .ok_or(NoteError::Form("its text is no checkpoint"))
    }

    fn parsed(body: &str) -> Option<Self> {
        let mut lines = body.strip_suffix('\n')?.split('\n');
        let origin = lines.next()?.to_owned();
        let size = lines.next()?.parse().ok()?;
        let root = root(lines.next()?)?;
        let time = lines.next()?.strip_prefix("time ")?.parse().ok()?;
        let (after, before) = lines.next()?.strip_prefix("after ")?.split_once(' ')?;
        let after = (after.parse().ok()?, self::root(before)?);
        let entries = lines.map(Entry::parse).collect::<Option<_>>()?;
        Some(Self { origin, size, root, time, after, entries })
    }

    /// The note that goes to the board.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(&self, key: &SealKey) -> Result<Note, SealError> {
        Note::sign(self.body(), &self.origin, key)
    }
}

fn root(text: &str) -> Option<[u8; 32]> {
    BASE64.decode(text).ok()?.try_into().ok()
}
