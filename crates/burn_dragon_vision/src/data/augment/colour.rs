//! Changes of brightness and colours.

use super::config::{JitterConfig, SolariseConfig};
use super::{draw, spread};
use crate::data::pixels::Pixels;
use crate::picture::Colours;

/// Weights of red, green and blue in brightness (Rec. 709).
const LUMA: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// Factors of one jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Jitter {
    pub(super) brightness: f32,
    pub(super) contrast: f32,
    pub(super) saturation: f32,
    /// Angle about the gray axis, radians.
    pub(super) hue: f32,
}

impl Jitter {
    /// Factors at random, or none.
    pub(super) fn draw(config: &JitterConfig, seed: u64) -> Option<Self> {
        let mut rng = draw(seed, "jitter");
        if rng.uniform() >= config.probability {
            return None;
        }
        let mut around = |middle: f64, most: f64| spread(&mut rng, [middle - most, middle + most]) as f32;
        Some(Self {
            brightness: around(1.0, config.brightness),
            contrast: around(1.0, config.contrast),
            saturation: around(1.0, config.saturation),
            hue: around(0.0, config.hue) * std::f32::consts::TAU,
        })
    }

    /// Changes a picture.
    pub(super) fn apply(&self, pixels: &mut Pixels) {
        let colours = pixels.colours();
        let numbers = pixels.numbers_mut();
        for number in numbers.iter_mut() {
            *number = (*number * self.brightness).clamp(0.0, 1.0);
        }
        let mean = mean_luma(numbers, colours);
        for number in numbers.iter_mut() {
            *number = (mean + self.contrast * (*number - mean)).clamp(0.0, 1.0);
        }
        if colours == Colours::Rgb {
            let turn = turn(self.hue);
            for pixel in numbers.as_chunks_mut::<3>().0 {
                let gray = luma(*pixel);
                let saturated =
                    pixel.map(|number| (gray + self.saturation * (number - gray)).clamp(0.0, 1.0));
                *pixel = turn.map(|row| dot(row, saturated).clamp(0.0, 1.0));
            }
        }
    }
}

fn dot(one: [f32; 3], other: [f32; 3]) -> f32 {
    one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
}

fn luma(pixel: [f32; 3]) -> f32 {
    dot(LUMA, pixel)
}

/// Mean brightness of a picture.
fn mean_luma(numbers: &[f32], colours: Colours) -> f32 {
    let sum: f32 = match colours {
        Colours::Gray => numbers.iter().sum(),
        Colours::Rgb => numbers.as_chunks::<3>().0.iter().map(|pixel| luma(*pixel)).sum(),
    };
    sum / (numbers.len() / colours.channels()) as f32
}

/// Rotation about the gray axis `g = (1, 1, 1) / sqrt(3)`: `cos I + (1 - cos) g g^T + sin [g]x` (Rodrigues).
fn turn(angle: f32) -> [[f32; 3]; 3] {
    let (sin, cos) = angle.sin_cos();
    let (third, cross) = ((1.0 - cos) / 3.0, sin / 3.0_f32.sqrt());
    let (same, next, last) = (cos + third, third - cross, third + cross);
    [[same, next, last], [last, same, next], [next, last, same]]
}

/// Takes the colours out of a picture.
pub(super) fn grayscale(pixels: &mut Pixels) {
    if pixels.colours() == Colours::Rgb {
        for pixel in pixels.numbers_mut().as_chunks_mut::<3>().0 {
            *pixel = [luma(*pixel); 3];
        }
    }
}

