//! The key that signs, and what a signature is: Ed25519, by a key in memory or by one that never leaves KMS.

use super::SealError;
use crate::keys::{KmsError, SigningService, service::MESSAGE_BYTES_MAX};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};
use std::{borrow::Cow, fmt, sync::Arc};
use zeroize::Zeroizing;

/// A text and its signature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedText {
    pub(super) text: String,
    pub(super) key: String,
    pub(super) signature: String,
}

impl SignedText {
    /// The text, if the signature fits it.
    ///
    /// # Errors
    /// [`SealError::Unreadable`], [`SealError::BadSignature`].
    pub fn verified(&self) -> Result<&str, SealError> {
        verify(&self.text, &self.key, &self.signature)?;
        Ok(&self.text)
    }

    /// The public key that is said to have signed it, base64.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The signature, base64.
    #[must_use]
    pub fn signature(&self) -> &str {
        &self.signature
    }
}

/// The key that signs seals, records, reports and checkpoints.
pub struct SealKey {
    public: String,
    hand: Hand,
}

/// Who does the signing.
enum Hand {
    Own(SigningKey),
    Service { service: Arc<dyn SigningService>, key: String },
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.public)
    }
}

impl SealKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        Self::own(SigningKey::from_bytes(&bytes))
    }

    fn own(key: SigningKey) -> Self {
        Self { public: BASE64.encode(key.verifying_key().as_bytes()), hand: Hand::Own(key) }
    }

    /// Reads a key from its text form.
    ///
    /// # Errors
    /// It is not base64 of 32 bytes.
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let bad = || SealError::Unreadable("the seal key is not base64 of 32 bytes".into());
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).map_err(|_| bad())?);
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.as_slice().try_into().map_err(|_| bad())?);
        Ok(Self::own(SigningKey::from_bytes(&bytes)))
    }

    /// An asymmetric key (id, ARN or `alias/…`) that never leaves its service. The service is asked for the public half.
    ///
    /// # Errors
    /// There is no such key, it may not be used, or it is not made for Ed25519.
    pub fn of_service(service: Arc<dyn SigningService>, key: &str) -> Result<Self, KmsError> {
        let public = service.public_key(key)?;
        Ok(Self { public: BASE64.encode(public), hand: Hand::Service { service, key: key.to_owned() } })
    }

    /// The key's text form, secret; none when it never leaves its service.
    #[must_use]
    pub fn to_text(&self) -> Option<Zeroizing<String>> {
        match &self.hand {
            Hand::Own(key) => Some(Zeroizing::new(BASE64.encode(key.as_bytes()))),
            Hand::Service { .. } => None,
        }
    }

    /// The public half, base64.
    #[must_use]
    pub fn public(&self) -> String {
        self.public.clone()
    }

    /// Signs a text.
    ///
    /// # Errors
    /// [`SealError::Service`]: the service does not sign; [`SealError::OtherHand`]: it does, but not with that key.
    pub fn sign(&self, text: String) -> Result<SignedText, SealError> {
        let signature = match &self.hand {
            Hand::Own(key) => key.sign(text.as_bytes()).to_bytes(),
            Hand::Service { service, key } => service.sign(key, &short(&text))?,
        };
        let signature = BASE64.encode(signature);
        if let Hand::Service { key, .. } = &self.hand {
            verify(&text, &self.public, &signature).map_err(|_| SealError::OtherHand { key: key.clone() })?;
        }
        Ok(SignedText { text, key: self.public(), signature })
    }
}

/// What a key in a service signs in place of a text: the text itself, or a line with its hash where the service takes no more.
fn short(text: &str) -> Cow<'_, [u8]> {
    if text.len() <= MESSAGE_BYTES_MAX {
        return Cow::Borrowed(text.as_bytes());
    }
    let hash = hex::encode(Sha512::digest(text.as_bytes()));
    Cow::Owned(format!("ghevault digest/v1\nsha512 {hash}\n").into_bytes())
}

