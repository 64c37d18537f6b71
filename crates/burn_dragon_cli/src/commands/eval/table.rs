//! Table of figures with their standard errors.

use burn_dragon::api::language::Measured;

/// Row of the table: a figure, what it is of, its value, standard error and number of units.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    figure: &'static str,
    of: String,
    value: String,
    error: String,
    n: String,
    note: String,
}

impl Row {
    /// A row of a share, in per cent.
    pub(super) fn share(
        figure: &'static str,
        of: impl Into<String>,
        measured: Measured,
        unit: &'static str,
    ) -> Self {
        Self::of(figure, of, measured, unit, |value| {
            format!("{:.2} %", 100.0 * value)
        })
    }

    /// A row of a number.
    pub(super) fn number(
        figure: &'static str,
        of: impl Into<String>,
        measured: Measured,
        unit: &'static str,
    ) -> Self {
        Self::of(figure, of, measured, unit, |value| format!("{value:.4}"))
    }

    /// A row of a number that may be absent.
    pub(super) fn perhaps(
        figure: &'static str,
        of: impl Into<String>,
        measured: Option<Measured>,
        unit: &'static str,
    ) -> Self {
        let of = of.into();
        match measured {
            Some(measured) => Self::number(figure, of, measured, unit),
            None => Self {
                of,
                ..Self::absent(figure, "not defined: nothing is active there")
            },
        }
    }

    /// A row without a value, and the reason.
    pub(super) fn absent(figure: &'static str, reason: &str) -> Self {
        Self {
            figure,
            of: String::new(),
            value: "-".into(),
            error: "-".into(),
            n: "-".into(),
            note: reason.into(),
        }
    }

    /// The row with a note behind it.
    pub(super) fn noted(self, note: String) -> Self {
        Self { note, ..self }
    }

    fn of(
        figure: &'static str,
        of: impl Into<String>,
        measured: Measured,
        unit: &'static str,
        form: impl Fn(f64) -> String,
    ) -> Self {
        Self {
            figure,
            of: of.into(),
            value: form(measured.value),
            error: measured.standard_error.map_or("-".into(), form),
            n: format!("{} {unit}", measured.n),
            note: String::new(),
        }
    }

    fn cells(&self) -> [&str; 6] {
        [
            self.figure,
            &self.of,
            &self.value,
            &self.error,
            &self.n,
            &self.note,
        ]
    }
}

/// The table as lines, with a head. Numbers stand on the right of their columns.
pub(super) fn lines(rows: &[Row]) -> Vec<String> {
    const HEAD: [&str; 6] = ["figure", "of", "value", "s.e.", "n", ""];
    const RIGHT: [bool; 6] = [false, false, true, true, false, false];
    let cells: Vec<[&str; 6]> = std::iter::once(HEAD).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| {
        let lengths = cells.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let line = |row: &[&str; 6]| {
        let cells = row
            .iter()
            .zip(&widths)
            .zip(RIGHT)
            .map(|((cell, &width), right)| match right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    cells.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_the_value_its_error_and_the_number_of_units() {
        let measured = |standard_error| Measured {
            value: 0.25,
            standard_error,
            n: 40,
        };
        let rows = [
            Row::number("bits per byte", "a.txt", measured(Some(0.003)), "windows").noted("99 bytes".into()),
            Row::share("recall", "tales", measured(None), "tales"),
            Row::perhaps("first / repeats", "level 1", None, "readings"),
        ];
        assert_eq!(
            lines(&rows),
            [
                "figure           of         value    s.e.  n",
                "bits per byte    a.txt     0.2500  0.0030  40 windows  99 bytes",
                "recall           tales    25.00 %       -  40 tales",
                "first / repeats  level 1        -       -  -           not defined: nothing is active there",
            ]
        );
    }
}
