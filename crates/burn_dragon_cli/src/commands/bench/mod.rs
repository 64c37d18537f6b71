//! `dragon bench`: speed, compared with the peak of the machine.

mod decode;
mod device;
mod kernels;
mod machine;
mod memory;
mod prefill;
mod report;
mod subject;
#[cfg(feature = "train")]
mod train;

use super::{backend, print_json, refuse_off_processor, refuse_without_bf16};
use crate::args::{BenchArgs, BenchVerb, SettingArgs};
use anyhow::Context;
use burn_dragon::api::core::{Precision, SelectedBackend};
use burn_dragon_train::api::Output;
use machine::Machine;
use report::Timing;
#[cfg(feature = "train")]
pub(super) use report::{bytes, rate};
use std::process::ExitCode;
use std::time::Instant;

/// Runs the verb.
///
/// # Errors
/// If the model or the text cannot be read, or the shape is not one a model can have.
pub fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let settings = args.what.settings();
    let bench = Bench::begin(settings, args.what.named_precision())?;
    let report = match &args.what {
        #[cfg(feature = "train")]
        BenchVerb::Train(args) => train::run(&bench, args)?,
        #[cfg(not(feature = "train"))]
        BenchVerb::Train(_) => return Err(crate::exit::without_training().into()),
        BenchVerb::Prefill(args) => prefill::run(&bench, args)?,
        BenchVerb::Decode(args) => decode::run(&bench, args)?,
        BenchVerb::Kernels(args) => kernels::run(&bench, args)?,
    };
    let speeds = report.speeds(&bench);
    bench.output.say(&report.table(&bench, &speeds));
    if settings.json {
        print_json(&report.json(&bench, &speeds))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Device and settings of the measurement.
struct Bench {
    selected: SelectedBackend,
    machine: Machine,
    output: Output,
}

impl Bench {
    /// Sets the threads, finds the device, refuses a precision that it does not have, and measures the machine.
    fn begin(settings: &SettingArgs, precision: Option<Precision>) -> anyhow::Result<Self> {
        if let Some(threads) = settings.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads.into())
                .build_global()
                .context("cannot set the number of threads")?;
        }
        let selected = backend(settings.backend.backend)?;
        precision.map_or(Ok(()), |precision| refuse_without_bf16(precision, &selected))?;
        let machine = Machine::measure(&selected)?;
        tell!("{machine}");
        Ok(Self {
            selected,
            machine,
            output: Output::detect(false, settings.json),
        })
    }

    /// Waits until the device has done everything that it was given.
    fn sync(&self) -> anyhow::Result<()> {
        Ok(self.selected.device.sync()?)
    }

    /// Runs `work` for the warm-up rounds, then `rounds` times with the clock, and reports each. A round ends when the device
    /// has done its work. The peak of memory covers all of them.
    fn time(
        &self,
        warm_up: usize,
        rounds: usize,
        mut work: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Timing> {
        let traced = memory::forget_peak();
        (0..warm_up).try_for_each(|_| work())?;
        self.sync()?;
        let told = rounds.div_ceil(8); // of many rounds, eight or fewer
        let mut seconds = Vec::new();
        for round in 1..=rounds {
            let started = Instant::now();
            work()?;
            self.sync()?;
            seconds.push(started.elapsed().as_secs_f64());
            if round.is_multiple_of(told) {
                tell!("{round:>6}/{rounds}  {}", report::seconds(seconds[round - 1]));
            }
        }
        Ok(Timing {
            seconds,
            warm_up,
            peak_memory: if traced { memory::peak() } else { None },
            device_memory: memory::of_device(&self.selected.device),
        })
    }
}
