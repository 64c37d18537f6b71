//! What a run reads that is killed and goes on with other settings: every window once, counted.

use super::*;
use crate::data::{SourceConfig, SplitKind, TextConfig, Tokens, WindowPlan, WindowStart};
use crate::model::LanguageModel;
use crate::tokenizer::IdTokenizer;
use crate::training::sequence::{ScaleConfig, StreamConfig};
use burn_dragon_core::api::DragonConfig;
use burn_dragon_exchange::api::ModelPath;
use burn_dragon_stream::api::{Scale, ScaleMixup};
use burn_dragon_train::api::{
    CheckpointConfig, EvaluationConfig, Interrupt, Outcome, Output, RunFolder, Trainer,
};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Tokens of the text, each its own place in it.
const TOKENS: usize = 53;
/// Inputs of a window.
const TIME: usize = 4;

fn corpus() -> Corpus {
    let tokens = Tokens {
        counted: None,
        ids: (0..TOKENS as u32).collect(),
        starts: vec![0, 5, 7, 20, 21, 40],
        bytes: TOKENS,
        unknown: Vec::new(),
    };
    Corpus {
        tokenizer: Arc::new(IdTokenizer::new(TOKENS)),
        train: tokens.clone(),
        validation: tokens,
        split: SplitKind::OwnSource,
        notes: Vec::new(),
    }
}

fn config(windows: WindowStart, (batch_size, accumulate): (usize, u32)) -> LanguageConfig {
    let mut config = LanguageConfig {
        model: DragonConfig {
            n_levels: 1,
            d_model: 4,
            n_heads: 1,
            n_neurons: 8,
            ..DragonConfig::tiny()
        }
        .into(),
        evaluation: EvaluationConfig {
            every: 0,
            batches: 1,
            sample_every: 0,
        },
        checkpoint: CheckpointConfig { every: 1, keep: 1 },
        ..LanguageConfig::default()
    };
    config.dataset.source = SourceConfig::Text(TextConfig {
        paths: Vec::new(),
        document_separator: None,
    });
    config.dataset.windows = windows;
    config.generation.prompt = "1".into();
    config.training.batch_size = batch_size;
    config.training.accumulate = accumulate;
    config.sequence.block_size = TIME;
    config
}

/// A language task that dies at a batch, and tells what it gave.
struct Witness {
    inner: LanguageTask,
    batches_to_live: AtomicUsize,
    /// The inputs of every row, by the units drawn before its batch.
    read: Mutex<BTreeMap<u64, Vec<Vec<i32>>>>,
}

impl Task for Witness {
    type Model = Dragon;
    type Batch = Batch;
    type Cursor = Option<Lanes>;
    type Carry = Option<StreamMemory>;

    fn keys() -> Keys {
        KEYS
    }
    fn new_model(&self) -> Result<Dragon, TrainError> {
        self.inner.new_model()
    }
    fn cursor(&self) -> Result<Self::Cursor, TrainError> {
        self.inner.cursor()
    }
    fn carry(&self, model: &Dragon) -> Result<Self::Carry, TrainError> {
        self.inner.carry(model)
    }
    fn batch(&self, place: DataPosition, cursor: &mut Self::Cursor) -> Result<Batch, TrainError> {
        let live = |left: usize| left.checked_sub(1);
        let order = Ordering::Relaxed;
        if self.batches_to_live.fetch_update(order, order, live).is_err() {
            return Err(TrainError::task(std::io::Error::other("dead")));
        }
        let batch = self.inner.batch(place, cursor)?;
        let rows = batch.windows.iter().flat_map(|window| {
            let width = window.inputs.dims()[1];
            let ids: Vec<i32> = window.inputs.to_data().convert::<i32>().try_to_vec().unwrap();
            ids.chunks(width).map(<[i32]>::to_vec).collect::<Vec<_>>()
        });
        self.read.lock().unwrap().insert(place.units, rows.collect());
        Ok(batch)
    }
    fn loss(
        &self,
        model: &Dragon,
        batch: Batch,
        carry: &mut Self::Carry,
        context: LossContext,
    ) -> Result<Loss, TrainError> {
        self.inner.loss(model, batch, carry, context)
    }
    fn forget_damage(&self, carry: &mut Self::Carry) -> Result<usize, TrainError> {
        self.inner.forget_damage(carry)
    }
    fn evaluate(&self, _: &Dragon, _: Scope) -> Result<Evaluation, TrainError> {
        Ok(Evaluation::default())
    }
    fn identity(&self) -> Identity {
        self.inner.identity()
    }
    fn units_per_batch(&self) -> u64 {
        self.inner.units_per_batch()
    }
    fn units_per_epoch(&self) -> u64 {
        self.inner.units_per_epoch()
    }
    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError> {
        self.inner.snapshot(TaskState {
            model: state.model,
            cursor: state.cursor,
            carry: state.carry,
            step: state.step,
            units: state.units,
        })
    }
    fn restore(&self, model: Dragon, folder: &Path) -> Result<Dragon, TrainError> {
        self.inner.restore(model, folder)
    }
    fn restore_carried(
        &self,
        model: &Dragon,
        cursor: &mut Self::Cursor,
        carry: &mut Self::Carry,
        folder: &Path,
    ) -> Result<(), TrainError> {
        self.inner.restore_carried(model, cursor, carry, folder)
    }
}

