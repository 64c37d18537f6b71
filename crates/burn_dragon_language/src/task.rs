//! Language modelling as the trainer sees it.

use crate::config::LanguageConfig;
use crate::data::{Corpus, WindowPlan};
use crate::error::LanguageError;
use crate::evaluate::{
    Evaluator, LanguageEvaluation, Memory, WindowReading, inputs_and_targets, recall_lines,
};
use crate::generate::Generator;
use crate::streams::{Batch, StreamPlan, Streams, Window};
use crate::tales::RecallProbe;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_dragon_checkpoint::model::{ModelFile, ModelInfo};
use burn_dragon_core::density::{Density, DensityProbe};
use burn_dragon_core::loss::cross_entropy;
use burn_dragon_core::seed::derive;
use burn_dragon_core::{Dragon, DragonConfig, Pass, parameters};
use burn_dragon_stream::api::TbpttWindow;
use burn_dragon_train::TrainError;
use burn_dragon_train::settings::TrainingConfig;
use burn_dragon_train::task::{Evaluation, Loss, LossContext, Metrics, Scope, Task};
use std::collections::BTreeMap;
use std::path::Path;

/// Held-out tales of a quick look at recall, and of the final one.
const PROBE_TALES: usize = 48;

/// Next-token prediction on a corpus.
#[derive(Debug)]
pub struct LanguageTask {
    config: LanguageConfig,
    model_config: DragonConfig,
    corpus: Corpus,
    train_windows: WindowPlan,
    validation_windows: WindowPlan,
    streams: Option<StreamPlan>,
    probes: Option<Probes>,
    device: Device,
}

/// The recall probe in two sizes.
#[derive(Debug)]
struct Probes {
    quick: RecallProbe,
    full: RecallProbe,
}

impl LanguageTask {
    /// Reads the corpus; `device` is where batches are made, with autodiff.
    ///
    /// # Errors
    /// If the data cannot be read, or does not fit the model.
    pub fn new(config: &LanguageConfig, base_dir: &Path, device: &Device) -> Result<Self, LanguageError> {
        let corpus = Corpus::load(&config.dataset, base_dir, None)?;
        Self::with_corpus(config, corpus, device)
    }

    /// A task on a corpus that was read before.
    ///
    /// # Errors
    /// If it does not fit the model, or is shorter than a window.
    pub fn with_corpus(
        config: &LanguageConfig,
        corpus: Corpus,
        device: &Device,
    ) -> Result<Self, LanguageError> {
        let model_config = config.model.with_vocabulary(corpus.tokenizer.vocab_size())?;
        check_prompt(config, &corpus)?;
        let block = config.training.block_size;
        let source = &config.dataset.source;
        let quick = source.recall_probe(PROBE_TALES)?;
        let probes = quick.zip(source.recall_probe(usize::MAX)?);
        let probes = probes.map(|(quick, full)| Probes { quick, full });
        let train_windows = WindowPlan::new(&corpus.train, block, config.dataset.windows)?;
        let run = windows_of_a_run(config, &train_windows);
        let streams = config
            .training
            .streams
            .as_ref()
            .map(|streams| StreamPlan::new(streams, &config.training, &corpus, config.dataset.windows));
        Ok(Self {
            train_windows: train_windows.for_run(run),
            validation_windows: WindowPlan::new(&corpus.validation, block, config.dataset.windows)?,
            streams: streams.transpose()?,
            config: config.clone(),
            model_config,
            corpus,
            probes,
            device: device.clone(),
        })
    }

    /// A new model of the run's shape and seed.
    ///
    /// # Errors
    /// If the shape is not one a model can have.
    pub fn new_model(&self) -> Result<Dragon, LanguageError> {
        Ok(Dragon::new(
            &self.model_config,
            self.config.training.seed,
            &self.device,
        )?)
    }

    /// The shape of the model, vocabulary included.
    pub fn model_config(&self) -> &DragonConfig {
        &self.model_config
    }

