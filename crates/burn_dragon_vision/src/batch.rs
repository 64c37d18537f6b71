//! Batch of a step: pictures, views of them, or clips, as numbers.

use crate::data::{Clip, Pixels, stack};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Pictures or clips of a step.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Views of the pictures; one view is the pictures themselves. Of clips, the frames.
    views: Vec<Images>,
    /// Numbers of their classes; empty without labels.
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

    /// A batch of clips of the same number of frames.
    pub fn of_clips(clips: &[Clip]) -> Self {
        let frames = clips.first().map_or(0, |clip| clip.frames.len());
        let of = |frame: usize| {
            clips
                .iter()
                .map(|clip| Pixels::from(&clip.frames[frame]))
                .collect()
        };
        let labels = clips.iter().map(|clip| clip.label).collect();
        let frames: Vec<Vec<Pixels>> = (0..frames).map(of).collect();
        Self::new(&frames, labels)
    }

    /// Number of pictures or clips (B).
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

    /// Clips, `[B, T, S, S, C]`, 0 to 1.
    ///
    /// # Panics
    /// If there is no frame.
    pub fn clip(&self, device: &Device) -> Tensor<5> {
        Tensor::stack(
            (0..self.views.len())
                .map(|frame| self.pixels(frame, device))
                .collect(),
            1,
        )
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
