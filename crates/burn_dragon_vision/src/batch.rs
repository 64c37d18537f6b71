//! Batch of a step: pictures or views of them, as numbers.

use crate::data::{Pixels, stack};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Pictures of a step.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Views of the pictures; one view is the pictures themselves.
    views: Vec<Images>,
    /// Numbers of their classes; empty for pictures without labels.
    labels: Vec<u32>,
}

/// Pictures of one size.
#[derive(Clone, Debug)]
struct Images {
    /// `[B, S, S, C]`, 0 to 1.
    values: Vec<f32>,
    shape: [usize; 4],
}

impl Batch {
    /// A batch of views, each a list of the pictures in their order.
    ///
    /// # Panics
    /// If views have different numbers of pictures, or the pictures of a view different sizes.
    pub fn new(views: &[Vec<Pixels>], labels: Vec<u32>) -> Self {
        let views: Vec<Images> = views.iter().map(|view| Images::new(view)).collect();
        let lanes = views.first().map_or(0, |view| view.shape[0]);
        assert!(
            views.iter().all(|view| view.shape[0] == lanes),
            "a batch: views of different numbers of pictures"
        );
        Self { views, labels }
    }

    /// Number of pictures (B).
    pub fn lanes(&self) -> usize {
        self.views.first().map_or(0, |view| view.shape[0])
    }

    /// Number of views of each picture (V).
    pub fn views(&self) -> usize {
        self.views.len()
    }

    /// A view of the pictures, `[B, S, S, C]`, 0 to 1.
    ///
    /// # Panics
    /// If there is no such view.
    pub fn pixels(&self, view: usize, device: &Device) -> Tensor<4> {
        let Images { values, shape } = &self.views[view];
        Tensor::from_data(TensorData::new(values.clone(), *shape), device)
    }

    /// Numbers of the classes, `[B]`.
    pub fn targets(&self, device: &Device) -> Tensor<1, Int> {
        let labels: Vec<i32> = self.labels.iter().map(|&label| label as i32).collect();
        let count = labels.len();
        Tensor::from_data(TensorData::new(labels, [count]), device)
    }

    /// Numbers of the classes; empty for pictures without labels.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }
}

impl Images {
    fn new(pictures: &[Pixels]) -> Self {
        let [size, channels] = pictures
            .first()
            .map_or([0; 2], |first| [first.size(), first.colours().channels()]);
        Self {
            values: stack(pictures),
            shape: [pictures.len(), size, size, channels],
        }
    }
}
