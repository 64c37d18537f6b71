//! Training on streams: what a lane reads is the text, and what is carried is the memory of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_checkpoint::api::Content;
use burn_dragon_core::api::{DecayConfig, Dragon, DragonConfig, token_losses};
use burn_dragon_language::api::expert::{SplitKind, Tokens};
use burn_dragon_language::api::{
    Corpus, DatasetConfig, DocumentOrder, LanguageConfig, LanguageTask, ScaleConfig, SequenceConfig,
    SourceConfig, StreamConfig, TextConfig, TokenizerConfig, WindowStart,
};
use burn_dragon_train::api::{
    DataPosition, LossContext, Task, TaskState, TrainError, TrainingConfig, TrainingPrecision,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// Documents of these lengths, every token different enough.
fn corpus(lengths: &[usize]) -> Corpus {
    let mut starts = Vec::new();
    let mut end = 0;
    for length in lengths {
        starts.push(end);
        end += length;
    }
    let ids = (0..end as u32)
        .map(|i| 97 + i.wrapping_mul(2_654_435_761) % 26)
        .collect();
    let tokens = Tokens {
        ids,
        starts,
        bytes: end,
        ..Tokens::default()
    };
    Corpus {
        tokenizer: TokenizerConfig::default().train(&[]).unwrap(),
        train: tokens.clone(),
        validation: tokens,
        split: SplitKind::OwnSource,
        notes: Vec::new(),
    }
}

fn config(streams: StreamConfig) -> LanguageConfig {
    let shape = DragonConfig {
        n_levels: 2,
        d_model: 16,
        n_heads: 2,
        n_neurons: 64,
        dropout: 0.0,
        init_std: 0.3,
        ..DragonConfig::tiny()
    };
    LanguageConfig {
        dataset: DatasetConfig {
            source: SourceConfig::Text(TextConfig {
                paths: Vec::new(),
                document_separator: None,
            }),
            windows: WindowStart::Anywhere,
            ..DatasetConfig::default()
        },
        model: shape.into(),
        sequence: SequenceConfig {
            block_size: 16,
            streams: Some(streams),
            ..SequenceConfig::default()
        },
        training: TrainingConfig {
            batch_size: 2,
            ..TrainingConfig::default()
        },
        ..LanguageConfig::default()
    }
}

fn in_order() -> StreamConfig {
    StreamConfig {
        order: DocumentOrder::InOrder,
        ..StreamConfig::default()
    }
}

fn task(streams: StreamConfig, lengths: &[usize]) -> (LanguageTask, Dragon) {
    let device = Device::flex().autodiff();
    let task = LanguageTask::with_corpus(&config(streams), corpus(lengths), &device).unwrap();
    let model = task.new_model().unwrap();
    (task, model)
}

const CONTEXT: LossContext = LossContext {
    dropout_seed: 1,
    watch: true,
};

/// Before a batch, of any number.
fn place(task: &LanguageTask, batch: u64) -> DataPosition {
    DataPosition {
        units: batch * task.units_per_batch(),
        planned: u64::MAX,
    }
}

/// What goes on from step to step: where lanes are, and what they remember.
struct Carried {
    cursor: <LanguageTask as Task>::Cursor,
    carry: <LanguageTask as Task>::Carry,
}

impl Carried {
    fn new(task: &LanguageTask, model: &Dragon) -> Self {
        Self {
            cursor: task.cursor().unwrap(),
            carry: task.carry(model).unwrap(),
        }
    }

    fn restore(&mut self, task: &LanguageTask, model: &Dragon, folder: &Path) -> Result<(), TrainError> {
        task.restore_carried(model, &mut self.cursor, &mut self.carry, folder)
    }

    fn snapshot(&self, task: &LanguageTask, model: &Dragon) -> BTreeMap<String, Content> {
        let state = TaskState {
            model,
            cursor: &self.cursor,
            carry: &self.carry,
            step: 7,
            units: 0,
        };
        task.snapshot(state).unwrap()
    }
}

/// The losses of steps `from..to`.
fn losses_of(
    task: &LanguageTask,
    model: &Dragon,
    carried: &mut Carried,
    steps: std::ops::Range<u64>,
) -> Vec<f32> {
    steps
        .map(|step| {
            let batch = task.batch(place(task, step), &mut carried.cursor).unwrap();
            let loss = task.loss(model, batch, &mut carried.carry, CONTEXT).unwrap();
            loss.value.into_scalar::<f32>()
        })
        .collect()
}

#[test]
fn a_step_reads_on_where_the_last_one_ended_with_what_it_remembers() {
    let lengths = [49, 49];
    let (task, model) = task(in_order(), &lengths);
    let mut carry = Carried::new(&task, &model);
    let read = losses_of(&task, &model, &mut carry, 0..3);
    // Each lane has a document of 48 predictions; three windows of 16 read it whole.
    let ids: Vec<i32> = corpus(&lengths)
        .train
        .ids
        .pieces()
        .flat_map(|ids| ids.to_vec())
        .map(|id| id as i32)
        .collect();
    let rows = |skip: usize| {
        let row = |document: usize| ids[document * 49 + skip..][..48].to_vec();
        let data = TensorData::new([row(0), row(1)].concat(), [2, 48]);
        Tensor::<2, Int>::from_data(data, &Device::flex())
    };
    let losses = token_losses(model.valid().forward(rows(0)), rows(1));
    for (step, read) in read.into_iter().enumerate() {
        let whole = losses
            .clone()
            .narrow(1, 16 * step, 16)
            .mean()
            .into_scalar::<f32>();
        assert!((read - whole).abs() < 1e-4, "{step}: {read} {whole}");
    }
    let fresh = losses.narrow(1, 32, 16).mean().into_scalar::<f32>();
    let mut forgotten = Carried::new(&task, &model);
    task.batch(place(&task, 0), &mut forgotten.cursor).unwrap();
    task.batch(place(&task, 1), &mut forgotten.cursor).unwrap();
    let alone = losses_of(&task, &model, &mut forgotten, 2..3)[0];
    assert!(
        (alone - fresh).abs() > 1e-4,
        "without the memory it would be another loss"
    );
}

#[test]
fn memories_that_are_not_finite_are_emptied_and_the_others_go_on() {
    let streams = StreamConfig {
        scales: [(8, 1), (16, 1)]
            .map(|(block_size, weight)| ScaleConfig { block_size, weight })
            .to_vec(),
        ..in_order()
    };
    for streams in [in_order(), streams] {
        let (task, model) = task(streams, &[500, 490, 480, 470]);
        let mut broken = task.new_model().unwrap();
        broken.embed = broken.embed.map(|embed| embed.mul_scalar(f64::NAN));
        let bits = |carry: &Carried| {
            let files = Carried::snapshot(carry, &task, &model);
            let mut bytes = Vec::new();
            files["streams.bpk"].write_to(&mut bytes).unwrap();
            bytes
        };
        // Sound memories are left alone, whatever the loss.
        let mut carry = Carried::new(&task, &model);
        losses_of(&task, &model, &mut carry, 0..4);
        let before = bits(&carry);
        assert_eq!(task.forget_damage(&mut carry.carry).unwrap(), 0);
        assert_eq!(bits(&carry), before);
        // A step that poisons the memories of its lanes.
        assert!(losses_of(&task, &broken, &mut carry, 4..5)[0].is_nan());
        let emptied = task.forget_damage(&mut carry.carry).unwrap();
        assert!(emptied > 0);
        assert_eq!(task.forget_damage(&mut carry.carry).unwrap(), 0);
        // The same places, with the memories of those lanes empty: what a run goes on from.
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("streams.bpk"), bits(&carry)).unwrap();
        let mut again = Carried::new(&task, &model);
        again.restore(&task, &model, folder.path()).unwrap();
        let after = losses_of(&task, &model, &mut carry, 5..9);
        assert!(after.iter().all(|loss| loss.is_finite()), "{after:?}");
        assert_eq!(losses_of(&task, &model, &mut again, 5..9), after);
    }
    // All lanes were in that step: they read on as lanes that never read before it.
    let (task, model) = task(in_order(), &[500, 490]);
    let (mut emptied, mut fresh) = (Carried::new(&task, &model), Carried::new(&task, &model));
    let mut broken = task.new_model().unwrap();
    broken.embed = broken.embed.map(|embed| embed.mul_scalar(f64::NAN));
    losses_of(&task, &broken, &mut emptied, 0..1);
    assert_eq!(task.forget_damage(&mut emptied.carry).unwrap(), 2);
    task.batch(place(&task, 0), &mut fresh.cursor).unwrap();
    let [on, fresh] = [emptied, fresh].map(|mut carry| losses_of(&task, &model, &mut carry, 1..3));
    let apart = on.iter().zip(&fresh).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f32::max) < 1e-4, "{on:?} {fresh:?}");
}

