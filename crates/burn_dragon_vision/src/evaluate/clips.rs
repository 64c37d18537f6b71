//! Evaluation on clips: what frozen features of an encoder know of them.
//!
//! | figure | of |
//! |---|---|
//! | `knn`, `linear`, `centroid` | the class, from the mean over the frames of their summaries |
//! | `effective_rank`, `deviation` | the same rows |
//! | `foreground_iou` | whether a patch shows the object, from its token |
//! | `position_r2` | the middle of the object, from the summary of the frame; of two objects the mean |
//! | `projection_rank` | effective rank of the projections of frames, where the model has a projector |
//!
//! The last three know one frame of each clip: number `i mod T` of clip `i`.

use super::{evaluated, spread};
use crate::config::VisionConfig;
use crate::data::{Clip, ClipPart, Clips};
use crate::encoder::{Hidden, ModelConfig, VisionPass, patchify};
use crate::error::VisionError;
use crate::model::VisionModel;
use crate::objective::alone;
use crate::probe::{
    Features, Labelled, Probe, Unit, accuracy, effective_rank, foreground, knn, position, probe,
};
use crate::report::{self, Report};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_train::api::Metrics;

/// Number of clips that are run at once.
const TOGETHER: usize = 32;

/// Largest number of frames whose patches and positions are probed, in each part.
const FRAMES: usize = 1_000;

/// Share of the pixels of a patch from which it shows the object.
const THERE: f64 = 0.25;

/// A model to be judged on held-out clips.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JudgedClips<'a> {
    pub(crate) config: &'a VisionConfig,
    pub(crate) clips: &'a Clips,
    pub(crate) model: &'a VisionModel,
    /// Numbers of the held-out clips.
    pub(crate) held_out: &'a [usize],
}

/// Where features come from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Pixels,
    Encoder(&'a VisionModel, VisionPass),
}

/// Features of some clips, and what is true of them.
#[derive(Default)]
struct Known {
    /// Classes, `[clips]`.
    labels: Vec<usize>,
    /// Of each clip: mean over its frames of their summaries.
    clips: Vec<Tensor<2>>,
    /// Of one frame of each clip.
    frames: Vec<Tensor<2>>,
    /// Of the patches of these frames.
    patches: Vec<Tensor<2>>,
    /// Projections of all frames of these clips.
    projections: Vec<Tensor<2>>,
    /// Middle of the object, `[frames, 2]`, as shares of the side of a frame.
    middles: Vec<f64>,
    /// Whether each patch shows the object.
    there: Vec<bool>,
}

