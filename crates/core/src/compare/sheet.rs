//! A ref sheet: where the references of all repositories pointed in one snapshot, as it hangs on a board.
//!
//! Names are keyed hashes (see [`Blind`](super::Blind)). A sheet names the one before and tells only what changed since then;
//! one that names none tells everything.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Look, ReferenceKey, RepositoryKey, Table};
use crate::{
    seal::{SealError, SealKey},
    witness::{Note, NoteError, PublicKey, REFS},
};

/// The form that this release writes.
const FORM: &str = "refs 1";

/// The folder of an origin's sheets on a board.
#[must_use]
pub fn folder(origin: &str) -> String {
    format!("{origin}{REFS}")
}

/// One repository in a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryState {
    /// Which.
    pub key: RepositoryKey,
    /// Its ref digest and its references; `None` when it is gone.
    pub state: Option<([u8; 32], Table)>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Who speaks.
    pub origin: String,
    /// Which appliance, without its UUID.
    pub appliance: String,
    /// Hash of the snapshot's seal, and when it was made.
    pub look: Look,
    /// Seal of the sheet before; none for one that tells everything.
    pub after: Option<String>,
    /// Repositories that changed, sorted by key.
    pub repositories: Vec<RepositoryState>,
}

impl Sheet {
    /// Name of its file: sorts by time.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}.refs", self.look.started.strftime("%Y%m%dT%H%M%SZ"), self.look.snapshot)
    }

    /// The seal that a file name speaks of; none for files that are not ours.
    #[must_use]
    pub fn seal_of(name: &str) -> Option<&str> {
        let (_, seal) = name.strip_suffix(".refs")?.split_once('-')?;
        (seal.len() == 64).then_some(seal)
    }

    /// The text that is signed.
    #[must_use]
    pub fn body(&self) -> String {
        let after = self.after.as_deref().unwrap_or("-");
        let Look { snapshot, started, ended } = &self.look;
        let mut text = format!(
            "{}\n{FORM}\nappliance {}\nseal {snapshot}\nstarted {started}\nended {ended}\nafter {after}\n",
            self.origin, self.appliance,
        );
        for repository in &self.repositories {
            let key = hex::encode(repository.key);
            let Some((digest, table)) = &repository.state else {
                let _ = writeln!(text, "gone {key}");
                continue;
            };
            let _ = writeln!(text, "repository {key} {}", hex::encode(digest));
            for (reference, value) in table {
                let _ = writeln!(text, "ref {} {value}", hex::encode(reference));
            }
        }
        text
    }

    /// The text with the signature of its origin.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(&self, key: &SealKey) -> Result<Note, SealError> {
        Note::sign(self.body(), &self.origin, key)
    }

    /// Reads a signed sheet; only the form that [`Sheet::body`] writes, signed by the key of that origin.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str, origin: &str, key: &PublicKey) -> Result<Self, NoteError> {
        let note = Note::parse(text)?;
        note.signed_by(origin, key)?;
        Self::parse(&note.body)
            .filter(|sheet| sheet.origin == origin && sheet.body() == note.body)
            .ok_or(NoteError::Form("it is no ref sheet of this origin"))
    }

    fn parse(body: &str) -> Option<Self> {
        let mut lines = body.strip_suffix('\n')?.split('\n');
        let origin = lines.next()?.to_owned();
        if lines.next()? != FORM {
            return None;
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let appliance = field("appliance")?;
        let snapshot = field("seal")?;
        let started: Timestamp = field("started")?.parse().ok()?;
        let ended: Timestamp = field("ended")?.parse().ok()?;
        let after = Some(field("after")?).filter(|after| after != "-");
        let mut repositories: Vec<RepositoryState> = Vec::new();
        for line in lines {
            let (word, rest) = line.split_once(' ')?;
            match word {
                "gone" => repositories.push(RepositoryState { key: bytes(rest)?, state: None }),
                "repository" => {
                    let (key, digest) = rest.split_once(' ')?;
                    let state = Some((bytes(digest)?, Table::new()));
                    repositories.push(RepositoryState { key: bytes(key)?, state });
                }
                "ref" => {
                    let (key, value) = rest.split_once(' ')?;
                    let key: ReferenceKey = bytes(key)?;
                    let (_, table) = repositories.last_mut()?.state.as_mut()?;
                    table.insert(key, value.to_owned());
                }
                _ => return None,
            }
        }
        Some(Self { origin, appliance, look: Look { snapshot, started, ended }, after, repositories })
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex::decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let table = Table::from([([1; 8], "a".repeat(40)), ([2; 8], "~0011".into())]);
        Sheet {
            origin: "ghevault.v.k".into(),
            appliance: "00ff".into(),
            look: Look {
                snapshot: "5".repeat(64),
                started: "2026-01-01T00:00:00Z".parse().unwrap(),
                ended: "2026-01-01T00:10:00.5Z".parse().unwrap(),
            },
            after: Some("4".repeat(64)),
            repositories: vec![
                RepositoryState { key: [7; 16], state: Some(([9; 32], table)) },
                RepositoryState { key: [8; 16], state: None },
            ],
        }
    }

    #[test]
    fn a_sheet_opens_with_what_was_signed() {
        let key = SealKey::generate();
        let public = PublicKey::parse(&key.public()).unwrap();
        let text = sheet().sign(&key).unwrap().text();
        assert_eq!(Sheet::read(&text, "ghevault.v.k", &public).unwrap(), sheet());
        let first = Sheet { after: None, repositories: Vec::new(), ..sheet() };
        assert_eq!(Sheet::read(&first.sign(&key).unwrap().text(), "ghevault.v.k", &public).unwrap(), first);
        assert_eq!(Sheet::seal_of(&first.name()), Some(&*"5".repeat(64)));
    }

    #[test]
    fn an_edited_sheet_one_of_another_key_and_one_of_another_origin_are_none() {
        let key = SealKey::generate();
        let public = PublicKey::parse(&key.public()).unwrap();
        let other = PublicKey::parse(&SealKey::generate().public()).unwrap();
        let text = sheet().sign(&key).unwrap().text();
        assert!(Sheet::read(&text.replace("aaaa", "abaa"), "ghevault.v.k", &public).is_err());
        assert!(Sheet::read(&text, "ghevault.v.k", &other).is_err());
        assert!(Sheet::read(&text, "ghevault.w.k", &public).is_err());
        assert!(Sheet::read("garbage", "ghevault.v.k", &public).is_err());
        let odd =
            Note::sign(sheet().body().replace("ref 01", "ref  01"), "ghevault.v.k", &key).unwrap().text();
        assert!(Sheet::read(&odd, "ghevault.v.k", &public).is_err(), "another form of the same is none");
    }
}
