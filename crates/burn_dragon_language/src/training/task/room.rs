//! Memory needed by a training step, and the largest settings that fit.

use super::LanguageTask;
use crate::tokenizer::TokenizerConfig;
use crate::training::config::LanguageConfig;
use crate::training::streams::StreamPlan;
use burn::tensor::Device;
use burn_dragon_core::api::{DragonConfig, FreeMemory, Kernels, MemoryError, Need};

/// Size of a training step: model, batch, and kind of device.
#[derive(Clone)]
pub(super) struct Room<'a> {
    model: DragonConfig,
    /// Lanes of the run's batches.
    lanes: usize,
    batch_size: usize,
    block_size: usize,
    streams: Option<&'a StreamPlan>,
    kernels: Kernels,
}

/// Smallest model that a configuration may get: the vocabulary is at least that of the tokenizer, as far as it is known
/// without the data. `None` for a configuration that is refused later.
pub(in crate::training) fn least_model(config: &LanguageConfig) -> Option<DragonConfig> {
    let tokens = match &config.dataset.tokenizer {
        TokenizerConfig::Byte {} => 256,
        TokenizerConfig::Ids { vocab_size } => *vocab_size,
        _ => 1,
    };
    let tokens = config.model.vocab_size.unwrap_or(tokens);
    config.model.with_vocabulary(tokens).ok()
}

/// Refuses a configuration whose smallest model has no room for a step, before the data is read. Of streams only the
/// model counts: their windows are known with the data.
pub(in crate::training) fn check_early(
    config: &LanguageConfig,
    device: &Device,
    memory: FreeMemory,
) -> Result<(), MemoryError> {
    let Some(model) = least_model(config).filter(|_| config.validate().is_ok()) else {
        return Ok(()); // refused later, by its key
    };
    let of_streams = config.sequence.streams.is_some();
    let (lanes, tokens) = match of_streams {
        true => (1, 1),
        false => (config.training.batch_size, config.sequence.block_size),
    };
    let room = Room {
        model,
        lanes,
        batch_size: lanes,
        block_size: tokens,
        streams: None,
        kernels: Kernels::of(device),
    };
    room.check(memory)
}

impl LanguageTask {
    pub(super) fn room(&self) -> Room<'_> {
        let training = &self.config.training;
        Room {
            model: self.model_config.clone(),
            lanes: training.batch_size,
            batch_size: training.batch_size,
            block_size: self.config.sequence.block_size,
            streams: self.order.streams(),
            kernels: Kernels::of(&self.device),
        }
    }
}