#[test]
fn what_was_saved_goes_on_bit_for_bit_and_foreign_streams_are_refused() {
    let streams = StreamConfig {
        persistent: 0.5,
        max_context: Some(20),
        unroll: 2,
        backprop: 1,
        scales: [(8, 1), (16, 2)]
            .map(|(block_size, weight)| ScaleConfig { block_size, weight })
            .to_vec(),
        ..StreamConfig::default()
    };
    let lengths = [30, 2, 1, 90, 41, 17];
    let (task, model) = task(streams.clone(), &lengths);
    let mut carry = Carried::new(&task, &model);
    losses_of(&task, &model, &mut carry, 0..7);
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in carry.snapshot(&task, &model) {
        let mut file = File::create(folder.path().join(name)).unwrap();
        content.write_to(&mut file).unwrap();
    }
    let on = losses_of(&task, &model, &mut carry, 7..20);
    let mut again = Carried::new(&task, &model);
    again.restore(&task, &model, folder.path()).unwrap();
    assert_eq!(losses_of(&task, &model, &mut again, 7..20), on);

    let refused = |streams, lengths: &[usize], folder: &Path| {
        let (task, model) = self::task(streams, lengths);
        let mut carry = Carried::new(&task, &model);
        let error = carry.restore(&task, &model, folder);
        error.unwrap_err().to_string()
    };
    let here = folder.path();
    for (other, lengths, what) in [
        (
            StreamConfig {
                order: DocumentOrder::InOrder,
                ..streams.clone()
            },
            &lengths[..],
            "order",
        ),
        (
            StreamConfig {
                persistent: 1.0,
                ..streams.clone()
            },
            &lengths,
            "lanes",
        ),
        (
            StreamConfig {
                scales: Vec::new(),
                ..streams.clone()
            },
            &lengths,
            "lanes",
        ),
        (streams.clone(), &lengths[1..], "corpus"),
    ] {
        let error = refused(other, lengths, here);
        assert!(
            error.contains("sequence.streams") && error.contains(what),
            "{error}"
        );
    }
    std::fs::remove_file(here.join("streams.bpk")).unwrap();
    let error = refused(streams, &lengths, here);
    assert!(error.contains("independent windows"), "{error}");
}

