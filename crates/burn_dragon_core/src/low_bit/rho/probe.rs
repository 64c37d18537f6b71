//! Error and norm of memory at the edges of chunks.

use burn::tensor::Tensor;

/// Probe of what precision and compression do to carried memory, over any number of passes and levels.
#[derive(Clone, Debug, Default)]
pub struct RhoProbe {
    error: f64,
    size: f64,
    largest: f64,
    edges: u64,
}

impl RhoProbe {
    /// Adds a level's memory before and after an edge.
    pub(super) fn add(&mut self, before: Tensor<4>, after: Tensor<4>) {
        // Row by row first: a sum of millions of squares in f32 would lose its small ones.
        let sum = |x: Tensor<4>| -> f64 {
            let rows = x.square().sum_dim(3).into_data().convert::<f64>();
            rows.iter::<f64>().sum()
        };
        let apart = after - before.clone();
        self.largest = self.largest.max(apart.clone().abs().max().into_scalar::<f64>());
        self.error += sum(apart);
        self.size += sum(before);
        self.edges += 1;
    }

    /// Norm of all errors over the norm of all memories; 0 if there were none.
    pub fn relative_error(&self) -> f64 {
        match self.size > 0.0 {
            true => (self.error / self.size).sqrt(),
            false => 0.0,
        }
    }

    /// Largest error of a number.
    pub fn largest_error(&self) -> f64 {
        self.largest
    }

    /// Root mean square of the norms of the memories before the edges.
    pub fn norm(&self) -> f64 {
        (self.size / self.edges.max(1) as f64).sqrt()
    }

    /// Number of edges of levels.
    pub fn edges(&self) -> u64 {
        self.edges
    }
}
