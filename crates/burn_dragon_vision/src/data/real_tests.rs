//! Tests on real data, which `DRAGON_DATA_DIR` names.

use super::{Cifar10Config, Data, DatasetConfig, Fit, MnistConfig, PictureShape, Pictures};
use crate::picture::Colours;
use std::path::PathBuf;
use std::time::Instant;

/// A folder of the data, or a line that the test skipped.
fn folder(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("DRAGON_DATA_DIR") else {
        eprintln!("skipped: DRAGON_DATA_DIR is not set");
        return None;
    };
    Some(PathBuf::from(folder).join(name))
}

fn load(config: &DatasetConfig, size: usize, colours: Colours) -> Pictures {
    match config.load(PictureShape { size, colours }).unwrap() {
        Data::Pictures(pictures) => pictures,
        Data::Clips(_) => panic!("{config:?} gave clips"),
    }
}

fn histogram(labels: &[u32]) -> [usize; 10] {
    let mut counts = [0; 10];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    counts
}

#[test]
fn mnist_has_its_known_counts_of_digits() {
    let Some(path) = folder("mnist") else { return };
    let config = DatasetConfig::Mnist(MnistConfig { path, fit: Fit::Pad });
    let begun = Instant::now();
    let pictures = load(&config, 32, Colours::Gray);
    println!("MNIST: {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(
        histogram(pictures.train.labels().unwrap()),
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    );
    assert_eq!(
        histogram(pictures.validation.labels().unwrap()),
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    );
    let first = pictures.train.get(0).unwrap();
    assert_eq!(first.label, Some(5));
    let rows: Vec<_> = first.picture.pixels().chunks(32).collect();
    assert!(rows[..2].concat().iter().all(|pixel| *pixel == 0));
    assert!(first.picture.pixels().iter().any(|pixel| *pixel > 250));
}

#[test]
fn every_picture_of_cifar_10_is_decoded() {
    let Some(path) = folder("cifar10") else { return };
    let config = DatasetConfig::Cifar10(Cifar10Config { path, fit: Fit::Pad });
    let begun = Instant::now();
    let pictures = load(&config, 32, Colours::Rgb);
    println!(
        "CIFAR-10: {:.1} s for 60,000 pictures",
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(pictures.notes, [""; 0]);
    assert_eq!(histogram(pictures.train.labels().unwrap()), [5000; 10]);
    assert_eq!(histogram(pictures.validation.labels().unwrap()), [1000; 10]);
    assert_eq!(pictures.classes[3], "cat");
    assert_eq!(pictures.train.held(), 50_000);
}
