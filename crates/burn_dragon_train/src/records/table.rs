//! Table of text with aligned columns.

/// Table: a head and rows. A column after the first is aligned to the right if all its cells begin with a digit, a sign or
/// nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. Cells that are missing are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Lines of the table, without spaces at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let columns = all().map(Vec::len).max().unwrap_or_default();
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let width = |column| {
            all()
                .map(|row| cell(row, column).chars().count())
                .max()
                .unwrap_or(0)
        };
        let right = |column| column > 0 && self.rows.iter().all(|row| is_number(&cell(row, column)));
        let layout: Vec<(usize, bool)> = (0..columns)
            .map(|column| (width(column), right(column)))
            .collect();
        let line = |row: &Vec<String>| {
            let cells = layout.iter().enumerate().map(|(column, &(width, right))| {
                let text = cell(row, column);
                if right {
                    format!("{text:>width$}")
                } else {
                    format!("{text:<width$}")
                }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
        };
        all().map(line).collect()
    }
}

fn is_number(cell: &str) -> bool {
    let mut characters = cell.chars();
    match characters.next() {
        None => true,
        Some('-') => characters.next().is_none_or(|c| c.is_ascii_digit()),
        Some(c) => c.is_ascii_digit(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_aligned_to_the_right_and_names_to_the_left() {
        let mut table = Table::new(["run", "loss"]);
        table.row(["a".into(), "1.5".into()]);
        table.row(["longer".into(), "-".into()]);
        table.row(["é".into(), "12.25".into()]);
        assert_eq!(
            table.lines(),
            ["run      loss", "a         1.5", "longer      -", "é       12.25"]
        );
    }

    #[test]
    fn a_short_row_has_empty_cells() {
        let mut table = Table::new(["a", "b"]);
        table.row(["x".to_string()]);
        assert_eq!(table.lines(), ["a  b", "x"]);
    }
}