/// Whether a signature (base64) of a public key (base64) fits a text, or the line that stands for a long one.
///
/// # Errors
/// It does not, or one of the two cannot be read.
pub fn verify(text: &str, key: &str, signature: &str) -> Result<(), SealError> {
    let unreadable = |what: &str| SealError::Unreadable(what.into());
    let key: [u8; 32] = BASE64
        .decode(key)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| unreadable("bad public key"))?;
    let signature: [u8; 64] = BASE64
        .decode(signature)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| unreadable("bad signature"))?;
    let key = VerifyingKey::from_bytes(&key).map_err(|_| unreadable("bad public key"))?;
    let signature = Signature::from_bytes(&signature);
    let fits = |message: &[u8]| key.verify(message, &signature).is_ok();
    if fits(text.as_bytes()) || (text.len() > MESSAGE_BYTES_MAX && fits(&short(text))) {
        return Ok(());
    }
    Err(SealError::BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::service::KmsErrorKind;
    use std::sync::Mutex;

    /// A service with one key, which signs with another one if it lies; keeps what it signed.
    struct Service {
        key: SigningKey,
        hand: SigningKey,
        signed: Mutex<Vec<Vec<u8>>>,
    }

    impl Service {
        fn honest() -> Arc<Self> {
            let key = SigningKey::from_bytes(&[7; 32]);
            Arc::new(Self { hand: key.clone(), key, signed: Mutex::default() })
        }
    }

    impl SigningService for Service {
        fn public_key(&self, _: &str) -> Result<[u8; 32], KmsError> {
            Ok(self.key.verifying_key().to_bytes())
        }

        fn sign(&self, key: &str, message: &[u8]) -> Result<[u8; 64], KmsError> {
            if message.len() > MESSAGE_BYTES_MAX {
                return Err(KmsError { kind: KmsErrorKind::TooLong, key: Some(key.into()), failure: None });
            }
            self.signed.lock().unwrap().push(message.to_vec());
            Ok(self.hand.sign(message).to_bytes())
        }
    }

    #[test]
    fn the_key_survives_its_text_form() {
        let key = SealKey::generate();
        assert_eq!(SealKey::from_text(&key.to_text().unwrap()).unwrap().public(), key.public());
    }

    #[test]
    fn a_key_in_a_service_signs_like_one_in_memory_and_is_never_shown() {
        let key = SealKey::of_service(Service::honest(), "alias/seal").unwrap();
        let same = SealKey::own(SigningKey::from_bytes(&[7; 32]));
        let (far, near) = (key.sign("a text".into()).unwrap(), same.sign("a text".into()).unwrap());
        assert_eq!((far.key(), far.signature()), (near.key(), near.signature()));
        assert!(key.to_text().is_none());
    }

    #[test]
    fn a_long_text_is_signed_by_its_hash_where_the_service_takes_no_more() {
        let service = Service::honest();
        let key = SealKey::of_service(service.clone(), "alias/seal").unwrap();
        for (length, whole) in [(MESSAGE_BYTES_MAX, true), (MESSAGE_BYTES_MAX + 1, false)] {
            let text = "x".repeat(length);
            let signed = key.sign(text.clone()).unwrap();
            assert_eq!(signed.verified(), Ok(text.as_str()));
            assert_eq!(service.signed.lock().unwrap().pop().unwrap() == text.as_bytes(), whole, "{length}");
            let other = SignedText { text: text.replacen('x', "y", 1), ..signed };
            assert_eq!(other.verified(), Err(SealError::BadSignature));
        }
    }

    #[test]
    fn a_signature_over_the_hash_of_a_short_text_is_none() {
        let key = SealKey::generate();
        let hash = hex::encode(Sha512::digest(b"short"));
        let signed = key.sign(format!("ghevault digest/v1\nsha512 {hash}\n")).unwrap();
        let forged = SignedText { text: "short".into(), ..signed };
        assert_eq!(forged.verified(), Err(SealError::BadSignature));
    }

    #[test]
    fn a_service_that_signs_with_another_key_is_found_out_at_once() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let liar = Service { key, hand: SigningKey::from_bytes(&[8; 32]), signed: Mutex::default() };
        let key = SealKey::of_service(Arc::new(liar), "alias/seal").unwrap();
        assert_eq!(key.sign("a text".into()).unwrap_err(), SealError::OtherHand { key: "alias/seal".into() });
    }
}
