//! Vision as a task of the trainer.

use crate::batch::Batch;
use crate::config::{ObjectiveConfig, VisionConfig};
use crate::data::{Data, Example, PictureShape, half_blocks, png, sheet};
use crate::drawing::Drawing;
use crate::encoder::VisionPass;
use crate::error::VisionError;
use crate::evaluate::{self, JudgedClips, JudgedPictures};
use crate::export;
use crate::keys;
use crate::model::{VisionModel, VisionModelConfig};
use crate::objective::{self, Learning, Teacher};
use crate::picture::Picture;
use crate::report::{self, Report};
use burn::module::Module;
use burn::tensor::Device;
use burn_dragon_checkpoint::api::Content;
use burn_dragon_core::api::expert::derive;
use burn_dragon_core::api::{FreeMemory, TensorShape};
use burn_dragon_train::api::{
    DataPosition, Evaluation, Extent, Figure, FigureFormat, Identity, Keys, Loss, LossContext, Metrics,
    Sample, SampleFile, Scope, Task, TaskState, TrainError, Unit, read_model,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Number of pictures of a sample for a person.
const SHOWN: usize = 8;

/// Name of the file with the first picture of a sample.
pub(crate) const ONE: &str = "picture.png";

/// Task of the vision family: an objective on pictures or clips.
#[derive(Debug)]
pub struct VisionTask {
    config: VisionConfig,
    model: VisionModelConfig,
    data: Data,
    /// Model whose features are learnt, without autodiff.
    teacher: Option<VisionModel>,
    device: Device,
}

impl VisionTask {
    /// Makes or reads the data, and reads the teacher. `device` is the device of the batches, with autodiff.
    ///
    /// # Errors
    /// If a setting is out of range, or pictures or teacher cannot be read or do not fit.
    pub fn new(config: &VisionConfig, device: &Device) -> Result<Self, VisionError> {
        config.validate()?;
        let shape = PictureShape {
            size: config.model.image_size,
            colours: config.model.colours,
        };
        let data = config.dataset.load(shape)?;
        let teacher = match &config.objective {
            ObjectiveConfig::Distill(distill) => {
                Some(export::teacher(&distill.teacher, &config.model, device)?)
            }
            _ => None,
        };
        let width = teacher.as_ref().map(|teacher| teacher.encoder.config().d_model);
        let classes = data.classes().len();
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
            heads: config.objective.heads(config.model.kind, classes, width),
        };
        model.validate()?;
        Ok(Self {
            config: config.clone(),
            model,
            data,
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

    /// Pictures or clips of the run.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Teacher, if the objective has one that does not learn.
    pub(crate) fn teacher(&self) -> Option<&VisionModel> {
        self.teacher.as_ref()
    }

    fn drawing(&self) -> Drawing<'_> {
        Drawing {
            config: &self.config,
            data: &self.data,
        }
    }

    /// Mean loss of the objective on held-out data. An evaluation knows no average of the model, so that in place of such a
    /// teacher stands the model itself.
    fn held_out_loss(&self, model: &VisionModel, held_out: &[usize]) -> Result<f64, VisionError> {
        let size = self.config.training.batch_size.max(1);
        let teacher = self.teacher().or(Some(model));
        let (mut sum, mut count) = (0.0, 0);
        for (number, indices) in held_out.chunks(size).enumerate() {
            let batch = self.drawing().held_out(indices)?;
            let learning = Learning {
                pass: self.pass(None, true),
                seed: derive(self.config.training.seed, "evaluation", number as u64, 0),
                watch: false,
                updates: u64::MAX,
            };
            let loss = objective::loss(&self.config.objective, model, teacher, &batch, learning)?;
            sum += loss.value.into_scalar::<f64>() * indices.len() as f64;
            count += indices.len();
        }
        Ok(sum / count.max(1) as f64)
    }

    /// Figures in the course of a run, or with a report at its end.
    fn judged(
        &self,
        model: &VisionModel,
        held_out: &[usize],
        scope: Scope,
    ) -> Result<(Metrics, Vec<String>), VisionError> {
        let config = &self.config;
        let untrained = || VisionModel::new(&self.model, config.training.seed, &self.device);
        let report = |report: Report| (report.metrics(), report.lines());
        match &self.data {
            Data::Pictures(pictures) => {
                let judged = JudgedPictures {
                    config,
                    pictures,
                    model,
                    held_out,
                };
                match scope {
                    Scope::Sample { .. } => Ok((judged.between()?, Vec::new())),
                    Scope::Full => judged.at_the_end(&untrained()?.valid()).map(report),
                }
            }
            Data::Clips(clips) => {
                let judged = JudgedClips {
                    config,
                    clips,
                    model,
                    held_out,
                };
                match scope {
                    Scope::Sample { .. } => Ok((judged.between()?, Vec::new())),
                    Scope::Full => judged.at_the_end(&untrained()?.valid()).map(report),
                }
            }
        }
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

impl Task for VisionTask {
    type Model = VisionModel;
    type Batch = Batch;
    type Cursor = ();
    /// Teacher that is an average of the model, if the objective has one.
    type Carry = Option<Teacher>;

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

    fn carry(&self, model: &VisionModel) -> Result<Option<Teacher>, TrainError> {
        let decay = self.config.objective.teacher_decay();
        Ok(decay.map(|_| Teacher::new(model)))
    }

    fn batch(&self, position: DataPosition, _cursor: &mut ()) -> Result<Batch, TrainError> {
        let units = position.units..position.units + self.units_per_batch();
        Ok(self.drawing().training(units)?)
    }

    fn prefetches(&self) -> bool {
        true
    }

    fn loss(
        &self,
        model: &VisionModel,
        batch: Batch,
        carry: &mut Option<Teacher>,
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
            updates: carry.as_ref().map_or(0, Teacher::updates),
        };
        let objective = &self.config.objective;
        let own = objective.is_its_own_teacher().then(|| model.valid());
        let average = carry.as_ref().map(Teacher::model);
        let teacher = self.teacher().or(average).or(own.as_ref());
        Ok(objective::loss(objective, model, teacher, &batch, learning)?)
    }

    fn after_update(
        &self,
        model: &VisionModel,
        carry: &mut Option<Teacher>,
        _step: u64,
    ) -> Result<(), TrainError> {
        if let (Some(teacher), Some(decay)) = (carry, self.config.objective.teacher_decay()) {
            teacher.update(model, decay);
        }
        Ok(())
    }

    fn evaluate(&self, model: &VisionModel, scope: Scope) -> Result<Evaluation, TrainError> {
        let held_out = self.drawing().evaluated(scope);
        let loss = self.held_out_loss(model, &held_out)?;
        let (metrics, notes) = self.judged(model, &held_out, scope)?;
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
        let (examples, columns) = shown(&self.data)?;
        let pictures: Vec<_> = examples.iter().map(|example| example.picture.clone()).collect();
        let words = evaluate::said(model, &examples, self.data.classes())?;
        let mut text = String::new();
        for (picture, words) in pictures.iter().zip(&words).take(2) {
            text.push_str(&half_blocks(picture, false));
            text.push_str(&format!("{words}\n\n"));
        }
        for words in words.iter().skip(2) {
            text.push_str(&format!("{words}\n"));
        }
        let file = |name: &str, picture: &Picture| {
            Ok::<_, VisionError>(SampleFile {
                name: name.into(),
                bytes: png(picture)?,
            })
        };
        let mut files = vec![file("pictures.png", &sheet(&pictures, columns))?];
        if let Some(first) = pictures.first() {
            files.push(file(ONE, first)?);
        }
        Ok(Some(Sample {
            text: Some(text),
            files,
        }))
    }

    fn identity(&self) -> Identity {
        Identity {
            settings: Self::keys().kept(&self.config),
            data: self.data.hashes(),
        }
    }

    fn unit(&self) -> Unit {
        let things = self.data.things();
        let one = match &self.data {
            Data::Pictures(_) => "picture",
            Data::Clips(_) => "clip",
        };
        Unit {
            one,
            many: things,
            short: things,
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
        self.data.sizes()[0] as u64
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

    fn carried_bytes(&self) -> u64 {
        let average = self.config.objective.teacher_decay();
        average.map_or(0, |_| self.model.parameters().saturating_mul(4))
    }

    fn largest_batch(&self, memory: FreeMemory, most: u64) -> Option<u64> {
        memory.largest(most, |pictures| self.config.step_bytes(pictures as usize))
    }

    fn evaluated_units(&self, scope: Scope) -> u64 {
        let held_out = self.drawing().evaluated(scope).len() as u64;
        let probe = &self.config.probe;
        let known = |pictures: usize| pictures.min(self.data.sizes()[0]) as u64;
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
        let file = export::model_file(state.model, self.data.classes(), (state.step, state.units));
        let model = Content::Tensors(file.into_tensor_file());
        let mut files = BTreeMap::from([(export::FILE.to_string(), model)]);
        if let Some(teacher) = state.carry {
            let (name, file) = teacher.snapshot();
            files.insert(name, Content::Tensors(file));
        }
        Ok(files)
    }

    fn restore(&self, model: VisionModel, folder: &Path) -> Result<VisionModel, TrainError> {
        read_model(&export::VISION, &self.model, model, folder)
    }

    fn restore_carried(
        &self,
        _model: &VisionModel,
        _cursor: &mut (),
        carry: &mut Option<Teacher>,
        folder: &Path,
    ) -> Result<(), TrainError> {
        match carry {
            Some(teacher) => Ok(teacher.restore(folder)?),
            None => Ok(()),
        }
    }
}

/// Held-out pictures for a person, or the frames of a clip, and their number in a row.
fn shown(data: &Data) -> Result<(Vec<Example>, usize), VisionError> {
    match data {
        Data::Pictures(pictures) => {
            let shown = evaluate::spread(pictures.validation.len(), SHOWN);
            Ok((pictures.validation.batch(&shown)?, SHOWN))
        }
        Data::Clips(clips) => {
            let clip = clips.validation.get(0);
            let example = |picture| Example {
                picture,
                label: Some(clip.label),
            };
            let frames: Vec<Example> = clip.frames.into_iter().take(SHOWN).map(example).collect();
            Ok((frames, SHOWN))
        }
    }
}
