//! Clips: what an encoder knows of frames that follow each other.
//!
//! ```text
//! dense               the patches of all frames are one stream, [B, 1, T P, D]: each reads every other. The sines and cosines
//!                     of its frame are added to each
//! cellular, pyramid   frames are observed one after another, and memories are carried. Before a frame is observed, time
//!                     passes: a step in mode Predict
//! ```

use super::config::{GridPositions, Summary};
use super::positions;
use super::step::Backbone;
use super::{BackboneKind, DenseSteps, Hidden, ModelConfig, State, VisionEncoder, VisionPass, refuse};
use crate::error::VisionError;
use burn::tensor::Tensor;
use burn_dragon_core::api::structured::StepMode;

/// What an encoder knows of a clip.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Tokens of the patches after each level, frame by frame, `[B, T P, D]` each; where patches are left out, `[B, K, D]` of
    /// the others.
    pub levels: Vec<Tensor<3>>,
    /// Summaries of the frames after the last level, `[B, T, D]`; `None` where patches are left out.
    pub frames: Option<Tensor<3>>,
}

/// A way through a clip, frame by frame: some are observed, those behind them are predicted.
#[derive(Clone, Copy, Debug)]
pub struct FrameByFrame {
    /// Number of first frames that are observed, at least 1.
    pub observed: usize,
    /// Number of frames that are predicted behind them: a step in mode `Predict` each.
    pub predicted: usize,
    /// Number of frames through which gradients pass back. If absent, all.
    pub backprop_frames: Option<usize>,
}

/// What an encoder knows at a frame.
struct AtFrame {
    /// Tokens after each level, `[B, P, D]` each; of a predicted frame after its one step.
    levels: Vec<Tensor<3>>,
    /// `[B, D]`.
    summary: Tensor<2>,
}

impl ModelConfig {
    /// Checks that an encoder of this shape can read clips.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub(crate) fn check_clips(&self) -> Result<(), VisionError> {
        if self.kind == BackboneKind::Convolution {
            let reason = "is \"convolution\", which carries nothing from frame to frame; expected \"dense\", \"cellular\" or \
                          \"pyramid\" for clips";
            return refuse("model.backbone", reason.into());
        }
        if self.summary == Summary::Cls {
            return refuse("model.summary", "is \"cls\"; expected \"mean\" for clips".into());
        }
        if self.positions == GridPositions::AlibiRaster {
            let reason = "is \"alibi_raster\", a distance in the raster of one picture; expected other positions for clips";
            return refuse("model.positions", reason.into());
        }
        if !self.d_model.is_multiple_of(2) {
            let reason = format!("is {}; expected an even number for clips", self.d_model);
            return refuse("model.d_model", reason);
        }
        Ok(())
    }
}

impl VisionEncoder {
    /// What the encoder knows of clips.
    ///
    /// # Shapes
    /// - `clip`: `[B, T, S, S, C]`, 0 to 1
    /// - `hidden`: kept patches `[B, K]` of all `T P`, or a mask of them, `[B, T P, 1]`
    ///
    /// # Errors
    /// If patches are left out, and the backbone needs them all.
    pub fn watch(&self, clip: Tensor<5>, hidden: &Hidden, pass: VisionPass) -> Result<Watched, VisionError> {
        if self.config.kind == BackboneKind::Dense {
            return self.watch_at_once(clip, hidden, pass);
        }
        let way = FrameByFrame {
            observed: clip.dims()[1],
            predicted: 0,
            backprop_frames: None,
        };
        let frames = self.frame_by_frame(clip, hidden, way, pass)?;
        let levels = frames.first().map_or(0, |frame| frame.levels.len());
        let tokens = |level: usize| {
            let of_frames = frames.iter().map(|frame| frame.levels[level].clone());
            Tensor::cat(of_frames.collect(), 1)
        };
        Ok(Watched {
            levels: (0..levels).map(tokens).collect(),
            frames: Some(Tensor::stack(
                frames.iter().map(|frame| frame.summary.clone()).collect(),
                1,
            )),
        })
    }

    /// Summaries on a way through clips, `[B, observed + predicted, D]`: after a frame was observed, or predicted. For backbones
    /// that carry memories.
    ///
    /// # Shapes
    /// - `clip`: `[B, T, S, S, C]`, 0 to 1; of its frames the first ones are read
    ///
    /// # Errors
    /// If the backbone carries no memory, or the clip has fewer frames than are observed.
    pub fn follow(
        &self,
        clip: Tensor<5>,
        way: FrameByFrame,
        pass: VisionPass,
    ) -> Result<Tensor<3>, VisionError> {
        let frames = self.frame_by_frame(clip, &Hidden::Nothing, way, pass)?;
        let summaries = frames.into_iter().map(|frame| frame.summary);
        Ok(Tensor::stack(summaries.collect(), 1))
    }

