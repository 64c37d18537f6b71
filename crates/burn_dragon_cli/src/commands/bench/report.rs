//! Results of a benchmark, as text and as JSON.

use super::Bench;
use burn_dragon::api::core::{DragonConfig, Precision};
use burn_dragon::api::expert::core::Activity;
use burn_dragon_train::api::RunInfo;
use serde_json::{Value, json};

/// Seconds of each round, the peak of the process's memory, and what the device holds.
#[derive(Default)]
pub(super) struct Timing {
    pub(super) seconds: Vec<f64>,
    pub(super) warm_up: usize,
    pub(super) peak_memory: Option<u64>,
    pub(super) device_memory: Option<u64>,
}

impl Timing {
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len().is_multiple_of(2) {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        } else {
            sorted[middle]
        }
    }

    pub(super) fn best(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Work of one round.
pub(super) struct Work {
    /// `step`, `prompt` or `token`.
    pub(super) unit: &'static str,
    pub(super) tokens: f64,
    pub(super) flops: f64,
    /// Number of bytes that must be moved.
    pub(super) bytes: f64,
    /// Number of bytes that are used again in every round. Their speed depends on whether they fit into a cache.
    pub(super) working_set: u64,
}

/// Results of a benchmark.
pub(super) struct Report {
    pub(super) bench: &'static str,
    pub(super) config: DragonConfig,
    /// Origin of the weights.
    pub(super) weights: String,
    /// Description of the input.
    pub(super) reads: String,
    pub(super) activity: Activity,
    pub(super) precision: Precision,
    pub(super) work: Work,
    pub(super) timing: Timing,
    /// JSON value that only this benchmark has.
    pub(super) own: Value,
    /// Lines that only this benchmark adds to the table.
    pub(super) notes: Vec<String>,
}

/// Speeds computed from the results, beside the peak of the machine.
pub(super) struct Speeds {
    flops: f64,
    /// Of f32 products.
    peak_share: f64,
    /// Of bf16 products, and their peak, where that is the precision of the factors.
    bf16: Option<(f64, f64)>,
    bytes: f64,
    bandwidth: f64,
    bandwidth_share: f64,
}

impl Report {
    /// Speeds in the median; measures what the machine reads at this size.
    pub(super) fn speeds(&self, bench: &Bench) -> Speeds {
        let seconds = self.timing.median();
        let (flops, bytes) = (self.work.flops / seconds, self.work.bytes / seconds);
        let bandwidth = bench.machine.bandwidth_of(self.work.working_set);
        let bf16 = match self.precision {
            Precision::F32 => None,
            Precision::Bf16 => bench.machine.bf16_flops_per_second,
        };
        Speeds {
            flops,
            peak_share: flops / bench.machine.flops_per_second,
            bf16: bf16.map(|peak| (flops / peak, peak)),
            bytes,
            bandwidth,
            bandwidth_share: bytes / bandwidth,
        }
    }

    /// Report as lines of text.
    pub(super) fn table(&self, bench: &Bench, speeds: &Speeds) -> String {
        let (c, work, timing) = (&self.config, &self.work, &self.timing);
        let (median, best) = (timing.median(), timing.best());
        let of = |share: f64, whole: f64, unit: &str, what: &str| {
            format!(", {} of {} {what}", percent(share), rate(whole, unit))
        };
        let Activity { x, pairs, y } = self.activity;
        let unusual = |word: &str, kind: &str, usual: &str| match kind == usual {
            true => String::new(),
            false => format!(" {word} {kind}"),
        };
        let wired = [
            unusual("joined by", c.connector.name(), "plain"),
            unusual("mixed by", c.mixer.name(), "linear"),
            unusual("at positions", c.positions.name(), "rotary"),
        ]
        .concat();
        let mut lines = vec![
            format!(
                "{:<8} {} levels{}, width {}, {} heads, {} neurons ({}); {}",
                self.bench, c.n_levels, wired, c.d_model, c.n_heads, c.n_neurons, self.weights, self.reads
            ),
            format!(
                "on       {}, {} threads, {}",
                bench.selected.name, bench.machine.threads, self.precision
            ),
            format!(
                "density  x {}, pairs {}, y {}",
                percent(x),
                percent(pairs),
                percent(y)
            ),
            format!(
                "{:<8} {} in the median, {} at best, of {} after {} to warm up",
                work.unit,
                seconds(median),
                seconds(best),
                timing.seconds.len(),
                timing.warm_up
            ),
            format!(
                "speed    {} tokens/s ({} at best)",
                digits(work.tokens / median),
                digits(work.tokens / best)
            ),
            format!(
                "FLOPs    {}{}{}",
                rate(speeds.flops, "FLOP/s"),
                of(
                    speeds.peak_share,
                    bench.machine.flops_per_second,
                    "FLOP/s",
                    "f32 peak"
                ),
                speeds.bf16.map_or_else(String::new, |(share, peak)| of(
                    share,
                    peak,
                    "FLOP/s",
                    "bf16 peak"
                ))
            ),
            format!(
                "bytes    {} at least{}",
                rate(speeds.bytes, "B/s"),
                of(
                    speeds.bandwidth_share,
                    speeds.bandwidth,
                    "B/s",
                    &bench.machine.reads(work.working_set)
                )
            ),
        ];
        lines.extend(
            timing
                .peak_memory
                .map(|peak| format!("memory   {} at most", bytes(peak))),
        );
        lines.extend(
            timing
                .device_memory
                .map(|held| format!("device   {} held on it at most", bytes(held))),
        );
        lines.extend(self.notes.iter().cloned());
        lines.join("\n")
    }

    /// The object for a program.
    pub(super) fn json(&self, bench: &Bench, speeds: &Speeds) -> Value {
        let (c, work, timing) = (&self.config, &self.work, &self.timing);
        let (median, best) = (timing.median(), timing.best());
        let about = RunInfo::now("language", bench.selected.name, "", 0);
        let mut object = json!({
            "bench": self.bench,
            "levels": c.n_levels,
            "connector": c.connector.name(),
            "mixer": c.mixer.name(),
            "positions": c.positions.name(),
            "d_model": c.d_model,
            "heads": c.n_heads,
            "neurons": c.n_neurons,
            "vocab_size": c.vocab_size,
            "weights": self.weights,
            "reads": self.reads,
            "x_density": self.activity.x,
            "pair_density": self.activity.pairs,
            "y_density": self.activity.y,
            "precision": self.precision.to_string(),
            "backend": bench.selected.name,
            "threads": bench.machine.threads,
            "rounds": timing.seconds.len(),
            "tokens_per_second": work.tokens / median,
            "best_tokens_per_second": work.tokens / best,
            "flops_per_second": speeds.flops,
            "peak_share": speeds.peak_share,
            "bf16_peak_share": speeds.bf16.map(|(share, _)| share),
            "bytes_per_second": speeds.bytes,
            "working_set_bytes": work.working_set,
            "working_set_bytes_per_second": speeds.bandwidth,
            "bandwidth_share": speeds.bandwidth_share,
            "peak_memory_bytes": timing.peak_memory,
            "device_memory_bytes": timing.device_memory,
            "machine": bench.machine,
            "date": about.started,
            "version": about.version,
        });
        object[format!("seconds_per_{}", work.unit)] = median.into();
        object[format!("best_seconds_per_{}", work.unit)] = best.into();
        for (name, value) in self.own.as_object().into_iter().flatten() {
            object[name] = value.clone();
        }
        object
    }
}

/// A rate: `430 GFLOP/s`.
pub(in crate::commands) fn rate(per_second: f64, unit: &str) -> String {
    let (value, prefix) = scaled(per_second, 1000.0, &["", "k", "M", "G", "T"]);
    format!("{} {prefix}{unit}", digits(value))
}

/// An amount of memory: `29 MiB`.
pub(in crate::commands) fn bytes(amount: u64) -> String {
    let (value, prefix) = scaled(amount as f64, 1024.0, &["", "Ki", "Mi", "Gi", "Ti"]);
    format!("{} {prefix}B", digits(value))
}

/// A time: `212 ms`.
pub(super) fn seconds(time: f64) -> String {
    let (value, unit) = match time {
        time if time < 1e-3 => (time * 1e6, "us"),
        time if time < 1.0 => (time * 1e3, "ms"),
        _ => (time, "s"),
    };
    format!("{} {unit}", digits(value))
}

/// A share: `21.4 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", digits(100.0 * share))
}

