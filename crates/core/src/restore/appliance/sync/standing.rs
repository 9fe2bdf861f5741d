//! What stands on the appliance already.

use std::{collections::HashMap, io::Read};

use super::{Transfer, as_user};
use crate::{
    appliance::quote::quote,
    restore::appliance::{error::StepError, remote::Remote},
};

/// One thing that stands on the appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// find's letter: `f`, `d`, `l`, …
    pub kind: u8,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Time of last change, nanoseconds since 1970.
    pub modified: i128,
    /// Target of a symbolic link.
    pub target: Vec<u8>,
}

/// What stands below a transfer's target, by path.
pub type Map = HashMap<Vec<u8>, Standing>;

/// Lists units (files or directories) that exist, with everything below them.
pub fn ask(remote: &Remote<'_>, transfer: &Transfer<'_>, units: &[&[u8]]) -> Result<Map, StepError> {
    const LABEL: &str = "list what stands on the appliance";
    let list: Vec<u8> = units.iter().flat_map(|unit| [b"./", *unit, b"\0"].concat()).collect();
    // find fails on names that do not exist, so these are left out before.
    let script = format!(
        "cd {to} && xargs -0 -r bash -c 'for u do if [ -e \"$u\" ] || [ -L \"$u\" ]; then printf \"%s\\0\" \"$u\"; fi; done' bash \
         | xargs -0 -r sh -c 'exec find \"$@\" -printf \"%y %s %m %T@ %p\\0%l\\0\"' sh | gzip -1",
        to = quote(transfer.to)
    );
    let packed = remote.work(LABEL, &as_user(transfer.user, &script), &list)?;
    let mut listing = Vec::new();
    flate2::read::MultiGzDecoder::new(packed.as_slice())
        .read_to_end(&mut listing)
        .map_err(|source| StepError::Stream { label: LABEL.into(), source })?;
    parse(&listing)
        .ok_or_else(|| StepError::Answer { label: LABEL.into(), what: "a line that is no listing".into() })
}

/// Reads a listing; `None` when it is not one.
fn parse(listing: &[u8]) -> Option<Map> {
    let mut map = Map::new();
    let mut fields = listing.split(|b| *b == 0);
    loop {
        let line = fields.next()?;
        if line.is_empty() {
            // The listing ends with a NUL, so the last field is empty.
            return fields.next().is_none().then_some(map);
        }
        let target = fields.next()?.to_vec();
        let mut words = line.splitn(5, |b| *b == b' ');
        let mut word = || words.next();
        let kind = *word()?.first()?;
        let size = text(word()?)?.parse().ok()?;
        let mode = u32::from_str_radix(text(word()?)?, 8).ok()?;
        let modified = nanoseconds(text(word()?)?)?;
        let path = word()?;
        let path = path.strip_prefix(b"./").unwrap_or(path);
        if !path.is_empty() && path != b"." {
            map.insert(path.to_vec(), Standing { kind, size, mode, modified, target });
        }
    }
}

fn text(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok()
}

/// find prints floor seconds and a fraction, also before 1970.
fn nanoseconds(text: &str) -> Option<i128> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Some(seconds.parse::<i128>().ok()? * 1_000_000_000 + digits.parse::<i128>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::{nanoseconds, parse};

    #[test]
    fn listings_carry_any_name_and_target() {
        let listing =
            b"d 4096 2755 1.5000000000 ./a\0\0l 3 777 -2.2500000000 ./a/x\ny \xff\0../\xfe\0f 0 444 7 ./\0\0";
        let map = parse(listing).expect("a listing");
        assert_eq!(map.len(), 2);
        let link = &map[b"a/x\ny \xff".as_slice()];
        assert_eq!(
            (link.kind, link.target.as_slice(), link.modified),
            (b'l', b"../\xfe".as_slice(), -1_750_000_000)
        );
        assert_eq!(map[b"a".as_slice()].mode, 0o2755);
        assert!(parse(b"").is_some_and(|map| map.is_empty()));
    }

    #[test]
    fn a_cut_listing_is_no_listing() {
        assert_eq!(parse(b"f 1 644 1.0 ./a\0"), None);
        assert_eq!(parse(b"f 1 644 1.0 ./a"), None);
        assert_eq!(parse(b"noise\0\0"), None);
    }

    #[test]
    fn fractions_have_any_number_of_digits() {
        assert_eq!(nanoseconds("1.5"), Some(1_500_000_000));
        assert_eq!(nanoseconds("1"), Some(1_000_000_000));
        assert_eq!(nanoseconds("x"), None);
    }
}
