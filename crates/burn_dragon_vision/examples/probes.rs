//! Probes of features, with their times.
//!
//! ```text
//! cargo run --release -p burn_dragon_vision --example probes                      # 60,000 made rows of width 128
//! cargo run --release -p burn_dragon_vision --example probes -- FOLDER 20000      # raw pixels of MNIST, 20,000 training rows
//! ```
//!
//! FOLDER holds the four files of MNIST, as `*-ubyte.gz`.

use burn_dragon_core::api::expert::Rng;
use burn_dragon_vision::api::expert::{
    Features, Labelled, ProbeConfig, accuracy, deviation, effective_rank, knn, linear, nearest_centroid,
};
use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

const CLASSES: usize = 10;

type Set = (Features, Vec<usize>);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (train, test) = match arguments.next() {
        Some(folder) => {
            let rows = arguments.next().map_or(Ok(60_000), |rows| rows.parse())?;
            let of = |part: &str, rows| mnist(Path::new(&folder), part, rows);
            (of("train", rows)?, of("t10k", 10_000)?)
        }
        None => (made(60_000, 2)?, made(10_000, 3)?),
    };
    let rows = Labelled::new(&train.0, &train.1, CLASSES)?;
    let (count, width) = (train.0.rows(), train.0.width());
    println!(
        "{count} training rows, {} test rows, width {width}",
        test.0.rows()
    );
    let config = ProbeConfig::default();
    let right = |predictions: &[usize]| format!("{:.2} %", 100.0 * accuracy(predictions, &test.1));
    timed("knn", || {
        Ok(right(&knn(rows, &test.0, config.neighbours, config.temperature)?))
    })?;
    timed("linear", || {
        let outcome = linear(&config, rows, &test.0)?;
        let (decay, iterations) = (outcome.weight_decay, outcome.iterations);
        let end = if outcome.is_converged {
            "converged"
        } else {
            "stopped"
        };
        let score = right(&outcome.predictions);
        Ok(format!(
            "{score}, weight decay {decay}, {end} after {iterations} iterations"
        ))
    })?;
    timed("centroid", || Ok(right(&nearest_centroid(rows, &test.0)?)))?;
    timed("effective rank", || {
        Ok(format!("{:.2}", effective_rank(&train.0)))
    })?;
    timed("deviation", || Ok(format!("{:.4}", deviation(&train.0))))
}

fn timed(name: &str, probe: impl FnOnce() -> Result<String, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let text = probe()?;
    println!("{name:<15} {:>6.2} s  {text}", start.elapsed().as_secs_f64());
    Ok(())
}

/// Rows around one centre a class.
fn made(rows: usize, seed: u64) -> Result<Set, Box<dyn Error>> {
    const WIDTH: usize = 128;
    let mut centres = Rng::new(1);
    let centres: Vec<f64> = (0..CLASSES * WIDTH).map(|_| 0.25 * centres.normal()).collect();
    let mut rng = Rng::new(seed);
    let labels: Vec<usize> = (0..rows).map(|_| rng.below(CLASSES)).collect();
    let centre = |label: &usize| centres[label * WIDTH..(label + 1) * WIDTH].iter();
    let values = labels
        .iter()
        .flat_map(centre)
        .map(|centre| (centre + rng.normal()) as f32)
        .collect();
    Ok((Features::new(WIDTH, values)?, labels))
}

/// Pixels from 0 to 1, and labels.
fn mnist(folder: &Path, part: &str, rows: usize) -> Result<Set, Box<dyn Error>> {
    let bytes = |kind: &str, header: usize| -> Result<Vec<u8>, Box<dyn Error>> {
        let file = std::fs::File::open(folder.join(format!("{part}-{kind}-ubyte.gz")))?;
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes)?;
        Ok(bytes.split_off(header))
    };
    let (pixels, labels) = (bytes("images-idx3", 16)?, bytes("labels-idx1", 8)?);
    let rows = rows.min(labels.len());
    let values = pixels[..rows * 784]
        .iter()
        .map(|&value| f32::from(value) / 255.0)
        .collect();
    Ok((
        Features::new(784, values)?,
        labels[..rows].iter().map(|&label| label.into()).collect(),
    ))
}
