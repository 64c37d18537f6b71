//! Language modelling as a task of the trainer.

mod closing;
mod data_order;
mod extent;
#[cfg(test)]
mod mask_tests;
mod metrics;
#[cfg(test)]
mod place_tests;
mod reader;
pub(super) mod room;

use super::config::LanguageConfig;
use super::counted::CountedTargets;
use super::keys::KEYS;
use super::streams::{self, Batch, StreamMemory, StreamPlan};
use crate::data::{Corpus, SourceConfig, TextConfig};
use crate::error::LanguageError;
use crate::evaluate::{Evaluator, WindowMemory, WindowReading, inputs_and_targets, recall_lines};
use crate::export::{TOKENIZER, kinds, model_file};
use crate::generate::Generator;
use crate::tales::RecallProbe;
use crate::tokenizer::TokenizerSpec;
use burn::tensor::Device;
use burn_dragon_checkpoint::api::{CheckpointError, Content, ModelFile, ModelInfo};
use burn_dragon_core::api::expert::load;
use burn_dragon_core::api::{
    Dragon, DragonConfig, FreeMemory, MemoryError, Precision, RhoConfig, RhoProbe, TensorShape,
};
use burn_dragon_stream::api::Lanes;
use burn_dragon_train::api::{
    DataHashes, DataPosition, Evaluation, Extent, Figure, FigureFormat, Identity, Keys, Loss, LossContext,
    Metrics, Sample, Scope, Task, TaskState, TrainError, Unit,
};
use data_order::DataOrder;
use metrics::{by_distance, by_level};
use reader::{Reader, density_of_a_lane};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

/// Number of held-out tales in the quick recall probe. The final one uses all.
const PROBE_TALES: usize = 48;

/// Task of next-token prediction on a corpus.
#[derive(Debug)]
pub struct LanguageTask {
    config: LanguageConfig,
    model_config: DragonConfig,
    corpus: Corpus,
    order: DataOrder,
    probes: Option<Probes>,
    device: Device,
    /// Hashes of the corpus, which are computed once.
    hashes: OnceLock<DataHashes>,
}

/// The recall probe in two sizes.
#[derive(Debug)]
struct Probes {
    quick: RecallProbe,
    full: RecallProbe,
}

impl LanguageTask {
    /// Reads the corpus. `device` is the device of the batches, with autodiff.
    ///
    /// # Errors
    /// If the data cannot be read, or does not match the model.
    pub fn new(config: &LanguageConfig, base_dir: &Path, device: &Device) -> Result<Self, LanguageError> {
        let corpus = Corpus::load(&config.dataset, base_dir, None)?;
        Self::with_corpus(config, corpus, device)
    }

    /// Creates a task on texts in memory, each a document: of the table `[dataset]`, `train_ratio`, `windows` and
    /// `tokenizer` are read ([`Corpus::of_texts`]). The configuration of the run then names no file, so such a run is
    /// resumed from code, with the same texts.
    ///
    /// ```
    /// use burn_dragon_core::api::Backend;
    /// use burn_dragon_language::api::{LanguageConfig, LanguageTask, ModelConfig};
    /// use burn_dragon_train::api::Task;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let model = ModelConfig { d_model: 16, n_neurons: 64, n_levels: 1, ..ModelConfig::default() };
    /// let config = LanguageConfig { model, ..LanguageConfig::default() };
    /// let device = Backend::Cpu.select()?.device.autodiff();
    /// let text = "the dragon sleeps in the cave. ".repeat(100);
    /// let task = LanguageTask::on_texts(&config, &[text], &device)?;
    /// assert!(task.units_per_epoch() > 2500);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Corpus::of_texts`] and [`with_corpus`](Self::with_corpus).
    pub fn on_texts(
        config: &LanguageConfig,
        texts: &[impl AsRef<[u8]>],
        device: &Device,
    ) -> Result<Self, LanguageError> {
        let corpus = Corpus::of_texts(&config.dataset, texts, None)?;
        let mut config = config.clone();
        config.dataset.source = SourceConfig::Text(TextConfig::in_memory());
        config.dataset.validation = None;
        Self::with_corpus(&config, corpus, device)
    }