impl Room<'_> {
    /// Bytes of a step, with the model and all that is kept for it.
    pub(super) fn bytes(&self) -> u64 {
        let Some(plan) = self.streams else {
            return self.of_window(self.block_size, self.batch_size);
        };
        let (cost, learning) = (self.model.cost(), plan.window().backprop_steps());
        let memories = self.of_batch(plan.memories());
        let step = |(tokens, lanes)| {
            let lanes = self.of_batch(lanes);
            let windows = self.of_window(tokens, lanes).saturating_mul(learning as u64);
            windows.saturating_add(cost.carried_bytes(memories, lanes, learning))
        };
        plan.shapes().map(step).max().unwrap_or(0)
    }

    /// Refuses a step that there is no memory for.
    pub(super) fn check(&self, memory: FreeMemory) -> Result<(), MemoryError> {
        let (all, model) = (self.bytes(), self.model.cost().trained_bytes());
        let need = Need::of("a training step")
            .with("weights, moments and gradients", model.min(all))
            .with("a batch", all.saturating_sub(model));
        memory.check(&need, || self.way_out(memory))
    }

    /// Largest batch, at most `most`, whose step fits.
    pub(super) fn largest_batch(&self, memory: FreeMemory, most: u64) -> Option<u64> {
        memory.largest(most, |lanes| self.batches_of(lanes).bytes())
    }

    fn of_window(&self, tokens: usize, lanes: usize) -> u64 {
        let cost = self.model.cost();
        match self.kernels {
            Kernels::Processor => cost.training_bytes(lanes, tokens),
            Kernels::Gpu { .. } => cost.training_bytes_gpu(lanes, tokens),
            Kernels::Definitions => cost.training_bytes_unfused(lanes, tokens),
        }
    }

    /// Lanes of the run's batches as lanes of these.
    fn of_batch(&self, lanes: usize) -> usize {
        let scaled = (lanes as u128 * self.batch_size as u128).div_ceil(self.lanes as u128);
        usize::try_from(scaled).unwrap_or(usize::MAX)
    }

    /// The largest setting that fits where the others stay as they are: of the batch, then of its windows, then of the
    /// model.
    fn way_out(&self, memory: FreeMemory) -> String {
        let one = self.batches_of(1);
        if let Some(lanes) = self.largest_batch(memory, self.batch_size as u64) {
            return format!(
                "training.batch_size = {lanes} fits (a larger training.accumulate keeps the size of a step)"
            );
        }
        if self.streams.is_none()
            && let Some(tokens) =
                memory.largest(self.block_size as u64, |tokens| one.windows_of(tokens).bytes())
        {
            return format!(
                "training.batch_size = 1 does not fit either, and training.accumulate does not help; with it, \
                 sequence.block_size = {tokens} fits"
            );
        }
        // The size of the model that must shrink by the smallest share.
        let smaller = SIZES.iter().filter_map(|size| {
            let (asked, step) = ((size.of)(&self.model), (size.step)(&self.model));
            let steps = memory.largest((asked / step) as u64, |steps| {
                one.sized(size, steps as usize * step).bytes()
            });
            let fits = steps? as usize * step;
            Some((fits as f64 / asked as f64, format!("model.{} = {fits}", size.key)))
        });
        match smaller.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
            Some((_, setting)) => format!("{setting} fits, with training.batch_size = 1"),
            None => format!(
                "use a smaller model and training.batch_size: {} are too large together",
                keys()
            ),
        }
    }

    fn batches_of(&self, lanes: u64) -> Self {
        let batch_size = lanes as usize;
        Self {
            batch_size,
            ..self.clone()
        }
    }

    fn windows_of(&self, tokens: u64) -> Self {
        let block_size = tokens as usize;
        Self {
            block_size,
            ..self.clone()
        }
    }

    fn sized(&self, size: &Size, value: usize) -> Self {
        let mut room = self.clone();
        (size.set)(&mut room.model, value);
        room
    }
}

/// A size of a model that can be made smaller.
struct Size {
    key: &'static str,
    of: fn(&DragonConfig) -> usize,
    set: fn(&mut DragonConfig, usize),
    /// Divisor of the size: it must be a multiple of this number.
    step: fn(&DragonConfig) -> usize,
}

const SIZES: [Size; 3] = [
    Size {
        key: "d_model",
        of: |model| model.d_model,
        set: |model, value| model.d_model = value,
        step: |_| 1,
    },
    Size {
        key: "n_neurons",
        of: |model| model.n_neurons,
        set: |model, value| model.n_neurons = value,
        step: |model| 2 * model.n_heads,
    },
    Size {
        key: "n_levels",
        of: |model| model.n_levels,
        set: |model, value| model.n_levels = value,
        step: |_| 1,
    },
];

