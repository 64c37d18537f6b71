//! [`Connector::Plain`](super::Connector::Plain): one stream.

use super::{Setting, Stream};
use crate::norm::Norm;
use burn::tensor::Tensor;

/// `v = norm(v + norm(u))`.
pub(super) struct Plain {
    /// The stream; taken while it is joined, so that its memory can be reused.
    v: Option<Tensor<4>>,
    norm: Norm,
}

impl Plain {
    pub(super) fn new(v: Tensor<4>, setting: Setting<'_>) -> Self {
        Self {
            v: Some(v),
            norm: setting.norm.clone(),
        }
    }
}

impl Stream for Plain {
    fn input(&mut self) -> Tensor<4> {
        self.output()
    }

    fn join(&mut self, u: Tensor<4>) {
        self.v = self.v.take().map(|v| self.norm.join(v, u));
    }

    fn output(&self) -> Tensor<4> {
        match &self.v {
            Some(v) => v.clone(),
            None => unreachable!("the stream is taken within `join` alone"),
        }
    }
}
