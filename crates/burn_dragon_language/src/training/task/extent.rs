//! Size of a step's and of an evaluation's work, and the slice of a task on which a machine is measured.

use super::{DataOrder, LanguageTask};
use crate::error::LanguageError;
use crate::evaluate::{WindowMemory, WindowReading, lanes_of};
use burn_dragon_train::api::{Extent, Scope};

impl LanguageTask {
    pub(super) fn whole(&self) -> Extent {
        Extent {
            heads: self.config.model.n_heads,
            levels: self.config.model.n_levels,
            lanes: self.config.training.batch_size,
        }
    }

    /// Reduces the model, and the batch if it is of windows: the lanes of streams are not divided.
    pub(super) fn reduce(&mut self, to: Extent) -> Result<(), LanguageError> {
        let model = &mut self.config.model;
        let neurons = model.n_neurons / model.n_heads;
        (model.n_heads, model.n_neurons, model.n_levels) = (to.heads, neurons * to.heads, to.levels);
        model.decay = model.decay.as_ref().map(|decay| decay.of_heads(to.heads));
        model.connector = model.connector.of_levels(to.levels);
        self.model_config = model.with_vocabulary(self.model_config.vocab_size)?;
        if self.order.streams().is_none() && to.lanes != self.config.training.batch_size {
            self.config.training.batch_size = to.lanes;
            self.order = DataOrder::new(&self.config, &self.corpus)?;
        }
        Ok(())
    }

    /// Number of tokens that an evaluation reads, with those of the recall probe.
    pub(super) fn evaluated_tokens(&self, scope: Scope) -> u64 {
        let reading = WindowReading::from(&self.config.reading());
        let all = self.corpus.validation.len() as u64;
        let (text, probe) = match scope {
            Scope::Full => (all, self.probes.as_ref().map(|probes| &probes.full)),
            Scope::Sample { batches } => {
                let windows = batches.saturating_mul(self.config.training.batch_size) as u64;
                let tokens = windows.saturating_mul(reading.block_size as u64);
                (tokens.min(all), self.probes.as_ref().map(|probes| &probes.quick))
            }
        };
        let times = if reading.memory == WindowMemory::Reset {
            1
        } else {
            2
        };
        let probed = probe.map_or(0, |probe| probe.bytes());
        text.saturating_mul(times).saturating_add(probed)
    }

    /// Bytes of an evaluation, with the weights and the state of the optimiser.
    pub(super) fn evaluation_bytes(&self) -> u64 {
        let reading = WindowReading::from(&self.config.reading());
        let (cost, lanes) = (self.model_config.cost(), lanes_of(&self.model_config, reading));
        let tokens = reading.block_size.min(self.corpus.validation.len());
        let carried = cost
            .state_bytes()
            .saturating_mul(2 * reading.memory.states() * lanes as u64);
        let moments = cost.weight_bytes().saturating_mul(2);
        cost.reading_bytes(lanes, tokens)
            .saturating_add(carried)
            .saturating_add(moments)
    }
}