    /// The text, as tokens.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// All held-out figures, as `dragon eval` reports them.
    ///
    /// # Errors
    /// If the data does not fit the model.
    pub fn full_evaluation(&self, dragon: &Dragon) -> Result<LanguageEvaluation, LanguageError> {
        self.evaluation(dragon, None)
    }

    fn evaluation(
        &self,
        dragon: &Dragon,
        windows: Option<usize>,
    ) -> Result<LanguageEvaluation, LanguageError> {
        let evaluator = self.evaluator();
        let mut evaluation =
            evaluator.text(dragon, &self.corpus.validation, &self.validation_windows, windows)?;
        if let Some(probes) = &self.probes {
            let probe = if windows.is_some() {
                &probes.quick
            } else {
                &probes.full
            };
            evaluation.recall = evaluator.recall(dragon, probe)?;
        }
        Ok(evaluation)
    }

    /// Held-out documents read window by window, as a model that learnt from streams is used.
    fn carried_bits_per_byte(&self, dragon: &Dragon) -> Result<f64, LanguageError> {
        let reading = WindowReading {
            memory: Memory::Carried,
            block_size: self.config.training.block_size,
        };
        let read = self
            .evaluator()
            .streams(dragon, &self.corpus.validation, reading)?;
        Ok(read.bits_per_byte)
    }

    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator {
            tokenizer: &*self.corpus.tokenizer,
            batch_size: self.config.training.batch_size,
        }
    }
}

impl Task for LanguageTask {
    type Model = Dragon;
    type Batch = Batch;
    type Carry = Option<Streams>;

