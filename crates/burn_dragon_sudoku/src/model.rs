//! The model: cells in, digits out.
use crate::config::ModelConfig;
use crate::grid::Grid;
use crate::trunk::Trunk;
use crate::units::*;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, derive, norm};

#[derive(Module, Debug)]
pub struct SudokuModel {
    pub digits: Param<Tensor<2>>,
    pub rows: Param<Tensor<2>>,
    pub columns: Param<Tensor<2>>,
    pub boxes: Param<Tensor<2>>,
    pub trunk: Trunk,
    pub readout: Param<Tensor<2>>,
    #[module(skip)]
    pub config: ModelConfig,
}

impl SudokuModel {
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Self {
        let mut weight = |name: &str, shape: &[usize]| {
            let mut rng = Rng::new(derive(seed, name, 0, 0));
            let size = shape.iter().product::<usize>();
            let values: Vec<f32> = (0..size).map(|_| (rng.normal() * config.init_std) as f32).collect();
            TensorData::new(values, shape.to_vec())
        };
        let d = config.d_model;
        Self {
            digits: Param::from_data(weight("digits", &[10, d]), device),
            rows: Param::from_data(weight("rows", &[9, d]), device),
            columns: Param::from_data(weight("columns", &[9, d]), device),
            boxes: Param::from_data(weight("boxes", &[9, d]), device),
            trunk: Trunk::from_weights(config, device, &mut weight),
            readout: Param::from_data(weight("readout", &[d, 9]), device),
            config: config.clone(),
        }
    }

    pub fn streams(&self, grids: &[Grid], levels: usize) -> Vec<Tensor<4>> {
        let device = self.digits.val().device();
        let b = grids.len();
        let d = self.config.d_model;
        let cells: Vec<i32> = grids.iter().flat_map(|g| g.cells().iter().map(|&c| c as i32)).collect();
        let cells = Tensor::<1, Int>::from_data(TensorData::new(cells, [b * CELLS]), &device);
        let index = |f: fn(usize) -> usize| {
            let v: Vec<i32> = (0..CELLS).map(|c| f(c) as i32).collect();
            Tensor::<1, Int>::from_data(TensorData::new(v, [CELLS]), &device)
        };
        let places = self.rows.val().select(0, index(row_of))
            + self.columns.val().select(0, index(column_of))
            + self.boxes.val().select(0, index(box_of)); // [81, D]
        let v = self.digits.val().select(0, cells).reshape([b, 1, CELLS, d]) + places.reshape([1, 1, CELLS, d]);
        self.trunk.levels(norm(v, self.config.norm_eps), levels, self.config.norm_eps)
    }

    pub fn logits(&self, v: Tensor<4>) -> Tensor<2> {
        let [b, _, t, d] = v.dims();
        v.reshape([b * t, d]).matmul(self.readout.val())
    }
}
