//! Evaluation on pictures: accuracy level by level, and probes of summaries.

use super::{evaluated, spread};
use crate::batch::Batch;
use crate::config::VisionConfig;
use crate::data::{Example, Part, Pictures, Pixels};
use crate::encoder::{BackboneKind, Hidden, MemoryUse, Seen, VisionPass};
use crate::error::VisionError;
use crate::model::VisionModel;
use crate::objective::accuracy;
use crate::probe::{Features, Labelled, Probe, knn, probe};
use crate::report::{self, Report};
use burn::tensor::{Int, Tensor, TensorData};
use burn_dragon_train::api::Metrics;

/// Number of pictures that are run at once.
const TOGETHER: usize = 128;

/// A model to be judged on held-out pictures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JudgedPictures<'a> {
    pub(crate) config: &'a VisionConfig,
    pub(crate) pictures: &'a Pictures,
    pub(crate) model: &'a VisionModel,
    /// Numbers of the held-out pictures.
    pub(crate) held_out: &'a [usize],
}

/// What a model says of pictures, in words: the likeliest class with its probability.
pub(crate) fn said(
    model: &VisionModel,
    examples: &[Example],
    classes: &[String],
) -> Result<Vec<String>, VisionError> {
    let name = |class: usize| classes.get(class).map_or("?", String::as_str);
    let pixels = pixels(examples, model);
    let seen = model
        .encoder
        .look_last(pixels, &Hidden::Nothing, evaluated(model))?;
    let shares = match model.heads.logits(seen.summary) {
        Some(logits) => shares(logits),
        None => vec![Vec::new(); examples.len()],
    };
    let words = examples.iter().zip(shares).map(|(example, shares)| {
        let truth = example.label.map(|label| format!("{}: ", name(label as usize)));
        let likeliest = (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b]));
        let answer = likeliest.map(|class| format!("{} ({:.0}%)", name(class), 100.0 * shares[class]));
        format!(
            "{}{}",
            truth.unwrap_or_default(),
            answer.unwrap_or_else(|| "no classifier".into())
        )
    });
    Ok(words.collect())
}

/// Probabilities of the classes, picture by picture.
pub(crate) fn shares(logits: Tensor<2>) -> Vec<Vec<f32>> {
    let classes = logits.dims()[1];
    let shares = burn::tensor::activation::softmax(logits, 1)
        .into_data()
        .convert::<f32>();
    let values: Vec<f32> = shares.iter::<f32>().collect();
    values.chunks(classes).map(<[f32]>::to_vec).collect()
}

/// Pictures as the model reads them, `[B, S, S, C]`.
pub(crate) fn pixels(examples: &[Example], model: &VisionModel) -> Tensor<4> {
    let views = examples
        .iter()
        .map(|example| Pixels::from(&example.picture))
        .collect();
    Batch::new(&[views], Vec::new()).pixels(0, &model.device())
}

/// Summaries of pictures, after the last level of a pass.
fn features(
    model: &VisionModel,
    part: &Part,
    indices: &[usize],
    pass: VisionPass,
) -> Result<Features, VisionError> {
    let mut rows = Vec::new();
    for indices in indices.chunks(TOGETHER) {
        let pixels = pixels(&part.batch(indices)?, model);
        rows.push(model.encoder.look_last(pixels, &Hidden::Nothing, pass)?.summary);
    }
    Features::from_tensor(Tensor::cat(rows, 0))
}

/// Pixels of pictures as features.
fn raw(part: &Part, indices: &[usize]) -> Result<Features, VisionError> {
    let mut values = Vec::new();
    for indices in indices.chunks(TOGETHER) {
        for example in part.batch(indices)? {
            values.extend(
                example
                    .picture
                    .pixels()
                    .iter()
                    .map(|&pixel| f32::from(pixel) / 255.0),
            );
        }
    }
    Features::new(part.shape().numbers(), values)
}

/// Classes of pictures; `None` if they have none.
fn labels(part: &Part, indices: &[usize]) -> Option<Vec<usize>> {
    let labels = part.labels()?;
    Some(indices.iter().map(|&index| labels[index] as usize).collect())
}

