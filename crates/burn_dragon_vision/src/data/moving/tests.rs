use super::*;
use crate::data::config::{Data, DatasetConfig};
use crate::data::idx;

fn shape(size: usize, colours: Colours) -> PictureShape {
    PictureShape { size, colours }
}

fn clips(text: &str, shape: PictureShape) -> Clips {
    let config: DatasetConfig = toml::from_str(text).unwrap();
    match config.load(shape).unwrap() {
        Data::Clips(clips) => clips,
        Data::Pictures(_) => panic!("{text} gave pictures"),
    }
}

#[test]
fn an_object_keeps_its_speed_and_stays_in_the_picture() {
    let text = "type = 'moving_glyphs'\ncount = 20\n[motion]\nframes = 30\nobjects = 2\nscale = 0.3\nspeed = [0.05, 0.05]";
    let clips = clips(text, shape(32, Colours::Gray));
    let (mut bounces, half) = (0, 0.3 * 32.0 / 2.0);
    for index in 0..20 {
        let clip = clips.train.get(index);
        assert_eq!(
            (clip.frames.len(), clip.centres.len(), clip.classes.len()),
            (30, 30, 2)
        );
        for pair in clip.centres.windows(2) {
            for (before, after) in pair[0].iter().zip(&pair[1]) {
                let moved = (after[0] - before[0]).hypot(after[1] - before[1]);
                assert!(moved <= 0.05 * 32.0 + 1e-3);
                bounces += usize::from(moved < 0.05 * 32.0 - 1e-3);
                assert!(
                    after
                        .iter()
                        .all(|at| (half - 1e-3..=32.0 - half + 1e-3).contains(at)),
                    "{after:?}"
                );
            }
        }
    }
    // A bounce between two frames shortens the way.
    assert!((20..20 * 2 * 29 / 3).contains(&bounces), "{bounces}");
}

#[test]
fn the_mask_covers_what_is_bright_and_the_centre_lies_in_its_middle() {
    let clips = clips("type = 'moving_glyphs'\ncount = 64", shape(32, Colours::Gray));
    for index in 0..64 {
        let clip = clips.train.get(index);
        for (frame, mask) in clip.frames.iter().zip(&clip.masks) {
            let brightest = f32::from(*frame.pixels().iter().max().unwrap());
            for (pixel, is_object) in frame.pixels().iter().zip(mask) {
                let share = f32::from(*pixel) / brightest;
                assert!(
                    *is_object == (share >= 0.5) || (share - 0.5).abs() < 0.02,
                    "{share} {is_object}"
                );
            }
        }
        // A ring is the same from all sides.
        if clips.classes[clip.label as usize] == "ring" {
            let places = clip.masks[0]
                .iter()
                .enumerate()
                .filter(|(_, is)| **is)
                .map(|(place, _)| place);
            let rows: Vec<f32> = places.map(|place| (place / 32) as f32 + 0.5).collect();
            let mean = rows.iter().sum::<f32>() / rows.len() as f32;
            assert!(
                (mean - clip.centres[0][0][0]).abs() < 0.4,
                "{mean} {:?}",
                clip.centres[0]
            );
        }
    }
}

#[test]
fn the_object_of_the_label_is_the_brightest() {
    let text = "type = 'moving_glyphs'\ncount = 40\n[motion]\nframes = 12\nobjects = 2\nscale = 0.3\nspeed = [0.1, 0.2]";
    let clips = clips(text, shape(48, Colours::Gray));
    let mut seen = 0;
    for clip in (0..40).map(|index| clips.train.get(index)) {
        for (frame, centres) in clip.frames.iter().zip(&clip.centres) {
            let [first, second] = [centres[0], centres[1]];
            let distance = (first[0] - second[0]).hypot(first[1] - second[1]);
            let brightest = |[y, x]: [f32; 2]| {
                let places = (0..48 * 48).filter(|place| {
                    let (row, column) = ((place / 48) as f32 + 0.5, (place % 48) as f32 + 0.5);
                    (row - y).hypot(column - x) < 7.2
                });
                places.map(|place| frame.pixels()[place]).max().unwrap()
            };
            if distance > 15.0 {
                assert!(brightest(first) > brightest(second));
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn clips_are_a_function_of_seed_part_and_index() {
    let of = |seed: u32| {
        let text = format!(
            "type = 'moving_glyphs'\nseed = {seed}\ncount = 9\nvalidation_count = 9\n[motion]\nnoise = 0.1"
        );
        clips(&text, shape(16, Colours::Rgb))
    };
    let (one, same, other) = (of(3), of(3), of(4));
    assert_eq!(one.train.get(5), same.train.get(5));
    assert_eq!(one.train.batch(&[5, 2]), [same.train.get(5), same.train.get(2)]);
    assert_eq!(one.hashes(), same.hashes());
    assert_ne!(one.train.get(5), one.validation.get(5));
    assert_ne!(one.train.get(5), other.train.get(5));
    assert_ne!(one.hashes().training, other.hashes().training);
    assert_eq!(one.hashes().training.sizes["frames"], 72);
}

#[test]
fn validation_clips_show_digits_of_the_test_part() {
    let folder = tempfile::tempdir().unwrap();
    idx::tests::write(folder.path(), "train", 250);
    // Only digits 0 and 1, and dark ones.
    idx::tests::write(folder.path(), "t10k", 2);
    let text = format!(
        "type = 'moving_mnist'\npath = '{}'\ncount = 40\nvalidation_count = 40\n[motion]\nframes = 2",
        folder.path().display()
    );
    let clips = clips(&text, shape(16, Colours::Gray));
    let labels =
        |part: &ClipPart| -> std::collections::BTreeSet<u32> { (0..40).map(|i| part.get(i).label).collect() };
    assert!(labels(&clips.train).len() > 6);
    assert_eq!(labels(&clips.validation), [0, 1].into());
    let brightest = (0..40)
        .flat_map(|i| clips.validation.get(i).frames)
        .flat_map(|frame| frame.pixels().to_vec())
        .max();
    assert!(brightest.unwrap() <= 1, "{brightest:?}");
}

#[test]
fn a_setting_out_of_range_is_refused_by_its_key() {
    for (text, key) in [
        ("count = 0", "dataset.count is 0"),
        ("[motion]\nframes = 0", "dataset.motion.frames is 0"),
        ("[motion]\nobjects = 3", "dataset.motion.objects is 3"),
        ("[motion]\nscale = 1.0", "dataset.motion.scale is 1"),
        (
            "[motion]\nspeed = [0.2, 0.1]",
            "dataset.motion.speed is [0.2, 0.1]",
        ),
        ("[motion]\nnoise = -0.1", "dataset.motion.noise is -0.1"),
    ] {
        let config: DatasetConfig = toml::from_str(&format!("type = 'moving_glyphs'\n{text}")).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
}
