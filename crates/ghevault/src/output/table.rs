//! A plain table with aligned columns.

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Renders rows below a heading; the last column is never padded.
#[must_use]
pub fn render<const N: usize>(columns: [(&str, Align); N], rows: &[[String; N]]) -> String {
    let headings = columns.map(|(heading, _)| heading.to_owned());
    let widths: [usize; N] = std::array::from_fn(|column| {
        std::iter::once(&headings)
            .chain(rows)
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    });
    let mut text = String::new();
    for row in std::iter::once(&headings).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            match columns[column].1 {
                Align::Left => line.extend([cell.as_str(), &padding]),
                Align::Right => line.extend([padding.as_str(), cell]),
            }
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Align, render};

    #[test]
    fn columns_are_aligned() {
        let rows = [["mysql".to_owned(), "1".to_owned()], ["é".to_owned(), "1,000".to_owned()]];
        let text = render([("dataset", Align::Left), ("items", Align::Right)], &rows);
        assert_eq!(text, "dataset  items\nmysql        1\né        1,000\n");
    }
}
