//! [`Connector::Plain`](super::Connector::Plain): one stream.

use super::Stream;
use burn::tensor::Tensor;
use burn_dragon_kernel::api::join;

/// `v = norm(v + norm(u))`.
pub(super) struct Plain {
    /// The stream; taken while it is joined, so that its memory can be reused.
    v: Option<Tensor<4>>,
    eps: f64,
}

impl Plain {
    pub(super) fn new(v: Tensor<4>, eps: f64) -> Self {
        Self { v: Some(v), eps }
    }
}

impl Stream for Plain {
    fn input(&mut self) -> Tensor<4> {
        self.output()
    }

    fn join(&mut self, u: Tensor<4>) {
        self.v = self.v.take().map(|v| join(v, u, self.eps));
    }

    fn output(&self) -> Tensor<4> {
        match &self.v {
            Some(v) => v.clone(),
            None => unreachable!("the stream is taken within `join` alone"),
        }
    }
}
