//! What a model costs: parameters, arithmetic, bytes. Formulas, tested against hand counts.
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
//! Sparsity is not subtracted from these: what a step does with it shows as speed. [`Cost::decode_flops_at`] and
//! [`Cost::decode_bytes_at`] are what is left when only active neurons are touched.

use crate::config::DragonConfig;
use crate::density::Activity;
use burn_dragon_kernel::api::expert::chunk_length;

/// Bytes of one f32.
const F32: u64 = 4;

/// Tasks that the gradient of a level is split into, at least where there are lanes enough.
const LEVEL_TASKS: usize = 8;

/// Entries of a level's tile of neurons.
const LEVEL_TILE: usize = 1 << 16;

/// The cost of a model of one shape.
#[derive(Clone, Debug)]
pub struct Cost<'a> {
    config: &'a DragonConfig,
}

impl DragonConfig {
    /// The cost of a model of this shape.
    pub fn cost(&self) -> Cost<'_> {
        Cost { config: self }
    }
}

impl Cost<'_> {
    /// Trained numbers: `3 n d + 2 V d`, and a slope for each head where it is learnt.
    pub fn parameters(&self) -> u64 {
        let decay = self.config.decay.as_ref().filter(|decay| decay.learnable());
        3 * self.block() + 2 * self.readout() + decay.map_or(0, |_| self.config.n_heads as u64)
    }

    /// FLOPs of one token of a window of `tokens`, parallel form.
    pub fn forward_flops_per_token(&self, tokens: usize) -> u64 {
        let c = self.config;
        let read = tokens as u64 * (c.n_neurons + c.d_model * c.n_heads) as u64;
        c.n_levels as u64 * (6 * self.block() + read) + 2 * self.readout()
    }

    /// FLOPs of one token of training: forward once, backward twice as much.
    pub fn training_flops_per_token(&self, tokens: usize) -> u64 {
        3 * self.forward_flops_per_token(tokens)
    }

    /// FLOPs of one generated token, recurrent form: the same at any context length.
    pub fn decode_flops_per_token(&self) -> u64 {
        self.config.n_levels as u64 * 10 * self.block() + 2 * self.readout()
    }

    /// FLOPs of one generated token that touches active neurons only.
    ///
    /// Per level the first projection is whole; memory is read and written in the rows of active pairs; the second
    /// projection is needed where x is active, and the way back to the width where y is.
    pub fn decode_flops_at(&self, activity: Activity) -> f64 {
        let Activity { x, pairs, y } = activity;
        let block = 2.0 * self.block() as f64 * (1.0 + 2.0 * pairs + x + y);
        self.config.n_levels as f64 * block + 2.0 * self.readout() as f64
    }

    /// FLOPs of one token of a prompt of `tokens`: the cheaper of parallel and recurrent form, whichever is run.
    pub fn prefill_flops_per_token(&self, tokens: usize) -> u64 {
        self.forward_flops_per_token(tokens)
            .min(self.decode_flops_per_token())
    }

    /// Bytes of carried state of one lane, f32.
    pub fn state_bytes(&self) -> u64 {
        self.config.n_levels as u64 * self.block() * F32
    }

    /// Bytes moved for one generated token of one lane, all neurons active: each level reads the three matrices and
    /// reads and writes its memory; the readout is read once.
    pub fn decode_bytes_per_token(&self) -> u64 {
        self.config.n_levels as u64 * 5 * self.block() * F32 + self.readout() * F32
    }

    /// Bytes moved for one generated token of one lane that touches active neurons only, f32.
    ///
    /// As in [`decode_flops_at`](Self::decode_flops_at); rows of memory are read and written.
    pub fn decode_bytes_at(&self, activity: Activity) -> f64 {
        let Activity { x, pairs, y } = activity;
        let block = self.block() as f64 * (1.0 + 2.0 * pairs + x + y);
        (self.config.n_levels as f64 * block + self.readout() as f64) * F32 as f64
    }

    /// Bytes that reading a prompt moves at least, f32: each level reads the three matrices and writes its memory
    /// once, and the readout is read once.
    pub fn prefill_bytes(&self) -> u64 {
        (self.config.n_levels as u64 * 4 * self.block() + self.readout()) * F32
    }

    /// Bytes that a training step moves at least, f32: each level reads the three matrices forward and backward and
    /// adds to their gradients; the optimiser reads weight, gradient and two moments and writes all but the gradient.
    pub fn training_bytes_moved(&self) -> u64 {
        (self.config.n_levels as u64 * 4 * 3 * self.block() + 7 * self.parameters()) * F32
    }

    /// Peak bytes of a training step on the processor in f32: nothing neuron-wide is kept.
    ///
    /// What is alive at once, in numbers, with windows of `C` tokens, and an eighth for what an allocator loses
    /// between blocks:
    ///
    /// | | |
    /// |---|---|
    /// | weights, two moments, weights neuron by neuron | `3 P + 3 n d` |
    /// | gradients so far and of this level, its parts for each group of lanes | `(2 + groups) 3 n d + 2 V d` |
    /// | each level keeps its streams, and what each head read with its scores | `L B T (2 d + H (d + C + 1))` |
    /// | what each head adds to the width, and passes on | `B T (H + 5) d` |
    /// | logits, which become their own gradient, and the window's angles | `B T V + T N` |
    /// | each thread's neuron-wide buffers, tiles, scores, packed factors and memories | see the code |
    pub fn training_bytes(&self, lanes: usize, tokens: usize) -> u64 {
        let c = self.config;
        let (d, heads, rows) = (c.d_model, c.n_heads, lanes * tokens);
        let chunk = chunk_length(tokens, d, false);
        let groups = LEVEL_TASKS.div_ceil(heads).min(lanes) as u64;
        let weights = 3 * self.parameters() + (3 + groups) * 3 * self.block() + 2 * self.readout();
        let streams = c.n_levels * rows * (2 * d + heads * (d + chunk + 1)) + rows * (heads + 5) * d;
        let once = rows * c.vocab_size + tokens * c.neurons_per_head();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let buffers = threads.min(lanes * heads) * self.thread_buffers(tokens, chunk);
        (weights + (streams + once + buffers) as u64) * F32 * 9 / 8
    }

    /// Bytes that training on carried memory needs beside [`training_bytes`](Self::training_bytes), f32: the memory of
    /// `lanes` lanes at rest, and of those that `read` the one after each of the windows that learn together, twice
    /// where it passes gradients.
    pub fn carried_bytes(&self, lanes: usize, read: usize, windows: usize) -> u64 {
        let after = if windows > 1 { 2 * windows } else { 1 };
        self.state_bytes() * (lanes + read * after) as u64
    }

    /// Numbers that a thread holds while it computes a head in windows of `chunk` tokens.
    fn thread_buffers(&self, tokens: usize, chunk: usize) -> usize {
        let (d, neurons) = (self.config.d_model, self.config.neurons_per_head());
        let tile = chunk * neurons.min((LEVEL_TILE / chunk).clamp(64, 512));
        let memories = match tokens.div_ceil(chunk) {
            1 => 0,
            windows => windows + 1,
        };
        2 * chunk * neurons + 5 * tile + 2 * chunk * chunk + 12 * chunk * d + memories * neurons * d
    }

    /// Peak bytes of a training step of plain tensor operations, roughly: what other backends keep.
    ///
    /// Per level about ten neuron-wide tensors and two score matrices per head, and four copies of the weights.
    pub fn training_bytes_unfused(&self, lanes: usize, tokens: usize) -> u64 {
        let c = self.config;
        let rows = (lanes * tokens) as u64;
        let per_level = 10 * rows * c.n_neurons as u64 + 2 * rows * tokens as u64 * c.n_heads as u64;
        (c.n_levels as u64 * per_level + 4 * self.parameters() + 8 * rows * c.vocab_size as u64) * F32
    }

    fn block(&self) -> u64 {
        self.config.n_neurons as u64 * self.config.d_model as u64
    }

    fn readout(&self) -> u64 {
        self.config.vocab_size as u64 * self.config.d_model as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