    /// All frames as one stream.
    fn watch_at_once(
        &self,
        clip: Tensor<5>,
        hidden: &Hidden,
        pass: VisionPass,
    ) -> Result<Watched, VisionError> {
        let [lanes, frames, ..] = clip.dims();
        let (d, patches) = (self.config.d_model, self.config.patches());
        let tokens = self.stemmed(pictures(clip)).reshape([lanes, frames * patches, d]);
        let v = self.placed(tokens, Some(self.places_of_clip(frames)), hidden);
        let Some(trunk) = &self.trunk else {
            unreachable!("a dense backbone has a trunk")
        };
        let rotation = self.rotation(&v, hidden, frames);
        let backbone = DenseSteps::new(&self.config, trunk, &v, rotation);
        let levels = pass.levels.unwrap_or(self.config.n_levels);
        let (free, count) = (self.free(levels, &v), v.dims()[2]);
        let mut state = backbone.start(v);
        let mut seen = Vec::with_capacity(levels);
        for level in 0..levels {
            backbone.step(&mut state, mode(level), pass.of_step())?;
            if level < free {
                state = state.detach();
            }
            seen.push(state.stream().reshape([lanes, count, d]));
        }
        let summaries = seen.last().filter(|_| count == frames * patches).map(|last| {
            let last = last.clone().reshape([lanes, frames, patches, d]);
            last.mean_dim(2).reshape([lanes, frames, d])
        });
        Ok(Watched {
            levels: seen,
            frames: summaries,
        })
    }

    /// Vectors that are added to the patches of a clip, `[T P, D]`.
    fn places_of_clip(&self, frames: usize) -> Tensor<2> {
        let (d, patches) = (self.config.d_model, self.config.patches());
        let of_frames = positions::of_frames(frames, d, &self.like().device().inner());
        let of_frames = self.constant(of_frames).reshape([frames, 1, d]);
        let places = match self.places() {
            Some(places) => of_frames + places.reshape([1, patches, d]),
            None => of_frames.expand([frames, patches, d]),
        };
        places.reshape([frames * patches, d])
    }

    fn frame_by_frame(
        &self,
        clip: Tensor<5>,
        hidden: &Hidden,
        way: FrameByFrame,
        pass: VisionPass,
    ) -> Result<Vec<AtFrame>, VisionError> {
        let [lanes, given, ..] = clip.dims();
        self.check_way(way, given)?;
        let (d, patches) = (self.config.d_model, self.config.patches());
        let clip = clip.narrow(1, 0, way.observed);
        let hidden = of_frames(hidden, lanes, way.observed, patches);
        let v = self.embed(pictures(clip), &hidden); // [B T, 1, P, D]
        let backbone = self.backbone(&v, &hidden)?;
        let v = v.reshape([lanes, way.observed, patches, d]);
        let levels = pass.levels.unwrap_or(self.config.n_levels);
        let free = self.free(levels, &v);
        let frame = |index: usize| v.clone().narrow(1, index, 1);
        let mut state = backbone.start(frame(0));
        let mut frames = Vec::with_capacity(way.observed + way.predicted);
        for index in 0..way.observed + way.predicted {
            let mut seen = Vec::new();
            if index > 0 {
                if way.cuts(index) {
                    state = state.detach();
                }
                backbone.step(&mut state, StepMode::Predict, pass.of_step())?;
            }
            if index < way.observed {
                if index > 0 {
                    backbone.observe(&mut state, frame(index))?;
                }
                for level in 0..levels {
                    backbone.step(&mut state, mode(level), pass.of_step())?;
                    if level < free {
                        state = state.detach();
                    }
                    seen.push(tokens(&state));
                }
            } else {
                seen.push(tokens(&state));
            }
            frames.push(AtFrame {
                levels: seen,
                summary: backbone.summary(&state)?,
            });
        }
        Ok(frames)
    }

    fn check_way(&self, way: FrameByFrame, given: usize) -> Result<(), VisionError> {
        if !matches!(self.config.kind, BackboneKind::Cellular | BackboneKind::Pyramid) {
            let reason = "is not \"cellular\" or \"pyramid\", whose memories last from frame to frame";
            return refuse("model.backbone", reason.into());
        }
        if !(1..=given).contains(&way.observed) {
            let reason = format!("is {}; expected 1 to {given}, the frames of a clip", way.observed);
            return refuse("objective.context", reason);
        }
        Ok(())
    }
}

impl FrameByFrame {
    /// Whether gradients end before a frame.
    fn cuts(self, index: usize) -> bool {
        self.backprop_frames
            .is_some_and(|frames| index.is_multiple_of(frames.max(1)))
    }
}

/// Mode of a level of a frame.
fn mode(level: usize) -> StepMode {
    if level == 0 {
        StepMode::Observe
    } else {
        StepMode::Refine
    }
}

/// Frames of clips as pictures, `[B T, S, S, C]`.
fn pictures(clip: Tensor<5>) -> Tensor<4> {
    let [lanes, frames, height, width, channels] = clip.dims();
    clip.reshape([lanes * frames, height, width, channels])
}

/// What is hidden of each frame, for frames as pictures.
fn of_frames(hidden: &Hidden, lanes: usize, frames: usize, patches: usize) -> Hidden {
    match hidden {
        Hidden::Behind(mask, token) => {
            let mask = mask
                .clone()
                .reshape([lanes, mask.dims()[1] / patches, patches, 1]);
            let mask = mask.narrow(1, 0, frames).reshape([lanes * frames, patches, 1]);
            Hidden::Behind(mask, token.clone())
        }
        other => other.clone(),
    }
}

/// Tokens of a state, `[B, P, D]`.
fn tokens(state: &State) -> Tensor<3> {
    state.stream().squeeze_dim::<3>(1)
}

#[cfg(test)]
#[path = "clip_tests.rs"]
mod tests;
