//! The calendar of backups as a drawing: a column for each week, a square for each day.

use ghevault_core::status::Day;
use std::fmt::Write as _;

/// Side of a square and its distance to the next.
const CELL: i16 = 12;
const STEP: i16 = 15;

/// Draws; every square says in words what it shows.
pub fn heat(days: &[Day]) -> String {
    let Some(first) = days.first() else { return String::new() };
    let lead = i16::from(first.date.weekday().to_monday_zero_offset());
    let weeks = (i16::try_from(days.len()).unwrap_or(i16::MAX - 7) + lead + 6) / 7;
    let (width, height) = (weeks * STEP, 7 * STEP + 14);
    let mut svg = format!(
        "<svg class=\"heat\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Backups by day of the last {} days\">",
        days.len()
    );
    for (place, day) in (lead..).zip(days) {
        let (x, y) = (place / 7 * STEP, place % 7 * STEP + 14);
        if day.date.day() == 1 {
            let _ = write!(svg, "<text x=\"{x}\" y=\"9\">{}</text>", day.date.strftime("%b"));
        }
        let kind = kind(day);
        let _ = write!(
            svg,
            "<rect class=\"{kind}\" x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\"><title>{}{}</title></rect>",
            day.date,
            words(day)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// What a day was, at its worst; one good backup on a day with troubles is not a good day.
fn kind(day: &Day) -> &'static str {
    if day.quarantined > 0 {
        return "odd";
    }
    match (day.complete, day.partial, day.failed) {
        (0, 0, 0) => "none",
        (_, 0, 0) => "good",
        (0, 0, _) => "bad",
        _ => "mixed",
    }
}

fn words(day: &Day) -> String {
    let parts = [
        (day.complete, "complete"),
        (day.partial, "partial"),
        (day.failed, "failed"),
        (day.quarantined, "in quarantine"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if parts.is_empty() { ": no backup".to_owned() } else { format!(": {}", parts.join(", ")) }
}
