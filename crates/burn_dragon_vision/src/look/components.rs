//! Principal components of tokens, as colours.

/// Number of components: red, green, blue.
const COLOURS: usize = 3;

/// Iterations of the power method for each component. Colours need no more digits.
const ITERATIONS: usize = 60;

/// Mean and first principal components of rows, with their ranges.
pub(super) struct Components {
    mean: Vec<f64>,
    axes: Vec<Vec<f64>>,
    /// Smallest and largest coordinate along each axis.
    ranges: Vec<[f64; 2]>,
}

impl Components {
    /// Components of rows of `width` numbers, by the power method: deterministic, the largest entry of an axis is positive.
    pub(super) fn of(values: &[f32], width: usize) -> Self {
        let rows: Vec<&[f32]> = values.chunks_exact(width).collect();
        let count = rows.len().max(1) as f64;
        let mut mean = vec![0.0; width];
        for row in &rows {
            mean.iter_mut()
                .zip(*row)
                .for_each(|(mean, value)| *mean += f64::from(*value) / count);
        }
        let centred: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| {
                row.iter()
                    .zip(&mean)
                    .map(|(value, mean)| f64::from(*value) - mean)
                    .collect()
            })
            .collect();
        let mut axes: Vec<Vec<f64>> = Vec::new();
        for component in 0..COLOURS.min(width) {
            axes.push(axis(&centred, &axes, width, component));
        }
        let along = |axis: &Vec<f64>| {
            let coordinates = centred.iter().map(|row| dot(row, axis));
            coordinates.fold([f64::INFINITY, f64::NEG_INFINITY], |[least, most], value| {
                [least.min(value), most.max(value)]
            })
        };
        Self {
            ranges: axes.iter().map(along).collect(),
            mean,
            axes,
        }
    }

    /// A colour for each row.
    pub(super) fn colours(&self, values: &[f32]) -> Vec<[u8; 3]> {
        let colour = |row: &[f32]| {
            let centred: Vec<f64> = row
                .iter()
                .zip(&self.mean)
                .map(|(value, mean)| f64::from(*value) - mean)
                .collect();
            let mut colour = [0; COLOURS];
            for ((channel, axis), [least, most]) in colour.iter_mut().zip(&self.axes).zip(&self.ranges) {
                let share = (dot(&centred, axis) - least) / (most - least).max(1e-12);
                *channel = (255.0 * share.clamp(0.0, 1.0)) as u8;
            }
            colour
        };
        values.chunks_exact(self.mean.len()).map(colour).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The next axis, at right angles to those before.
fn axis(rows: &[Vec<f64>], before: &[Vec<f64>], width: usize, start: usize) -> Vec<f64> {
    let mut axis: Vec<f64> = (0..width)
        .map(|index| 1.0 + ((index * 7 + start * 3) % 5) as f64)
        .collect();
    for _ in 0..ITERATIONS {
        let mut next = vec![0.0; width];
        for row in rows {
            let along = dot(row, &axis);
            next.iter_mut()
                .zip(row)
                .for_each(|(next, value)| *next += along * value);
        }
        for other in before {
            let along = dot(&next, other);
            next.iter_mut()
                .zip(other)
                .for_each(|(next, other)| *next -= along * other);
        }
        let length = dot(&next, &next).sqrt();
        if length < 1e-12 {
            break; // no variance is left
        }
        axis = next.into_iter().map(|value| value / length).collect();
    }
    let largest = axis.iter().copied().fold(
        0.0,
        |most: f64, value| if value.abs() > most.abs() { value } else { most },
    );
    if largest < 0.0 {
        axis.iter_mut().for_each(|value| *value = -*value);
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_axis_is_that_of_the_largest_variance() {
        // Points along (3, 4) / 5, with a little of (-4, 3) / 5.
        let points: Vec<f32> = (0..20)
            .flat_map(|i| {
                let (a, b) = (i as f32 - 9.5, if i % 2 == 0 { 0.5 } else { -0.5 });
                [0.6 * a - 0.8 * b + 7.0, 0.8 * a + 0.6 * b - 2.0]
            })
            .collect();
        let components = Components::of(&points, 2);
        assert!((components.axes[0][0] - 0.6).abs() < 1e-2 && (components.axes[0][1] - 0.8).abs() < 1e-2);
        assert!(dot(&components.axes[0], &components.axes[1]).abs() < 1e-9);
        let colours = components.colours(&points);
        assert!(colours[0][0] < 10 && colours[19][0] > 245, "{colours:?}");
    }
}
