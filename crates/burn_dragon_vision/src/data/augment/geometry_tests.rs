use super::*;

fn noise(height: usize, width: usize, colours: Colours) -> Picture {
    let mut rng = Rng::new(5);
    let pixels = (0..height * width * colours.channels()).map(|_| rng.next_u64() as u8);
    Picture::new(height, width, colours, pixels.collect())
}

/// The map of a whole picture.
fn whole(picture: &Picture, flip: bool, angle: f64, zoom: f64, moved: [f64; 2]) -> Map {
    Map::new(Crop::whole(picture), flip, angle, zoom, moved)
}

/// Result of a map where row and column of the picture are those that `from` says; black where it says none.
fn expected(
    picture: &Picture,
    size: usize,
    from: impl Fn(usize, usize) -> Option<(usize, usize)>,
) -> Vec<f32> {
    let channels = picture.colours().channels();
    let mut numbers = Vec::new();
    for (row, column) in (0..size * size).map(|place| (place / size, place % size)) {
        let pixel = from(row, column).map(|(row, column)| (row * picture.width() + column) * channels);
        let of = |channel| pixel.map_or(0.0, |start| f32::from(picture.pixels()[start + channel]) / 255.0);
        numbers.extend((0..channels).map(of));
    }
    numbers
}

fn assert_near(given: &Pixels, expected: &[f32]) {
    for (place, (given, expected)) in given.numbers().iter().zip(expected).enumerate() {
        assert!(
            (given - expected).abs() < 1e-4,
            "number {place}: {given} {expected}"
        );
    }
}

#[test]
fn no_change_gives_the_picture_itself() {
    for (size, colours) in [(28, Colours::Gray), (31, Colours::Rgb), (32, Colours::Rgb)] {
        let picture = noise(size, size, colours);
        let same = whole(&picture, false, 0.0, 1.0, [0.0, 0.0]).resample(&picture, size);
        assert_near(&same, Pixels::from(&picture).numbers());
    }
}

#[test]
fn flips_quarter_turns_and_whole_steps_move_pixels_exactly() {
    let size = 12;
    let picture = noise(size, size, Colours::Rgb);
    let last = size - 1;
    let quarter = std::f64::consts::FRAC_PI_2;
    let flipped = whole(&picture, true, 0.0, 1.0, [0.0, 0.0]).resample(&picture, size);
    assert_near(
        &flipped,
        &expected(&picture, size, |row, column| Some((row, last - column))),
    );
    // Clockwise: what was above is at the right.
    let turned = whole(&picture, false, quarter, 1.0, [0.0, 0.0]).resample(&picture, size);
    assert_near(
        &turned,
        &expected(&picture, size, |row, column| Some((last - column, row))),
    );
    // To the right by 3 of 12 and down by 1.
    let moved = whole(&picture, false, 0.0, 1.0, [3.0 / 12.0, 1.0 / 12.0]).resample(&picture, size);
    let from = |row: usize, column: usize| Some((row.checked_sub(1)?, column.checked_sub(3)?));
    assert_near(&moved, &expected(&picture, size, from));
    // First flipped, then turned, then moved.
    let all = whole(&picture, true, quarter, 1.0, [3.0 / 12.0, 0.0]).resample(&picture, size);
    let from = |row: usize, column: usize| Some((last - column.checked_sub(3)?, last - row));
    assert_near(&all, &expected(&picture, size, from));
}

#[test]
fn a_crop_shows_its_rectangle_and_a_zoom_the_middle() {
    let picture = noise(10, 12, Colours::Gray);
    let crop = Crop {
        left: 5.0,
        top: 2.0,
        width: 4.0,
        height: 4.0,
    };
    let shown = Map::new(crop, false, 0.0, 1.0, [0.0, 0.0]).resample(&picture, 4);
    assert_near(
        &shown,
        &expected(&picture, 4, |row, column| Some((row + 2, column + 5))),
    );
    // Magnified twice: the middle 6 x 6 of 12 x 12.
    let square = noise(12, 12, Colours::Gray);
    let zoomed = whole(&square, false, 0.0, 2.0, [0.0, 0.0]).resample(&square, 6);
    assert_near(
        &zoomed,
        &expected(&square, 6, |row, column| Some((row + 3, column + 3))),
    );
}

