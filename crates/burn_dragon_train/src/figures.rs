//! Unit of a task's data, and the figures that are shown.

/// Unit in which data is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Singular: `token`.
    pub one: &'static str,
    /// Plural: `tokens`.
    pub many: &'static str,
    /// Short form in a rate, before `/s`: `tok`.
    pub short: &'static str,
}

impl Unit {
    /// Default unit.
    pub const SAMPLE: Self = Self {
        one: "sample",
        many: "samples",
        short: "samples",
    };
}

/// Figure shown beside the loss.
///
/// A figure with a `factor` is proportional to the loss: the trainer computes it, and shows it after the loss (`3.339
/// bpb`). Other figures are metrics of the task's loss or evaluation, shown at the end of a line (`x 4.7%`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Name among the metrics: `bits_per_byte`.
    pub key: &'static str,
    /// Name in a sentence: `bits per byte`.
    pub name: &'static str,
    /// Short name on a line: `bpb`.
    pub label: &'static str,
    /// Format of the value.
    pub format: FigureFormat,
    /// Factor from the loss to this figure; `None` for other figures.
    pub factor: Option<f64>,
}

/// Format of the value of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureFormat {
    /// Number with about four digits: `2.314`, `12.31`.
    Number,
    /// Share from 0 to 1 as a percentage: `4.7%`.
    Percent,
}

impl FigureFormat {
    /// The value as text.
    pub fn write(self, value: f64) -> String {
        match self {
            Self::Number => figure(value),
            Self::Percent => percent(value),
        }
    }
}

impl Figure {
    /// Figure as text on a line of progress.
    pub(crate) fn on_a_line(&self, value: f64) -> String {
        let (value, label) = (self.format.write(value), self.label);
        match self.factor {
            Some(_) => format!("{value} {label}"),
            None => format!("{label} {value}"),
        }
    }
}

/// A metric as text for a person: by its figure, or by its name in words if the task has no figure for it.
pub(crate) fn told(figures: &[Figure], key: &str, value: f64) -> String {
    match figures.iter().find(|known| known.key == key) {
        Some(known) => known.on_a_line(value),
        None => format!("{} {}", key.replace('_', " "), figure(value)),
    }
}

/// Loss or norm in five columns, with about four digits: `2.314`, `0.081`, `12.31`, `1.2e6`.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if size < 9.9995 => format!("{value:.3}"),
        size if size < 99.995 => format!("{value:.2}"),
        size if size < 999.95 => format!("{value:.1}"),
        _ if value.is_finite() => format!("{value:.1e}"),
        _ => value.to_string(),
    }
}

/// Share from 0 to 1 as text: `0.42%`, `4.2%`, `42%`.
pub(crate) fn percent(share: f64) -> String {
    let hundredths = share * 100.0;
    match hundredths.abs() {
        0.0 => "0%".into(),
        size if size < 0.995 => format!("{hundredths:.2}%"),
        size if size < 9.95 => format!("{hundredths:.1}%"),
        _ => format!("{hundredths:.0}%"),
    }
}