/// A run, session by session.
struct Run {
    folder: tempfile::TempDir,
    /// As [`Witness::read`]: what a session drew again after its death counts once.
    read: BTreeMap<u64, Vec<Vec<i32>>>,
}

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), "").unwrap();
        let read = BTreeMap::new();
        Self { folder, read }
    }

    /// Trains from where the run stands until it is complete, or dies at a batch.
    fn session(&mut self, config: &LanguageConfig, batches: usize) -> Result<Outcome, TrainError> {
        let inner = LanguageTask::with_corpus(config, corpus(), &Device::flex().autodiff()).unwrap();
        let task = Witness {
            inner,
            batches_to_live: AtomicUsize::new(batches),
            read: Mutex::default(),
        };
        let run = RunFolder::open(self.folder.path()).unwrap();
        let model = task.inner.new_model().unwrap();
        let trainer = Trainer::new(&task, config.plan(), &run, Output::silent(), Interrupt::none())?;
        let ended = trainer.fit(model);
        self.read.append(&mut task.read.lock().unwrap());
        Ok(ended?.1)
    }

    /// Every row that was learnt from, in the order it was read.
    fn rows(&self) -> Vec<&Vec<i32>> {
        self.read.values().flatten().collect()
    }
}

/// The first inputs of the windows of a training, in order.
fn starts_of(plan: &WindowPlan, seed: u64, planned: u64, count: usize) -> Vec<i32> {
    let windows = (0..count as u64).map(|index| plan.window(seed, index, planned).start as i32);
    windows.collect()
}

const SIZES: [[(usize, u32); 2]; 5] = [
    [(4, 1), (8, 1)],
    [(8, 1), (4, 1)],
    [(2, 1), (2, 3)],
    [(2, 3), (2, 1)],
    [(3, 2), (5, 1)],
];

#[test]
fn a_run_of_epochs_reads_every_window_once_whatever_the_batch_becomes() {
    for windows in [WindowStart::Document, WindowStart::InOrder, WindowStart::Anywhere] {
        let plan = WindowPlan::new(&corpus().train, TIME, windows).unwrap();
        let count = plan.windows_per_epoch();
        for ([before, after], epochs, batches) in SIZES
            .into_iter()
            .flat_map(|sizes| [(sizes, 1.0, 1), (sizes, 2.0, 3)])
        {
            let case = format!("{windows:?}, {count} windows, {before:?} then {after:?} after {batches}");
            let settings = |size| {
                let mut config = config(windows, size);
                config.training.epochs = Some(epochs);
                config
            };
            let mut run = Run::new();
            let died = run.session(&settings(before), batches).unwrap_err().to_string();
            assert!(died.contains("dead"), "{died}");
            // A step that was not whole is drawn again.
            let whole_steps = batches / before.1 as usize;
            let kept = whole_steps * before.0 * before.1 as usize;
            run.read.retain(|units, _| *units < (kept * TIME) as u64);
            let outcome = run.session(&settings(after), usize::MAX).unwrap();

            let needed = epochs as usize * count;
            let step = after.0 * after.1 as usize;
            let expected = kept + (needed - kept).div_ceil(step) * step;
            let starts: Vec<i32> = run.rows().iter().map(|row| row[0]).collect();
            assert_eq!(starts.len(), expected, "{case}");
            assert_eq!(outcome.units, (expected * TIME) as u64, "{case}");
            assert_eq!(
                outcome.steps as usize,
                whole_steps + (needed - kept).div_ceil(step),
                "{case}"
            );
            assert_eq!(starts, starts_of(&plan, 1337, u64::MAX, expected), "{case}");
            if windows != WindowStart::Anywhere {
                let mut times = BTreeMap::new();
                starts[..needed]
                    .iter()
                    .for_each(|start| *times.entry(start).or_insert(0) += 1);
                assert_eq!(times.len(), count, "{case}");
                assert!(times.values().all(|&times| times == epochs as usize), "{case}");
            }
        }
    }
}