fn scaled<'a>(mut value: f64, base: f64, prefixes: &[&'a str]) -> (f64, &'a str) {
    let mut at = 0;
    while value >= base && at + 1 < prefixes.len() {
        value /= base;
        at += 1;
    }
    (value, prefixes[at])
}

/// Three digits.
fn digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        assert_eq!(rate(430.2e9, "FLOP/s"), "430 GFLOP/s");
        assert_eq!(rate(6.912e12, "FLOP/s"), "6.91 TFLOP/s");
        assert_eq!(percent(0.2139), "21.4 %");
        assert_eq!(bytes(30 << 20), "30.0 MiB");
        assert_eq!(bytes(100), "100 B");
        assert_eq!(seconds(0.2123), "212 ms");
        assert_eq!(seconds(2.5e-5), "25.0 us");
        assert_eq!(seconds(61.5), "61.5 s");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let timing = |seconds: &[f64]| Timing {
            seconds: seconds.to_vec(),
            warm_up: 0,
            ..Timing::default()
        };
        assert_eq!(timing(&[3.0, 1.0, 9.0]).median(), 3.0);
        assert_eq!(timing(&[3.0, 1.0, 9.0, 4.0]).median(), 3.5);
        assert_eq!(timing(&[3.0, 1.0, 9.0, 4.0]).best(), 1.0);
    }
}
