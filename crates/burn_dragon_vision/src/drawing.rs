//! Drawing of a task's batches: which pictures or clips, in which order, with which changes.

use crate::batch::Batch;
use crate::config::{ObjectiveConfig, VisionConfig};
use crate::data::{Data, Example, Part, Pixels, augment, views};
use crate::error::VisionError;
use crate::evaluate::spread;
use burn_dragon_core::api::expert::derive;
use burn_dragon_stream::api::Shuffle;
use burn_dragon_train::api::Scope;
use std::ops::Range;

/// Data of a run with the settings by which batches are drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawing<'a> {
    pub(crate) config: &'a VisionConfig,
    pub(crate) data: &'a Data,
}

impl Drawing<'_> {
    /// Batch of training units, numbered over all epochs.
    pub(crate) fn training(&self, units: Range<u64>) -> Result<Batch, VisionError> {
        let drawn: Vec<(usize, u64)> = units.map(|unit| (self.index(unit), unit)).collect();
        match self.data {
            Data::Pictures(pictures) => self.pictures(&pictures.train, &drawn, true),
            Data::Clips(clips) => {
                let indices: Vec<usize> = drawn.iter().map(|(index, _)| *index).collect();
                Ok(Batch::of_clips(&clips.train.batch(&indices)))
            }
        }
    }

    /// Batch of held-out units.
    pub(crate) fn held_out(&self, indices: &[usize]) -> Result<Batch, VisionError> {
        match self.data {
            Data::Pictures(pictures) => {
                let drawn: Vec<(usize, u64)> = indices.iter().map(|&index| (index, index as u64)).collect();
                self.pictures(&pictures.validation, &drawn, false)
            }
            Data::Clips(clips) => Ok(Batch::of_clips(&clips.validation.batch(indices))),
        }
    }

    /// Numbers of the held-out units of an evaluation: all, or a fixed sample, spread evenly.
    pub(crate) fn evaluated(&self, scope: Scope) -> Vec<usize> {
        let [_, all] = self.data.sizes();
        let count = match scope {
            Scope::Full => all,
            Scope::Sample { batches } => batches
                .saturating_mul(self.config.training.batch_size)
                .clamp(1, all.max(1)),
        };
        spread(all, count)
    }

    /// Position of a unit. Each epoch shows each picture or clip once, in an order of its own.
    fn index(&self, unit: u64) -> usize {
        let [count, _] = self.data.sizes().map(|size| size as u64);
        let order = Shuffle::of_epoch(count, self.config.training.seed, unit / count);
        order.get(unit % count).unwrap_or_default() as usize
    }

    /// Batch of pictures, each with the number by which its random changes are drawn.
    fn pictures(&self, part: &Part, drawn: &[(usize, u64)], changes: bool) -> Result<Batch, VisionError> {
        let indices: Vec<usize> = drawn.iter().map(|(index, _)| *index).collect();
        let examples = part.batch(&indices)?;
        let (config, seed) = (self.config, self.config.training.seed);
        let size = config.model.image_size;
        let shown = examples.iter().zip(drawn);
        let views = match &config.objective {
            ObjectiveConfig::Lejepa(lejepa) => {
                let of = |(example, (_, unit)): (&Example, &(usize, u64))| {
                    let seed = derive(seed, "augment", *unit, 0);
                    views(&example.picture, &config.augment, &lejepa.views, size, seed)
                };
                transposed(shown.map(of).collect())
            }
            _ => {
                let of = |(example, (_, unit)): (&Example, &(usize, u64))| match changes {
                    true => augment(
                        &example.picture,
                        &config.augment,
                        size,
                        derive(seed, "augment", *unit, 0),
                    ),
                    false => Pixels::from(&example.picture),
                };
                vec![shown.map(of).collect()]
            }
        };
        let labels = examples.iter().filter_map(|example| example.label).collect();
        Ok(Batch::new(&views, labels))
    }
}

/// Views of each picture to pictures of each view.
fn transposed(of_pictures: Vec<Vec<Pixels>>) -> Vec<Vec<Pixels>> {
    let mut views: Vec<Vec<Pixels>> = Vec::new();
    for picture in of_pictures {
        views.resize_with(picture.len().max(views.len()), Vec::new);
        for (view, pixels) in views.iter_mut().zip(picture) {
            view.push(pixels);
        }
    }
    views
}
