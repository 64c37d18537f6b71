//! Cost of a model: parameters, FLOPs, bytes. The formulas are tested against hand counts.
//!
//! A multiply-add counts as two FLOPs. `n` is all neurons, `d` the width, `T` the window, `L` the levels.
//!
//! | | per token |
//! |---|---|
//! | projections | `L * 3 * 2 n d` |
//! | causal read, parallel form (masked half skipped) | `L * (T n + T d H)` |
//! | read and write, recurrent form | `L * 4 n d` |
//! | readout | `2 d V` |
//!
//! These hold for plain parts; a connector has a cost of its own (`connector/cost.rs`). A [full read](crate::read::Read::Full) costs `L * 4 n d` at any T, in place of the
//! causal read. The formulas for generation and for the bytes of a step hold for causal reads.
//!
//! They count all neurons, active or not; where code skips inactive ones, it is faster than the counts suggest.
//! [`Cost::decode_flops_at`] and [`Cost::decode_bytes_at`] count active neurons only.

use crate::config::{DragonConfig, TrunkConfig};
use crate::decoder::InferencePrecision;
use crate::density::Activity;
use crate::mixer::{Mixer, Sizes};
use crate::shapes::TensorShape;
use burn_dragon_kernel::api::expert::{chunk_length, gpu_chunk_length};
use burn_dragon_kernel::api::{MemoryPrecision, Precision};
use std::num::Saturating;

/// Count that saturates at [`u64::MAX`] where a sum or product would overflow.
type Count = Saturating<u64>;

/// A size as a [`Count`].
fn of(size: usize) -> Count {
    Saturating(size as u64)
}

/// Bytes of a number.
fn bytes(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 4.0,
        Precision::Bf16 => 2.0,
    }
}

/// Bytes of one f32.
const F32: Count = Saturating(4);

/// Smallest number of tasks that the gradient of a level is split into, if there are enough lanes.
const LEVEL_TASKS: usize = 8;

/// Largest number of levels that are counted one by one.
const MOST_LEVELS: usize = 1024;

/// Number of entries of a level's tile of neurons.
const LEVEL_TILE: usize = 1 << 16;

/// Cost of a model of one shape. Sizes may be of any value; a count that overflows is [`u64::MAX`].
#[derive(Clone, Debug)]
pub struct Cost {
    trunk: TrunkConfig,
    vocab: usize,
    numbers: Count,
}

impl DragonConfig {
    /// Cost of a model of this shape.
    pub fn cost(&self) -> Cost {
        Cost {
            trunk: self.trunk(),
            vocab: self.vocab_size,
            numbers: counted(&self.tensors()),
        }
    }
}

impl TrunkConfig {
    /// Cost of a trunk of this shape alone, without the parts of a model before and after it.
    pub fn cost(&self) -> Cost {
        Cost {
            trunk: self.clone(),
            vocab: 0,
            numbers: counted(&self.tensors()),
        }
    }
}

/// Number of values of all tensors together.
fn counted(tensors: &[TensorShape]) -> Count {
    tensors.iter().fold(of(0), |sum, tensor| sum + tensor.numbers())
}

impl Cost {
    /// Number of trained parameters: the values of all [tensors](DragonConfig::tensors). With plain parts
    /// `3 n d + 2 V d`, and one slope for each head if they are learnt.
    pub fn parameters(&self) -> u64 {
        self.numbers.0
    }

    /// Bytes of the weights, f32.
    pub fn weight_bytes(&self) -> u64 {
        (self.numbers * F32).0
    }

    /// FLOPs of one token of a window of `tokens`, parallel form.
    pub fn forward_flops_per_token(&self, tokens: usize) -> u64 {
        let c = &self.trunk;
        let read = self.in_levels(|sizes| c.read.flops(tokens, sizes));
        let connector = c.connector.flops(c.n_levels, c.d_model);
        (of(6) * self.blocks() + read + connector + of(2) * self.readout()).0
    }

    /// FLOPs of one token of training: forward once, backward twice as much.
    pub fn training_flops_per_token(&self, tokens: usize) -> u64 {
        self.forward_flops_per_token(tokens).saturating_mul(3)
    }