#[test]
fn windows_that_only_fill_the_memory_have_no_say_in_the_loss_but_are_remembered() {
    let streams = |unroll, backprop| StreamConfig {
        unroll,
        backprop,
        ..in_order()
    };
    let lengths = [49, 49];
    let (one, model) = task(streams(1, 1), &lengths);
    let each = losses_of(&one, &model, &mut Carried::new(&one, &model), 0..3);
    let (burnt_in, _) = task(streams(3, 1), &lengths);
    let last = losses_of(&burnt_in, &model, &mut Carried::new(&burnt_in, &model), 0..1);
    assert!((last[0] - each[2]).abs() < 1e-5, "{last:?} {each:?}");
    assert_eq!(burnt_in.units_per_batch(), 32);
    let (all, _) = task(streams(3, 3), &lengths);
    let mean = losses_of(&all, &model, &mut Carried::new(&all, &model), 0..1);
    assert!((mean[0] - each.iter().sum::<f32>() / 3.0).abs() < 1e-5);
    assert_eq!(all.units_per_batch(), 96);
}

#[test]
fn windows_that_learn_together_have_the_gradients_of_one_long_window() {
    let lengths = [49, 49];
    let gradients = |block_size, windows| {
        let streams = StreamConfig {
            unroll: windows,
            backprop: windows,
            ..in_order()
        };
        let mut config = config(streams);
        config.sequence.block_size = block_size;
        let device = Device::flex().autodiff();
        let task = LanguageTask::with_corpus(&config, corpus(&lengths), &device).unwrap();
        let model = task.new_model().unwrap();
        let mut carry = Carried::new(&task, &model);
        let batch = task.batch(place(&task, 0), &mut carry.cursor).unwrap();
        let loss = task.loss(&model, batch, &mut carry.carry, CONTEXT).unwrap();
        let gradients = loss.value.backward();
        let of =
            |gradient: Option<Tensor<3>>| -> Vec<f32> { gradient.unwrap().into_data().try_to_vec().unwrap() };
        [
            of(model.trunk.decoder_x.val().grad(&gradients)),
            of(model.trunk.decoder_y.val().grad(&gradients)),
        ]
        .concat()
    };
    let (whole, together) = (gradients(48, 1), gradients(16, 3));
    let largest = whole.iter().fold(0.0f32, |most, g| most.max(g.abs()));
    let apart = whole.iter().zip(&together).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f32::max) < 1e-4 * largest);
}

#[test]
fn streams_that_cannot_be_are_refused_before_a_step() {
    let device = Device::flex().autodiff();
    let refused = |streams, lengths: &[usize]| {
        LanguageTask::with_corpus(&self::config(streams), corpus(lengths), &device)
            .err()
            .unwrap()
            .to_string()
    };
    let text = refused(in_order(), &[1; 40]);
    assert!(text.contains("streams"), "{text}");
    let uneven = StreamConfig {
        scales: vec![ScaleConfig {
            block_size: 24,
            weight: 1,
        }],
        ..in_order()
    };
    let text = refused(uneven, &[100]);
    assert!(
        text.contains("block_size = 24") && text.contains("divide"),
        "{text}"
    );
    let mut config = config(in_order());
    config.model.decay = Some(DecayConfig::Standard { learnable: true });
    config.training.precision = TrainingPrecision::Bf16;
    let error = LanguageTask::with_corpus(&config, corpus(&[100]), &device);
    assert!(error.err().unwrap().to_string().contains("model.decay"));
    config.training.precision = TrainingPrecision::Auto;
    let error = LanguageTask::with_corpus(&config, corpus(&[100]), &device);
    assert!(
        error
            .err()
            .unwrap()
            .to_string()
            .contains("training.precision = auto")
    );
}
