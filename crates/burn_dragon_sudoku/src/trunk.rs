//! Stand-in for core's trunk until it is there.
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation::relu};
use burn_dragon_core::api::expert::norm;

#[derive(Module, Debug)]
pub struct Trunk {
    pub decoder_x: Param<Tensor<3>>,
    pub decoder_y: Param<Tensor<3>>,
    pub encoder: Param<Tensor<2>>,
}

impl Trunk {
    pub fn from_weights(c: &crate::config::ModelConfig, device: &Device, mut weight: impl FnMut(&str, &[usize]) -> TensorData) -> Self {
        let (d, h, n) = (c.d_model, c.n_heads, c.n_neurons / c.n_heads);
        Self {
            decoder_x: Param::from_data(weight("decoder_x", &[h, d, n]), device),
            decoder_y: Param::from_data(weight("decoder_y", &[h, d, n]), device),
            encoder: Param::from_data(weight("encoder", &[h * n, d]), device),
        }
    }
    pub fn levels(&self, mut v: Tensor<4>, levels: usize, eps: f64) -> Vec<Tensor<4>> {
        let [h, d, n] = self.decoder_x.val().dims();
        let dx: Tensor<4> = self.decoder_x.val().reshape([1, h, d, n]);
        let dy: Tensor<4> = self.decoder_y.val().reshape([1, h, d, n]);
        let e: Tensor<4> = self.encoder.val().reshape([1, h, n, d]);
        let mut out = Vec::new();
        for _ in 0..levels {
            let x = relu(v.clone().matmul(dx.clone())); // [B,H,T,N]
            let scores = x.clone().matmul(x.clone().swap_dims(2, 3));
            let a = norm(scores.matmul(v.clone()), eps);
            let y = relu(a.matmul(dy.clone())) * x;
            let u = y.matmul(e.clone()).sum_dim(1);
            v = norm(v + norm(u, eps), eps);
            out.push(v.clone());
        }
        out
    }
}
