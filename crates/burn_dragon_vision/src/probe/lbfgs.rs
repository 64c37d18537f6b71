//! Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.5), with a line search by bisection for the
//! weak Wolfe conditions (Lewis and Overton, 2013).

use std::collections::VecDeque;

/// Steps and gradient differences that are remembered.
const MEMORY: usize = 10;

/// Share of the predicted decrease that a step must reach.
const DECREASE: f64 = 1e-4;

/// Share of the slope that may be left after a step.
const CURVATURE: f64 = 0.9;

/// Evaluations of a line search.
const TRIES: usize = 30;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) iterations: usize,
    /// Largest entry of the gradient at a minimum.
    pub(super) gradient: f64,
}

/// Where a minimisation ended.
#[derive(Clone, Debug)]
pub(super) struct Minimum {
    pub(super) point: Vec<f64>,
    pub(super) value: f64,
    pub(super) iterations: usize,
    /// Whether the gradient is below the limit, or no step along it decreases the function in its precision.
    pub(super) is_converged: bool,
}

/// A point, with the value and the gradient there.
struct At {
    point: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// Minimises a smooth function, given as value and gradient of a point.
pub(super) fn minimise(
    mut function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
    start: Vec<f64>,
    limits: Limits,
) -> Minimum {
    let mut evaluate = |point: Vec<f64>| {
        let (value, gradient) = function(&point);
        At {
            point,
            value,
            gradient,
        }
    };
    let mut at = evaluate(start);
    let mut pairs = VecDeque::new();
    let mut iterations = 0;
    let mut is_converged = is_flat(&at, limits);
    while !is_converged && iterations < limits.iterations {
        let direction = direction(&at.gradient, &pairs);
        let first = match pairs.is_empty() {
            true => 1.0 / dot(&direction, &direction).sqrt().max(1.0),
            false => 1.0,
        };
        let Some(next) = search(&at, &direction, first, &mut evaluate) else {
            // Once more along the gradient: a bad memory is no minimum.
            is_converged = pairs.is_empty();
            pairs.clear();
            continue;
        };
        let step = difference(&next.point, &at.point);
        let change = difference(&next.gradient, &at.gradient);
        if dot(&step, &change) > 0.0 {
            pairs.push_back((step, change));
        }
        if pairs.len() > MEMORY {
            pairs.pop_front();
        }
        at = next;
        iterations += 1;
        is_converged = is_flat(&at, limits);
    }
    Minimum {
        point: at.point,
        value: at.value,
        iterations,
        is_converged,
    }
}

fn is_flat(at: &At, limits: Limits) -> bool {
    at.gradient.iter().all(|entry| entry.abs() <= limits.gradient)
}

/// The two-loop recursion: minus the inverse Hessian, as remembered, times the gradient.
fn direction(gradient: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|entry| -entry).collect();
    let mut alphas = Vec::new();
    for (step, change) in pairs.iter().rev() {
        let alpha = dot(step, &direction) / dot(step, change);
        add(&mut direction, -alpha, change);
        alphas.push(alpha);
    }
    if let Some((step, change)) = pairs.back() {
        let scale = dot(step, change) / dot(change, change);
        direction.iter_mut().for_each(|entry| *entry *= scale);
    }
    for ((step, change), alpha) in pairs.iter().zip(alphas.into_iter().rev()) {
        let beta = dot(change, &direction) / dot(step, change);
        add(&mut direction, alpha - beta, step);
    }
    direction
}

/// A point along the direction that fulfils the weak Wolfe conditions; the best that decreases the function, if none was found.
fn search(from: &At, direction: &[f64], first: f64, evaluate: &mut impl FnMut(Vec<f64>) -> At) -> Option<At> {
    let slope = dot(&from.gradient, direction);
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    let mut best: Option<At> = None;
    for _ in 0..TRIES {
        let mut point = from.point.clone();
        add(&mut point, length, direction);
        let next = evaluate(point);
        let is_lower = next.value <= from.value + DECREASE * length * slope; // not if the value is NaN
        if is_lower && dot(&next.gradient, direction) >= CURVATURE * slope {
            return Some(next);
        }
        if is_lower {
            low = length;
            best = Some(next);
        } else {
            high = length;
        }
        length = if high.is_finite() {
            0.5 * (low + high)
        } else {
            2.0 * low
        };
    }
    best
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], factor: f64, other: &[f64]) {
    sum.iter_mut()
        .zip(other)
        .for_each(|(sum, other)| *sum += factor * other);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        iterations: 500,
        gradient: 1e-8,
    };

    #[test]
    fn the_valley_of_rosenbrock_is_followed_to_its_end() {
        let function = |x: &[f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            (
                a * a + 100.0 * b * b,
                vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b],
            )
        };
        let minimum = minimise(function, vec![-1.2, 1.0], LIMITS);
        assert!(minimum.is_converged && minimum.value < 1e-15, "{minimum:?}");
        assert!(
            minimum.point.iter().all(|x| (x - 1.0).abs() < 1e-6) && minimum.iterations < 60,
            "{minimum:?}"
        );
    }

    #[test]
    fn a_quadratic_of_condition_one_thousand_is_solved() {
        let scale = |i: usize| 10f64.powf(3.0 * i as f64 / 49.0);
        let function = |x: &[f64]| {
            let gradient: Vec<f64> = x
                .iter()
                .enumerate()
                .map(|(i, x)| scale(i) * (x - i as f64))
                .collect();
            let value = x
                .iter()
                .enumerate()
                .map(|(i, x)| 0.5 * scale(i) * (x - i as f64).powi(2))
                .sum();
            (value, gradient)
        };
        let minimum = minimise(function, vec![0.0; 50], LIMITS);
        assert!(minimum.is_converged, "{minimum:?}");
        assert!(
            minimum
                .point
                .iter()
                .enumerate()
                .all(|(i, x)| (x - i as f64).abs() < 1e-6)
        );
    }

    #[test]
    fn a_step_into_nan_is_taken_back_and_a_limit_is_said() {
        let function = |x: &[f64]| (x[0] - x[0].ln(), vec![1.0 - 1.0 / x[0]]); // no value below 0
        let minimum = minimise(function, vec![1e-3], LIMITS);
        assert!(
            minimum.is_converged && (minimum.point[0] - 1.0).abs() < 1e-6,
            "{minimum:?}"
        );
        let limits = Limits {
            iterations: 2,
            ..LIMITS
        };
        assert!(!minimise(function, vec![1e-3], limits).is_converged);
    }
}
