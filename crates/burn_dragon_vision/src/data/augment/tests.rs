use super::*;
use crate::picture::Colours;

fn noise(size: usize, colours: Colours) -> Picture {
    let mut rng = Rng::new(9);
    let pixels = (0..size * size * colours.channels()).map(|_| rng.next_u64() as u8);
    Picture::new(size, size, colours, pixels.collect())
}

/// Every change, always.
fn all() -> AugmentConfig {
    let text = "
        flip = 0.5
        rotation = 10.0
        translation = 0.1
        zoom = [0.9, 1.1]
        grayscale = 0.2
        [crop]
        [jitter]
        [blur]
        [solarise]
    ";
    toml::from_str(text).unwrap()
}

#[test]
fn without_a_change_a_picture_is_the_same_numbers() {
    let picture = noise(32, Colours::Rgb);
    let plain = augment(&picture, &AugmentConfig::default(), 32, 7);
    for (given, expected) in plain.numbers().iter().zip(Pixels::from(&picture).numbers()) {
        assert!((given - expected).abs() < 1e-6);
    }
}

#[test]
fn a_view_is_a_function_of_its_seed_and_stays_between_0_and_1() {
    for colours in [Colours::Gray, Colours::Rgb] {
        let picture = noise(32, colours);
        let mut seen = Vec::new();
        for seed in 0..50 {
            let view = augment(&picture, &all(), 24, seed);
            assert_eq!(view, augment(&picture, &all(), 24, seed));
            assert_eq!((view.size(), view.colours()), (24, colours));
            assert!(view.numbers().iter().all(|number| (0.0..=1.0).contains(number)));
            assert!(!seen.contains(&view));
            seen.push(view);
        }
    }
}

#[test]
fn another_change_leaves_the_draws_of_the_others_as_they_were() {
    // A picture of one brightness in its left half; the flip of a seed stays when a blur is added.
    let pixels = (0..16 * 16).map(|place| if place % 16 < 8 { 200 } else { 10 });
    let picture = Picture::new(16, 16, Colours::Gray, pixels.collect());
    let plain: AugmentConfig = toml::from_str("flip = 0.5").unwrap();
    let more: AugmentConfig =
        toml::from_str("flip = 0.5\n[blur]\nprobability = 1.0\n[solarise]\nprobability = 0.0").unwrap();
    let is_flipped = |config: &AugmentConfig, seed| augment(&picture, config, 16, seed).numbers()[0] < 0.5;
    let flips: Vec<bool> = (0..200).map(|seed| is_flipped(&plain, seed)).collect();
    assert_eq!(
        flips,
        (0..200).map(|seed| is_flipped(&more, seed)).collect::<Vec<_>>()
    );
    let count = flips.iter().filter(|flip| **flip).count();
    assert!((75..125).contains(&count), "{count}");
}

#[test]
fn changes_are_drawn_independently_of_each_other() {
    // Left bright, right dark and red: a flip and a loss of colours can both be seen.
    let pixels = (0..16 * 16).flat_map(|place| if place % 16 < 8 { [250, 0, 0] } else { [20, 0, 0] });
    let picture = Picture::new(16, 16, Colours::Rgb, pixels.collect());
    let config: AugmentConfig = toml::from_str("flip = 0.5\ngrayscale = 0.5").unwrap();
    let mut counts = [[0; 2]; 2];
    for seed in 0..2000 {
        let view = augment(&picture, &config, 16, seed);
        let numbers = view.numbers();
        let (is_flipped, is_gray) = (numbers[0] < numbers[45], numbers[0] == numbers[1]);
        counts[usize::from(is_flipped)][usize::from(is_gray)] += 1;
    }
    assert!(
        counts
            .as_flattened()
            .iter()
            .all(|count| (420..580).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn each_change_changes_pictures_as_often_as_it_should() {
    let picture = noise(16, Colours::Rgb);
    let plain = augment(&picture, &AugmentConfig::default(), 16, 0);
    for (text, share) in [
        ("flip = 0.25", 0.25),
        ("rotation = 5.0", 1.0),
        ("translation = 0.1", 1.0),
        ("zoom = [1.05, 1.2]", 1.0),
        ("grayscale = 0.4", 0.4),
        ("[crop]", 1.0),
        ("[jitter]\nprobability = 0.7", 0.7),
        ("[blur]\nprobability = 0.3\nsigma = [0.1, 0.1]", 0.3),
        ("[solarise]\nprobability = 0.6", 0.6),
    ] {
        let config: AugmentConfig = toml::from_str(text).unwrap();
        let changed = (0..1000)
            .filter(|seed| augment(&picture, &config, 16, *seed) != plain)
            .count();
        let given = changed as f64 / 1000.0;
        assert!((given - share).abs() < 0.06, "{text}: {given}");
    }
}

#[test]
fn views_have_the_size_of_the_model_and_draws_of_their_own() {
    let picture = noise(32, Colours::Rgb);
    let config: ViewsConfig = toml::from_str("global = 2\nlocal = 3").unwrap();
    let given = views(&picture, &all(), &config, 32, 4);
    let sizes: Vec<usize> = given.iter().map(Pixels::size).collect();
    assert_eq!((sizes, config.count()), (vec![32; 5], 5));
    assert!(given[0] != given[1] && given[2] != given[3]);
    assert_eq!(given, views(&picture, &all(), &config, 32, 4));
    // More local views leave the others as they were.
    let more = ViewsConfig { local: 4, ..config };
    assert_eq!(views(&picture, &all(), &more, 32, 4)[..5], given);
}

#[test]
fn local_views_show_less_of_the_picture() {
    // Brightness says the column, so the range of a view says its width.
    let pixels = (0..32 * 32).map(|place| (place % 32 * 8) as u8);
    let picture = Picture::new(32, 32, Colours::Gray, pixels.collect());
    let config = ViewsConfig {
        global: 20,
        local: 20,
        global_scale: [0.8, 1.0],
        local_scale: [0.1, 0.2],
    };
    let width = |view: &Pixels| {
        let numbers = view.numbers().iter().copied();
        let most = numbers.clone().fold(0.0, f32::max);
        most - numbers.fold(1.0, f32::min)
    };
    let given = views(&picture, &AugmentConfig::default(), &config, 32, 1);
    assert!(given[..20].iter().all(|view| width(view) > 0.65));
    assert!(given[20..].iter().all(|view| width(view) < 0.55));
}

/// Time that this thread has been on a processor (Linux), as the machine may be busy.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[test]
#[ignore = "a measurement; run it with the crate optimised"]
fn measure_the_time_of_a_view() {
    let picture = noise(32, Colours::Rgb);
    for (name, text) in [
        ("no change", ""),
        (
            "geometry",
            "flip = 0.5\nrotation = 10.0\ntranslation = 0.1\n[crop]",
        ),
        (
            "geometry, jitter, gray",
            "flip = 0.5\ngrayscale = 0.2\n[crop]\n[jitter]\nprobability = 1.0",
        ),
        ("blur alone", "[blur]\nprobability = 1.0"),
    ] {
        let config: AugmentConfig = toml::from_str(text).unwrap();
        let begun = processor_seconds();
        let sum: f32 = (0..10_000)
            .map(|seed| augment(&picture, &config, 32, seed).numbers()[40])
            .sum();
        let micros = (processor_seconds() - begun) * 1e6 / 10_000.0;
        println!("{name}: {micros:.1} us for a picture of 32 x 32 in colours ({sum})");
    }
}
