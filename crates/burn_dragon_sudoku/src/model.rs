//! Sudoku model: cells in, a digit for each cell out, after every level.
//!
//! ```text
//! v = norm(digits[token] + rows[row] + columns[column] + boxes[box])     an empty cell is digit 0
//! L times, with the same weights:
//!     x = relu(v decoder_x)
//!     a = norm(sum over all cells s of (x . x_s) v_s)                    a full read: no order, itself included
//!     y = relu(a decoder_y) * x
//!     v = norm(v + norm(y encoder))
//!     logits = v readout                                                 of every level, with one readout
//! ```
//!
//! That is the dense model. The levels of the constraint model are in `constraint.rs`, the recursion of a TRM model, over
//! levels of either kind, in `recursion.rs`. The constraint model's tokens may be candidates: a digit
//! in a cell each, embedded as unknown, given, or excluded by the given of its cell, with one logit.

use crate::config::{ModelConfig, Reads, Tokens};
use crate::constraint::{Constraint, SudokuState, UnitMemory};
use crate::error::SudokuError;
use crate::grid::Grid;
use crate::recursion::{Recursion, initial_halting};
use crate::topology::{Topology, UnitKind};
use crate::units::{CELLS, box_of, column_of, row_of};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{ParameterBuilder, initial, norm};
use burn_dragon_core::api::{FreeMemory, Need, Pass, Precision, Trunk};
use burn_dragon_kernel::api::Partition;
use std::sync::Arc;

/// Number of digits in a readout.
const DIGITS: usize = 9;

/// Model that fills the empty cells of sudoku grids.
#[derive(Module, Debug)]
pub struct SudokuModel {
    /// Embedding of a cell's digit, 0 for an empty cell, `[10, D]`; or of a candidate, `[3, D]`: unknown, given, excluded by
    /// the given of its cell.
    pub digits: Param<Tensor<2>>,
    /// Embedding of a token's row, `[9, D]`, where places are embedded.
    pub rows: Option<Param<Tensor<2>>>,
    /// Embedding of a token's column, `[9, D]`, where places are embedded.
    pub columns: Option<Param<Tensor<2>>>,
    /// Embedding of a token's box, `[9, D]`, where places are embedded.
    pub boxes: Option<Param<Tensor<2>>>,
    /// Levels.
    pub trunk: Trunk,
    /// Readout: model width to the digits 1 to 9, `[D, 9]`, or to the logit of a candidate, `[D, 1]`.
    pub readout: Param<Tensor<2>>,
    /// Halting head of a TRM model, `[D, 1]`: the logit that the answer is right, from the mean of its tokens.
    pub halting: Option<Param<Tensor<2>>>,
    /// Bias of the halting head, `[1]`.
    pub halting_bias: Option<Param<Tensor<1>>>,
    /// Policy of a saccade model: what it sees of a cell to the cell's logit, `[2 D, 1]`.
    pub policy: Option<Param<Tensor<2>>>,
    #[module(skip)]
    config: ModelConfig,
    #[module(skip)]
    topology: Topology,
}

/// Options of a forward pass. The default runs the number of levels of the configuration, without dropout.
#[derive(Clone, Copy, Debug, Default)]
pub struct SudokuPass {
    /// Number of levels to run. If absent, that of the configuration.
    pub levels: Option<usize>,
    /// Seed of the dropout masks. If absent, there is no dropout.
    pub dropout_seed: Option<u64>,
    /// Precision of the factors in the products of the levels, on the processor.
    pub precision: Precision,
    /// Use of the memories of units, in a constraint model.
    pub memory: UnitMemory,
}