    /// FLOPs of one generated token, recurrent form: the same at any context length.
    pub fn decode_flops_per_token(&self) -> u64 {
        let c = &self.trunk;
        let mixer = c.read.mixer().unwrap_or(&Mixer::Linear {});
        let read = self.in_levels(|sizes| mixer.flops(sizes));
        (of(6) * self.blocks() + read + of(2) * self.readout()).0
    }

    /// FLOPs of one generated token that touches active neurons only.
    ///
    /// In each level the first projection is over all neurons. Memory is read and written in the rows of active pairs.
    /// The second projection is over the neurons with active x, and the projection back to the width over those with
    /// active y.
    pub fn decode_flops_at(&self, activity: Activity) -> f64 {
        let Activity { x, pairs, y } = activity;
        let block = 2.0 * self.block().0 as f64 * (1.0 + 2.0 * pairs + x + y);
        self.trunk.n_levels as f64 * block + 2.0 * self.readout().0 as f64
    }

    /// FLOPs of one token of a prompt of `tokens`: those of the parallel or the recurrent form, whichever is fewer, no
    /// matter which one runs.
    pub fn prefill_flops_per_token(&self, tokens: usize) -> u64 {
        self.forward_flops_per_token(tokens)
            .min(self.decode_flops_per_token())
    }

    /// Bytes of the carried state of one lane, f32.
    pub fn state_bytes(&self) -> u64 {
        (self.trunk.memory().numbers() * F32).0
    }

    /// Bytes moved for one generated token of one lane, all neurons active: each level reads the three matrices and
    /// reads and writes its memory; the readout is read once.
    pub fn decode_bytes_per_token(&self) -> u64 {
        (of(self.trunk.n_levels) * of(5) * self.block() * F32 + self.readout() * F32).0
    }

    /// Bytes moved for one generated token of one lane that touches active neurons only, f32.
    ///
    /// The same neurons as in [`decode_flops_at`](Self::decode_flops_at); active rows of memory are read and written.
    pub fn decode_bytes_at(&self, activity: Activity) -> f64 {
        let precision = InferencePrecision::default();
        self.decode_weight_bytes(activity, precision) + self.decode_memory_bytes(activity, precision)
    }

    /// Least bytes of weights that one token reads, whatever the number of lanes that share them.
    pub fn decode_weight_bytes(&self, activity: Activity, precision: InferencePrecision) -> f64 {
        let Activity { x, y, .. } = activity;
        let block = self.block().0 as f64 * (1.0 + x + y);
        (self.trunk.n_levels as f64 * block + self.readout().0 as f64) * bytes(precision.weights)
    }

    /// Least bytes of carried memory that one token of a lane reads and writes. In f32 the rows of active pairs are read
    /// and written; in bf16 and int8 they are read, and once in 16 tokens all rows are read and written.
    pub fn decode_memory_bytes(&self, activity: Activity, precision: InferencePrecision) -> f64 {
        let block = (self.trunk.n_levels as f64) * self.block().0 as f64;
        let (passes, bytes) = match precision.memory {
            MemoryPrecision::F32 => (2.0 * activity.pairs, 4.0),
            MemoryPrecision::Bf16 => (activity.pairs + 2.0 / 16.0, 2.0),
            MemoryPrecision::Int8 => (activity.pairs + 2.0 / 16.0, 9.0 / 8.0),
        };
        block * passes * bytes
    }

    /// Least bytes moved to read a prompt, f32: each level reads the three matrices and writes its memory
    /// once, and the readout is read once.
    pub fn prefill_bytes(&self) -> u64 {
        ((of(self.trunk.n_levels) * of(4) * self.block() + self.readout()) * F32).0
    }

    /// Least bytes moved by a training step, f32: each level reads the three matrices forward and backward and
    /// adds to their gradients; the optimiser reads weight, gradient and two moments and writes all but the gradient.
    pub fn training_bytes_moved(&self) -> u64 {
        ((of(self.trunk.n_levels) * of(4 * 3) * self.block() + of(7) * self.numbers) * F32).0
    }

