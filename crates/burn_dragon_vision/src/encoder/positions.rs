//! Positions of patches on their grid.
//!
//! | kind | where |
//! |---|---|
//! | `learned_2d` | a learnt vector of the row plus one of the column, added to the patch |
//! | `sine_cosine_2d` | sines and cosines of row and column, added to the patch |
//! | `rope_2d` | pairs of neurons turn, half of them by the row, half by the column |
//! | of a frame | sines and cosines of the frame, added to all its patches, where a clip is one stream |
//! | `alibi_raster` | a bias of the scores by the distance of raster indices, as the public implementation has it |

use super::config::ModelConfig;
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_dragon_core::api::DecayConfig;
use burn_dragon_core::api::structured::Grid;
use burn_dragon_kernel::api::{Frequencies, Rotation};

/// Base of the frequencies of sines and cosines, and of rotations.
const THETA: f64 = 10_000.0;

/// Base of the frequencies of `rope_2d`: its grids are small.
const ROPE_THETA: f64 = 100.0;

/// Sines and cosines of the places of a grid, `[P, D]`: of the row in the first half of D, of the column in the second.
pub(crate) fn sine_cosine(config: &ModelConfig, device: &Device) -> Tensor<2> {
    let side = config.grid().height;
    let places = (0..side * side).map(|place| [place / side, place % side]);
    waves(places, config.d_model, device)
}

/// Sines and cosines of the frames of a clip, `[T, D]`.
pub(super) fn of_frames(frames: usize, d: usize, device: &Device) -> Tensor<2> {
    waves((0..frames).map(|frame| [frame]), d, device)
}

/// Sines and cosines of the places of a clip, frame by frame, row by row, `[T P, D]`: of the frame in the first third of D, of
/// the row in the second, of the column in the last.
pub(crate) fn of_clip(frames: usize, grid: Grid, d: usize, device: &Device) -> Tensor<2> {
    let Grid { height, width } = grid;
    let place = |token: usize| [token / (height * width), token / width % height, token % width];
    waves((0..frames * height * width).map(place), d, device)
}

/// Sines and cosines of the coordinates of places, `[places, D]`; each coordinate has an equal part of D.
fn waves<const N: usize>(places: impl Iterator<Item = [usize; N]>, d: usize, device: &Device) -> Tensor<2> {
    let frequencies = d / (2 * N);
    let mut values = Vec::new();
    for coordinate in places.flatten() {
        let angle = |i: usize| coordinate as f64 * THETA.powf(-(i as f64) / frequencies as f64);
        values.extend((0..frequencies).map(|i| angle(i).sin() as f32));
        values.extend((0..frequencies).map(|i| angle(i).cos() as f32));
    }
    let places = values.len() / d;
    Tensor::from_data(TensorData::new(values, [places, d]), device)
}

/// Rotation of the places of a grid, behind `first` tokens that do not turn: the first half of the pairs of a head turns by the
/// row, the second by the column.
pub(super) fn rotation(config: &ModelConfig, first: usize, dtype: DType, device: &Device) -> Rotation {
    let (side, neurons) = (config.grid().height, config.neurons_per_head());
    let pairs = neurons / 2;
    let (by_row, by_column) = (pairs / 2, pairs - pairs / 2);
    let turns = |count: usize| Frequencies::new(ROPE_THETA, 2 * count).turns().to_vec();
    let (rows, columns) = (turns(by_row), turns(by_column));
    let tokens = first + side * side;
    let (mut cos, mut sin) = (vec![1.0; first * pairs], vec![0.0; first * pairs]);
    for place in 0..side * side {
        let of_row = rows.iter().map(|turn| turn * (place / side) as f64);
        let of_column = columns.iter().map(|turn| turn * (place % side) as f64);
        for turns in of_row.chain(of_column) {
            let (s, c) = (turns.fract() * std::f64::consts::TAU).sin_cos();
            cos.push(c);
            sin.push(s);
        }
    }
    let table = |values: Vec<f64>| {
        let data = TensorData::new(values, [1, 1, tokens, pairs]).convert_dtype(dtype);
        Tensor::from_data(data, (device, dtype))
    };
    Rotation {
        cos: table(cos),
        sin: table(sin),
    }
}

/// A rotation that turns nothing.
pub(super) fn no_rotation(config: &ModelConfig, tokens: usize, dtype: DType, device: &Device) -> Rotation {
    let turns = vec![0.0; config.neurons_per_head() / 2];
    Frequencies::from_turns(turns).rotation(&[0], tokens, dtype, device)
}

/// Bias of the scores, `[1, H, T, T]`: the slope of the head times (column - row), raster indices of tokens.
///
/// It is the public implementation's: positive for later tokens and without bound. Two dimensions are not in it.
pub(super) fn raster_bias(heads: usize, tokens: usize, device: &Device) -> Tensor<4> {
    let slopes = DecayConfig::Standard { learnable: false }.slopes(heads);
    let mut values = Vec::with_capacity(heads * tokens * tokens);
    for slope in slopes {
        for row in 0..tokens {
            values.extend((0..tokens).map(|column| (slope * (column as f64 - row as f64)) as f32));
        }
    }
    Tensor::from_data(TensorData::new(values, [1, heads, tokens, tokens]), device)
}