impl JudgedClips<'_> {
    /// Figures in the course of a run: nearest neighbours in the features, and how many dimensions these use.
    pub(crate) fn between(&self) -> Result<Metrics, VisionError> {
        let source = Source::Encoder(self.model, evaluated(self.model));
        let indices = spread(self.clips.train.len(), self.config.probe.pictures_between);
        let train = self.known(&self.clips.train, &indices, source, 0)?;
        let test = self.known(&self.clips.validation, self.held_out, source, 0)?;
        let (of_train, of_test) = (rows(train.clips)?, rows(test.clips)?);
        let labelled = Labelled::new(&of_train, &train.labels, self.clips.classes.len())?;
        let probe = &self.config.probe;
        let predictions = knn(labelled, &of_test, probe.neighbours, probe.temperature)?;
        Ok(Metrics::from([
            (report::NEIGHBOURS.into(), accuracy(&predictions, &test.labels)),
            ("effective_rank".into(), effective_rank(&of_test)),
        ]))
    }

    /// Figures at the end of a run, beside an untrained model.
    pub(crate) fn at_the_end(&self, untrained: &VisionModel) -> Result<Report, VisionError> {
        let one = VisionPass {
            levels: Some(1),
            ..VisionPass::default()
        };
        let sources = [
            ("raw pixels", Source::Pixels),
            (
                "untrained encoder",
                Source::Encoder(untrained, evaluated(untrained)),
            ),
            ("this encoder, one level", Source::Encoder(self.model, one)),
            ("this encoder", Source::Encoder(self.model, evaluated(self.model))),
        ];
        let known = spread(self.clips.train.len(), self.config.probe.pictures);
        let probes = sources
            .into_iter()
            .map(|(name, source)| Ok((name, self.probe(&known, source)?)))
            .collect::<Result<_, VisionError>>()?;
        Ok(Report {
            objective: self.config.objective.name(),
            things: "clips",
            classes: self.clips.classes.len(),
            held_out: self.held_out.len(),
            known: known.len(),
            levels: self.model.encoder.config().evaluated(),
            ablations: Vec::new(),
            right: Vec::new(),
            probes,
        })
    }

    /// Probes of some features.
    fn probe(&self, known: &[usize], source: Source<'_>) -> Result<Probe, VisionError> {
        let (config, classes) = (&self.config.probe, self.clips.classes.len());
        let train = self.known(&self.clips.train, known, source, FRAMES)?;
        let test = self.known(&self.clips.validation, self.held_out, source, FRAMES)?;
        let (of_train, of_test) = (rows(train.clips)?, rows(test.clips)?);
        let of_classes = probe(
            config,
            Labelled::new(&of_train, &train.labels, classes)?,
            Labelled::new(&of_test, &test.labels, classes)?,
        )?;
        let (of_train, of_test) = (rows(train.patches)?, rows(test.patches)?);
        let there = foreground(
            config,
            (&of_train, &train.there),
            (&of_test, &test.there),
            self.config.model.patches(),
        )?;
        let (of_train, of_test) = (rows(train.frames)?, rows(test.frames)?);
        let middle = position(config, (&of_train, &train.middles), (&of_test, &test.middles))?;
        let probe = of_classes.with("foreground_iou", there.iou, Unit::Share).with(
            "position_r2",
            middle.r2,
            Unit::Number,
        );
        if test.projections.is_empty() {
            return Ok(probe);
        }
        let rank = effective_rank(&rows(test.projections)?);
        Ok(probe.with("projection_rank", rank, Unit::Number))
    }

    /// Features of some clips; of the first `frames` of them, of one frame each and of its patches too.
    fn known(
        &self,
        part: &ClipPart,
        indices: &[usize],
        source: Source<'_>,
        frames: usize,
    ) -> Result<Known, VisionError> {
        let (mut known, model, device) = (Known::default(), &self.config.model, self.model.device());
        for (number, indices) in indices.chunks(TOGETHER).enumerate() {
            let clips = part.batch(indices);
            known.labels.extend(clips.iter().map(|clip| clip.label as usize));
            let pixels = pixels(&clips, &device);
            let (summaries, patches) = source.features(pixels.clone(), model)?; // [B, T, W], [B, T P, V]
            let [lanes, length, width] = summaries.dims();
            known
                .clips
                .push(summaries.clone().mean_dim(1).reshape([lanes, width]));
            let more = frames.saturating_sub(number * TOGETHER).min(lanes);
            if more == 0 {
                continue;
            }
            let chosen: Vec<usize> = indices.iter().take(more).map(|index| index % length).collect();
            let at = places(&chosen, length, &device);
            known
                .frames
                .push(summaries.reshape([lanes * length, width]).select(0, at.clone()));
            let [_, tokens, width] = patches.dims();
            let patches = patches.reshape([lanes * length, tokens / length * width]);
            let patches = patches.select(0, at);
            known
                .patches
                .push(patches.reshape([more * tokens / length, width]));
            if let Source::Encoder(of, pass) = source
                && of.heads.projector.is_some()
            {
                let z = alone(of, pixels.narrow(0, 0, more), pass.levels)?;
                let [lanes, frames, width] = z.dims();
                known.projections.push(z.reshape([lanes * frames, width]));
            }
            for (clip, &frame) in clips.iter().zip(&chosen) {
                known.middles.extend(middle(clip, frame, model.image_size));
                known.there.extend(there(clip, frame, model));
            }
        }
        Ok(known)
    }
}

impl Source<'_> {
    /// Summaries of frames, `[B, T, W]`, and tokens of patches, `[B, T P, V]`, of clips, `[B, T, S, S, C]`.
    fn features(self, clip: Tensor<5>, model: &ModelConfig) -> Result<(Tensor<3>, Tensor<3>), VisionError> {
        let [lanes, frames, height, width, channels] = clip.dims();
        match self {
            Self::Pixels => {
                let pictures = clip.clone().reshape([lanes * frames, height, width, channels]);
                let patches = patchify(pictures, model.patch_size);
                let [_, count, numbers] = patches.dims();
                Ok((
                    clip.reshape([lanes, frames, height * width * channels]),
                    patches.reshape([lanes, frames * count, numbers]),
                ))
            }
            Self::Encoder(of, pass) => {
                let watched = of.encoder.watch(clip, &Hidden::Nothing, pass)?;
                let tokens = watched.levels.last().cloned();
                let none = || VisionError::NoHead { head: "level" };
                Ok((watched.frames.ok_or_else(none)?, tokens.ok_or_else(none)?))
            }
        }
    }
}

/// Clips as a model reads them, `[B, T, S, S, C]`.
fn pixels(clips: &[Clip], device: &Device) -> Tensor<5> {
    crate::batch::Batch::of_clips(clips).clip(device)
}

