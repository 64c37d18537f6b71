//! Orthonormal vectors: normal ones, each made orthogonal to those before it (Gram-Schmidt, twice for rounding).

use crate::seed::Rng;

/// `count` orthonormal vectors, one after another, uniform among such sets.
///
/// # Panics
/// If there are more vectors than entries in each.
pub(super) fn vectors(seed: u64, count: usize, entries: usize) -> Vec<f64> {
    assert!(count <= entries, "orthogonal: more vectors than dimensions");
    let mut rng = Rng::new(seed);
    let mut all: Vec<f64> = Vec::with_capacity(count * entries);
    for _ in 0..count {
        let mut vector: Vec<f64> = (0..entries).map(|_| rng.normal()).collect();
        for _ in 0..2 {
            for before in all.chunks_exact(entries) {
                let along = dot(&vector, before);
                let parts = vector.iter_mut().zip(before);
                parts.for_each(|(entry, before)| *entry -= along * before);
            }
        }
        let length = dot(&vector, &vector).sqrt();
        all.extend(vector.into_iter().map(|entry| entry / length));
    }
    all
}

/// Product of two vectors, in eight sums, which a compiler puts side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (rows, columns) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = (rows.remainder().iter().zip(columns.remainder()))
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in rows.zip(columns) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    rest + sums.into_iter().sum::<f64>()
}
