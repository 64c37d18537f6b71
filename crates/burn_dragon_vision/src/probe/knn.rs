//! Nearest neighbours, by the protocol of DINO (arXiv:2104.14294): cosine similarity, k neighbours, weights
//! `exp(similarity / temperature)`.

use super::features::{Features, Labelled, same_width};
use crate::error::VisionError;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

/// Rows of the training set whose similarities are computed at once.
const TRAIN_BLOCK: usize = 4096;

/// Rows of the test set whose similarities are computed at once.
const TEST_BLOCK: usize = 256;

/// A training row and its similarity.
type Neighbour = (f32, usize);

/// Class of each test row: that with the largest sum of weights among the `neighbours` most similar training rows. Of equal
/// training rows the first count, of equal classes the first wins.
///
/// # Errors
/// [`VisionError::Probe`] if the widths differ.
pub fn knn(
    train: Labelled<'_>,
    test: &Features,
    neighbours: usize,
    temperature: f64,
) -> Result<Vec<usize>, VisionError> {
    same_width(train.features, test)?;
    let (device, width) = (Device::flex(), test.width());
    let (rows, queries) = (train.features.unit_rows(), test.unit_rows());
    let block = |values: &[f32]| {
        let data = TensorData::new(values.to_vec(), [values.len() / width, width]);
        Tensor::<2>::from_data(data, &device)
    };
    let columns: Vec<Tensor<2>> = rows
        .values()
        .chunks(TRAIN_BLOCK * width)
        .map(|rows| block(rows).transpose())
        .collect();
    let mut classes = Vec::with_capacity(test.rows());
    for queries in queries.values().chunks(TEST_BLOCK * width) {
        let queries = block(queries);
        let mut nearest = vec![Vec::with_capacity(neighbours); queries.dims()[0]];
        for (index, columns) in columns.iter().enumerate() {
            let similar = numbers(queries.clone().matmul(columns.clone())); // [test, train]
            let similar = similar.par_chunks(columns.dims()[1]);
            nearest
                .par_iter_mut()
                .zip(similar)
                .for_each(|(nearest, similar)| {
                    gather(nearest, similar, index * TRAIN_BLOCK, neighbours);
                });
        }
        let vote = |nearest: &Vec<Neighbour>| vote(nearest, &train, temperature);
        classes.extend(nearest.iter().map(vote));
    }
    Ok(classes)
}

/// Adds the most similar rows to the list, most similar first.
fn gather(nearest: &mut Vec<Neighbour>, similar: &[f32], first: usize, most: usize) {
    let least = |nearest: &Vec<Neighbour>| match nearest.last() {
        Some(&(similarity, _)) if nearest.len() == most => similarity,
        _ => f32::NEG_INFINITY,
    };
    let mut bar = least(nearest);
    for (index, &similarity) in similar.iter().enumerate() {
        if similarity > bar {
            let at = nearest.partition_point(|&(other, _)| other >= similarity);
            nearest.truncate(most - 1);
            nearest.insert(at, (similarity, first + index));
            bar = least(nearest);
        }
    }
}

fn vote(nearest: &[Neighbour], train: &Labelled<'_>, temperature: f64) -> usize {
    let mut votes = vec![0.0; train.classes];
    let best = nearest
        .first()
        .map_or(0.0, |&(similarity, _)| f64::from(similarity));
    for &(similarity, row) in nearest {
        votes[train.labels[row]] += ((f64::from(similarity) - best) / temperature).exp();
    }
    largest(&votes)
}

/// First index of the largest value.
pub(super) fn largest<T: PartialOrd>(values: &[T]) -> usize {
    let better = |best, index| if values[index] > values[best] { index } else { best };
    (0..values.len()).reduce(better).unwrap_or(0)
}

/// Values of a tensor in f32.
pub(super) fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    match tensor.into_data().try_into_vec() {
        Ok(values) => values,
        Err(error) => unreachable!("a tensor made of f32 is f32: {error}"),
    }
}
