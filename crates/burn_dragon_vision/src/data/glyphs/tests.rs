use super::*;
use crate::data::config::DatasetConfig;

fn config(text: &str) -> GlyphsConfig {
    toml::from_str(text).unwrap()
}

fn shape(size: usize, colours: Colours) -> PictureShape {
    PictureShape { size, colours }
}

#[test]
fn pictures_are_a_function_of_seed_and_index_whatever_the_threads() {
    let load = |text: &str| config(text).load(shape(24, Colours::Gray)).unwrap();
    let few = load("count = 50\nvalidation_count = 20");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = one.install(|| load("count = 50\nvalidation_count = 20"));
    assert_eq!(few.hashes(), again.hashes());
    let more = load("count = 1100\nvalidation_count = 20");
    for index in [0, 7, 49] {
        assert_eq!(few.train.get(index).unwrap(), more.train.get(index).unwrap());
        assert_ne!(
            few.train.get(index).unwrap().picture,
            few.validation.get(index % 20).unwrap().picture
        );
    }
    let other = load("seed = 1\ncount = 50\nvalidation_count = 20");
    assert_ne!(few.hashes().training, other.hashes().training);
    assert_eq!(few.hashes().validation.sizes["pictures"], 20);
}

#[test]
fn every_class_is_drawn_about_equally_often() {
    let pictures = config("count = 3200\nvalidation_count = 1")
        .load(shape(12, Colours::Gray))
        .unwrap();
    let mut counts = [0; 16];
    for label in pictures.train.labels().unwrap() {
        counts[*label as usize] += 1;
    }
    assert!(
        counts.iter().all(|count| (140..260).contains(count)),
        "{counts:?}"
    );
    assert_eq!(pictures.classes.len(), 16);
}

#[test]
fn without_clutter_and_noise_the_glyph_is_the_only_thing_brighter_than_the_background() {
    let glyphs = config("clutter = 0\nnoise = 0.0\nrotation = 0.0\nscale = [0.6, 0.6]");
    for index in 0..32 {
        let (picture, class) = glyphs.draw(index, shape(40, Colours::Gray));
        let background = picture.pixels().iter().min().unwrap();
        let brightest = picture.pixels().iter().max().unwrap();
        assert!(u32::from(*background) <= 77 && u32::from(*brightest) >= 152);
        // Sum of the shares of pixels that the glyph covers.
        let contrast = f32::from(brightest - background);
        let pixels = picture.pixels().iter();
        let covered: f32 = pixels.map(|pixel| f32::from(pixel - background) / contrast).sum();
        // Share of the square around the glyph, from the distances themselves.
        let fine = 301;
        let at = |i: usize| (i as f32 + 0.5) / fine as f32 * 2.0 - 1.0;
        let form = GLYPHS[class as usize].1;
        let inside = (0..fine * fine).filter(|i| form.distance(at(i % fine), at(i / fine)) < 0.0);
        let expected = inside.count() as f32 / (fine * fine) as f32 * 24.0 * 24.0;
        let name = GLYPHS[class as usize].0;
        assert!(
            (covered / expected - 1.0).abs() < 0.05,
            "{covered} {expected} {name}"
        );
    }
}

#[test]
fn raw_pixels_say_little_of_the_class() {
    let glyphs = config("count = 1000\nvalidation_count = 200")
        .load(shape(24, Colours::Gray))
        .unwrap();
    let distance = |one: &Picture, other: &Picture| -> u64 {
        let pairs = one.pixels().iter().zip(other.pixels());
        pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
    };
    let part = |part: &Part| part.batch(&(0..part.len()).collect::<Vec<_>>()).unwrap();
    let (train, validation) = (part(&glyphs.train), part(&glyphs.validation));
    let nearest = |picture: &Picture| {
        train
            .iter()
            .min_by_key(|other| distance(picture, &other.picture))
            .unwrap()
            .label
    };
    let right = validation
        .iter()
        .filter(|example| nearest(&example.picture) == example.label);
    let accuracy = right.count() as f64 / validation.len() as f64;
    println!("nearest neighbour on raw pixels: {accuracy}");
    assert!(accuracy < 0.3, "{accuracy}");
}

#[test]
fn a_setting_out_of_range_is_refused_by_its_key() {
    for (text, key) in [
        ("count = 0", "dataset.count is 0"),
        ("validation_count = 0", "dataset.validation_count is 0"),
        ("scale = [0.5, 0.4]", "dataset.scale is [0.5, 0.4]"),
        ("scale = [nan, 0.4]", "dataset.scale is [NaN, 0.4]"),
        ("rotation = 45.0", "dataset.rotation is 45"),
        ("clutter = 65", "dataset.clutter is 65"),
        ("noise = 1.5", "dataset.noise is 1.5"),
    ] {
        let error = DatasetConfig::Embedded(config(text))
            .validate()
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(key), "{error}");
    }
    DatasetConfig::default().validate().unwrap();
}

#[test]
#[ignore = "a measurement; run it with the crate optimised"]
fn measure_the_time_of_a_picture() {
    for colours in [Colours::Gray, Colours::Rgb] {
        let glyphs = GlyphsConfig::default();
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let seconds = || {
            let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
        };
        let micros = one.install(|| {
            let begun = seconds();
            (0..2000).for_each(|seed| drop(glyphs.draw(seed, shape(32, colours))));
            (seconds() - begun) * 1e6 / 2000.0
        });
        println!("{micros:.0} us for a picture of 32 x 32, {colours:?}");
    }
}
