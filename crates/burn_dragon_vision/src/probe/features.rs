//! Features of pictures, of frames or of patches.

use crate::error::VisionError;
use burn::tensor::Tensor;
use rayon::prelude::*;

/// Rows of features, `[rows, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    rows: usize,
    width: usize,
    values: Vec<f32>,
}

impl Features {
    /// Features of given values, `[rows, width]`.
    ///
    /// # Errors
    /// [`VisionError::Probe`] if there is none, if the last row is incomplete, or if a value is not finite.
    pub fn new(width: usize, values: Vec<f32>) -> Result<Self, VisionError> {
        let refuse = |reason| Err(VisionError::Probe { reason });
        if width == 0 || values.is_empty() || !values.len().is_multiple_of(width) {
            let given = values.len();
            return refuse(format!(
                "{given} values are no rows of width {width}; expected a positive multiple"
            ));
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (row, column) = (index / width, index % width);
            let value = values[index];
            return refuse(format!(
                "row {row}, column {column} is {value}; expected finite features: the encoder diverged"
            ));
        }
        Ok(Self {
            rows: values.len() / width,
            width,
            values,
        })
    }

    /// Features of a tensor, `[rows, width]`.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn from_tensor(tensor: Tensor<2>) -> Result<Self, VisionError> {
        let [_, width] = tensor.dims();
        match tensor.into_data().convert::<f32>().try_into_vec() {
            Ok(values) => Self::new(width, values),
            Err(error) => unreachable!("data converted to f32 is f32: {error}"),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Values, `[rows, width]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// A row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// Chosen rows, in the given order.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        let values = rows
            .iter()
            .flat_map(|&row| self.row(row).iter().copied())
            .collect();
        self.with(values)
    }

    /// Rows of length 1. A row of zeros stays.
    pub(super) fn unit_rows(&self) -> Self {
        let mut values = self.values.clone();
        values.par_chunks_mut(self.width).for_each(|row| {
            let square: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
            if square > 0.0 {
                let length = square.sqrt();
                row.iter_mut()
                    .for_each(|value| *value = (f64::from(*value) / length) as f32);
            }
        });
        self.with(values)
    }

    /// Other values of the same width.
    pub(super) fn with(&self, values: Vec<f32>) -> Self {
        Self {
            rows: values.len() / self.width,
            width: self.width,
            values,
        }
    }
}

/// Features with the class of each row.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// Features.
    pub features: &'a Features,
    /// Class of each row, below `classes`.
    pub labels: &'a [usize],
    /// Number of classes.
    pub classes: usize,
}

impl<'a> Labelled<'a> {
    /// Features with their labels.
    ///
    /// # Errors
    /// [`VisionError::Probe`] if not every row has a label, or if a label is not below the number of classes.
    pub fn new(features: &'a Features, labels: &'a [usize], classes: usize) -> Result<Self, VisionError> {
        let refuse = |reason| Err(VisionError::Probe { reason });
        if labels.len() != features.rows() {
            let (given, rows) = (labels.len(), features.rows());
            return refuse(format!("{given} labels for {rows} rows; expected one each"));
        }
        if let Some(row) = labels.iter().position(|&label| label >= classes) {
            let label = labels[row];
            return refuse(format!(
                "the label of row {row} is {label}; expected one below {classes}"
            ));
        }
        Ok(Self {
            features,
            labels,
            classes,
        })
    }
}

/// Checks that two sets of features can be compared.
pub(super) fn same_width(train: &Features, test: &Features) -> Result<(), VisionError> {
    let (expected, given) = (train.width(), test.width());
    if expected == given {
        return Ok(());
    }
    let reason = format!("test rows are {given} wide; expected {expected}, as the training rows");
    Err(VisionError::Probe { reason })
}