/// Numbers of chosen frames among all frames of the clips.
fn places(chosen: &[usize], frames: usize, device: &Device) -> Tensor<1, Int> {
    let at = |(clip, frame): (usize, &usize)| (clip * frames + frame) as i32;
    let places: Vec<i32> = chosen.iter().enumerate().map(at).collect();
    Tensor::from_data(TensorData::new(places, [chosen.len()]), device)
}

/// Mean of the middles of the objects in a frame, (y, x), as shares of its side.
fn middle(clip: &Clip, frame: usize, size: usize) -> [f64; 2] {
    let centres = &clip.centres[frame];
    [0, 1].map(|axis| {
        let sum: f64 = centres.iter().map(|centre| f64::from(centre[axis])).sum();
        sum / (centres.len() * size) as f64
    })
}

/// Whether each patch of a frame shows an object, row by row.
fn there(clip: &Clip, frame: usize, model: &ModelConfig) -> Vec<bool> {
    let (size, patch) = (model.image_size, model.patch_size);
    let mask = &clip.masks[frame];
    let side = size / patch;
    let shows = |place: usize| {
        let (top, left) = (place / side * patch, place % side * patch);
        let pixels = (0..patch * patch)
            .filter(|pixel| mask[(top + pixel / patch) * size + left + pixel % patch])
            .count();
        pixels as f64 >= THERE * (patch * patch) as f64
    };
    (0..side * side).map(shows).collect()
}

fn rows(parts: Vec<Tensor<2>>) -> Result<Features, VisionError> {
    Features::from_tensor(Tensor::cat(parts, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Data, DatasetConfig, PictureShape, Pixels};
    use crate::picture::Colours;

    fn clips(colours: Colours) -> Clips {
        let config: DatasetConfig =
            toml::from_str("type = 'moving_glyphs'\ncount = 60\nvalidation_count = 40\n[motion]\nframes = 3")
                .unwrap();
        match config.load(PictureShape { size: 16, colours }).unwrap() {
            Data::Clips(clips) => clips,
            Data::Pictures(_) => panic!("pictures"),
        }
    }

    fn config() -> VisionConfig {
        let mut config = VisionConfig::default();
        (config.model.image_size, config.model.patch_size) = (16, 4);
        (config.model.d_model, config.model.n_heads, config.model.n_neurons) = (8, 2, 16);
        config
    }

    #[test]
    fn a_patch_shows_what_the_mask_says_and_its_middle_is_where_the_mask_is() {
        let (clips, model) = (clips(Colours::Gray), config().model);
        for index in 0..20 {
            let clip = clips.train.get(index);
            let shown = there(&clip, 2, &model);
            let [y, x] = middle(&clip, 2, 16);
            let near = |place: usize| {
                let (row, column) = ((place / 4) as f64 + 0.5, (place % 4) as f64 + 0.5);
                (row / 4.0 - y).hypot(column / 4.0 - x)
            };
            assert!(shown.contains(&true) && shown.contains(&false), "{index}");
            for (place, shows) in shown.into_iter().enumerate() {
                // An object has a side of 0.45: what shows it is within half its diagonal and that of a patch.
                assert!(
                    !shows || near(place) < 0.5 * 2f64.sqrt() * (0.45 + 0.25),
                    "{index} {place}"
                );
            }
        }
    }

    #[test]
    fn features_of_pixels_are_those_of_the_chosen_frame_and_of_its_patches() {
        let (clips, config) = (clips(Colours::Rgb), {
            let mut config = config();
            config.model.colours = Colours::Rgb;
            config
        });
        let model = VisionModel::new(
            &crate::model::VisionModelConfig {
                encoder: config.model.clone(),
                ..Default::default()
            },
            1,
            &Device::flex(),
        )
        .unwrap();
        let judged = JudgedClips {
            config: &config,
            clips: &clips,
            model: &model,
            held_out: &[0, 1],
        };
        let indices: Vec<usize> = (0..50).collect();
        let known = judged.known(&clips.train, &indices, Source::Pixels, 40).unwrap();
        let (frames, patches) = (rows(known.frames).unwrap(), rows(known.patches).unwrap());
        assert_eq!((rows(known.clips).unwrap().rows(), known.labels.len()), (50, 50));
        assert_eq!((frames.rows(), patches.rows(), known.there.len()), (40, 640, 640));
        assert_eq!(known.middles.len(), 80);
        let clip = clips.train.get(37);
        let frame = Pixels::from(&clip.frames[37 % 3]);
        assert_eq!(frames.row(37), frame.numbers());
        // The patch in the second row and third column.
        let at = |row: usize, column: usize| (row * 16 + column) * 3;
        let second: Vec<f32> = (4..8)
            .flat_map(|row| frame.numbers()[at(row, 8)..at(row, 12)].to_vec())
            .collect();
        assert_eq!(patches.row(37 * 16 + 6), second);
    }
}