/// Inverts a picture where it is bright.
pub(super) fn solarise(pixels: &mut Pixels, config: &SolariseConfig) {
    let threshold = config.threshold as f32;
    for number in pixels.numbers_mut() {
        if *number >= threshold {
            *number = 1.0 - *number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME: Jitter = Jitter {
        brightness: 1.0,
        contrast: 1.0,
        saturation: 1.0,
        hue: 0.0,
    };

    fn rgb(numbers: &[f32]) -> Pixels {
        let size = ((numbers.len() / 3) as f64).sqrt() as usize;
        Pixels::new(size, Colours::Rgb, numbers.to_vec())
    }

    fn changed(jitter: Jitter, numbers: &[f32]) -> Vec<f32> {
        let mut pixels = rgb(numbers);
        jitter.apply(&mut pixels);
        pixels.numbers().to_vec()
    }

    fn assert_near(given: &[f32], expected: &[f32]) {
        let near = given.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near && given.len() == expected.len(), "{given:?} {expected:?}");
    }

    #[test]
    fn a_third_of_a_turn_of_the_hue_takes_red_to_green_and_green_to_blue() {
        let turned = |thirds: f32, colour: &[f32]| {
            let hue = thirds * std::f32::consts::TAU / 3.0;
            changed(Jitter { hue, ..SAME }, colour)
        };
        assert_near(&turned(1.0, &[0.8, 0.1, 0.3]), &[0.3, 0.8, 0.1]);
        assert_near(&turned(2.0, &[0.8, 0.1, 0.3]), &[0.1, 0.3, 0.8]);
        assert_near(&turned(0.4, &[0.5, 0.5, 0.5]), &[0.5, 0.5, 0.5]);
        // The sum of the channels stays, where none is cut off.
        let sum: f32 = turned(0.2, &[0.6, 0.4, 0.5]).iter().sum();
        assert!((sum - 1.5).abs() < 1e-6, "{sum}");
    }

    #[test]
    fn brightness_contrast_and_saturation_are_factors_of_their_distances() {
        let picture = [0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.6, 0.4, 0.2];
        let twice = changed(
            Jitter {
                brightness: 1.5,
                ..SAME
            },
            &picture,
        );
        assert_near(&twice[..3], &[0.3, 0.6, 0.9]);
        let gray = luma([0.2, 0.4, 0.6]);
        let half = changed(
            Jitter {
                saturation: 0.5,
                ..SAME
            },
            &picture,
        );
        assert_near(&half[..3], &[0.2, 0.4, 0.6].map(|x| gray + 0.5 * (x - gray)));
        let mean = (3.0 * gray + luma([0.6, 0.4, 0.2])) / 4.0;
        let flat = changed(
            Jitter {
                contrast: 0.5,
                ..SAME
            },
            &picture,
        );
        assert_near(&flat[..3], &[0.2, 0.4, 0.6].map(|x| mean + 0.5 * (x - mean)));
        assert_near(
            &changed(
                Jitter {
                    contrast: 0.0,
                    ..SAME
                },
                &picture,
            ),
            &[mean; 12],
        );
        assert_near(&changed(SAME, &picture), &picture);
    }

    #[test]
    fn gray_and_solarised_are_as_defined() {
        let mut pixels = rgb(&[1.0, 0.0, 0.0]);
        grayscale(&mut pixels);
        assert_eq!(pixels.numbers(), [0.2126; 3]);
        let mut pixels = rgb(&[0.1, 0.5, 0.9]);
        let config = SolariseConfig {
            probability: 1.0,
            threshold: 0.5,
        };
        solarise(&mut pixels, &config);
        assert_near(pixels.numbers(), &[0.1, 0.5, 0.1]);
    }

    #[test]
    fn jitter_is_as_frequent_as_its_probability_and_within_its_bounds() {
        let config = JitterConfig {
            probability: 0.3,
            brightness: 0.2,
            contrast: 0.0,
            saturation: 0.5,
            hue: 0.1,
        };
        let drawn: Vec<Jitter> = (0..4000).filter_map(|seed| Jitter::draw(&config, seed)).collect();
        assert!((1100..1300).contains(&drawn.len()), "{}", drawn.len());
        for jitter in &drawn {
            assert!((0.8..=1.2).contains(&jitter.brightness) && jitter.contrast == 1.0);
            assert!((0.5..=1.5).contains(&jitter.saturation) && jitter.hue.abs() <= 0.629);
        }
        let mean = drawn.iter().map(|jitter| jitter.brightness).sum::<f32>() / drawn.len() as f32;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }
}