/// Their keys.
fn keys() -> String {
    SIZES
        .iter()
        .map(|size| format!("model.{}", size.key))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(model: DragonConfig, batch_size: usize, block_size: usize) -> Room<'static> {
        Room {
            model,
            lanes: batch_size,
            batch_size,
            block_size,
            streams: None,
            kernels: Kernels::Processor,
        }
    }

    /// The way out, and the number in it behind a key.
    fn said(room: &Room<'_>, memory: u64, key: &str) -> usize {
        let error = room.check(FreeMemory::of(memory)).unwrap_err().to_string();
        let (_, rest) = error
            .split_once(&format!("{key} = "))
            .unwrap_or_else(|| panic!("{error}"));
        rest.split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    #[test]
    fn the_largest_batch_that_fits_is_named_then_its_windows_then_a_size_of_the_model() {
        let room = room(DragonConfig::tiny(), 1000, 512);
        let bytes = |batch, block| room.batches_of(batch).windows_of(block).bytes();
        let fits = |room: &Room<'_>, memory| room.bytes() <= memory;
        room.check(FreeMemory::of(bytes(1000, 512))).unwrap();

        let memory = bytes(10, 512);
        let lanes = said(&room, memory, "training.batch_size") as u64;
        assert!(
            lanes >= 10
                && fits(&room.batches_of(lanes), memory)
                && !fits(&room.batches_of(lanes + 1), memory)
        );

        let memory = bytes(1, 512) - 1;
        let tokens = said(&room, memory, "sequence.block_size") as u64;
        let one = room.batches_of(1);
        assert!(fits(&one.windows_of(tokens), memory) && !fits(&one.windows_of(tokens + 1), memory));

        let memory = bytes(1, 1) - 1;
        let error = room.check(FreeMemory::of(memory)).unwrap_err().to_string();
        assert!(
            error.contains("model.") && error.contains("training.batch_size = 1"),
            "{error}"
        );
        assert!(
            room.check(FreeMemory::of(1))
                .unwrap_err()
                .to_string()
                .contains("use a smaller model")
        );
    }

    /// A GPU keeps nothing neuron-wide of a level, and plain tensor operations do.
    #[test]
    fn a_step_is_counted_by_the_kernels_of_its_device() {
        let of = |kernels| {
            let room = room(DragonConfig::paper(), 8, 512);
            Room { kernels, ..room }.bytes()
        };
        let gpu = of(Kernels::Gpu {
            bf16: false,
            tensor_cores: false,
        });
        assert!(7 * gpu < of(Kernels::Definitions), "{gpu}");
        // Six neuron-wide tensors of a window at least.
        assert!(
            gpu > 6 * 8 * 512 * 32_768 * 4 && gpu < 2 * 6 * 8 * 512 * 32_768 * 4,
            "{gpu}"
        );
    }

    #[test]
    fn what_no_data_can_make_fit_is_refused_by_the_configuration_alone() {
        let mut config = LanguageConfig::default();
        config.model.n_neurons = 1 << 20;
        let bytes = |config: &LanguageConfig| {
            let lanes = config.training.batch_size;
            room(least_model(config).unwrap(), lanes, config.sequence.block_size).bytes()
        };
        let needed = bytes(&config);
        let check = |config: &LanguageConfig, memory| {
            check_early(config, &Device::flex().autodiff(), FreeMemory::of(memory))
        };
        check(&config, needed).unwrap();
        let error = check(&config, needed - 1).unwrap_err().to_string();
        assert!(error.contains("training.batch_size"), "{error}");
        // More symbols need more; with another tokenizer they are known with the data.
        config.model.vocab_size = Some(100_000);
        assert!(bytes(&config) > needed);
        config.model.vocab_size = None;
        config.dataset.tokenizer = TokenizerConfig::Char { special_tokens: true };
        assert!(bytes(&config) < needed);
        // What cannot be a model, or a window, is refused elsewhere.
        config.sequence.block_size = usize::MAX;
        check(&config, 1).unwrap();
        config.sequence.block_size = 8;
        config.model.n_heads = 7;
        check(&config, 1).unwrap();
    }

    #[test]
    fn of_a_models_sizes_the_one_that_is_out_of_all_proportion_is_named() {
        for (key, model) in [
            (
                "model.d_model",
                DragonConfig {
                    d_model: 1 << 24,
                    ..DragonConfig::tiny()
                },
            ),
            (
                "model.n_neurons",
                DragonConfig {
                    n_neurons: 1 << 26,
                    ..DragonConfig::tiny()
                },
            ),
        ] {
            assert!(said(&room(model, 8, 256), 1 << 30, key) > 64, "{key}");
        }
    }
}
