//! How the appliance's data has grown and what backups have added, as a drawing.

use crate::output::human;
use ghevault_core::status::Size;
use std::fmt::Write as _;

/// Size of the drawing.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 120.0;
/// Room for the line's own width.
const EDGE: f64 = 3.0;

/// Draws; a point of one day is no growth.
pub fn growth(sizes: &[Size]) -> Option<String> {
    let (first, last) = (sizes.first()?, sizes.last()?);
    if first.date == last.date {
        return None;
    }
    let (source, added) = (|size: &Size| size.source, |size: &Size| size.added);
    let mut svg = format!(
        "<svg class=\"growth\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"From {} to {}: the appliance's data \
         from {} to {}, added by backups {}\">",
        first.date,
        last.date,
        human::bytes(first.source),
        human::bytes(last.source),
        human::bytes(last.added)
    );
    line(&mut svg, "source", sizes, source);
    line(&mut svg, "added", sizes, added);
    svg.push_str("</svg>");
    Some(svg)
}

/// One line, as high as its own greatest value.
#[allow(clippy::cast_precision_loss, reason = "a drawing")]
fn line(svg: &mut String, class: &str, sizes: &[Size], of: impl Fn(&Size) -> u64) {
    let most = sizes.iter().map(&of).max().unwrap_or(1).max(1) as f64;
    let from = sizes[0].date;
    let days = |size: &Size| f64::from(size.date.since(from).map_or(0, |span| span.get_days()));
    let width = days(&sizes[sizes.len() - 1]).max(1.0);
    let _ = write!(svg, "<polyline class=\"{class}\" points=\"");
    for size in sizes {
        let x = EDGE + days(size) / width * (WIDTH - 2.0 * EDGE);
        let y = HEIGHT - EDGE - of(size) as f64 / most * (HEIGHT - 2.0 * EDGE);
        let _ = write!(svg, "{x:.0},{y:.0} ");
    }
    svg.push_str("\"/>");
}

#[cfg(test)]
mod tests {
    use super::growth;
    use ghevault_core::status::Size;

    #[test]
    fn growth_is_told_in_words_too_and_one_day_is_none() {
        let size = |date: &str, source, added| Size { date: date.parse().expect("a date"), source, added };
        let days = [size("2026-01-01", 1 << 30, 0), size("2026-03-01", 2 << 30, 1 << 30)];
        assert_eq!(growth(&days[..1]), None);
        let svg = growth(&days).expect("a drawing");
        assert!(svg.contains("from 1.0 GiB to 2.0 GiB, added by backups 1.0 GiB"), "{svg}");
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("717,3 "), "{svg}");
    }
}