    /// Creates a task on a corpus that was already read.
    ///
    /// # Errors
    /// If it does not match the model, or is shorter than a window, or the precision is `auto` and not settled
    /// ([`LanguageConfig::settle_precision`]).
    pub fn with_corpus(
        config: &LanguageConfig,
        corpus: Corpus,
        device: &Device,
    ) -> Result<Self, LanguageError> {
        config.validate()?;
        let model_config = config.model.with_vocabulary(corpus.tokenizer.vocab_size())?;
        check_prompt(config, &corpus)?;
        check_precision(config)?;
        let order = DataOrder::new(config, &corpus)?;
        if corpus.validation.documents().all(|document| document.len() < 2) {
            return Err(LanguageError::NothingToPredict {
                text: "the validation text",
                documents: corpus.validation.starts.len(),
            });
        }
        check_losses(&corpus)?;
        let source = &config.dataset.source;
        let quick = source.recall_probe(PROBE_TALES)?;
        let probes = quick.zip(source.recall_probe(usize::MAX)?);
        let probes = probes.map(|(quick, full)| Probes { quick, full });
        Ok(Self {
            order,
            config: config.clone(),
            model_config,
            corpus,
            probes,
            device: device.clone(),
            hashes: OnceLock::new(),
        })
    }

    /// Configuration of the run.
    pub fn config(&self) -> &LanguageConfig {
        &self.config
    }

    /// Configuration of the model, including the vocabulary.
    pub fn model_config(&self) -> &DragonConfig {
        &self.model_config
    }

    /// Corpus: the text as tokens.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }
}

impl Task for LanguageTask {
    type Model = Dragon;
    type Batch = Batch;
    /// Positions of the lanes, if the run reads streams.
    type Cursor = Option<Lanes>;
    /// Memories of the lanes, if the run reads streams.
    type Carry = Option<StreamMemory>;

    fn keys() -> Keys {
        KEYS
    }

    fn new_model(&self) -> Result<Dragon, TrainError> {
        self.check_memory(FreeMemory::of_this_machine())?;
        let model = Dragon::new(&self.model_config, self.config.training.seed, &self.device);
        model.map_err(|error| TrainError::task(LanguageError::from(error)))
    }

    fn cursor(&self) -> Result<Self::Cursor, TrainError> {
        Ok(self.order.streams().map(StreamPlan::cursor))
    }

    fn carry(&self, model: &Dragon) -> Result<Self::Carry, TrainError> {
        Ok(self.order.streams().map(|plan| plan.memory(model)))
    }

