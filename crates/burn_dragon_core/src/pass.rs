//! Options of a forward pass: dropout, precision, resets, credit, probes.

use crate::density::{DensityProbe, Watch};
use crate::level::{Seen, View};
use crate::low_bit::RhoProbe;
use crate::seed::derive;
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{Credit, Precision, Resets};

/// Options of a forward pass. The default has no dropout, no resets and no probes.
#[derive(Default)]
pub struct Pass<'a> {
    /// Seed of the dropout masks; `None` for no dropout.
    pub dropout_seed: Option<u64>,
    /// Precision of the factors in the levels' matrix products, on the processor.
    pub precision: Precision,
    /// Tokens before which a lane's memory is emptied: the first tokens of its documents.
    pub resets: Resets,
    /// Paths of the gradients through the read: queries, keys and values, or queries alone.
    pub credit: Credit,
    /// Number of levels of this pass, if not that of the configuration: a pass may go through the shared block more or
    /// fewer times. A carried state has a memory for each of them.
    pub levels: Option<usize>,
    /// Decides after each level, from its number and the output that the trunk would have there, `[B, 1, T, D]`, whether the pass
    /// ends. Levels that are left out neither read nor write: their memories stay as they are.
    pub exit: Option<&'a mut dyn FnMut(usize, Tensor<4>) -> bool>,
    /// Receives the stream after each level, `[B, 1, T, D]`, in order and with gradients: for a loss at every level.
    pub streams: Option<&'a mut Vec<Tensor<4>>>,
    /// Probe that counts active neurons; for a model without autodiff.
    pub density: Option<&'a mut DensityProbe>,
    /// Probe of what `[model.rho]` does to carried memory.
    pub memory: Option<&'a mut RhoProbe>,
    /// Probe that receives the activations of each level. This is slow, since it needs x and y as whole tensors; use it
    /// for analysis.
    pub watch: Option<&'a mut dyn Watch>,
}

impl Pass<'_> {
    /// The same pass for token `t` of its window alone; the stream after each level goes to `streams`, if it is wanted.
    pub(crate) fn of_token<'b>(&'b mut self, t: usize, streams: &'b mut Vec<Tensor<4>>) -> Pass<'b> {
        Pass {
            dropout_seed: self.dropout_seed.map(|seed| derive(seed, "token", t as u64, 0)),
            precision: self.precision,
            resets: self.resets.window(t..t + 1),
            credit: self.credit,
            levels: self.levels,
            exit: self.exit.as_mut().map(|exit| &mut **exit as _),
            streams: self.streams.is_some().then_some(streams),
            density: self.density.as_deref_mut(),
            memory: self.memory.as_deref_mut(),
            watch: self.watch.as_mut().map(|watch| &mut **watch as _),
        }
    }

    /// Data that a level has to give to the probes.
    pub(crate) fn view(&self) -> View {
        if self.watch.is_some() {
            View::Activities
        } else if self.density.is_some() {
            View::Shares
        } else {
            View::Nothing
        }
    }

    /// Whether the pass ends after a level.
    pub(crate) fn ends(&mut self, level: usize, output: impl FnOnce() -> Tensor<4>) -> bool {
        self.exit.as_mut().is_some_and(|exit| exit(level, output()))
    }

    /// Passes the data of a level, and the stream after it, to the probes.
    pub(crate) fn see(&mut self, level: usize, seen: &Seen, stream: impl FnOnce() -> Tensor<4>) {
        if let Some(streams) = &mut self.streams {
            streams.push(stream());
        }
        match seen {
            Seen::Nothing => {}
            Seen::Shares { entries, active } => {
                if let Some(density) = &mut self.density {
                    density.add(level, *entries, *active);
                }
            }
            Seen::Activities { x, y } => {
                if let Some(watch) = &mut self.watch {
                    watch.level(level, x, y);
                }
                if let Some(density) = &mut self.density {
                    density.level(level, x, y);
                }
            }
        }
    }
}
