//! Bytes as letters and digits that are told apart by eye: Crockford's base 32, in groups of four.

use zeroize::Zeroizing;

/// No I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters between two hyphens.
const GROUP: usize = 4;

/// Writes whole bytes whose bits fill whole letters.
pub(super) fn encode(bytes: &[u8]) -> String {
    debug_assert!(bytes.len().is_multiple_of(5), "whole letters");
    let letters = bytes.len() * 8 / 5;
    let mut text = String::with_capacity(letters + letters / GROUP);
    for letter in 0..letters {
        if letter > 0 && letter.is_multiple_of(GROUP) {
            text.push('-');
        }
        let value = (0..5).fold(0_usize, |value, offset| {
            let bit = letter * 5 + offset;
            value << 1 | usize::from(bytes[bit / 8] >> (7 - bit % 8) & 1)
        });
        text.push(char::from(ALPHABET[value]));
    }
    text
}

/// Reads letters and digits, hyphens and spaces aside; `None` for any other sign. Bits that fill no byte are left out.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8 + 1));
    let (mut held, mut bits) = (0_u32, 0_u32);
    for sign in text.bytes().filter(|sign| !sign.is_ascii_whitespace() && *sign != b'-') {
        let sign = match sign.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        let value = ALPHABET.iter().position(|letter| *letter == sign)?;
        held = held << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes: Vec<u8> = (0..40_u16).map(|n| (n * 37 % 251).to_le_bytes()[0]).collect();
        let text = encode(&bytes);
        assert_eq!(text.len(), 64 + 15);
        assert_eq!(&**decode(&text).unwrap(), &bytes[..]);
        assert_eq!(encode(&[0; 5]), "0000-0000");
        assert_eq!(encode(&[255; 5]), "ZZZZ-ZZZZ");
        assert!(decode("abcu").is_none());
    }
}