impl JudgedPictures<'_> {
    /// Figures in the course of a run: accuracy of the classifier, or of the nearest neighbours in the features.
    pub(crate) fn between(&self) -> Result<Metrics, VisionError> {
        if self.model.heads.classifier.is_some() {
            let right =
                self.accuracy_by_level(self.model.encoder.config().evaluated(), MemoryUse::Carried)?;
            let last = right.last().copied().unwrap_or_default();
            return Ok(Metrics::from([(report::ACCURACY.into(), last)]));
        }
        let known = spread(self.pictures.train.len(), self.config.probe.pictures_between);
        let (Some(train), Some(test)) = (
            labels(&self.pictures.train, &known),
            labels(&self.pictures.validation, self.held_out),
        ) else {
            return Ok(Metrics::new());
        };
        let pass = evaluated(self.model);
        let of_train = features(self.model, &self.pictures.train, &known, pass)?;
        let of_test = features(self.model, &self.pictures.validation, self.held_out, pass)?;
        let labelled = Labelled::new(&of_train, &train, self.pictures.classes.len())?;
        let config = &self.config.probe;
        let predictions = knn(labelled, &of_test, config.neighbours, config.temperature)?;
        let right = crate::probe::accuracy(&predictions, &test);
        Ok(Metrics::from([(report::NEIGHBOURS.into(), right)]))
    }

    /// Figures at the end of a run, beside an untrained model.
    pub(crate) fn at_the_end(&self, untrained: &VisionModel) -> Result<Report, VisionError> {
        let model = self.model.encoder.config();
        let levels = model.evaluated();
        let right = match self.model.heads.classifier {
            Some(_) => self.accuracy_by_level(2 * levels, MemoryUse::Carried)?,
            None => Vec::new(),
        };
        let one = VisionPass {
            levels: Some(1),
            ..VisionPass::default()
        };
        let probes = [
            ("raw pixels", self.probe(raw)?),
            (
                "untrained encoder",
                self.probe(|part, indices| features(untrained, part, indices, evaluated(untrained)))?,
            ),
            (
                "this encoder, one level",
                self.probe(|part, indices| features(self.model, part, indices, one))?,
            ),
            (
                "this encoder",
                self.probe(|part, indices| features(self.model, part, indices, evaluated(self.model)))?,
            ),
        ];
        Ok(Report {
            objective: self.config.objective.name(),
            things: "pictures",
            classes: self.pictures.classes.len(),
            held_out: self.held_out.len(),
            known: self.known().len(),
            levels,
            right,
            ablations: self.ablations(levels)?,
            probes: probes
                .into_iter()
                .filter_map(|(name, probe)| Some((name, probe?)))
                .collect(),
        })
    }

    /// Accuracy of the classifier with other uses of the memories that levels carry; none without a classifier or such memories.
    fn ablations(&self, levels: usize) -> Result<Vec<(&'static str, f64)>, VisionError> {
        let carries = matches!(
            self.model.encoder.config().kind,
            BackboneKind::Cellular | BackboneKind::Pyramid
        );
        if !carries || self.model.heads.classifier.is_none() {
            return Ok(Vec::new());
        }
        let uses = [
            ("wiped", MemoryUse::WipedAt(levels.div_ceil(2) + 1)),
            ("reset", MemoryUse::ResetEachStep),
            ("never_written", MemoryUse::NeverWritten),
        ];
        let of = |(name, memory)| {
            let right = self.accuracy_by_level(levels, memory)?;
            Ok((name, right.last().copied().unwrap_or_default()))
        };
        uses.into_iter().map(of).collect()
    }

    /// Numbers of the training pictures that the probes know.
    fn known(&self) -> Vec<usize> {
        spread(self.pictures.train.len(), self.config.probe.pictures)
    }

    /// Probes of some features; `None` for pictures without labels.
    fn probe(
        &self,
        features: impl Fn(&Part, &[usize]) -> Result<Features, VisionError>,
    ) -> Result<Option<Probe>, VisionError> {
        let (known, classes) = (self.known(), self.pictures.classes.len());
        let Pictures {
            train, validation, ..
        } = self.pictures;
        let (Some(of_train), Some(of_test)) = (labels(train, &known), labels(validation, self.held_out))
        else {
            return Ok(None);
        };
        let (known, held_out) = (features(train, &known)?, features(validation, self.held_out)?);
        let train = Labelled::new(&known, &of_train, classes)?;
        let test = Labelled::new(&held_out, &of_test, classes)?;
        probe(&self.config.probe, train, test).map(Some)
    }

    /// Share of the held-out pictures that the classifier has right after each level.
    pub(crate) fn accuracy_by_level(
        &self,
        levels: usize,
        memory: MemoryUse,
    ) -> Result<Vec<f64>, VisionError> {
        let pass = VisionPass {
            levels: Some(levels),
            memory,
            ..VisionPass::default()
        };
        let mut right = vec![0.0; levels];
        for indices in self.held_out.chunks(TOGETHER) {
            let examples = self.pictures.validation.batch(indices)?;
            let targets: Vec<i32> = examples
                .iter()
                .filter_map(|example| example.label)
                .map(|label| label as i32)
                .collect();
            let targets =
                Tensor::<1, Int>::from_data(TensorData::new(targets, [examples.len()]), &self.model.device());
            let seen = self
                .model
                .encoder
                .look(pixels(&examples, self.model), &Hidden::Nothing, pass)?;
            for (right, Seen { summary, .. }) in right.iter_mut().zip(seen) {
                *right += accuracy(self.model.logits(summary)?, targets.clone()) * examples.len() as f64;
            }
        }
        let all = self.held_out.len().max(1) as f64;
        Ok(right.into_iter().map(|right| right / all).collect())
    }
}
