//! What a pass does beside computing: masks, precision, credit, what is looked at.

use crate::density::{DensityProbe, Watch};
use crate::level::{Seen, View};
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{Credit, Precision, Resets};

/// What a pass does beside computing its output. The default does nothing.
#[derive(Default)]
pub struct Pass<'a> {
    /// Seed of the dropout masks; without one nothing is dropped.
    pub dropout_seed: Option<u64>,
    /// How factors enter the products of the levels, where these run on the processor.
    pub precision: Precision,
    /// Tokens before which a lane's memory is emptied: where its documents begin.
    pub resets: Resets,
    /// How gradients go back: through keys and values too, or through queries alone.
    pub credit: Credit,
    /// Passes through the shared block, where they are not as many as the configuration says: a model that thinks longer
    /// at some times than at others. A carried state has a memory for each of them.
    pub levels: Option<usize>,
    /// Takes the stream after each level, `[B, 1, T, D]`, in order and with its gradients: for a loss at every level.
    pub streams: Option<&'a mut Vec<Tensor<4>>>,
    /// Counts active neurons; for a model without autodiff.
    pub density: Option<&'a mut DensityProbe>,
    /// Looks at the activations of each level, which have to be laid out for it: slow, and for a model's students.
    pub watch: Option<&'a mut dyn Watch>,
}

impl Pass<'_> {
    /// What a level has to show.
    pub(crate) fn view(&self) -> View {
        if self.watch.is_some() {
            View::Activities
        } else if self.density.is_some() {
            View::Shares
        } else {
            View::Nothing
        }
    }

    /// Takes note of what a level showed, and of the stream after it.
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
