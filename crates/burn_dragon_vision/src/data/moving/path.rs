//! Motion with constant velocity between two walls.

/// Place at a time of a point that starts at `start`, has a velocity, and bounces off the walls at 0 and `length`.
///
/// It is the free motion `start + velocity time`, folded at the walls, so no error grows with time.
pub(super) fn bounce(start: f64, velocity: f64, time: f64, length: f64) -> f64 {
    let folded = (start + velocity * time).rem_euclid(2.0 * length);
    folded.min(2.0 * length - folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_goes_straight_and_turns_at_the_walls() {
        let at = |time| bounce(1.0, 2.0, time, 5.0);
        let places: Vec<f64> = (0..8).map(|time| at(f64::from(time))).collect();
        // 1, 3, 5 (the wall), 3, 1, then 1 beyond the wall at 0 becomes 1, and on.
        assert_eq!(places, [1.0, 3.0, 5.0, 3.0, 1.0, 1.0, 3.0, 5.0]);
        assert_eq!(bounce(2.0, -3.0, 1.0, 5.0), 1.0);
    }

    #[test]
    fn it_equals_a_simulation_in_small_steps() {
        let (start, velocity, length) = (3.7, -1.3, 4.1);
        let (mut place, mut speed, step) = (start, velocity, 1e-4);
        for tick in 0..200_000 {
            assert!((place - bounce(start, velocity, f64::from(tick) * step, length)).abs() < 1e-6);
            place += speed * step;
            if place < 0.0 {
                (place, speed) = (-place, -speed);
            } else if place > length {
                (place, speed) = (2.0 * length - place, -speed);
            }
        }
    }
}
