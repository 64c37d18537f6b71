//! Gaussian blur.

use crate::data::pixels::Pixels;
use crate::picture::Colours;

/// Radius of the window, in standard deviations.
const REACH: f32 = 3.0;

/// Blurs a picture with a standard deviation in pixels, first along rows, then along columns. Beyond the border the picture
/// goes on with its last pixel.
pub(super) fn blur(pixels: &mut Pixels, sigma: f32) {
    let kernel = kernel(sigma);
    if kernel.len() == 1 {
        return;
    }
    let size = pixels.size();
    match pixels.colours() {
        Colours::Gray => both_ways::<1>(pixels.numbers_mut(), size, &kernel),
        Colours::Rgb => both_ways::<3>(pixels.numbers_mut(), size, &kernel),
    }
}

/// Weights of the window, which sum to 1.
fn kernel(sigma: f32) -> Vec<f32> {
    let radius = (REACH * sigma).ceil() as i32;
    let weight = |offset: i32| (-0.5 * (offset as f32 / sigma).powi(2)).exp();
    // Without a radius there is one weight, whatever the deviation.
    let weights: Vec<f32> = match radius {
        0 => vec![1.0],
        _ => (-radius..=radius).map(weight).collect(),
    };
    let sum: f32 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

fn both_ways<const C: usize>(numbers: &mut [f32], size: usize, kernel: &[f32]) {
    let width = size * C;
    // A row with its border on both sides.
    let radius = kernel.len() / 2;
    let mut wide = vec![0.0; (size + 2 * radius) * C];
    for row in numbers.chunks_exact_mut(width) {
        for (place, pixel) in wide.chunks_exact_mut(C).enumerate() {
            let column = place.saturating_sub(radius).min(size - 1);
            pixel.copy_from_slice(&row[column * C..(column + 1) * C]);
        }
        row.fill(0.0);
        for (offset, weight) in kernel.iter().enumerate() {
            add(row, &wide[offset * C..offset * C + width], *weight);
        }
    }
    let before = numbers.to_vec();
    numbers.fill(0.0);
    for (row, result) in numbers.chunks_exact_mut(width).enumerate() {
        for (offset, weight) in kernel.iter().enumerate() {
            let from = (row + offset).saturating_sub(radius).min(size - 1);
            add(result, &before[from * width..(from + 1) * width], *weight);
        }
    }
}

fn add(sum: &mut [f32], values: &[f32], weight: f32) {
    sum.iter_mut()
        .zip(values)
        .for_each(|(sum, value)| *sum += weight * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: for each pixel a sum over the window in both axes.
    fn definition(pixels: &Pixels, sigma: f32) -> Vec<f32> {
        let (size, channels) = (pixels.size() as i32, pixels.colours().channels() as i32);
        let radius = (3.0 * sigma).ceil() as i32;
        let weight = |dy: i32, dx: i32| (-0.5 * ((dy * dy + dx * dx) as f32) / (sigma * sigma)).exp();
        let window = || (-radius..=radius).flat_map(|dy| (-radius..=radius).map(move |dx| (dy, dx)));
        let total: f32 = window().map(|(dy, dx)| weight(dy, dx)).sum();
        let at = |y: i32, x: i32, c: i32| {
            let (y, x) = (y.clamp(0, size - 1), x.clamp(0, size - 1));
            pixels.numbers()[((y * size + x) * channels + c) as usize]
        };
        let places =
            (0..size * size * channels).map(|i| (i / channels / size, i / channels % size, i % channels));
        places
            .map(|(y, x, c)| {
                window()
                    .map(|(dy, dx)| weight(dy, dx) * at(y + dy, x + dx, c))
                    .sum::<f32>()
                    / total
            })
            .collect()
    }

    #[test]
    fn it_equals_the_sum_over_the_window() {
        for (size, colours, sigma) in [
            (7, Colours::Rgb, 0.8),
            (5, Colours::Gray, 2.5),
            (6, Colours::Rgb, 1.0),
        ] {
            let numbers = (0..size * size * colours.channels()).map(|i| (i * 37 % 101) as f32 / 100.0);
            let mut pixels = Pixels::new(size, colours, numbers.collect());
            let expected = definition(&pixels, sigma);
            blur(&mut pixels, sigma);
            for (given, expected) in pixels.numbers().iter().zip(expected) {
                assert!((given - expected).abs() < 1e-5, "{given} {expected}");
            }
        }
    }

    #[test]
    fn no_deviation_changes_nothing() {
        let mut pixels = Pixels::new(2, Colours::Gray, vec![0.1, 0.2, 0.3, 0.4]);
        let before = pixels.clone();
        blur(&mut pixels, 0.0);
        assert_eq!(pixels, before);
    }
}
