//! View into a model at work on a picture, for `dragon look`.
//!
//! A column for each level, a row for each question:
//!
//! | row | a square for each patch |
//! |---|---|
//! | tokens | its first three principal components, as red, green and blue; the components are those of all levels |
//! | x | share of its neurons that its state excites |
//! | memory | size of the memory that it holds, or of what it writes where all patches share one memory |

mod components;
mod page;

use crate::data::{Example, Fit, PictureShape, png, read_picture};
use crate::encoder::{Backbone, Hidden, State, StepPass};
use crate::error::VisionError;
use crate::evaluate::{pixels, shares};
use crate::export::{classes_of, model_of};
use crate::model::VisionModel;
use crate::picture::{Colours, Picture};
use burn::tensor::Tensor;
use burn_dragon_checkpoint::api::{CheckpointError, ModelFile};
use burn_dragon_core::api::structured::StepMode;
use burn_dragon_kernel::api::perceive;
use burn_dragon_train::api::{Look, LookRequest, TrainError};
use components::Components;
use serde_json::json;

/// Side of a square of a map in pixels, and the space between maps.
const SQUARE: usize = 12;
const SPACE: usize = 8;

/// Largest number of levels.
const MOST_LEVELS: usize = 64;

/// Numbers of the patches that a map shows.
type ValuesOf = fn(&Seen) -> &Vec<f32>;

/// What is seen of a model after a level, for each patch.
struct Seen {
    /// Tokens, `[P, D]`.
    tokens: Vec<f32>,
    /// Share of active neurons of x; empty for a backbone without.
    active: Vec<f32>,
    /// Size of the memory.
    memory: Vec<f32>,
    /// Likeliest class with its probability, if there is a classifier.
    answer: Option<String>,
}

/// Looks into the model of a file.
///
/// # Errors
/// If the file is not a vision model, the input is no picture, or the number of levels is out of range.
pub(crate) fn look(file: ModelFile, request: &LookRequest) -> Result<Look, TrainError> {
    let classes = classes_of(&file).map_err(|reason| CheckpointError::corrupt(&request.model, reason))?;
    let model = model_of(file, &request.model, &request.device)?;
    let config = model.encoder.config();
    let levels = request.steps.unwrap_or(config.evaluated());
    if !(1..=MOST_LEVELS).contains(&levels) {
        let text = format!("--steps {levels}: expected a number of levels from 1 to {MOST_LEVELS}");
        return Err(TrainError::Usage(text));
    }
    let shape = PictureShape {
        size: config.image_size,
        colours: config.colours,
    };
    let picture = Fit::Pad.apply(&read_picture(&request.input)?, shape);
    let seen = levels_of(&model, &picture, levels, &classes)?;
    let (drawn, rows) = drawing(&model, &picture, &seen);
    let png = png(&drawn)?;
    let lines: Vec<String> = seen
        .iter()
        .enumerate()
        .map(|(level, seen)| line(level + 1, seen))
        .collect();
    Ok(Look {
        page: page::page(&png, &rows, &lines, &config.in_words()),
        picture: png,
        object: [
            ("levels".to_string(), json!(levels)),
            (
                "active".to_string(),
                seen.iter().map(|seen| json!(mean(&seen.active))).collect(),
            ),
            (
                "memory".to_string(),
                seen.iter().map(|seen| json!(mean(&seen.memory))).collect(),
            ),
            (
                "answers".to_string(),
                seen.iter().map(|seen| json!(seen.answer)).collect(),
            ),
        ]
        .into_iter()
        .collect(),
        lines,
    })
}

fn line(level: usize, seen: &Seen) -> String {
    let active = mean(&seen.active).map_or(String::new(), |share| format!("  x {:.1}%", 100.0 * share));
    let memory = mean(&seen.memory).map_or(String::new(), |size| format!("  memory {size:.3}"));
    let answer = seen
        .answer
        .as_ref()
        .map_or(String::new(), |answer| format!("  {answer}"));
    format!("level {level}{active}{memory}{answer}")
}