    /// Peak bytes of a training step on the processor in f32, where no neuron-wide tensor is kept.
    ///
    /// The sum of these, in f32 values, with windows of `C` tokens, and an eighth more for fragmentation in the
    /// allocator:
    ///
    /// | | |
    /// |---|---|
    /// | weights, two moments, weights neuron by neuron | `3 P + 3 n d`, and `3 n d` quantised ones |
    /// | gradients so far and of this level, its parts for each group of lanes | `(2 + groups) 3 n d + 2 V d` |
    /// | each level keeps its streams, and what each head read with its scores | `L B T (2 d + H (d + C + 1))` |
    /// | what each head adds to the width, and passes on | `B T (H + 5) d` |
    /// | logits, which become their own gradient, and the window's angles | `B T V + T N` |
    /// | each thread's neuron-wide buffers, tiles, scores, packed factors and memories | see the code |
    /// | where no kernel makes all of a level: tensors as wide as the neurons, and scores | `L B T (2 n + 2 H T)`, 12 n with polar keys, 4 n more with thresholds |
    pub fn training_bytes(&self, lanes: usize, tokens: usize) -> u64 {
        let (c, chunk) = (&self.trunk, self.chunk(tokens));
        let (d, heads, rows) = (of(c.d_model), of(c.n_heads), of(lanes) * of(tokens));
        let streams = of(c.n_levels) * rows * (of(2) * d + heads * (d + of(chunk) + of(1)))
            + rows * (heads + of(5)) * d
            + rows * c.connector.kept(c.n_levels, c.d_model)
            + of(c.n_levels) * self.in_tensors(rows, tokens)
            + self.mixed(rows, tokens);
        let numbers =
            self.trained(lanes) + streams + self.once(rows, tokens) + self.buffers(lanes, tokens, chunk);
        allocated(numbers).0
    }

    /// The bytes of [`training_bytes`](Self::training_bytes) that do not grow with the batch: weights, moments,
    /// gradients.
    pub fn trained_bytes(&self) -> u64 {
        allocated(self.trained(1)).0
    }

    /// Weights, moments and gradients, in f32 values.
    fn trained(&self, lanes: usize) -> Count {
        let groups = LEVEL_TASKS.div_ceil(self.trunk.n_heads.max(1)).min(lanes);
        let quantised = of(usize::from(self.trunk.low_bit().is_some())) * of(3) * self.block();
        let gradients = (of(3) + of(groups)) * of(3) * self.block() + of(2) * self.readout();
        of(3) * self.numbers + gradients + quantised
    }

    /// Logits and the window's angles, in f32 values.
    fn once(&self, rows: Count, tokens: usize) -> Count {
        rows * of(self.vocab) + of(tokens) * of(self.trunk.neurons_per_head())
    }

    /// Peak bytes of a forward pass over `lanes` windows of `tokens` on the processor in f32, without gradients:
    /// weights, weights neuron by neuron, streams, the output of each head in model width, logits with their losses,
    /// and the threads' buffers.
    pub fn reading_bytes(&self, lanes: usize, tokens: usize) -> u64 {
        let (c, chunk) = (&self.trunk, self.chunk(tokens));
        let (d, heads, rows) = (of(c.d_model), of(c.n_heads), of(lanes) * of(tokens));
        let logits = of(2) * rows * of(self.vocab);
        let numbers = self.numbers + of(3) * self.block() + rows * (heads + of(5)) * d + logits;
        let numbers = numbers + self.in_tensors(rows, tokens);
        let buffers = self.once(rows, tokens) + self.buffers(lanes, tokens, chunk);
        allocated(numbers + buffers).0
    }

    /// Bytes of generation on the processor in f32: the weights, a copy of them neuron by neuron, the int8 weights of
    /// the prefilter, and the memories of `streams` streams.
    pub fn generating_bytes(&self, streams: usize) -> u64 {
        let weights = of(2) * self.numbers * F32 + self.numbers;
        (weights + of(streams) * Saturating(self.state_bytes())).0
    }