    fn family(&self) -> &'static str {
        "language"
    }

    fn carry(&self, model: &Dragon) -> Result<Self::Carry, TrainError> {
        Ok(self.streams.as_ref().map(|plan| plan.start(model)))
    }

    fn batch(&self, step: u64, micro: u32, carry: &mut Self::Carry) -> Result<Batch, TrainError> {
        let training = &self.config.training;
        let index = step * u64::from(training.accumulate) + u64::from(micro);
        if let (Some(plan), Some(streams)) = (&self.streams, carry) {
            return Ok(plan.batch(index, &self.corpus.train, streams, &self.device));
        }
        let first = index * training.batch_size as u64;
        let windows = (0..training.batch_size as u64)
            .map(|lane| self.train_windows.window(training.seed, first + lane));
        let ids = &self.corpus.train.ids;
        let rows: Vec<&[u32]> = windows.map(|window| &ids[window]).collect();
        let (inputs, targets) = inputs_and_targets(&rows, &self.device);
        Ok(Batch::of_window(inputs, targets))
    }

    fn loss(
        &self,
        model: &Dragon,
        batch: Batch,
        carry: &mut Self::Carry,
        context: LossContext,
    ) -> Result<Loss, TrainError> {
        let mut metrics = Metrics::new();
        if context.watch
            && let Some(window) = batch.windows.last()
        {
            let density = density_of_a_lane(model, window);
            metrics.insert("x_density".into(), density.mean_x());
            metrics.insert("y_density".into(), density.mean_y());
        }
        let reader = Reader {
            model,
            seed: context.dropout_seed,
            training: &self.config.training,
        };
        let value = match (&self.streams, carry) {
            (Some(plan), Some(streams)) => reader.streams(plan.window(), batch, streams)?,
            _ => reader.windows(batch),
        };
        Ok(Loss { value, metrics })
    }

    fn evaluate(&self, model: &Dragon, scope: Scope) -> Result<Evaluation, TrainError> {
        let windows = match scope {
            Scope::Sample { batches } => Some(batches * self.config.training.batch_size),
            Scope::Full => None,
        };
        let figures = self.evaluation(model, windows).map_err(TrainError::task)?;
        let mut metrics = BTreeMap::from([
            ("bits_per_byte".to_string(), figures.bits_per_byte),
            ("x_density".to_string(), figures.density.mean_x()),
            ("y_density".to_string(), figures.density.mean_y()),
        ]);
        let mut notes = Vec::new();
        if let Some(recall) = &figures.recall {
            metrics.insert("recall_accuracy".into(), recall.overall.accuracy);
            metrics.insert("recall_chance".into(), recall.overall.chance);
            notes = recall_lines(recall);
        }
        if let (Some(_), Scope::Full) = (&self.streams, scope) {
            let bits = self.carried_bits_per_byte(model).map_err(TrainError::task)?;
            metrics.insert("carried_bits_per_byte".into(), bits);
            notes.push(format!(
                "with memory carried over whole documents: {bits:.3} bits per byte"
            ));
        }
        Ok(Evaluation {
            loss: figures.loss,
            metrics,
            notes,
        })
    }

    fn sample(&self, model: &Dragon, _step: u64) -> Result<Option<String>, TrainError> {
        let generation = Generator::new(model, self.corpus.tokenizer.clone(), &self.config.generation)
            .and_then(|generator| generator.complete(&self.config.generation.prompt))
            .map_err(TrainError::task)?;
        Ok(Some(format!(
            "{}{}",
            self.config.generation.prompt, generation.text
        )))
    }

    fn units_per_batch(&self) -> u64 {
        let learning = self
            .streams
            .as_ref()
            .map_or(1, |plan| plan.window().backprop_steps());
        (self.config.training.batch_size * self.config.training.block_size * learning) as u64
    }

    fn units_per_epoch(&self) -> u64 {
        match &self.streams {
            Some(plan) => plan.tokens_per_epoch() as u64,
            None => self.train_windows.windows_per_epoch() as u64 * self.config.training.block_size as u64,
        }
    }

    fn flops_per_unit(&self) -> u64 {
        self.model_config
            .cost()
            .training_flops_per_token(self.config.training.block_size)
    }

    fn bytes_per_step(&self) -> u64 {
        let (cost, training) = (self.model_config.cost(), &self.config.training);
        let window = if self.device.clone().inner() == Device::flex() {
            cost.training_bytes(training.batch_size, training.block_size)
        } else {
            cost.training_bytes_unfused(training.batch_size, training.block_size)
        };
        let Some(plan) = &self.streams else {
            return window;
        };
        let learning = plan.window().backprop_steps();
        window * learning as u64 + cost.carried_bytes(plan.most_lanes(), learning)
    }

    fn derived(&self) -> Option<(&'static str, f64)> {
        let tokens_per_byte = self.corpus.train.len() as f64 / self.corpus.train.bytes.max(1) as f64;
        Some(("bits_per_byte", tokens_per_byte / std::f64::consts::LN_2))
    }

    fn save(&self, model: &Dragon, folder: &Path, step: u64, units: u64) -> Result<(), TrainError> {
        let info = ModelInfo {
            family: self.family().into(),
            step,
            tokens: units,
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let tokenizer = serde_json::to_string(&self.corpus.tokenizer.spec()).map_err(TrainError::Json)?;
        Ok(ModelFile::of(model, info, Some(tokenizer)).write(&folder.join("model.bpk"))?)
    }

    fn restore(&self, model: Dragon, folder: &Path) -> Result<Dragon, TrainError> {
        let path = folder.join("model.bpk");
        let mut file = ModelFile::read(&path)?;
        if file.config != self.model_config {
            let reason = format!(
                "it holds {:?}, the run asks for {:?}",
                file.config, self.model_config
            );
            return Err(burn_dragon_checkpoint::CheckpointError::corrupt(&path, reason).into());
        }
        Ok(parameters::load(model, |name, _| file.tensors.remove(name)))
    }

    fn save_carry(&self, carry: &Self::Carry, folder: &Path) -> Result<(), TrainError> {
        Ok(carry.as_ref().map_or(Ok(()), |streams| streams.save(folder))?)
    }

    fn restore_carry(
        &self,
        model: &Dragon,
        carry: &mut Self::Carry,
        folder: &Path,
    ) -> Result<(), TrainError> {
        match carry {
            Some(streams) => Ok(streams.restore(model, folder)?),
            None => Ok(()),
        }
    }
}