fn mean(values: &[f32]) -> Option<f64> {
    let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

/// Runs the levels one by one.
fn levels_of(
    model: &VisionModel,
    picture: &Picture,
    levels: usize,
    classes: &[String],
) -> Result<Vec<Seen>, VisionError> {
    let example = Example {
        picture: picture.clone(),
        label: None,
    };
    let v = model.encoder.embed(pixels(&[example], model), &Hidden::Nothing);
    let backbone = model.encoder.backbone(&v, &Hidden::Nothing)?;
    let mut state = backbone.start(v);
    let mut seen = Vec::with_capacity(levels);
    for level in 0..levels {
        let before = state.stream();
        let mode = if level == 0 {
            StepMode::Observe
        } else {
            StepMode::Refine
        };
        backbone.step(&mut state, mode, StepPass::default())?;
        seen.push(Seen::of(model, &*backbone, &before, &state, classes)?);
    }
    Ok(seen)
}

impl Seen {
    fn of(
        model: &VisionModel,
        backbone: &dyn Backbone,
        before: &Tensor<4>,
        state: &State,
        classes: &[String],
    ) -> Result<Self, VisionError> {
        let encoder = &model.encoder;
        let first = encoder.config().first_tokens();
        let x = encoder.trunk.as_ref().map(|trunk| {
            let x = perceive(before.clone(), &trunk.weights(), Default::default()); // [1, H, T, N]
            let tokens = x.dims()[2];
            x.narrow(2, first, tokens - first)
        });
        let active = x.as_ref().map(|x| {
            let active = x.clone().greater_elem(0.0).float();
            numbers(active.mean_dim(3).mean_dim(1)) // a number a patch
        });
        let mut whole = state.clone();
        backbone.settle(&mut whole)?;
        let memory = match (whole.banks().bank("patch"), &x) {
            (Ok(bank), _) => {
                let squares = bank.rho.clone().powi_scalar(2).sum_dim(4).sum_dim(3).sum_dim(1); // [1, 1, P, 1, 1]
                numbers(squares.sqrt())
            }
            (Err(_), Some(x)) => {
                let size = |x: Tensor<4>| x.powi_scalar(2).sum_dim(3).sqrt();
                let tokens = before.dims()[2];
                let v = before.clone().narrow(2, first, tokens - first);
                numbers(size(x.clone()).mean_dim(1) * size(v))
            }
            (Err(_), None) => Vec::new(),
        };
        let shares = match model.heads.logits(backbone.summary(state)?) {
            Some(logits) => shares(logits).into_iter().next(),
            None => None,
        };
        let answer = shares.and_then(|shares| {
            let class = (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b]))?;
            let name = classes.get(class).cloned().unwrap_or_else(|| class.to_string());
            Some(format!("{name} {:.1}%", 100.0 * shares[class]))
        });
        Ok(Self {
            tokens: numbers(encoder.patches(&state.stream())),
            active: active.unwrap_or_default(),
            memory,
            answer,
        })
    }
}

fn numbers<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().iter::<f32>().collect()
}

/// The maps as one picture, and the names of their rows. The picture itself stands before the first row.
fn drawing(model: &VisionModel, picture: &Picture, seen: &[Seen]) -> (Picture, Vec<&'static str>) {
    let config = model.encoder.config();
    let (side, d) = (config.grid().height, config.d_model);
    let all: Vec<f32> = seen.iter().flat_map(|seen| seen.tokens.iter().copied()).collect();
    let components = Components::of(&all, d);
    let mut rows: Vec<(&'static str, Vec<Vec<[u8; 3]>>)> = vec![(
        "tokens",
        seen.iter().map(|seen| components.colours(&seen.tokens)).collect(),
    )];
    let of: [(&'static str, ValuesOf); 2] = [("x", |seen| &seen.active), ("memory", |seen| &seen.memory)];
    for (name, values) in of {
        let most = seen
            .iter()
            .flat_map(values)
            .fold(0.0, |most: f32, &value| most.max(value));
        if most > 0.0 {
            let map = |seen: &Seen| values(seen).iter().map(|value| heat(value / most)).collect();
            rows.push((name, seen.iter().map(map).collect()));
        }
    }
    let map = side * SQUARE;
    let step = map + SPACE;
    let mut canvas = Picture::black(
        rows.len() * step + SPACE,
        (seen.len() + 1) * step + SPACE,
        Colours::Rgb,
    );
    paint(&mut canvas, (SPACE, SPACE), map, |row, column| {
        let at = |place: usize| place * config.image_size / map;
        colour(picture, at(row), at(column))
    });
    for (row, (_, maps)) in rows.iter().enumerate() {
        for (column, map_of) in maps.iter().enumerate() {
            let place = (SPACE + row * step, SPACE + (column + 1) * step);
            paint(&mut canvas, place, map, |y, x| {
                map_of[y / SQUARE * side + x / SQUARE]
            });
        }
    }
    (canvas, rows.into_iter().map(|(name, _)| name).collect())
}

/// Fills a square of the canvas.
fn paint(
    canvas: &mut Picture,
    (top, left): (usize, usize),
    side: usize,
    colour: impl Fn(usize, usize) -> [u8; 3],
) {
    for row in 0..side {
        for column in 0..side {
            canvas
                .pixel_mut(top + row, left + column)
                .copy_from_slice(&colour(row, column));
        }
    }
}

/// Colour of a pixel, gray as three equal channels.
fn colour(picture: &Picture, row: usize, column: usize) -> [u8; 3] {
    let channels = picture.colours().channels();
    let start = (row * picture.width() + column) * channels;
    let pixel = &picture.pixels()[start..start + channels];
    [pixel[0], pixel[channels / 2], pixel[channels - 1]]
}

/// Colour of a share from 0, dark blue, over red to 1, bright yellow.
fn heat(share: f32) -> [u8; 3] {
    let share = share.clamp(0.0, 1.0);
    let channel = |value: f32| (255.0 * value.clamp(0.0, 1.0)) as u8;
    [
        channel(1.8 * share),
        channel(2.0 * share - 1.0),
        channel(0.35 + 0.6 * share - 1.6 * share * share),
    ]
}

#[cfg(test)]
mod tests;
