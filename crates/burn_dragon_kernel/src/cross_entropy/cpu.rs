//! Cross entropy on the processor, row by row.

use crate::parallel::*;
use crate::simd::{LANES, exp, largest, vectorized};
use burn::tensor::DType;
use burn_flex::FlexTensor;

/// Logits of the rows that one task takes: about 50 us of work, so that small tensors wake no thread.
const CHUNK: usize = 1 << 16;

/// Rows of logits, the class of each, and the logarithm of the sum of their exponentials.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    logits: FlexTensor,
    classes: Vec<usize>,
    log_sums: Vec<f32>,
    width: usize,
}

impl Rows {
    /// Reads the rows once.
    ///
    /// # Panics
    /// If a target is not a class.
    pub(crate) fn new(logits: FlexTensor, targets: &FlexTensor) -> Self {
        let classes = classes(targets);
        let width = logits.layout().num_elements() / classes.len().max(1);
        if let Some(class) = classes.iter().find(|&&class| class >= width) {
            panic!("cross entropy: target {class} of {width} classes");
        }
        let mut log_sums = vec![0.0; classes.len()];
        let rows = rows_of_a_task(width);
        logits
            .storage::<f32>()
            .par_chunks(rows * width)
            .zip(log_sums.par_chunks_mut(rows))
            .for_each(|(logits, sums)| log_sum_rows(logits, sums));
        Self {
            logits,
            classes,
            log_sums,
            width,
        }
    }

    /// The cross entropy of every row.
    pub(crate) fn losses(&self) -> Vec<f32> {
        let logits = self.logits.storage::<f32>().chunks_exact(self.width);
        let rows = logits.zip(&self.classes).zip(&self.log_sums);
        rows.map(|((logits, &class), sum)| sum - logits[class]).collect()
    }

    /// The gradient of the logits from that of every row: `d (softmax - one at the class)`.
    pub(crate) fn back(mut self, d: &[f32]) -> FlexTensor {
        let (rows, width) = (rows_of_a_task(self.width), self.width);
        self.logits
            .storage_mut::<f32>()
            .par_chunks_mut(rows * width)
            .zip(self.classes.par_chunks(rows))
            .zip(self.log_sums.par_chunks(rows))
            .zip(d.par_chunks(rows))
            .for_each(|(((logits, classes), sums), d)| {
                softmax_rows(logits, sums, d);
                let rows = logits.chunks_exact_mut(width).zip(classes).zip(d);
                rows.for_each(|((row, &class), d)| row[class] -= d);
            });
        self.logits
    }
}

/// Targets as classes; a negative one becomes a class that does not exist.
fn classes(targets: &FlexTensor) -> Vec<usize> {
    let class = |target: i64| usize::try_from(target).unwrap_or(usize::MAX);
    if targets.dtype() == DType::I32 {
        let targets = targets.storage::<i32>();
        return targets.iter().map(|&target| class(target.into())).collect();
    }
    let targets = targets.storage::<i64>();
    targets.iter().map(|&target| class(target)).collect()
}

fn rows_of_a_task(width: usize) -> usize {
    (CHUNK / width).max(1)
}

vectorized! {
    /// The logarithm of the sum of exponentials, for as many rows as there are sums.
    log_sum_rows(logits: &[f32], sums: &mut [f32]) {
        let width = logits.len() / sums.len();
        for (row, log_sum) in logits.chunks_exact(width).zip(sums) {
            let top = largest(row);
            let (lanes, rest) = row.as_chunks::<LANES>();
            let mut sums = [0.0; LANES];
            for lane in lanes {
                sums.iter_mut().zip(lane).for_each(|(sum, x)| *sum += exp(x - top));
            }
            let rest = rest.iter().map(|x| exp(x - top));
            *log_sum = top + sums.into_iter().chain(rest).sum::<f32>().ln();
        }
    }

    /// From logits to `d softmax`, in place.
    softmax_rows(logits: &mut [f32], log_sums: &[f32], d: &[f32]) {
        let width = logits.len() / d.len();
        for ((row, log_sum), d) in logits.chunks_exact_mut(width).zip(log_sums).zip(d) {
            row.iter_mut().for_each(|x| *x = d * exp(*x - log_sum));
        }
    }
}
