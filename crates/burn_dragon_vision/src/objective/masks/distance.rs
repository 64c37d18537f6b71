//! Distances of tokens to the nearest masked token.

use super::Mask;

/// A square that no grid reaches.
const FAR: u64 = u64::MAX / 4;

/// `1 / sqrt(max(d, 1))` of each token of the context, `[T]`; 0 elsewhere.
pub(super) fn weights(mask: &Mask) -> Vec<f32> {
    let weight = |(square, &masked): (u64, &bool)| match square {
        FAR.. => 0.0,
        _ if masked => 0.0,
        _ => (square as f64).max(1.0).powf(-0.25) as f32,
    };
    squares(mask).into_iter().zip(mask.flags()).map(weight).collect()
}

/// Square of the distance of each token to the nearest masked token, `[T]`. The square is a sum over the axes, so the
/// minimum is taken along one axis after the other.
pub(super) fn squares(mask: &Mask) -> Vec<u64> {
    let of = |&masked: &bool| if masked { 0 } else { FAR };
    let mut squares: Vec<u64> = mask.flags().iter().map(of).collect();
    let sizes = mask.grid().sizes();
    for axis in 0..3 {
        let (length, stride) = (sizes[axis], sizes[axis + 1..].iter().product::<usize>());
        for start in (0..squares.len()).filter(|token| token / stride % length == 0) {
            let line: Vec<u64> = (0..length).map(|i| squares[start + i * stride]).collect();
            for i in 0..length {
                let through = |(j, &square): (usize, &u64)| square + (i.abs_diff(j) as u64).pow(2);
                let nearest = line.iter().enumerate().map(through).min();
                squares[start + i * stride] = nearest.unwrap_or(FAR);
            }
        }
    }
    squares
}