    /// Bytes that training on carried memory needs in addition to [`training_bytes`](Self::training_bytes), f32: the
    /// stored memory of `lanes` lanes, and for each of the `read` lanes of a step the memory after each of the
    /// `windows` windows that gradients pass through together. The latter counts twice if there are several windows,
    /// since it then passes gradients.
    pub fn carried_bytes(&self, lanes: usize, read: usize, windows: usize) -> u64 {
        let after = if windows > 1 { of(2) * of(windows) } else { of(1) };
        (Saturating(self.state_bytes()) * (of(lanes) + of(read) * after)).0
    }

    /// Number of tokens that a level reads at once, of a window of `tokens`.
    fn chunk(&self, tokens: usize) -> usize {
        chunk_length(tokens, self.trunk.d_model.min(usize::MAX / 8), false)
    }

    /// Tensors that a level keeps where no kernel makes all of it, in f32 values: queries, keys with their parts, and scores; with
    /// thresholds, a neuron recurrence or a y quantised in groups also activities, drives and gates.
    fn in_tensors(&self, rows: Count, tokens: usize) -> Count {
        let c = &self.trunk;
        let pairs = c.positions.is_of_pairs();
        let low_bit = c.low_bit();
        let in_groups = low_bit.is_some_and(|low_bit| low_bit.has_y_in_groups());
        let firing = c.init.firing.is_some() || c.neuron_recurrence.is_some() || in_groups;
        let halves = low_bit.is_some_and(|low_bit| low_bit.has_activities()) || !c.norm.is_plain();
        if pairs && !firing && !halves {
            return of(0);
        }
        let neuron_wide = if pairs { 2 } else { 12 } + if firing { 4 } else { 0 };
        rows * (of(neuron_wide) * of(c.n_neurons) + of(2) * of(c.n_heads) * of(tokens))
    }

    /// What a mixer keeps, in f32 values.
    fn mixed(&self, rows: Count, tokens: usize) -> Count {
        let c = &self.trunk;
        let kept = c
            .read
            .mixer()
            .map_or(of(0), |mixer| mixer.kept(c.sizes(), tokens));
        of(c.n_levels) * rows * kept
    }

    /// Buffers of all threads that compute heads of lanes, in f32 values.
    fn buffers(&self, lanes: usize, tokens: usize, chunk: usize) -> Count {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        of(threads.min(lanes.saturating_mul(self.trunk.n_heads))) * self.thread_buffers(tokens, chunk)
    }

    /// Buffers of a thread that computes a head in windows of `chunk` tokens, in f32 values.
    fn thread_buffers(&self, tokens: usize, chunk: usize) -> Count {
        let (d, neurons) = (of(self.trunk.d_model), self.trunk.neurons_per_head());
        let tile = of(chunk) * of(neurons.min((LEVEL_TILE / chunk.max(1)).clamp(64, 512)));
        let memories = match tokens.div_ceil(chunk.max(1)) {
            0 | 1 => of(0),
            windows => of(windows) + of(1),
        };
        let (chunk, neurons) = (of(chunk), of(neurons));
        of(2) * chunk * neurons
            + of(5) * tile
            + of(2) * chunk * chunk
            + of(12) * chunk * d
            + memories * neurons * d
    }

    /// Approximate peak bytes of a training step with the kernels of a GPU in f32, where nothing neuron-wide outlives a
    /// window.
    ///
    /// The sum of these, in f32 values, with windows of `C` tokens; in bf16 neuron-wide tensors and scores take half:
    ///
    /// | | |
    /// |---|---|
    /// | weights, two moments, gradients, gradients of a level and of a window | `4 P + 6 n d` |
    /// | each level keeps its streams, and what each head read with its scores | `L B T (2 d + H (d + C + 1))` |
    /// | drive, q, gate and their gradients of a window, scores and their gradient | `B C (6 n + 2 H C)` |
    /// | memories before the windows of a level, if there are several | `B n d T / C` |
    /// | logits and their gradient, the window's angles | `2 B T V + T N` |
    pub fn training_bytes_gpu(&self, lanes: usize, tokens: usize) -> u64 {
        let (c, rows) = (&self.trunk, of(lanes) * of(tokens));
        let length = gpu_chunk_length(tokens, c.d_model.min(usize::MAX / 8));
        let (d, heads, window) = (of(c.d_model), of(c.n_heads), of(lanes) * of(length));
        let windows = match tokens.div_ceil(length) {
            1 => 0,
            several => several,
        };
        let kept = of(c.n_levels) * rows * (of(2) * d + heads * (d + of(length) + of(1)))
            + rows * c.connector.kept(c.n_levels, c.d_model)
            + of(c.n_levels) * self.in_tensors(rows, tokens);
        let of_window = window * (of(6) * of(c.n_neurons) + of(2) * heads * of(length));
        let memories = of(lanes) * of(windows) * self.block();
        let once = of(2) * rows * of(self.vocab) + of(tokens) * of(c.neurons_per_head());
        let numbers = of(4) * self.numbers + of(6) * self.block() + kept + of_window + memories + once;
        (numbers * F32).0
    }

