//! The memory that a step of training takes, and what would fit where there is too little.

use super::LanguageTask;
use crate::streams::StreamPlan;
use burn::tensor::Device;
use burn_dragon_core::{DragonConfig, Memory, MemoryError, Need};
use burn_dragon_train::settings::TrainingConfig;

/// A step of training: the model, what one batch holds, and on which kind of device.
#[derive(Clone)]
pub(super) struct Room<'a> {
    model: DragonConfig,
    training: &'a TrainingConfig,
    batch_size: usize,
    block_size: usize,
    streams: Option<&'a StreamPlan>,
    on_processor: bool,
}

impl LanguageTask {
    pub(super) fn room(&self) -> Room<'_> {
        let training = &self.config.training;
        Room {
            model: self.model_config.clone(),
            training,
            batch_size: training.batch_size,
            block_size: training.block_size,
            streams: self.course.streams(),
            on_processor: self.device.clone().inner() == Device::flex(),
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
    pub(super) fn check(&self, memory: Memory) -> Result<(), MemoryError> {
        let (all, model) = (self.bytes(), self.model.cost().trained_bytes());
        let need = Need::of("a training step")
            .with("weights, moments and gradients", model.min(all))
            .with("a batch", all.saturating_sub(model));
        memory.check(&need, || self.way_out(memory))
    }

    fn of_window(&self, tokens: usize, lanes: usize) -> u64 {
        let cost = self.model.cost();
        match self.on_processor {
            true => cost.training_bytes(lanes, tokens),
            false => cost.training_bytes_unfused(lanes, tokens),
        }
    }

    /// Lanes of the run's batches as lanes of these.
    fn of_batch(&self, lanes: usize) -> usize {
        let scaled = (lanes as u128 * self.batch_size as u128).div_ceil(self.training.batch_size as u128);
        usize::try_from(scaled).unwrap_or(usize::MAX)
    }

    /// The largest setting that fits where the others stay as they are: of the batch, then of its windows, then of the
    /// model.
    fn way_out(&self, memory: Memory) -> String {
        let one = self.batches_of(1);
        if let Some(lanes) = memory.largest(self.batch_size as u64, |lanes| self.batches_of(lanes).bytes()) {
            return format!(
                "training.batch_size = {lanes} fits (with training.accumulate to keep the product)"
            );
        }
        if self.streams.is_none()
            && let Some(tokens) =
                memory.largest(self.block_size as u64, |tokens| one.windows_of(tokens).bytes())
        {
            return format!(
                "training.batch_size = 1 does not fit either (nor would training.accumulate help), \
                 training.block_size = {tokens} with it does"
            );
        }
        let (width, pairs) = (self.model.d_model as u64, 2 * self.model.n_heads as u64);
        let most = self.model.n_neurons as u64 / pairs;
        let model = memory
            .largest(width, |width| one.of_width(width).bytes())
            .map(|width| format!("model.d_model = {width}"))
            .or_else(|| {
                let most = memory.largest(most, |many| one.of_neurons(many * pairs).bytes())?;
                Some(format!("model.n_neurons = {}", most * pairs))
            });
        match model {
            Some(setting) => format!("{setting} fits, with training.batch_size = 1"),
            None => {
                "use a smaller model: model.d_model, model.n_neurons, model.n_levels, and training.batch_size"
                    .into()
            }
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

    fn of_width(&self, width: u64) -> Self {
        let mut room = self.clone();
        room.model.d_model = width as usize;
        room
    }

    fn of_neurons(&self, neurons: u64) -> Self {
        let mut room = self.clone();
        room.model.n_neurons = neurons as usize;
        room
    }
}
