//! Active neurons token by token, over all neurons and by the rotary period of a neuron.

use burn::tensor::Tensor;
use burn_dragon_core::api::expert::Watch;
use std::ops::Range;

/// Number of groups of neurons, by their rotary period on a logarithmic scale.
pub(crate) const BUCKETS: usize = 8;

/// Shares of active neurons, token by token, of documents that are read side by side.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActivityTrace {
    levels: Vec<Vec<LaneTrace>>,
}

/// Shares of active neurons of one document in one level.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneTrace {
    /// Share of active x, token by token.
    pub(crate) x: Vec<f64>,
    /// Share of active y, token by token.
    pub(crate) y: Vec<f64>,
    /// Share of active y among the neurons of each bucket; empty for a bucket without neurons.
    pub(crate) y_by_period: [Vec<f64>; BUCKETS],
}

impl ActivityTrace {
    /// Trace of a document in each level.
    pub(crate) fn of_lane(&self, lane: usize) -> Vec<&LaneTrace> {
        self.levels.iter().map(|lanes| &lanes[lane]).collect()
    }
}

impl Watch for ActivityTrace {
    /// Adds the tokens of a window; `x` and `y` are `[B, H, T, N]`.
    fn level(&mut self, level: usize, x: &Tensor<4>, y: &Tensor<4>) {
        let [lanes, _, tokens, neurons] = x.dims();
        if level >= self.levels.len() {
            self.levels.resize(level + 1, Vec::new());
        }
        let traces = &mut self.levels[level];
        if lanes > traces.len() {
            traces.resize(lanes, LaneTrace::default());
        }
        let [all_x, all_y] = [x, y].map(|activity| shares(activity, 0..neurons));
        let by_period: Vec<_> = (0..BUCKETS)
            .map(|bucket| shares(y, neurons_of(bucket, neurons)))
            .collect();
        for (lane, trace) in traces.iter_mut().take(lanes).enumerate() {
            let own = lane * tokens..(lane + 1) * tokens;
            trace.x.extend(&all_x[own.clone()]);
            trace.y.extend(&all_y[own.clone()]);
            for (trace, shares) in trace.y_by_period.iter_mut().zip(&by_period) {
                trace.extend(shares.get(own.clone()).unwrap_or_default());
            }
        }
    }
}

/// Neurons of a head in a bucket. Neuron `i` of `N` turns by `theta^(-2 floor(i / 2) / N)` a token, so the buckets are
/// the N neurons cut into equal ranges of whole pairs: bucket `k` has the periods from `theta^(k/8)` to `theta^((k+1)/8)`.
fn neurons_of(bucket: usize, neurons: usize) -> Range<usize> {
    let edge = |bucket: usize| bucket * (neurons / 2) / BUCKETS * 2;
    edge(bucket)..edge(bucket + 1)
}

/// Share of entries above 0 in each token, lane by lane: `[B, H, T, N]` to `B * T` numbers. Empty if there are no neurons.
fn shares(activity: &Tensor<4>, neurons: Range<usize>) -> Vec<f64> {
    if neurons.is_empty() {
        return Vec::new();
    }
    let [_, heads, _, _] = activity.dims();
    let entries = (heads * neurons.len()) as f64;
    let own = activity.clone().inner().narrow(3, neurons.start, neurons.len());
    let active = own.greater_scalar(0.0).float().sum_dim(3).sum_dim(1); // [B, 1, T, 1]
    let counts = active.into_data().convert::<f64>();
    counts.iter::<f64>().map(|count| count / entries).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_buckets_are_the_neurons_once() {
        for neurons in [2, 14, 16, 64, 250] {
            let all: Vec<usize> = (0..BUCKETS)
                .flat_map(|bucket| neurons_of(bucket, neurons))
                .collect();
            assert_eq!(all, (0..neurons).collect::<Vec<_>>());
            assert!((0..BUCKETS).all(|bucket| neurons_of(bucket, neurons).start.is_multiple_of(2)));
        }
    }

    #[test]
    fn a_trace_grows_by_windows_and_keeps_documents_apart() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[1.0, 0.0], [1.0, 1.0]]], [[[0.0, 0.0], [0.0, 3.0]]]], &device);
        let y = Tensor::<4>::zeros([2, 1, 2, 2], &device);
        let mut trace = ActivityTrace::default();
        trace.level(0, &x, &y);
        trace.level(
            0,
            &x.clone().narrow(2, 1, 1).narrow(0, 0, 1),
            &y.clone().narrow(2, 0, 1).narrow(0, 0, 1),
        );
        assert_eq!(trace.of_lane(0)[0].x, [0.5, 1.0, 1.0]);
        assert_eq!(trace.of_lane(0)[0].y, [0.0; 3]);
        assert_eq!(trace.of_lane(1)[0].x, [0.0, 0.5]);
    }
}
