//! Vision as a task of the trainer.

use crate::batch::Batch;
use crate::config::{ObjectiveConfig, VisionConfig};
use crate::data::{
    Data, Example, Part, PictureShape, Pictures, Pixels, augment, half_blocks, png, sheet, views,
};
use crate::encoder::VisionPass;
use crate::error::VisionError;
use crate::evaluate::{self, Judged};
use crate::export;
use crate::keys;
use crate::model::{VisionModel, VisionModelConfig};
use crate::objective::{self, Learning};
use crate::report;
use burn::module::Module;
use burn::tensor::Device;
use burn_dragon_checkpoint::api::Content;
use burn_dragon_core::api::expert::derive;
use burn_dragon_core::api::{FreeMemory, TensorShape};
use burn_dragon_stream::api::Shuffle;
use burn_dragon_train::api::{
    DataPosition, Evaluation, Extent, Figure, FigureFormat, Identity, Keys, Loss, LossContext, Metrics,
    Sample, SampleFile, Scope, Task, TaskState, TrainError, Unit,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Number of pictures of a sample for a person.
const SHOWN: usize = 8;

/// Task of the vision family: an objective on pictures.
#[derive(Debug)]
pub struct VisionTask {
    config: VisionConfig,
    model: VisionModelConfig,
    pictures: Pictures,
    /// Model whose features are learnt, without autodiff.
    teacher: Option<VisionModel>,
    device: Device,
}

impl VisionTask {
    /// Makes or reads the pictures, and reads the teacher. `device` is the device of the batches, with autodiff.
    ///
    /// # Errors
    /// If a setting is out of range, or pictures or teacher cannot be read or do not fit.
    pub fn new(config: &VisionConfig, device: &Device) -> Result<Self, VisionError> {
        config.validate()?;
        let shape = PictureShape {
            size: config.model.image_size,
            colours: config.model.colours,
        };
        let pictures = match config.dataset.load(shape)? {
            Data::Pictures(pictures) => pictures,
            Data::Clips(_) => {
                return Err(VisionError::Config {
                    key: "dataset.type",
                    reason: format!(
                        "has clips, and objective.type = \"{}\" learns from pictures",
                        config.objective.name()
                    ),
                });
            }
        };
        let teacher = match &config.objective {
            ObjectiveConfig::Distill(distill) => {
                Some(export::teacher(&distill.teacher, &config.model, device)?)
            }
            _ => None,
        };
        let width = teacher.as_ref().map(|teacher| teacher.encoder.config().d_model);
        let classes = pictures.classes.len();
        if classes == 0 && matches!(config.objective, ObjectiveConfig::Supervised(_)) {
            return Err(VisionError::Config {
                key: "objective.type",
                reason: "is \"supervised\", which needs classes, and these pictures have none; choose another objective, or \
                         put the pictures of each class into a folder of its own"
                    .into(),
            });
        }
        let model = VisionModelConfig {
            encoder: config.model.clone(),
            heads: config.objective.heads(classes, width),
        };
        model.validate()?;
        Ok(Self {
            config: config.clone(),
            model,
            pictures,
            teacher,
            device: device.clone(),
        })
    }

    /// Configuration of the run.
    pub fn config(&self) -> &VisionConfig {
        &self.config
    }

    /// Configuration of the model.
    pub fn model(&self) -> &VisionModelConfig {
        &self.model
    }

    /// Pictures of the run.
    pub fn pictures(&self) -> &Pictures {
        &self.pictures
    }

    /// Teacher, if the objective has one that does not learn.
    pub(crate) fn teacher(&self) -> Option<&VisionModel> {
        self.teacher.as_ref()
    }

    /// Position of picture number `unit` over all epochs. Each epoch shows each picture once, in an order of its own.
    fn index(&self, unit: u64) -> usize {
        let (seed, count) = (self.config.training.seed, self.pictures.train.len() as u64);
        let order = Shuffle::of_epoch(count, seed, unit / count);
        order.get(unit % count).unwrap_or_default() as usize
    }

    /// Batch of pictures, each with the number by which its random changes are drawn.
    pub(crate) fn batch_of(
        &self,
        part: &Part,
        drawn: &[(usize, u64)],
        changes: bool,
    ) -> Result<Batch, VisionError> {
        let indices: Vec<usize> = drawn.iter().map(|(index, _)| *index).collect();
        let examples = part.batch(&indices)?;
        let (seed, size) = (self.config.training.seed, self.config.model.image_size);
        let shown = examples.iter().zip(drawn);
        let views = match &self.config.objective {
            ObjectiveConfig::Lejepa(lejepa) => {
                let of = |(example, (_, unit)): (&Example, &(usize, u64))| {
                    let seed = derive(seed, "augment", *unit, 0);
                    views(&example.picture, &self.config.augment, &lejepa.views, size, seed)
                };
                transposed(shown.map(of).collect())
            }
            _ => {
                let of = |(example, (_, unit)): (&Example, &(usize, u64))| match changes {
                    true => augment(
                        &example.picture,
                        &self.config.augment,
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

    /// Numbers of held-out pictures of an evaluation: all, or a fixed sample, spread evenly.
    fn evaluated(&self, scope: Scope) -> Vec<usize> {
        let all = self.pictures.validation.len();
        let count = match scope {
            Scope::Full => all,
            Scope::Sample { batches } => batches
                .saturating_mul(self.config.training.batch_size)
                .clamp(1, all.max(1)),
        };
        evaluate::spread(all, count)
    }

    /// Mean loss of the objective on held-out pictures.
    fn held_out_loss(&self, model: &VisionModel, pictures: &[usize]) -> Result<f64, VisionError> {
        let size = self.config.training.batch_size.max(1);
        let (mut sum, mut count) = (0.0, 0);
        for (number, indices) in pictures.chunks(size).enumerate() {
            let drawn: Vec<(usize, u64)> = indices.iter().map(|&index| (index, index as u64)).collect();
            let batch = self.batch_of(&self.pictures.validation, &drawn, false)?;
            let learning = Learning {
                pass: self.pass(None, true),
                seed: derive(self.config.training.seed, "evaluation", number as u64, 0),
                watch: false,
            };
            let loss = objective::loss(&self.config.objective, model, self.teacher(), &batch, learning)?;
            sum += loss.value.into_scalar::<f64>() * indices.len() as f64;
            count += indices.len();
        }
        Ok(sum / count.max(1) as f64)
    }

    fn pass(&self, dropout_seed: Option<u64>, evaluated: bool) -> VisionPass {
        let model = &self.config.model;
        VisionPass {
            levels: evaluated.then(|| model.evaluated()),
            dropout_seed,
            precision: match evaluated {
                true => Default::default(),
                false => self.config.training.precision.concrete().unwrap_or_default(),
            },
            ..VisionPass::default()
        }
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

impl Task for VisionTask {
    type Model = VisionModel;
    type Batch = Batch;
    type Cursor = ();
    type Carry = ();

    fn keys() -> Keys {
        keys::KEYS
    }

    fn new_model(&self) -> Result<VisionModel, TrainError> {
        self.check_memory(FreeMemory::of_this_machine())?;
        Ok(VisionModel::new(
            &self.model,
            self.config.training.seed,
            &self.device,
        )?)
    }

    fn cursor(&self) -> Result<(), TrainError> {
        Ok(())
    }

    fn carry(&self, _model: &VisionModel) -> Result<(), TrainError> {
        Ok(())
    }

    fn batch(&self, position: DataPosition, _cursor: &mut ()) -> Result<Batch, TrainError> {
        let units = position.units..position.units + self.units_per_batch();
        let drawn: Vec<(usize, u64)> = units.map(|unit| (self.index(unit), unit)).collect();
        Ok(self.batch_of(&self.pictures.train, &drawn, true)?)
    }

    fn prefetches(&self) -> bool {
        true
    }

    fn loss(
        &self,
        model: &VisionModel,
        batch: Batch,
        _carry: &mut (),
        context: LossContext,
    ) -> Result<Loss, TrainError> {
        let learning = Learning {
            pass: VisionPass {
                dropout_seed: Some(context.dropout_seed),
                precision: self.config.training.precision.concrete()?,
                ..VisionPass::default()
            },
            seed: context.dropout_seed,
            watch: context.watch,
        };
        Ok(objective::loss(
            &self.config.objective,
            model,
            self.teacher(),
            &batch,
            learning,
        )?)
    }

    fn evaluate(&self, model: &VisionModel, scope: Scope) -> Result<Evaluation, TrainError> {
        let pictures = self.evaluated(scope);
        let loss = self.held_out_loss(model, &pictures)?;
        let judged = Judged {
            config: &self.config,
            pictures: &self.pictures,
            model,
            held_out: &pictures,
        };
        let mut metrics = Metrics::new();
        let notes = match scope {
            Scope::Sample { .. } => {
                metrics.extend(judged.between()?);
                Vec::new()
            }
            Scope::Full => {
                let untrained = self.new_model()?.valid();
                let report = judged.at_the_end(&untrained)?;
                metrics.extend(report.metrics());
                report.lines()
            }
        };
        Ok(Evaluation { loss, metrics, notes })
    }

    /// Share of wrong pictures by the classifier, or by the nearest neighbours in the features; the loss where pictures have no
    /// labels.
    fn score(&self, evaluation: &Evaluation) -> f64 {
        let accuracy = [report::ACCURACY, report::NEIGHBOURS]
            .iter()
            .find_map(|key| evaluation.metrics.get(*key));
        accuracy.map_or(evaluation.loss, |accuracy| 1.0 - accuracy)
    }

    fn sample(&self, model: &VisionModel, _step: u64) -> Result<Option<Sample>, TrainError> {
        let shown = evaluate::spread(self.pictures.validation.len(), SHOWN);
        let examples = self.pictures.validation.batch(&shown)?;
        let pictures: Vec<_> = examples.iter().map(|example| example.picture.clone()).collect();
        let words = evaluate::said(model, &examples, &self.pictures.classes)?;
        let mut text = String::new();
        for (picture, words) in pictures.iter().zip(&words).take(2) {
            text.push_str(&half_blocks(picture, false));
            text.push_str(&format!("{words}\n\n"));
        }
        for words in words.iter().skip(2) {
            text.push_str(&format!("{words}\n"));
        }
        Ok(Some(Sample {
            text: Some(text),
            files: vec![SampleFile {
                name: "pictures.png".into(),
                bytes: png(&sheet(&pictures, SHOWN))?,
            }],
        }))
    }

    fn identity(&self) -> Identity {
        Identity {
            settings: Self::keys().kept(&self.config),
            data: self.pictures.hashes(),
        }
    }

    fn unit(&self) -> Unit {
        Unit {
            one: "picture",
            many: "pictures",
            short: "pictures",
        }
    }

    fn figures(&self) -> Vec<Figure> {
        let share = |key, name, label| Figure {
            key,
            name,
            label,
            format: FigureFormat::Percent,
            factor: None,
        };
        vec![
            share(report::ACCURACY, "held-out pictures right", "right"),
            share(
                report::NEIGHBOURS,
                "held-out pictures right by nearest neighbours",
                "neighbours",
            ),
            share("accuracy", "training pictures right", "training"),
        ]
    }

    fn units_per_batch(&self) -> u64 {
        self.config.training.batch_size as u64
    }

    fn units_per_epoch(&self) -> u64 {
        self.pictures.train.len() as u64
    }

    fn flops_per_unit(&self) -> u64 {
        self.config.step_flops()
    }

    fn bytes_per_step(&self) -> u64 {
        self.config.step_bytes(self.config.training.batch_size)
    }

    fn tensors(&self) -> Vec<TensorShape> {
        self.model.tensors()
    }

    fn largest_batch(&self, memory: FreeMemory, most: u64) -> Option<u64> {
        memory.largest(most, |pictures| self.config.step_bytes(pictures as usize))
    }

    fn evaluated_units(&self, scope: Scope) -> u64 {
        let held_out = self.evaluated(scope).len() as u64;
        let probe = &self.config.probe;
        let known = |pictures: usize| pictures.min(self.pictures.train.len()) as u64;
        match scope {
            Scope::Sample { .. } => 2 * held_out + known(probe.pictures_between),
            Scope::Full => 5 * held_out + 2 * known(probe.pictures),
        }
    }

    fn extent(&self) -> Option<Extent> {
        let (model, lanes) = (&self.config.model, self.config.training.batch_size);
        Some(Extent {
            heads: model.n_heads,
            levels: model.n_levels,
            lanes,
        })
    }

    fn cut(&mut self, to: Extent) -> Result<Extent, TrainError> {
        let neurons = self.config.model.neurons_per_head();
        for model in [&mut self.config.model, &mut self.model.encoder] {
            (model.n_heads, model.n_neurons, model.n_levels) = (to.heads, neurons * to.heads, to.levels);
        }
        self.config.training.batch_size = to.lanes;
        Ok(to)
    }

    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError> {
        let file = export::model_file(state.model, &self.pictures.classes, (state.step, state.units));
        Ok(BTreeMap::from([(
            export::FILE.to_string(),
            Content::Tensors(file.into_tensor_file()),
        )]))
    }

    fn restore(&self, model: VisionModel, folder: &Path) -> Result<VisionModel, TrainError> {
        export::restore(model, &folder.join(export::FILE)).map_err(TrainError::from)
    }
}