/// Shares of active neurons in one lane, without autodiff: a few per cent of a step, on the steps that are logged.
fn density_of_a_lane(model: &Dragon, window: &Window) -> Density {
    let mut probe = DensityProbe::default();
    let pass = Pass {
        density: Some(&mut probe),
        resets: window.resets.first_lane(),
        ..Pass::default()
    };
    let lane = window.inputs.clone().narrow(0, 0, 1).inner();
    model.valid().forward_pass(lane, pass);
    probe.density()
}

/// A model about to read what it learns from.
struct Reader<'a> {
    model: &'a Dragon,
    seed: u64,
    training: &'a TrainingConfig,
}

impl Reader<'_> {
    /// The mean loss of windows that each begin with an empty memory.
    fn windows(&self, batch: Batch) -> Tensor<1> {
        let losses = batch.windows.into_iter().enumerate().map(|(place, window)| {
            let pass = self.pass(place, &window);
            cross_entropy(self.model.forward_pass(window.inputs, pass), window.targets)
        });
        Tensor::cat(losses.collect(), 0).mean()
    }

    /// The mean loss of the windows that learn, after those that only fill the memory, which goes on to the next batch.
    fn streams(
        &self,
        window: TbpttWindow,
        batch: Batch,
        streams: &mut Streams,
    ) -> Result<Tensor<1>, TrainError> {
        let mut state = streams.take(batch.scale);
        let mut losses = Vec::with_capacity(window.backprop_steps());
        for (place, read) in batch.windows.into_iter().enumerate() {
            let pass = self.pass(place, &read);
            if place < window.detach_prefix_steps() {
                let inputs = read.inputs.inner();
                let after = self.model.valid().forward_pass_with_state(inputs, state, pass);
                (_, state) = after.map_err(TrainError::task)?;
                continue;
            }
            // Gradients go through the memory between windows that learn together, and no further.
            if place == window.detach_prefix_steps() && window.backprop_steps() > 1 {
                state = state.autodiff();
            }
            let (logits, after) = self
                .model
                .forward_pass_with_state(read.inputs, state, pass)
                .map_err(TrainError::task)?;
            losses.push(cross_entropy(logits, read.targets));
            state = after;
        }
        streams.put_back(batch.scale, state.inner());
        Ok(Tensor::cat(losses, 0).mean())
    }

    fn pass(&self, place: usize, window: &Window) -> Pass<'static> {
        Pass {
            // The first window's masks are those of a step of one window.
            dropout_seed: Some(match place {
                0 => self.seed,
                _ => derive(self.seed, "window", 0, place as u64),
            }),
            precision: self.training.precision,
            credit: self.training.credit,
            resets: window.resets.clone(),
            ..Pass::default()
        }
    }
}

/// How many windows the planned run sees, however early time or a person ends it.
fn windows_of_a_run(config: &LanguageConfig, plan: &WindowPlan) -> u64 {
    let training = &config.training;
    let of_steps = training.max_steps * u64::from(training.accumulate) * training.batch_size as u64;
    let of_epochs = |epochs: f64| (epochs * plan.windows_per_epoch() as f64).ceil() as u64;
    training.epochs.map_or(of_steps, of_epochs).max(1)
}

/// A prompt that cannot be continued would end a run at its first sample: better before its first step.
fn check_prompt(config: &LanguageConfig, corpus: &Corpus) -> Result<(), LanguageError> {
    config.generation.validate()?;
    let refuse = |reason: String| LanguageError::Config {
        key: "generation.prompt",
        reason,
    };
    match corpus.tokenizer.encode(config.generation.prompt.as_bytes()) {
        Ok(ids) if ids.is_empty() => Err(refuse("is empty, but samples need a text to continue".into())),
        Ok(_) => Ok(()),
        Err(error) => Err(refuse(format!("samples cannot continue it: {error}"))),
    }
}
