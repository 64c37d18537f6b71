//! Sudoku model: cells in, a digit for each cell out, after every level.
//!
//! ```text
//! v = norm(digits[cell] + rows[row] + columns[column] + boxes[box])      an empty cell is digit 0
//! L times, with the same weights:
//!     x = relu(v decoder_x)
//!     a = norm(sum over all cells s of (x . x_s) v_s)                    a full read: no order, itself included
//!     y = relu(a decoder_y) * x
//!     v = norm(v + norm(y encoder))
//!     logits = v readout                                                 of every level, with one readout
//! ```

use crate::config::ModelConfig;
use crate::grid::Grid;
use crate::units::{CELLS, box_of, column_of, row_of};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{initial, norm};
use burn_dragon_core::api::{
    ConfigError, FreeMemory, Need, Pass, Precision, TensorShape, Trunk, TrunkConfig,
};

/// Number of digits in a readout.
const DIGITS: usize = 9;

/// Model that fills the empty cells of sudoku grids.
#[derive(Module, Debug)]
pub struct SudokuModel {
    /// Embedding of a cell's digit, 0 for an empty cell, `[10, D]`.
    pub digits: Param<Tensor<2>>,
    /// Embedding of a cell's row, `[9, D]`.
    pub rows: Param<Tensor<2>>,
    /// Embedding of a cell's column, `[9, D]`.
    pub columns: Param<Tensor<2>>,
    /// Embedding of a cell's box, `[9, D]`.
    pub boxes: Param<Tensor<2>>,
    /// Levels.
    pub trunk: Trunk,
    /// Readout: model width to the digits 1 to 9, `[D, 9]`.
    pub readout: Param<Tensor<2>>,
    #[module(skip)]
    config: ModelConfig,
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
}

impl ModelConfig {
    /// Tensors of a model, in the order of its fields.
    pub fn tensors(&self) -> Vec<TensorShape> {
        let d = self.d_model;
        let embeddings = [("digits", DIGITS + 1), ("rows", 9), ("columns", 9), ("boxes", 9)];
        let mut tensors: Vec<TensorShape> = embeddings
            .into_iter()
            .map(|(name, count)| TensorShape::new(name, [count, d]))
            .collect();
        tensors.extend(self.trunk().tensors());
        tensors.push(TensorShape::new("readout", [d, DIGITS]));
        tensors
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        let numbers = self.tensors().into_iter().map(|tensor| tensor.numbers().0);
        numbers.fold(0, u64::saturating_add)
    }

    /// Approximate peak memory in bytes of a training step of `puzzles` puzzles: that of the trunk, and the logits of
    /// every level with their gradients.
    pub fn training_bytes(&self, puzzles: usize) -> u64 {
        let logits = 4 * 3 * (CELLS * DIGITS) as u64;
        let logits = logits
            .saturating_mul(puzzles as u64)
            .saturating_mul(self.n_levels as u64);
        self.trunk()
            .cost()
            .training_bytes(puzzles, CELLS)
            .saturating_add(logits)
    }

    /// FLOPs of a forward pass per puzzle with `levels` levels and a readout after each.
    pub fn forward_flops(&self, levels: usize) -> u64 {
        let trunk = TrunkConfig {
            n_levels: levels,
            ..self.trunk()
        };
        let readouts = (2 * self.d_model * DIGITS * levels) as u64;
        (CELLS as u64).saturating_mul(
            trunk
                .cost()
                .forward_flops_per_token(CELLS)
                .saturating_add(readouts),
        )
    }
}

impl SudokuModel {
    /// Creates a model with weights drawn from N(0, `init_std`), a function of `seed` alone.
    ///
    /// # Errors
    /// If the configuration is invalid, or the machine has too little memory.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Result<Self, ConfigError> {
        config.trunk().validate()?;
        let need = Need::of("a model of this shape").with("weights", config.parameters().saturating_mul(4));
        FreeMemory::room_for(&need, || "use a smaller d_model or n_neurons".into())?;
        Self::from_weights(config, device, initial(&config.trunk(), seed))
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
    ) -> Result<Self, ConfigError> {
        let d = config.d_model;
        let mut matrix = |name: &str, shape: [usize; 2]| {
            let data = weight(name, &shape);
            assert_eq!(
                **data.shape(),
                shape,
                "the weight `{name}` has another shape than was asked for"
            );
            Param::from_data(data, device)
        };
        let digits = matrix("digits", [DIGITS + 1, d]);
        let [rows, columns, boxes] = ["rows", "columns", "boxes"].map(|name| matrix(name, [9, d]));
        let readout = matrix("readout", [d, DIGITS]);
        Ok(Self {
            digits,
            rows,
            columns,
            boxes,
            trunk: Trunk::from_weights(&config.trunk(), device, weight)?,
            readout,
            config: config.clone(),
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

    /// Logits of the digits 1 to 9 for every cell after each level, with gradients if the weights have them.
    ///
    /// # Shapes
    /// - output: for each level `[B, 81, 9]`
    pub fn logits_by_level(&self, puzzles: &[Grid], pass: SudokuPass) -> Vec<Tensor<3>> {
        let mut streams = Vec::new();
        let inner = Pass {
            levels: pass.levels,
            dropout_seed: pass.dropout_seed.filter(|_| self.config.dropout > 0.0),
            precision: pass.precision,
            streams: Some(&mut streams),
            ..Pass::default()
        };
        self.trunk.forward(self.embedded(puzzles), inner);
        streams.into_iter().map(|v| self.read_out(v)).collect()
    }

    /// Embedded puzzles, `[B, 1, 81, D]`.
    fn embedded(&self, puzzles: &[Grid]) -> Tensor<4> {
        let (device, d) = (self.device(), self.config.d_model);
        let index = |values: Vec<i32>| {
            let length = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [length]), &device)
        };
        let unit = |place: fn(usize) -> usize| index((0..CELLS).map(|cell| place(cell) as i32).collect());
        let places = self.rows.val().select(0, unit(row_of))
            + self.columns.val().select(0, unit(column_of))
            + self.boxes.val().select(0, unit(box_of)); // [81, D]
        let held = puzzles
            .iter()
            .flat_map(|puzzle| puzzle.cells().map(i32::from))
            .collect();
        let held = self.digits.val().select(0, index(held)); // [B*81, D]
        let v = held.reshape([puzzles.len(), 1, CELLS, d]) + places.reshape([1, 1, CELLS, d]);
        norm(v, self.config.norm_eps)
    }

    fn read_out(&self, v: Tensor<4>) -> Tensor<3> {
        let [lanes, _, cells, width] = v.dims();
        let logits = v.reshape([lanes * cells, width]).matmul(self.readout.val()); // [B*81, 9]
        logits.reshape([lanes, cells, DIGITS])
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
        other.rows = Param::from_tensor(model.rows.val().select(0, order));
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
