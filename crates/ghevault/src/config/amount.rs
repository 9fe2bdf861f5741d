//! Reads amounts as people write them: `30MiB`, `512K`, `true`, `yes`, `2h`.

use std::time::Duration;

/// Bytes out of `500`, `30MiB`, `30M`, `1.5GB`; a bare number counts units of `bare` bytes.
#[must_use]
pub fn bytes(text: &str, bare: u64) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().trim_end_matches("/s").to_ascii_lowercase().as_str() {
        "" => bare,
        "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    let mut total = whole.checked_mul(unit)?;
    let mut weight = unit;
    for digit in fraction.chars() {
        weight /= 10;
        total = total.checked_add(u64::from(digit.to_digit(10)?) * weight)?;
    }
    Some(total)
}

/// A share of something, or bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// Of a hundred.
    Percent(f64),
    /// Bytes.
    Bytes(u64),
}

/// `5%`, or bytes as [`bytes`] reads them.
#[must_use]
pub fn share(text: &str) -> Option<Share> {
    match text.trim().strip_suffix('%') {
        Some(number) => {
            let percent: f64 = number.trim().parse().ok()?;
            (percent.is_finite() && percent >= 0.0).then_some(Share::Percent(percent))
        }
        None => bytes(text, 1).map(Share::Bytes),
    }
}

/// A time out of `90s`, `15min`, `2h`, `1d`; a bare number counts seconds.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim() {
        "" | "s" => 1,
        "min" | "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(unit)?))
}

/// A yes or no in any of the usual spellings.
#[must_use]
pub fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" | "" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, bytes, duration, share, truth};
    use std::time::Duration;

    #[test]
    fn sizes_are_read_in_both_families_of_units() {
        assert_eq!(bytes("500", 1), Some(500));
        assert_eq!(bytes("500", 1024), Some(512_000));
        assert_eq!(bytes("30MiB", 1), Some(30 << 20));
        assert_eq!(bytes("30m/s", 1), Some(30 << 20));
        assert_eq!(bytes("1.5GB", 1), Some(1_500_000_000));
        assert_eq!(bytes("2 kb", 1), Some(2_000));
    }

    #[test]
    fn nonsense_is_no_size() {
        for text in ["", "x", "-1", "1.2.3", "3 parsecs", "99999999999999999999", "99999999999GiB"] {
            assert_eq!(bytes(text, 1), None, "{text}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Some(Duration::from_secs(90)));
        assert_eq!(duration("15 min"), Some(Duration::from_mins(15)));
        assert_eq!(duration("2h"), Some(Duration::from_hours(2)));
        assert_eq!(duration("1d"), Some(Duration::from_hours(24)));
        for text in ["", "h", "-1h", "2 moons", "99999999999999999999d"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn yes_and_no_have_many_spellings() {
        assert_eq!(truth("YES"), Some(true));
        assert_eq!(truth("0"), Some(false));
        assert_eq!(truth("perhaps"), None);
    }
    #[test]
    fn shares_are_percents_or_sizes() {
        assert_eq!(share("2.5 %"), Some(Share::Percent(2.5)));
        assert_eq!(share("1GiB"), Some(Share::Bytes(1 << 30)));
        assert_eq!(share("0"), Some(Share::Bytes(0)));
        assert_eq!((share("-1%"), share("much")), (None, None));
    }
}