    /// Approximate peak bytes of a training step with plain tensor operations, as on backends without kernels of ours.
    ///
    /// In each level about ten neuron-wide tensors and two score matrices per head, and four copies of the weights.
    pub fn training_bytes_unfused(&self, lanes: usize, tokens: usize) -> u64 {
        let (c, rows) = (&self.trunk, of(lanes) * of(tokens));
        let per_level = of(10) * rows * of(c.n_neurons) + of(2) * rows * of(tokens) * of(c.n_heads);
        let numbers = of(c.n_levels) * per_level + of(4) * self.numbers + of(8) * rows * of(self.vocab);
        (numbers * F32).0
    }

    /// Sum over the levels of what each has of these sizes.
    fn in_levels(&self, at: impl Fn(Sizes) -> Count) -> Count {
        let (c, sizes) = (&self.trunk, self.trunk.sizes());
        if c.fanout.is_none() {
            return of(c.n_levels) * at(sizes);
        }
        let numbers = c.positions.numbers_per_neuron();
        let of_level = |level| {
            at(Sizes {
                keys: c.neurons_at(level) * numbers,
                ..sizes
            })
        };
        let levels = c.n_levels.min(MOST_LEVELS);
        (0..levels).map(of_level).fold(of(0), |sum, cost| sum + cost)
    }

    /// Entries of a matrix of all levels: width by neurons, summed over the levels.
    fn blocks(&self) -> Count {
        if self.trunk.fanout.is_none() {
            return of(self.trunk.n_levels) * self.block();
        }
        let numbers = of(self.trunk.positions.numbers_per_neuron());
        self.in_levels(|sizes| of(sizes.heads) * of(sizes.keys) / numbers * of(sizes.width))
    }

    /// Entries of a matrix.
    fn block(&self) -> Count {
        of(self.trunk.n_neurons) * of(self.trunk.d_model)
    }

    fn readout(&self) -> Count {
        of(self.vocab) * of(self.trunk.d_model)
    }
}