impl SudokuModel {
    /// Creates a model with weights drawn from N(0, `init_std`), a function of `seed` alone.
    ///
    /// # Errors
    /// If the configuration is invalid, or the machine has too little memory.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Result<Self, SudokuError> {
        config.validate()?;
        let need = Need::of("a model of this shape").with("weights", config.parameters().saturating_mul(4));
        FreeMemory::room_for(&need, || "use a smaller d_model or n_neurons".into())?;
        let mut drawn = initial(&config.trunk(), seed);
        Self::from_weights(config, device, |name, shape| {
            initial_halting(name, shape).unwrap_or_else(|| drawn(name, shape))
        })
    }

    /// Creates a model from given weights: `weight` returns each one, f32, by name and shape.
    ///
    /// # Errors
    /// If the configuration is invalid.
    ///
    /// # Panics
    /// If a weight has not the requested shape.
    pub fn from_weights(
        config: &ModelConfig,
        device: &Device,
        mut weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Result<Self, SudokuError> {
        config.validate()?;
        let mut build = ParameterBuilder::new(config.tensors(), device, &mut weight);
        let digits = build.parameter("digits");
        let [rows, columns, boxes] = ["rows", "columns", "boxes"].map(|name| build.optional(name));
        let readout = build.parameter("readout");
        let (halting, halting_bias) = (build.optional("halting"), build.optional("halting_bias"));
        let policy = build.optional("policy");
        Ok(Self {
            digits,
            rows,
            columns,
            boxes,
            trunk: Trunk::from_weights(&config.trunk(), device, weight)?,
            readout,
            halting,
            halting_bias,
            policy,
            config: config.clone(),
            topology: Topology::new(config.tokens),
        })
    }

    /// Configuration of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Device of the weights.
    pub fn device(&self) -> Device {
        self.digits.val().device()
    }

    /// Kinds of units of the tokens.
    pub(crate) fn kinds(&self) -> &[UnitKind] {
        &self.topology.kinds
    }

    /// Tokens of the units of each kind.
    pub(crate) fn partitions(&self) -> &Arc<[Partition]> {
        &self.topology.partitions
    }

    /// Logits of the digits 1 to 9 for every cell after each level, with gradients if the weights have them. Levels of a TRM
    /// model are its supervision steps, here as in [`advance`](Self::advance).
    ///
    /// # Shapes
    /// - output: for each level `[B, 81, 9]`
    pub fn logits_by_level(&self, puzzles: &[Grid], pass: SudokuPass) -> Vec<Tensor<3>> {
        self.logits_from(self.start(puzzles), pass)
    }

    /// The same for puzzles whose state went through some levels before.
    ///
    /// # Shapes
    /// - output: for each further level `[B, 81, 9]`
    pub fn logits_from(&self, mut state: SudokuState, pass: SudokuPass) -> Vec<Tensor<3>> {
        let levels = pass.levels.unwrap_or(self.config.trained());
        if let Some(recursion) = Recursion::new(self, pass) {
            let step = |_| {
                recursion.advance(&mut state);
                self.read_out(state.stream.clone())
            };
            return (0..levels).map(step).collect();
        }
        match self.config.reading() {
            Reads::Dense => {
                let mut streams = Vec::new();
                self.trunk
                    .forward(state.stream, self.inner(pass, levels, &mut streams));
                streams.into_iter().map(|v| self.read_out(v)).collect()
            }
            Reads::Constraint => {
                let constraint = Constraint::new(self, pass);
                let level = |_| {
                    constraint.advance(&mut state);
                    self.read_out(state.stream.clone())
                };
                (0..levels).map(level).collect()
            }
        }
    }

    /// State of some puzzles before the first level: that of their tokens, or answer and reasoning of zeros.
    pub fn start(&self, puzzles: &[Grid]) -> SudokuState {
        let input = self.embedded(puzzles);
        let zeros = self.config.recursion().map(|_| input.zeros_like());
        SudokuState {
            stream: zeros.clone().unwrap_or_else(|| input.clone()),
            reasoning: zeros,
            input,
            memories: Vec::new(),
            levels: 0,
        }
    }

    /// Runs levels without dropout. Many calls, one after another, compute what one call computes.
    pub fn advance(&self, state: &mut SudokuState, levels: usize, pass: SudokuPass) {
        let pass = SudokuPass {
            dropout_seed: None,
            ..pass
        };
        if let Some(recursion) = Recursion::new(self, pass) {
            return (0..levels).for_each(|_| recursion.advance(state));
        }
        match self.config.reading() {
            Reads::Dense if levels > 0 => {
                let stream = state.stream.clone();
                state.stream = self
                    .trunk
                    .forward(stream, self.inner(pass, levels, &mut Vec::new()));
                state.levels += levels;
            }
            Reads::Dense => {}
            Reads::Constraint => {
                let constraint = Constraint::new(self, pass);
                (0..levels).for_each(|_| constraint.advance(state));
            }
        }
    }

    /// Logits of a state, `[B, 81, 9]`.
    pub fn logits(&self, state: &SudokuState) -> Tensor<3> {
        self.read_out(state.stream.clone())
    }

    /// Pass through the trunk of a dense model.
    pub(crate) fn inner<'a>(
        &self,
        pass: SudokuPass,
        levels: usize,
        streams: &'a mut Vec<Tensor<4>>,
    ) -> Pass<'a> {
        Pass {
            levels: Some(levels),
            dropout_seed: pass.dropout_seed.filter(|_| self.config.dropout > 0.0),
            precision: pass.precision,
            streams: Some(streams),
            ..Pass::default()
        }
    }

    /// Embedded puzzles, `[B, 1, T, D]`.
    fn embedded(&self, puzzles: &[Grid]) -> Tensor<4> {
        let (device, d) = (self.device(), self.config.d_model);
        let tokens = self.config.tokens.count();
        let index = |values: Vec<i32>| {
            let length = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [length]), &device)
        };
        let said = puzzles.iter().flat_map(|puzzle| self.said(puzzle)).collect();
        let said = self.digits.val().select(0, index(said)); // [B*T, D]
        let v = said.reshape([puzzles.len(), 1, tokens, d]);
        let of_token = |place: fn(usize) -> usize| {
            index(
                (0..tokens)
                    .map(|token| place(token * CELLS / tokens) as i32)
                    .collect(),
            )
        };
        let v = match (&self.rows, &self.columns, &self.boxes) {
            (Some(rows), Some(columns), Some(boxes)) => {
                let places = rows.val().select(0, of_token(row_of))
                    + columns.val().select(0, of_token(column_of))
                    + boxes.val().select(0, of_token(box_of)); // [T, D]
                v + places.reshape([1, 1, tokens, d])
            }
            _ => v,
        };
        norm(v, self.config.norm_eps)
    }

    /// What a puzzle says of each token, as a row of `digits`.
    fn said(&self, puzzle: &Grid) -> Vec<i32> {
        let cells = puzzle.cells().iter().map(|&digit| i32::from(digit));
        match self.config.tokens {
            Tokens::Cells => cells.collect(),
            Tokens::Candidates => cells
                .flat_map(|given| {
                    (1..=9).map(move |digit| match given {
                        0 => 0,
                        given if given == digit => 1,
                        _ => 2,
                    })
                })
                .collect(),
        }
    }

    fn read_out(&self, v: Tensor<4>) -> Tensor<3> {
        let [lanes, _, tokens, width] = v.dims();
        let logits = v.reshape([lanes * tokens, width]).matmul(self.readout.val()); // [B*T, 9 or 1]
        logits.reshape([lanes, CELLS, DIGITS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{GeneratorConfig, Split, Symmetry};
    use burn_dragon_core::api::expert::{Rng, snapshot};

    fn config() -> ModelConfig {
        ModelConfig {
            d_model: 16,
            n_heads: 2,
            n_neurons: 32,
            n_levels: 3,
            init_std: 0.3,
            ..ModelConfig::default()
        }
    }

    fn puzzles(count: u64) -> Vec<Grid> {
        let generator = GeneratorConfig::default();
        (0..count)
            .map(|index| generator.puzzle(Split::Train, index).puzzle)
            .collect()
    }

    fn values(logits: &Tensor<3>) -> Vec<f32> {
        logits
            .clone()
            .into_data()
            .convert::<f32>()
            .iter::<f32>()
            .collect()
    }

    #[test]
    fn the_tensors_listed_are_those_of_the_model() {
        let model = SudokuModel::new(&config(), 1, &Device::flex()).unwrap();
        let listed: Vec<_> = config()
            .tensors()
            .into_iter()
            .map(|t| (t.name, t.shape))
            .collect();
        let mut expected: Vec<_> = snapshot(&model)
            .into_iter()
            .map(|(name, data)| (name, data.shape().to_vec()))
            .collect();
        let mut sorted = listed.clone();
        sorted.sort();
        expected.sort();
        assert_eq!(sorted, expected);
        // 10 + 3 * 9 embeddings of 16, 3 matrices of 32 neurons, 9 digits.
        assert_eq!(config().parameters(), 37 * 16 + 3 * 32 * 16 + 9 * 16);
    }

    #[test]
    fn each_level_is_read_out_and_more_levels_begin_with_the_same() {
        let model = SudokuModel::new(&config(), 1, &Device::flex()).unwrap();
        let puzzles = puzzles(2);
        let three = model.logits_by_level(&puzzles, SudokuPass::default());
        let five = SudokuPass {
            levels: Some(5),
            ..SudokuPass::default()
        };
        let five = model.logits_by_level(&puzzles, five);
        assert_eq!((three.len(), five.len(), three[0].dims()), (3, 5, [2, 81, 9]));
        for (three, five) in three.iter().zip(&five) {
            assert_eq!(values(three), values(five));
        }
        assert_ne!(values(&five[2]), values(&five[4]));
    }

    /// Nothing in the model knows an order of cells but their embeddings: exchanging two rows of a puzzle exchanges the
    /// answers where the rows' embeddings are exchanged too.
    #[test]
    fn a_cell_is_known_by_its_embedding_alone() {
        let model = SudokuModel::new(&config(), 1, &Device::flex()).unwrap();
        let puzzle = puzzles(1)[0];
        let row = |cell: usize| match cell / 9 {
            0 => 1,
            1 => 0,
            row => row,
        };
        let swapped = (0..CELLS).fold(Grid::EMPTY, |grid, cell| {
            grid.with(row(cell) * 9 + cell % 9, puzzle.cells()[cell])
        });
        let mut other = model.clone();
        let order = Tensor::<1, Int>::from_data([1, 0, 2, 3, 4, 5, 6, 7, 8], &Device::flex());
        let rows = model.rows.as_ref().unwrap().val();
        other.rows = Some(Param::from_tensor(rows.select(0, order)));
        let [a, b] = [
            model.logits_by_level(&[puzzle], SudokuPass::default()),
            other.logits_by_level(&[swapped], SudokuPass::default()),
        ];
        let (a, b) = (values(&a[2]), values(&b[2]));
        for cell in 0..CELLS {
            let there = row(cell) * 9 + cell % 9;
            for digit in 0..9 {
                let (one, two) = (a[cell * 9 + digit], b[there * 9 + digit]);
                assert!((one - two).abs() < 1e-4, "{cell} {digit}: {one} {two}");
            }
        }
    }

    #[test]
    fn every_cell_reads_every_cell() {
        let model = SudokuModel::new(&config(), 1, &Device::flex()).unwrap();
        let puzzle = puzzles(1)[0];
        let first = puzzle.empty_cells().next().unwrap();
        let last = puzzle.empty_cells().last().unwrap();
        let logits = |grid: Grid| values(&model.logits_by_level(&[grid], SudokuPass::default())[0]);
        let before = logits(puzzle);
        for (changed, seen) in [(first, last), (last, first)] {
            let after = logits(puzzle.with(changed, 9));
            assert_ne!(before[seen * 9..seen * 9 + 9], after[seen * 9..seen * 9 + 9]);
        }
    }

    #[test]
    fn a_puzzle_has_the_same_answer_in_any_batch() {
        let model = SudokuModel::new(&config(), 1, &Device::flex()).unwrap();
        let puzzles = puzzles(3);
        let together = values(&model.logits_by_level(&puzzles, SudokuPass::default())[2]);
        let symmetry = Symmetry::draw(&mut Rng::new(1));
        for (index, puzzle) in puzzles.iter().enumerate() {
            let with_another = [symmetry.apply(puzzle), *puzzle];
            let alone = values(&model.logits_by_level(&with_another, SudokuPass::default())[2]);
            let (one, other) = (&together[index * 729..(index + 1) * 729], &alone[729..]);
            let worst = one
                .iter()
                .zip(other)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 1e-5, "{worst}");
        }
    }
}
