//! Nearest centroid.

use super::features::{Features, Labelled, same_width};
use super::knn::largest;
use crate::error::VisionError;

/// Class of each test row: that of the most similar mean, by cosine, of rows of length 1. A class without training rows is
/// never chosen.
///
/// # Errors
/// [`VisionError::Probe`] if the widths differ.
pub fn nearest_centroid(train: Labelled<'_>, test: &Features) -> Result<Vec<usize>, VisionError> {
    same_width(train.features, test)?;
    let width = test.width();
    let mut centroids = vec![0f64; train.classes * width];
    let mut counts = vec![0usize; train.classes];
    let rows = train.features.unit_rows();
    for (row, &label) in train.labels.iter().enumerate() {
        counts[label] += 1;
        let centroid = &mut centroids[label * width..(label + 1) * width];
        centroid
            .iter_mut()
            .zip(rows.row(row))
            .for_each(|(sum, &value)| *sum += f64::from(value));
    }
    for centroid in centroids.chunks_mut(width) {
        let length = centroid.iter().map(|value| value * value).sum::<f64>().sqrt();
        if length > 0.0 {
            centroid.iter_mut().for_each(|value| *value /= length);
        }
    }
    let class = |row: usize| {
        let similarity = |(centroid, &count): (&[f64], &usize)| match count {
            0 => f64::NEG_INFINITY,
            _ => centroid
                .iter()
                .zip(test.row(row))
                .map(|(a, &b)| a * f64::from(b))
                .sum(),
        };
        largest(
            &centroids
                .chunks(width)
                .zip(&counts)
                .map(similarity)
                .collect::<Vec<f64>>(),
        )
    };
    Ok((0..test.rows()).map(class).collect())
}