/// Bytes of `numbers` f32 values, and an eighth more for fragmentation in the allocator.
fn allocated(numbers: Count) -> Count {
    let bytes = numbers * F32;
    bytes + bytes / of(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::initial::{Firing, InitConfig};
    use crate::norm::{NormConfig, NormKind};
    use crate::read::Read;

    #[test]
    fn the_paper_model_has_25_296_896_parameters() {
        assert_eq!(DragonConfig::paper().cost().parameters(), 25_296_896);
    }

    #[test]
    fn paper_flops_match_the_hand_count() {
        // Linear 301,989,888; causal read at T = 512: 6 (512 * 32768 + 512 * 256 * 4) = 103,809,024; readout 131,072.
        let config = DragonConfig::paper();
        assert_eq!(
            config.cost().forward_flops_per_token(512),
            301_989_888 + 103_809_024 + 131_072
        );
        assert_eq!(config.cost().training_flops_per_token(512), 3 * 405_929_984);
    }

    #[test]
    fn paper_bytes_match_the_hand_count() {
        let config = DragonConfig::paper();
        assert_eq!(config.cost().state_bytes(), 6 * 32768 * 256 * 4);
        // Dense weights 604 MB and memory read and written 403 MB.
        assert_eq!(
            config.cost().decode_bytes_per_token(),
            6 * 5 * 33_554_432 + 262_144
        );
    }

    #[test]
    fn a_small_shape_counted_by_hand() {
        // V3 D2 H1 n4 L1: block 8, readout 6; at T = 5 the read costs 5 * (4 + 2).
        let config = DragonConfig {
            vocab_size: 3,
            d_model: 2,
            n_heads: 1,
            n_neurons: 4,
            n_levels: 1,
            ..DragonConfig::tiny()
        };
        let cost = config.cost();
        assert_eq!(cost.parameters(), 36);
        assert_eq!(cost.forward_flops_per_token(5), 48 + 30 + 12);
        assert_eq!(cost.decode_flops_per_token(), 80 + 12);
        assert_eq!(cost.state_bytes(), 32);
        assert_eq!(cost.decode_bytes_per_token(), 160 + 24);
        // The recurrent form costs 92 a token; the parallel one 48 + 6 T + 12.
        assert_eq!(cost.prefill_flops_per_token(5), 90);
        assert_eq!(cost.prefill_flops_per_token(6), 92);
        assert_eq!(cost.prefill_bytes(), 4 * (4 * 8 + 6));
        // A level: 3 matrices of 8, read twice, their gradients read and written. Then 7 copies of 36 parameters.
        assert_eq!(cost.training_bytes_moved(), 4 * (4 * 24 + 7 * 36));
    }

    #[test]
    fn a_trunk_costs_what_a_model_does_without_its_ends_and_a_full_read_the_same_at_any_length() {
        let (model, trunk) = (small().cost(), small().trunk().cost());
        assert_eq!(model.parameters() - trunk.parameters(), 2 * 6);
        assert_eq!(
            model.forward_flops_per_token(5) - trunk.forward_flops_per_token(5),
            12
        );
        assert_eq!(model.state_bytes(), trunk.state_bytes());
        let full = TrunkConfig {
            read: Read::Full,
            ..small().trunk()
        };
        // Three projections of a block of 8, 2 FLOPs an entry; a memory of 8 is written and read, 2 an entry each.
        for tokens in [1, 5, 1000] {
            assert_eq!(full.cost().forward_flops_per_token(tokens), 48 + 32);
        }
    }

    /// V3 D2 H1 n4 L1 again: block 8, readout 6, 36 numbers.
    fn small() -> DragonConfig {
        DragonConfig {
            vocab_size: 3,
            d_model: 2,
            n_heads: 1,
            n_neurons: 4,
            n_levels: 1,
            ..DragonConfig::tiny()
        }
    }

    #[test]
    fn a_training_step_counted_by_hand() {
        // 3 copies of 36; weights neuron by neuron, gradients so far, of the level, and of a group of lanes: 4 x 24,
        // with one lane; the readout's gradient 2 x 6.
        let trained = 3 * 36 + 4 * 24 + 12;
        assert_eq!(small().cost().trained_bytes(), trained * 9 / 2);
        // One window of 5 tokens: streams 5 (4 + 2 + 5 + 1) + 5 (1 + 5) 2, logits and angles 15 + 20, and one thread's
        // buffers 2 5 4 + 5 (5 4) + 2 25 + 12 5 2.
        let window = 60 + 60 + 35 + (40 + 100 + 50 + 120);
        assert_eq!(small().cost().training_bytes(1, 5), (trained + window) * 9 / 2);
        // Levels share weights, and each keeps its streams.
        let levels = DragonConfig {
            n_levels: 3,
            ..small()
        };
        assert_eq!(
            levels.cost().training_bytes(1, 5),
            (trained + window + 2 * 60) * 9 / 2
        );
    }

    /// Where kernels do not make all of a level it keeps tensors as wide as the neurons, and scores.
    #[test]
    fn what_no_kernel_makes_counted_by_hand() {
        let plain = small();
        let rms = DragonConfig {
            norm: NormConfig {
                kind: NormKind::Rms,
                affine: false,
            },
            ..small()
        };
        let thresholds = DragonConfig {
            init: InitConfig {
                firing: Some(Firing::Explicit { x: 0.0, y: 0.0 }),
                ..InitConfig::default()
            },
            ..small()
        };
        // 5 tokens with 4 neurons in one head, and 2 x 5 scores of each.
        for (config, more) in [(rms, 5 * (2 * 4 + 10)), (thresholds, 5 * (6 * 4 + 10))] {
            let (plain, other) = (plain.cost(), config.cost());
            assert_eq!(
                other.training_bytes(1, 5),
                plain.training_bytes(1, 5) + more * 9 / 2
            );
            assert_eq!(
                other.reading_bytes(1, 5),
                plain.reading_bytes(1, 5) + more * 9 / 2
            );
            assert_eq!(
                other.training_bytes_gpu(1, 5),
                plain.training_bytes_gpu(1, 5) + 4 * more
            );
        }
    }

    #[test]
    fn reading_and_generating_counted_by_hand() {
        let cost = DragonConfig {
            n_levels: 2,
            ..small()
        };
        let cost = cost.cost();
        // Weights 36 and neuron by neuron 24; 5 (1 + 5) 2 of heads; logits three times 15, angles 20, buffers as above.
        let numbers = 36 + 24 + 60 + 45 + 20 + 310;
        assert_eq!(cost.reading_bytes(1, 5), numbers * 9 / 2);
        // Weights twice and a byte for each; two levels of 8 numbers a stream.
        assert_eq!(cost.weight_bytes(), 4 * 36);
        assert_eq!(cost.generating_bytes(0), 9 * 36);
        assert_eq!(cost.generating_bytes(3), 9 * 36 + 3 * 64);
        assert_eq!(cost.carried_bytes(5, 2, 1), 64 * 7);
        assert_eq!(cost.carried_bytes(5, 2, 3), 64 * (5 + 12));
    }

    #[test]
    fn what_cannot_be_counted_is_more_than_any_machine_has() {
        let most = usize::MAX;
        let config = DragonConfig {
            vocab_size: most,
            d_model: most,
            n_neurons: most,
            n_levels: most,
            ..DragonConfig::tiny()
        };
        for config in [config, DragonConfig::paper()] {
            let cost = config.cost();
            for bytes in [
                cost.training_bytes(most, most),
                cost.training_bytes_unfused(most, most),
                cost.reading_bytes(most, most),
                cost.generating_bytes(most),
                cost.carried_bytes(most, most, most),
                cost.training_bytes(1 << 40, 1 << 40),
            ] {
                assert_eq!(bytes, u64::MAX);
            }
            let _ = (
                cost.parameters(),
                cost.training_flops_per_token(most),
                cost.prefill_bytes(),
            );
            let _ = (cost.decode_bytes_per_token(), cost.training_bytes_moved());
        }
    }

    #[test]
    fn a_decoded_token_touches_what_is_active() {
        // D2 n4: a matrix or a memory has a row of 2 for each neuron. One of four neurons has x and y: its pair's two
        // rows of memory are read and written, its row of decoder_y and of encoder read; decoder_x is whole.
        let config = DragonConfig {
            vocab_size: 3,
            d_model: 2,
            n_heads: 1,
            n_neurons: 4,
            n_levels: 1,
            ..DragonConfig::tiny()
        };
        let one = Activity {
            x: 0.25,
            pairs: 0.5,
            y: 0.25,
        };
        let cost = config.cost();
        assert_eq!(
            cost.decode_bytes_at(one),
            4.0 * (8.0 + 2.0 * 4.0 + 2.0 + 2.0 + 6.0)
        );
        let rounded = InferencePrecision {
            weights: Precision::Bf16,
            memory: MemoryPrecision::Bf16,
        };
        assert_eq!(
            cost.decode_weight_bytes(one, rounded),
            2.0 * (8.0 + 2.0 + 2.0 + 6.0)
        );
        assert_eq!(cost.decode_memory_bytes(one, rounded), 2.0 * (0.5 + 0.125) * 8.0);
        assert_eq!(
            cost.decode_flops_at(one),
            2.0 * (8.0 + 2.0 * 4.0 + 2.0 + 2.0 + 6.0)
        );
        assert_eq!(
            cost.decode_bytes_at(Activity::FULL),
            cost.decode_bytes_per_token() as f64
        );
        assert_eq!(
            cost.decode_flops_at(Activity::FULL),
            cost.decode_flops_per_token() as f64
        );
    }
}