#[test]
fn bilinear_sampling_reproduces_a_ramp_under_any_map() {
    // Brightness 2 x + 3 y + 20 is kept by bilinear sampling wherever all four neighbours exist.
    let size = 24;
    let pixels = (0..size * size).map(|place| (2 * (place % size) + 3 * (place / size) + 20) as u8);
    let picture = Picture::new(size, size, Colours::Gray, pixels.collect());
    let map = whole(&picture, false, 0.3, 1.7, [0.05, -0.1]);
    let shown = map.resample(&picture, 20);
    for (place, number) in shown.numbers().iter().enumerate() {
        let [u, v] = [place % 20, place / 20].map(|i| (i as f64 + 0.5) / 20.0 - 0.5);
        let [x, y] = [0, 1].map(|a| map.middle[a] + map.along_u[a] * u + map.along_v[a] * v);
        assert!(
            (1.0..23.0).contains(&x) && (1.0..23.0).contains(&y),
            "the test looks beyond the border"
        );
        let ramp = (2.0 * (x - 0.5) + 3.0 * (y - 0.5) + 20.0) / 255.0;
        assert!((f64::from(*number) - ramp).abs() < 1e-4, "{number} {ramp}");
    }
}

#[test]
fn a_picture_made_smaller_is_averaged_and_keeps_its_mean() {
    let picture = noise(32, 32, Colours::Rgb);
    let mean = |numbers: &[f32]| numbers.iter().sum::<f32>() / numbers.len() as f32;
    let before = mean(Pixels::from(&picture).numbers());
    for (size, samples) in [(32, 1), (16, 1), (8, 2), (4, 4)] {
        let map = whole(&picture, false, 0.0, 1.0, [0.0, 0.0]);
        assert_eq!(map.samples(size), samples);
        let small = map.resample(&picture, size);
        assert!((mean(small.numbers()) - before).abs() < 1e-4);
        // Each number is the mean of its square.
        let side = 32 / size;
        let rows = (0..side).flat_map(|row| (0..side).map(move |column| row * 32 + column));
        let first: f32 = rows
            .map(|place| f32::from(picture.pixels()[place * 3]) / 255.0)
            .sum();
        assert!((small.numbers()[0] - first / (side * side) as f32).abs() < 1e-4);
    }
}

#[test]
fn crops_have_the_area_and_the_aspect_of_their_ranges_and_lie_in_the_picture() {
    let picture = Picture::black(40, 60, Colours::Gray);
    let config = CropConfig {
        scale: [0.1, 0.4],
        aspect: [0.5, 2.0],
    };
    let (mut areas, mut aspects, mut lefts) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..2000 {
        let crop = Crop::draw(&picture, &config, &mut Rng::new(seed));
        assert!(crop.left >= 0.0 && crop.top >= 0.0);
        assert!(crop.left + crop.width <= 60.0 + 1e-9 && crop.top + crop.height <= 40.0 + 1e-9);
        areas.push(crop.width * crop.height / 2400.0);
        aspects.push((crop.width / crop.height).ln());
        lefts.push(crop.left / (60.0 - crop.width));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let within = |values: &[f64], least: f64, most: f64| {
        values.iter().all(|v| (least - 1e-9..=most + 1e-9).contains(v))
    };
    // Of 0.1 to 0.4 and an aspect up to 2 no side is longer than the picture.
    assert!(within(&areas, 0.1, 0.4) && (mean(&areas) - 0.25).abs() < 0.01);
    assert!(within(&aspects, -2.0_f64.ln(), 2.0_f64.ln()) && mean(&aspects).abs() < 0.03);
    assert!(within(&lefts, 0.0, 1.0) && (mean(&lefts) - 0.5).abs() < 0.03);
}
