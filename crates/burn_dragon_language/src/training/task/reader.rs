//! Loss of a model on a batch, and the memory after it.

use crate::training::counted::CountedTargets;
use crate::training::streams::{Batch, StreamMemory, Window};
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use burn_dragon_core::api::expert::derive;
use burn_dragon_core::api::{
    Credit, Density, DensityProbe, Dragon, DragonState, Pass, Precision, RhoProbe, cross_entropy,
    token_losses,
};
use burn_dragon_stream::api::TbpttWindow;
use burn_dragon_train::api::TrainError;

/// Shares of active neurons in one lane, without autodiff: a few per cent of a step, on the steps that are logged.
pub(super) fn density_of_a_lane(model: &Dragon, window: &Window) -> Density {
    let mut probe = DensityProbe::default();
    let pass = Pass {
        density: Some(&mut probe),
        resets: window.resets.first_lane(),
        ..Pass::default()
    };
    let lane = window.inputs.clone().narrow(0, 0, 1).inner();
    model.valid().forward_pass(lane, pass);
    probe.density()
}

/// Losses of the windows of a batch.
#[derive(Default)]
struct Losses {
    /// Of each window the mean over its tokens, or, if not all have a loss, the sum over those that have.
    of_windows: Vec<Tensor<1>>,
    /// Number of tokens with a loss; `None` if all have one.
    counted: Option<usize>,
}

impl Losses {
    fn add(&mut self, logits: Tensor<3>, targets: Tensor<2, Int>, counted: Option<CountedTargets>) {
        self.of_windows.push(match counted {
            None => cross_entropy(logits, targets),
            Some(CountedTargets { mask, number }) => {
                self.counted = Some(self.counted.unwrap_or(0) + number);
                (token_losses(logits, targets) * mask).sum()
            }
        });
    }

    /// Mean over the tokens with a loss; 0 if there are none, with gradients of 0.
    fn mean(self) -> Tensor<1> {
        let losses = Tensor::cat(self.of_windows, 0);
        match self.counted {
            None => losses.mean(),
            Some(number) => losses.sum() / number.max(1) as f64,
        }
    }
}

/// Reader of batches with a loss.
pub(super) struct Reader<'a> {
    pub(super) model: &'a Dragon,
    pub(super) seed: u64,
    pub(super) precision: Precision,
    pub(super) credit: Credit,
}

impl Reader<'_> {
    /// The mean loss of windows that each begin with an empty memory.
    pub(super) fn windows(&self, batch: Batch) -> Tensor<1> {
        let mut losses = Losses::default();
        for (place, window) in batch.windows.into_iter().enumerate() {
            let pass = self.pass(place, &window);
            let logits = self.model.forward_pass(window.inputs, pass);
            losses.add(logits, window.targets, window.counted);
        }
        losses.mean()
    }

    /// Mean loss of the windows with a loss, after the windows that only fill the memory. The memory is carried to the
    /// next batch; the probe sees what `[model.rho]` does to it.
    pub(super) fn streams(
        &self,
        window: TbpttWindow,
        batch: Batch,
        memory: &mut StreamMemory,
        mut probe: Option<&mut RhoProbe>,
    ) -> Result<Tensor<1>, TrainError> {
        let mut state = memory.take(&batch.lanes).map_err(TrainError::task)?;
        let mut windows = batch.windows.into_iter().enumerate();
        if window.requires_detach() {
            let model = self.model.valid();
            for (place, read) in windows.by_ref().take(window.detach_prefix_steps()) {
                let pass = self.pass(place, &read);
                let state_before = self.before_window(state);
                let after = model.forward_pass_with_state(read.inputs.inner(), state_before, pass);
                (_, state) = after.map_err(TrainError::task)?;
            }
        }
        // Gradients go through the memory between windows that learn together, and no further.
        if window.backprop_steps() > 1 {
            state = state.autodiff();
        }
        let mut losses = Losses::default();
        for (place, read) in windows {
            let pass = Pass {
                memory: probe.as_deref_mut(),
                ..self.pass(place, &read)
            };
            let (logits, after) = self
                .model
                .forward_pass_with_state(read.inputs, self.before_window(state), pass)
                .map_err(TrainError::task)?;
            losses.add(logits, read.targets, read.counted);
            state = after;
        }
        memory
            .put_back(&batch.lanes, state.inner())
            .map_err(TrainError::task)?;
        Ok(losses.mean())
    }

    /// The state that a window begins with, from that after the one before it (`[model.rho]`).
    fn before_window(&self, mut state: DragonState) -> DragonState {
        let Some(rho) = self.model.config().rho else {
            return state;
        };
        if !rho.carry_across_tbptt {
            state.reset();
        }
        match rho.detach_between_windows {
            true => state.detach(),
            false => state,
        }
    }

    fn pass<'p>(&self, place: usize, window: &Window) -> Pass<'p> {
        Pass {
            // The first window's masks are those of a step of one window.
            dropout_seed: Some(match place {
                0 => self.seed,
                _ => derive(self.seed, "window", 0, place as u64),
            }),
            precision: self.precision,
            credit: self.credit,
            resets: window.resets.clone(),
            ..Pass::default()
        }
    }
}
