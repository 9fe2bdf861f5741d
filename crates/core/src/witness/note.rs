//! Signed notes: a text, an empty line, and signature lines. The form is C2SP's `signed-note`, cosignatures are its
//! `cosignature/v1`, so that other programs can check them.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::seal::{self, SealError, SealKey};

/// Most signature lines of a note.
const SIGNATURES_MAX: usize = 64;
/// What a signature line begins with.
const MARK: &str = "— ";
/// Signature type of a plain Ed25519 signature.
const PLAIN: u8 = 1;
/// Signature type of a cosignature with its time.
const COSIGNED: u8 = 4;

/// Why a note is none, or not signed by whom it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It has not the form of one.
    #[error("it is no signed note: {0}")]
    Form(&'static str),
    /// A public key that is none.
    #[error("a public key is base64 of 32 bytes: 44 characters, then perhaps `=NAME`")]
    Key,
    /// No signature of that name and key.
    #[error("it has no signature of {0}")]
    Unsigned(String),
    /// There is one, and it is wrong.
    #[error("the signature of {0} is wrong")]
    BadSignature(String),
}

/// A public seal key, and what people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Base64.
    pub text: String,
    /// For people; the beginning of the key when nobody named it.
    pub name: String,
    bytes: [u8; 32],
}

impl PublicKey {
    /// Reads `BASE64` or `BASE64=NAME`.
    ///
    /// # Errors
    /// [`NoteError::Key`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let bad = NoteError::Key;
        let (key, name) = text.split_at_checked(44).ok_or_else(|| bad.clone())?;
        let bytes: [u8; 32] =
            BASE64.decode(key).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| bad.clone())?;
        let name = match name.strip_prefix('=') {
            Some(name) if !name.is_empty() => name.to_owned(),
            None if name.is_empty() => key[..8].to_owned(),
            _ => return Err(bad),
        };
        Ok(Self { text: key.to_owned(), name, bytes })
    }

    /// The first 8 bytes of the key's SHA-256, hexadecimal: part of names.
    #[must_use]
    pub fn short(&self) -> String {
        hex::encode(&Sha256::digest(self.bytes)[..8])
    }

    /// The name under which the key cosigns.
    #[must_use]
    pub fn witness_name(&self) -> String {
        format!("ghevault.witness.{}", self.short())
    }

    /// The four bytes that a signature line begins with.
    fn id(&self, name: &str, kind: u8) -> [u8; 4] {
        let mut hash = Sha256::new();
        hash.update(name.as_bytes());
        hash.update([b'\n', kind]);
        hash.update(self.bytes);
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
        [a, b, c, d]
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SignatureLine {
    name: String,
    bytes: Vec<u8>,
}

impl SignatureLine {
    fn text(&self) -> String {
        format!("{MARK}{} {}\n", self.name, BASE64.encode(&self.bytes))
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(MARK)?.split_once(' ')?;
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
            return None;
        }
        let bytes = BASE64.decode(signature).ok().filter(|bytes| bytes.len() > 4)?;
        Some(Self { name: name.to_owned(), bytes })
    }
}

/// A text with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text, with its last line feed.
    pub body: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// A text that is signed under a name; it ends with a line feed.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(body: String, name: &str, key: &SealKey) -> Result<Self, SealError> {
        let line = line(name, PLAIN, &[], &body, key)?;
        Ok(Self { body, signatures: vec![line] })
    }

    /// The same with the cosignature of a key: it saw the text at that moment.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn cosign(mut self, key: &SealKey, public: &PublicKey, at: Timestamp) -> Result<Self, SealError> {
        let stamp = at.as_second().unsigned_abs().to_be_bytes();
        let message = cosigned(&self.body, at.as_second().unsigned_abs());
        self.signatures.push(line(&public.witness_name(), COSIGNED, &stamp, &message, key)?);
        Ok(self)
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError::Form`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let form = NoteError::Form;
        let cut = text.rfind("\n\n").ok_or(form("no empty line before signatures"))?;
        let (body, signatures) = (&text[..=cut], &text[cut + 2..]);
        let lines = signatures.strip_suffix('\n').ok_or(form("no line feed at its end"))?;
        if body.chars().any(|c| c.is_control() && c != '\n') {
            return Err(form("a control character"));
        }
        let signatures: Option<Vec<SignatureLine>> = lines.split('\n').map(SignatureLine::parse).collect();
        let signatures = signatures.ok_or(form("a line that is no signature"))?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(form("too many signatures"));
        }
        Ok(Self { body: body.to_owned(), signatures })
    }

    /// The text of the note.
    #[must_use]
    pub fn text(&self) -> String {
        let lines: String = self.signatures.iter().map(SignatureLine::text).collect();
        format!("{}\n{lines}", self.body)
    }

    /// Whether the key signed it under that name.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`], [`NoteError::BadSignature`].
    pub fn signed_by(&self, name: &str, key: &PublicKey) -> Result<(), NoteError> {
        let id = key.id(name, PLAIN);
        let found = self.signatures.iter().find(|one| one.name == name && one.bytes.starts_with(&id));
        let found = found.ok_or_else(|| NoteError::Unsigned(name.to_owned()))?;
        seal::verify(&self.body, &key.text, &BASE64.encode(&found.bytes[4..]))
            .map_err(|_| NoteError::BadSignature(name.to_owned()))
    }

    /// When the key says that it saw it.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`], [`NoteError::BadSignature`].
    pub fn cosigned_by(&self, key: &PublicKey) -> Result<Timestamp, NoteError> {
        let name = key.witness_name();
        let id = key.id(&name, COSIGNED);
        let found = self.signatures.iter().find(|one| one.name == name && one.bytes.starts_with(&id));
        let found = found.ok_or_else(|| NoteError::Unsigned(name.clone()))?;
        let bad = || NoteError::BadSignature(name.clone());
        let (stamp, signature) = found.bytes[4..].split_at_checked(8).ok_or_else(bad)?;
        let seconds = u64::from_be_bytes(stamp.try_into().map_err(|_| bad())?);
        seal::verify(&cosigned(&self.body, seconds), &key.text, &BASE64.encode(signature))
            .map_err(|_| bad())?;
        i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok()).ok_or_else(bad)
    }
}

/// What a cosignature signs.
fn cosigned(body: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{body}")
}

fn line(
    name: &str,
    kind: u8,
    stamp: &[u8],
    message: &str,
    key: &SealKey,
) -> Result<SignatureLine, SealError> {
    let unreadable = |what: &str| SealError::Unreadable(what.to_owned());
    let public = PublicKey::parse(&key.public()).map_err(|_| unreadable("bad public key"))?;
    let signed = key.sign(message.to_owned())?;
    let signature = BASE64.decode(signed.signature()).map_err(|_| unreadable("bad signature"))?;
    let bytes = [&public.id(name, kind), stamp, &signature].concat();
    Ok(SignatureLine { name: name.to_owned(), bytes })
}
