//! Time of the probes on made features: `cargo run --release -p burn_dragon_vision --example probe_speed`.
use burn_dragon_core::api::expert::Rng;
use burn_dragon_vision::api::expert::{
    Features, Labelled, ProbeConfig, accuracy, effective_rank, knn, linear,
};
use std::time::Instant;
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let set = |rows: usize, seed| {
        let mut centres = Rng::new(1);
        let centres: Vec<f64> = (0..10 * 128).map(|_| 0.25 * centres.normal()).collect();
        let mut rng = Rng::new(seed);
        let labels: Vec<usize> = (0..rows).map(|_| rng.below(10)).collect();
        let values = labels
            .iter()
            .flat_map(|l| {
                (0..128)
                    .map(|k| (centres[l * 128 + k] + rng.normal()) as f32)
                    .collect::<Vec<_>>()
            })
            .collect();
        Features::new(128, values).map(|features| (features, labels))
    };
    let (train, test) = (set(60_000, 2)?, set(10_000, 3)?);
    let rows = Labelled::new(&train.0, &train.1, 10)?;
    let start = Instant::now();
    let k = knn(rows, &test.0, 20, 0.07)?;
    println!(
        "knn {:.2} s, {:.4}",
        start.elapsed().as_secs_f64(),
        accuracy(&k, &test.1)
    );
    let start = Instant::now();
    let l = linear(&ProbeConfig::default(), rows, &test.0)?;
    println!(
        "linear {:.2} s, {:.4} {} iterations {} {:?}",
        start.elapsed().as_secs_f64(),
        accuracy(&l.predictions, &test.1),
        l.iterations,
        l.is_converged,
        l.validation
    );
    let start = Instant::now();
    println!(
        "rank {:.2} in {:.2} s",
        effective_rank(&train.0),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