#[test]
fn a_complete_run_of_epochs_has_no_step_left_whatever_the_batch_becomes() {
    let settings = |size, epochs| {
        let mut config = config(WindowStart::Document, size);
        config.training.epochs = Some(epochs);
        config
    };
    let mut run = Run::new();
    let first = run.session(&settings((4, 1), 1.0), usize::MAX).unwrap();
    let again = run.session(&settings((2, 3), 1.0), usize::MAX).unwrap();
    assert_eq!((again.steps, again.session_units), (first.steps, 0));
    // Another half of the windows, less what the last step read beyond the first epoch.
    let count = WindowPlan::new(&corpus().train, TIME, WindowStart::Document)
        .unwrap()
        .windows_per_epoch();
    let more = run.session(&settings((1, 1), 1.5), usize::MAX).unwrap();
    let read = more.units as usize / TIME;
    assert_eq!(read, (1.5 * count as f64).ceil() as usize);
}

#[test]
fn a_text_that_is_thinned_out_stays_so_when_the_run_gets_other_steps() {
    let plan = WindowPlan::new(&corpus().train, TIME, WindowStart::InOrder).unwrap();
    let settings = |size, steps| {
        let mut config = config(WindowStart::InOrder, size);
        config.training.max_steps = steps;
        config
    };
    // Six windows of more than twice as many.
    assert!(plan.windows_per_epoch() > 12);
    for (size, steps) in [((2, 1), 3), ((2, 1), 7), ((1, 3), 4), ((4, 1), 2)] {
        let mut run = Run::new();
        run.session(&settings((2, 1), 3), 1).unwrap_err();
        run.session(&settings(size, steps), usize::MAX).unwrap();
        let starts: Vec<i32> = run.rows().iter().map(|row| row[0]).collect();
        assert_eq!(
            starts,
            starts_of(&plan, 1337, 6, starts.len()),
            "{size:?} {steps}"
        );
        assert!(starts.len() >= 6);
        assert_eq!(starts[..6], starts_of(&plan, 1337, 6, 6));
    }
}

#[test]
fn streams_go_on_batch_by_batch_whatever_accumulate_becomes() {
    let settings = |accumulate, steps| {
        let mut config = config(WindowStart::InOrder, (4, accumulate));
        config.training.max_steps = steps;
        config.sequence.streams = Some(StreamConfig {
            persistent: 0.5,
            unroll: 2,
            scales: [(2, 1), (4, 2)]
                .map(|(block_size, weight)| ScaleConfig { block_size, weight })
                .to_vec(),
            ..StreamConfig::default()
        });
        config
    };
    let mut whole = Run::new();
    whole.session(&settings(1, 12), usize::MAX).unwrap();
    let scales = [(2, 1), (4, 2)].map(|(length, weight)| Scale { length, weight });
    let mixture = ScaleMixup::new(&scales, 4 * TIME).unwrap();
    for (batch, rows) in whole.read.values().enumerate() {
        let length = mixture.scale_of_step(1337, batch as u64).length;
        assert!(rows.iter().all(|row| row.len() == length), "batch {batch}");
    }
    for (before, batches, after, steps) in [(1, 3, 3, 6), (3, 4, 1, 10), (2, 4, 4, 4)] {
        let mut run = Run::new();
        // The first settings plan twelve batches, too.
        run.session(&settings(before, 12 / u64::from(before)), batches)
            .unwrap_err();
        run.session(&settings(after, steps), usize::MAX).unwrap();
        assert_eq!(run.rows(), whole.rows(), "{before} then {after}");
    }
}

#[test]
fn a_model_of_a_run_knows_whether_it_was_judged_on_another_text() {
    let mut run = Run::new();
    let mut settings = config(WindowStart::Document, (4, 1));
    settings.training.max_steps = 1;
    run.session(&settings, usize::MAX).unwrap();
    let path = ModelPath::new(run.folder.path());
    let model = LanguageModel::load(&path, &Device::flex()).unwrap();
    let mut text = corpus().validation;
    assert_eq!(model.changed_validation(&text).unwrap(), None);
    text.ids = [1]
        .into_iter()
        .chain(text.ids.read(1..text.len()).iter().copied())
        .collect();
    let changed = model.changed_validation(&text).unwrap().unwrap();
    assert!(changed.to_string().starts_with("was 53 tokens in 6 documents"));
    // A model that lies alone does not say.
    let alone = run.folder.path().join("alone.bpk");
    fs::copy(&model.file, &alone).unwrap();
    let model = LanguageModel::load(&ModelPath::new(alone), &Device::flex()).unwrap();
    assert_eq!(model.changed_validation(&text).unwrap(), None);
}