    fn batch(&self, place: DataPosition, cursor: &mut Self::Cursor) -> Result<Batch, TrainError> {
        let training = &self.config.training;
        match (&self.order, cursor) {
            (DataOrder::Streams(plan), Some(lanes)) => {
                let batches = |units: u64| units.div_ceil(self.units_per_batch());
                let index = (batches(place.units), batches(place.planned));
                plan.batch(index, &self.corpus.train, lanes, &self.device)
                    .map_err(TrainError::task)
            }
            (DataOrder::Windows(plan), _) => {
                let windows = |units: u64| units.div_ceil(self.config.sequence.block_size as u64);
                let (first, planned) = (windows(place.units), windows(place.planned));
                let windows: Vec<Range<usize>> = (first..first + training.batch_size as u64)
                    .map(|index| plan.window(training.seed, index, planned))
                    .collect();
                let ids = &self.corpus.train.ids;
                let rows: Vec<Cow<'_, [u32]>> =
                    windows.iter().map(|window| ids.read(window.clone())).collect();
                let rows: Vec<&[u32]> = rows.iter().map(|row| &**row).collect();
                let (inputs, targets) = inputs_and_targets(&rows, &self.device);
                let counted = CountedTargets::of(&self.corpus.train, &windows, &self.device);
                Ok(Batch::of_window(inputs, targets, counted))
            }
            (DataOrder::Streams(_), None) => unreachable!("a task on streams has lanes from the start"),
        }
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
            metrics.extend(by_level(&density));
        }
        let reader = Reader {
            model,
            seed: context.dropout_seed,
            precision: self.config.training.precision.concrete()?,
            credit: self.config.sequence.credit,
        };
        let value = match (self.order.streams(), carry) {
            (Some(plan), Some(memory)) => {
                let is_watched = |rho: RhoConfig| context.watch && rho.stats_monitoring && rho.changes();
                let mut probe = model.config().rho.is_some_and(is_watched).then(RhoProbe::default);
                let value = reader.streams(plan.window(), batch, memory, probe.as_mut())?;
                if let Some(probe) = probe.filter(|probe| probe.edges() > 0) {
                    metrics.insert("rho_error".into(), probe.relative_error());
                    metrics.insert("rho_norm".into(), probe.norm());
                }
                value
            }
            _ => reader.windows(batch),
        };
        Ok(Loss { value, metrics })
    }

    fn forget_damage(&self, carry: &mut Self::Carry) -> Result<usize, TrainError> {
        let emptied = carry.as_mut().map_or(Ok(0), StreamMemory::forget_damage);
        emptied.map_err(TrainError::task)
    }

    fn evaluate(&self, model: &Dragon, scope: Scope) -> Result<Evaluation, TrainError> {
        let (windows, probe) = match scope {
            Scope::Sample { batches } => (
                Some(batches.saturating_mul(self.config.training.batch_size)),
                self.probes.as_ref().map(|probes| &probes.quick),
            ),
            Scope::Full => (None, self.probes.as_ref().map(|probes| &probes.full)),
        };
        let (evaluator, held_out) = (Evaluator::new(&*self.corpus.tokenizer), &self.corpus.validation);
        let judged = |reading| {
            let figures = evaluator.evaluate(model, held_out, reading, windows);
            figures.map_err(TrainError::task)
        };
        let reading = WindowReading::from(&self.config.reading());
        let figures = judged(reading)?;
        let (mut metrics, mut notes) = (Metrics::new(), Vec::new());
        metrics.extend(figures.bits_per_byte.map(|bits| ("bits_per_byte".into(), bits)));
        if figures.unknown > 0 {
            metrics.insert("unknown_share".into(), figures.unknown_share);
        }
        if let Some(probe) = probe
            && let Some(recall) = evaluator
                .recall(model, probe, reading)
                .map_err(TrainError::task)?
        {
            metrics.insert("recall_accuracy".into(), recall.overall.accuracy);
            metrics.insert("recall_chance".into(), recall.overall.chance);
            if scope == Scope::Full {
                metrics.extend(by_distance(&recall));
            }
            notes = recall_lines(&recall);
        }
        let mut density = figures.density;
        if reading.memory != WindowMemory::Reset {
            // Judged as it reads. What it knows without memory is a figure beside it.
            let reset = judged(WindowReading {
                memory: WindowMemory::Reset,
                ..reading
            })?;
            if let (Some(carried), Some(reset)) = (figures.bits_per_byte, reset.bits_per_byte) {
                metrics.insert("reset_bits_per_byte".into(), reset);
                notes.push(format!(
                    "memory carried: {carried:.3} bits per byte; emptied before every window: {reset:.3}"
                ));
            }
            density = reset.density;
        }
        if let Some(density) = density {
            let (x, y) = (density.mean_x(), density.mean_y());
            metrics.extend([("x_density".into(), x), ("y_density".into(), y)]);
            let active = format!("active neurons x {:.1} %, y {:.1} %", 100.0 * x, 100.0 * y);
            notes.insert(0, active);
        }
        let loss = figures.loss;
        Ok(Evaluation { loss, metrics, notes })
    }

    fn sample(&self, model: &Dragon, _step: u64) -> Result<Option<Sample>, TrainError> {
        let generation = Generator::new(model, self.corpus.tokenizer.clone(), &self.config.generation)
            .and_then(|generator| generator.complete(&self.config.generation.prompt))
            .map_err(TrainError::task)?;
        let text = format!("{}{}", self.config.generation.prompt, generation.text);
        Ok(Some(Sample::text(text)))
    }

    fn identity(&self) -> Identity {
        Identity {
            settings: KEYS.kept(&self.config),
            data: self.hashes.get_or_init(|| self.corpus.hashes()).clone(),
        }
    }

    fn units_per_batch(&self) -> u64 {
        let learning = self
            .order
            .streams()
            .map_or(1, |plan| plan.window().backprop_steps());
        (self.config.training.batch_size * self.config.sequence.block_size * learning) as u64
    }

    fn units_per_epoch(&self) -> u64 {
        match &self.order {
            DataOrder::Streams(plan) => plan.tokens_per_epoch() as u64,
            DataOrder::Windows(plan) => {
                plan.windows_per_epoch() as u64 * self.config.sequence.block_size as u64
            }
        }
    }

    fn flops_per_unit(&self) -> u64 {
        let (cost, block) = (self.model_config.cost(), self.config.sequence.block_size);
        let unlearnt = self.order.streams().map_or(0, |plan| {
            let window = plan.window();
            cost.forward_flops_per_token(block) * window.detach_prefix_steps() as u64
                / window.backprop_steps() as u64
        });
        cost.training_flops_per_token(block) + unlearnt
    }

    fn bytes_per_step(&self) -> u64 {
        self.room().bytes()
    }

    fn check_memory(&self, memory: FreeMemory) -> Result<(), MemoryError> {
        self.room().check(memory)
    }

    fn tensors(&self) -> Vec<TensorShape> {
        self.model_config.tensors()
    }

    fn carried_bytes(&self) -> u64 {
        let memories = self.order.streams().map_or(0, StreamPlan::memories) as u64;
        self.model_config.cost().state_bytes().saturating_mul(memories)
    }

    fn largest_batch(&self, memory: FreeMemory, most: u64) -> Option<u64> {
        self.room().largest_batch(memory, most)
    }

    fn evaluated_units(&self, scope: Scope) -> u64 {
        self.evaluated_tokens(scope)
    }

    fn bytes_per_evaluation(&self) -> u64 {
        self.evaluation_bytes()
    }

    fn extent(&self) -> Option<Extent> {
        Some(self.whole())
    }

    fn cut(&mut self, to: Extent) -> Result<Extent, TrainError> {
        self.reduce(to).map_err(TrainError::task)?;
        Ok(self.whole())
    }

    fn unit(&self) -> Unit {
        Unit {
            one: "token",
            many: "tokens",
            short: "tok",
        }
    }

    fn loss_name(&self) -> &'static str {
        "nats a token"
    }

    fn figures(&self) -> Vec<Figure> {
        let (tokens, bytes) = self.corpus.train.with_loss();
        let tokens_per_byte = tokens as f64 / bytes.max(1) as f64;
        let share = |key, name, label| Figure {
            key,
            name,
            label,
            format: FigureFormat::Percent,
            factor: None,
        };
        let bits = Figure {
            key: "bits_per_byte",
            name: "bits per byte",
            label: "bpb",
            format: FigureFormat::Number,
            // Of bare ids the bytes are not known.
            factor: (bytes > 0).then_some(tokens_per_byte / std::f64::consts::LN_2),
        };
        vec![
            bits,
            share("recall_accuracy", "words recalled", "recall"),
            share("recall_chance", "words recalled by chance", "chance"),
            share("x_density", "active neurons x", "x"),
            share("y_density", "active neurons y", "y"),
            share("unknown_share", "unknown symbols", "unknown"),
        ]
    }

    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError> {
        let info = ModelInfo {
            step: state.step,
            units: state.units,
            version: env!("CARGO_PKG_VERSION").into(),
            provenance: None,
            details: self.config.details(),
        };
        let tokenizer = self.corpus.tokenizer.spec().to_json();
        let model = model_file(state.model, info, Some(tokenizer)).into_tensor_file();
        let mut files = BTreeMap::from([("model.bpk".to_string(), Content::Tensors(model))]);
        if let (Some(lanes), Some(memory)) = (state.cursor, state.carry) {
            let streams = memory.snapshot(lanes)?;
            files.insert(streams::FILE.to_string(), Content::Tensors(streams));
        }
        Ok(files)
    }

    fn restore(&self, model: Dragon, folder: &Path) -> Result<Dragon, TrainError> {
        let path = folder.join("model.bpk");
        let file = ModelFile::read(&path)?;
        kinds().check(&file, &path)?;
        let refuse = |reason: String| Err(CheckpointError::corrupt(&path, reason).into());
        let config: Result<DragonConfig, String> = file.config.read();
        if config.as_ref() != Ok(&self.model_config) {
            return refuse(format!(
                "it holds a model of {}, but the run has {:?}",
                file.config.text(),
                self.model_config
            ));
        }
        let speaks = file.assets.get(TOKENIZER);
        let speaks = speaks.map(|json| TokenizerSpec::from_json(json));
        if !speaks.is_some_and(|spec| spec.is_ok_and(|spec| spec == self.corpus.tokenizer.spec())) {
            return refuse("its tokenizer differs from that of the run (tokenizer.json)".into());
        }
        let mut floats = file.into_floats();
        Ok(load(model, |name, _| floats.remove(name)))
    }

    fn restore_carried(
        &self,
        model: &Dragon,
        cursor: &mut Self::Cursor,
        carry: &mut Self::Carry,
        folder: &Path,
    ) -> Result<(), TrainError> {
        match (cursor, carry) {
            (Some(lanes), Some(memory)) => memory.restore(lanes, model, folder),
            _ => Ok(()),
        }
    }
}

/// Refuses a text in which no token has a loss.
fn check_losses(corpus: &Corpus) -> Result<(), LanguageError> {
    let remedy = "use conversations in which it answers, or set it to \"all\"";
    for (text, tokens) in [
        ("the training text", &corpus.train),
        ("the validation text", &corpus.validation),
    ] {
        if tokens.with_loss().0 == 0 {
            return Err(LanguageError::NothingCounts { text, remedy });
        }
    }
    Ok(())
}

/// Refuses a precision that is not settled, and one in which the model cannot learn.
fn check_precision(config: &LanguageConfig) -> Result<(), LanguageError> {
    if config.training.precision.concrete()? == Precision::Bf16 && config.learns_slopes() {
        return Err(LanguageError::Config {
            key: "training.precision",
            reason:
                "is bf16, in which the slopes of model.decay cannot be learnt: use f32, or learnable = false"
                    .into(),
        });
    }
    Ok(())
}

/// Refuses a prompt that samples cannot continue, before the first step instead of at the first sample.
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
