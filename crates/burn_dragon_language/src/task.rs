//! Language modelling as the trainer sees it.

use crate::config::LanguageConfig;
use crate::data::{Corpus, WindowPlan};
use crate::error::LanguageError;
use crate::evaluate::{Evaluator, LanguageEvaluation, inputs_and_targets, recall_lines};
use crate::generate::Generator;
use crate::tales::RecallProbe;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use burn_dragon_checkpoint::model::{ModelFile, ModelInfo};
use burn_dragon_core::density::DensityProbe;
use burn_dragon_core::loss::cross_entropy;
use burn_dragon_core::{Dragon, DragonConfig, Pass, parameters};
use burn_dragon_train::TrainError;
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
        Ok(Self {
            train_windows: train_windows.for_run(run),
            validation_windows: WindowPlan::new(&corpus.validation, block, config.dataset.windows)?,
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

    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator {
            tokenizer: &*self.corpus.tokenizer,
            batch_size: self.config.training.batch_size,
        }
    }
}

impl Task for LanguageTask {
    type Model = Dragon;
    type Batch = (Tensor<2, Int>, Tensor<2, Int>);

    fn family(&self) -> &'static str {
        "language"
    }

    fn batch(&self, step: u64, micro: u32) -> Result<Self::Batch, TrainError> {
        let training = &self.config.training;
        let first = (step * u64::from(training.accumulate) + u64::from(micro)) * training.batch_size as u64;
        let windows = (0..training.batch_size as u64)
            .map(|lane| self.train_windows.window(training.seed, first + lane));
        let ids = &self.corpus.train.ids;
        let rows: Vec<&[u32]> = windows.map(|window| &ids[window]).collect();
        Ok(inputs_and_targets(&rows, &self.device))
    }

    fn loss(
        &self,
        model: &Dragon,
        (inputs, targets): Self::Batch,
        context: LossContext,
    ) -> Result<Loss, TrainError> {
        let mut metrics = Metrics::new();
        if context.watch {
            // One lane without autodiff: a few per cent of a step, on the steps that are logged.
            let mut probe = DensityProbe::default();
            let pass = Pass {
                density: Some(&mut probe),
                ..Pass::default()
            };
            model
                .valid()
                .forward_pass(inputs.clone().narrow(0, 0, 1).inner(), pass);
            let density = probe.density();
            metrics.insert("x_density".into(), density.mean_x());
            metrics.insert("y_density".into(), density.mean_y());
        }
        let pass = Pass {
            dropout_seed: Some(context.dropout_seed),
            precision: self.config.training.precision,
            ..Pass::default()
        };
        let value = cross_entropy(model.forward_pass(inputs, pass), targets);
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
        (self.config.training.batch_size * self.config.training.block_size) as u64
    }

    fn units_per_epoch(&self) -> u64 {
        self.train_windows.windows_per_epoch() as u64 * self.config.training.block_size as u64
    }

    fn flops_per_unit(&self) -> u64 {
        self.model_config
            .cost()
            .training_flops_per_token(self.config.training.block_size)
    }

    fn bytes_per_step(&self) -> u64 {
        let (cost, training) = (self.model_config.cost(), &self.config.training);
        if self.device.clone().inner() == Device::flex() {
            cost.training_bytes(training.batch_size, training.block_size)
        } else {
            cost.training_bytes_unfused(training.batch_size, training.block_size)
        }
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
