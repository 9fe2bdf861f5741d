//! Sizes, durations and counts as people read them.

use std::time::Duration;

/// `1.2 GiB`; below 1 KiB `12 B`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Tenths of the unit, in whole numbers: no rounding surprises at the borders.
    let mut tenths = u128::from(count) * 10;
    let mut unit = 0;
    tenths = (tenths + 512) / 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `0.4 s`, `12 s`, `3 min 5 s`, `2 h 7 min`, `3 d 4 h`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{}.{} s", seconds, time.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// The same for seconds as reports have them.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a part has moved: `, 1.2 GiB, 34 items`; what is nothing is not said.
#[must_use]
pub fn moved(size: u64, items: u64) -> String {
    let size = if size > 0 { format!(", {}", bytes(size)) } else { String::new() };
    let items = if items > 0 { format!(", {} items", count(items)) } else { String::new() };
    size + &items
}

/// Bytes per second over a time, 0 for no time.
#[must_use]
pub fn rate(count: u64, time: Duration) -> u64 {
    let millis = time.as_millis().max(1);
    u64::try_from(u128::from(count) * 1_000 / millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, duration, moved, rate};
    use std::time::Duration;

    #[test]
    fn sizes_have_one_decimal() {
        for (number, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn durations_name_two_units_at_most() {
        for (seconds, text) in
            [(0, "0.0 s"), (12, "12 s"), (185, "3 min 5 s"), (7_620, "2 h 7 min"), (273_600, "3 d 4 h")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(duration(Duration::from_millis(1_450)), "1.4 s");
    }

    #[test]
    fn counts_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn what_did_not_move_is_not_said() {
        assert_eq!(moved(0, 0), "");
        assert_eq!(moved(1024, 0), ", 1.0 KiB");
        assert_eq!(moved(1024, 2), ", 1.0 KiB, 2 items");
    }

    #[test]
    fn a_rate_over_no_time_is_no_division_by_zero() {
        assert_eq!(rate(10, Duration::ZERO), 10_000);
        assert_eq!(rate(1_000, Duration::from_secs(2)), 500);
    }
}
