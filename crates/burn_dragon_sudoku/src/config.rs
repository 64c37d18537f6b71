//! The configuration of a sudoku run; `config/sudoku/base.toml` documents every key.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    pub d_model: usize,
    pub n_heads: usize,
    pub n_neurons: usize,
    pub n_levels: usize,
    pub norm_eps: f64,
    pub init_std: f64,
}
