//! Figures of the probes, by name.

use super::config::ProbeConfig;
use super::features::Labelled;
use super::{accuracy, deviation, effective_rank, knn, linear, nearest_centroid};
use crate::error::VisionError;
use serde::Serialize;

/// Unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share from 0 to 1, shown in percent.
    Share,
    /// A number.
    Number,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Name, such as `linear`.
    pub name: &'static str,
    /// Value.
    pub value: f64,
    /// Unit.
    pub unit: Unit,
}

/// Figures of one set of features.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Probe {
    /// Figures, in the order of a report.
    pub figures: Vec<Figure>,
}

impl Probe {
    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: f64, unit: Unit) -> Self {
        self.figures.push(Figure { name, value, unit });
        self
    }

    /// Value of a figure, if it was measured.
    pub fn get(&self, name: &str) -> Option<f64> {
        let figure = self.figures.iter().find(|figure| figure.name == name);
        figure.map(|figure| figure.value)
    }
}

/// Largest width of features for which a linear probe and the effective rank are measured: their time grows with its square and its
/// cube.
const WIDEST: usize = 1024;

/// Probes of features of pictures: accuracies `knn`, `linear` and `centroid` on test rows; `effective_rank` and `deviation` of
/// training rows. Of features wider than 1024, such as the pixels of coloured pictures, `linear` and `effective_rank` are left out.
///
/// # Errors
/// [`VisionError::Probe`] if the features cannot be probed.
pub fn probe(config: &ProbeConfig, train: Labelled<'_>, test: Labelled<'_>) -> Result<Probe, VisionError> {
    let right = |predictions: Vec<usize>| accuracy(&predictions, test.labels);
    let neighbours = knn(train, test.features, config.neighbours, config.temperature)?;
    let centred = nearest_centroid(train, test.features)?;
    let mut probe = Probe::default().with("knn", right(neighbours), Unit::Share);
    if train.features.width() <= WIDEST {
        let separated = linear(config, train, test.features)?.predictions;
        probe = probe.with("linear", right(separated), Unit::Share).with(
            "effective_rank",
            effective_rank(train.features),
            Unit::Number,
        );
    }
    Ok(probe.with("centroid", right(centred), Unit::Share).with(
        "deviation",
        deviation(train.features),
        Unit::Number,
    ))
}

/// Probes side by side: a row for each set of features, such as those of raw pixels, of an untrained encoder, of a supervised
/// one and of the method; a column for each figure. Lines end without a line break.
pub fn table(probes: &[(&str, &Probe)]) -> Vec<String> {
    let mut names: Vec<&'static str> = Vec::new();
    for figure in probes.iter().flat_map(|(_, probe)| &probe.figures) {
        if !names.contains(&figure.name) {
            names.push(figure.name);
        }
    }
    let label = probes.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let row = |(name, probe): &(&str, &Probe)| {
        let cell = |column: &&'static str| {
            let figure = probe.figures.iter().find(|figure| figure.name == *column);
            let text = figure.map_or("-".into(), shown);
            format!("  {text:>width$}", width = column.len().max(7))
        };
        format!("{name:<label$}{}", names.iter().map(cell).collect::<String>())
    };
    let heads: String = names.iter().map(|name| format!("  {name:>7}")).collect();
    let head = format!("{:<label$}{heads}", "");
    std::iter::once(head).chain(probes.iter().map(row)).collect()
}

fn shown(figure: &Figure) -> String {
    match figure.unit {
        Unit::Share => format!("{:.2} %", 100.0 * figure.value),
        Unit::Number => format!("{:.3}", figure.value),
    }
}
