//! Losses of conversations: only what the assistant writes has one.

use super::*;
use crate::data::{SourceConfig, SplitKind};
use crate::training::streams::Batch;
use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use burn_dragon_core::api::{Pass, token_losses};
use burn_dragon_train::api::LossContext;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;

/// Number of ids: the frames of the template and what is said.
const IDS: usize = 700;

/// A file of conversations of ids. What the user says are even ids from 10 on, what the assistant says are odd ones; no id
/// is said twice.
fn talks(folder: &Path) -> PathBuf {
    let mut next = 10;
    let mut said = |odd: usize, count: usize| -> Value {
        let ids: Vec<String> = (0..count).map(|at| (next + 2 * at + odd).to_string()).collect();
        next += 2 * count;
        ids.join(" ").into()
    };
    let mut lines = String::new();
    for talk in 0..12 {
        let turns = (0..1 + talk % 3).flat_map(|turn| {
            [
                json!({ "role": "user", "content": said(0, 3 + (talk + turn) % 5) }),
                json!({ "role": "assistant", "content": said(1, 2 + (talk * turn) % 7) }),
            ]
        });
        let messages: Vec<Value> = turns.collect();
        writeln!(lines, "{}", json!({ "messages": messages })).unwrap();
    }
    let path = folder.join("talks.jsonl");
    std::fs::write(&path, lines).unwrap();
    path
}

/// By the ids alone: whether a target is written by the assistant, or ends what it writes (4).
fn is_written(id: i32) -> bool {
    id == 4 || (id >= 10 && id % 2 == 1)
}

fn config(path: &Path, more: &str) -> LanguageConfig {
    let text = format!(
        "[dataset]\ntype = 'records'\npaths = [{path:?}]\ntrain_ratio = 0.6\n\
         [dataset.chat.template]\nuser = '1 {{content}} 2 '\nassistant = '3 {{content}} 4 '\n\
         [dataset.tokenizer]\ntype = 'ids'\nvocab_size = {IDS}\n\
         [model]\nd_model = 16\nn_heads = 2\nn_neurons = 32\nn_levels = 2\ndropout = 0.0\ninit_std = 0.3\n\
         [sequence]\nblock_size = 10\n{more}\
         [training]\nbatch_size = 3\nmax_steps = 9\n[generation]\nprompt = '1 10 2 3'\n"
    );
    toml::from_str(&text).unwrap()
}

fn task(more: &str) -> LanguageTask {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&talks(folder.path()), more);
    LanguageTask::new(&config, folder.path(), &Device::flex().autodiff()).unwrap()
}

fn ids(matrix: &Tensor<2, Int>) -> Vec<i32> {
    matrix.to_data().convert::<i32>().try_to_vec().unwrap()
}

fn position(units: u64) -> DataPosition {
    DataPosition {
        units,
        planned: 10_000,
    }
}

fn context() -> LossContext {
    LossContext {
        dropout_seed: 1,
        watch: false,
    }
}

#[test]
fn the_mask_is_exact_to_the_token_in_windows_and_in_streams() {
    for more in [
        "",
        "[sequence.streams]\nunroll = 2\nbackprop = 2\n",
        "[sequence.streams]\npersistent = 0.5\n",
    ] {
        let task = task(more);
        let (mut cursor, mut counted, mut all) = (task.cursor().unwrap(), 0, 0);
        for step in 0..20 {
            let batch = task
                .batch(position(step * task.units_per_batch()), &mut cursor)
                .unwrap();
            for window in &batch.windows {
                let found = window.counted.as_ref().unwrap();
                let mask: Vec<f32> = found.mask.to_data().try_to_vec().unwrap();
                let expected: Vec<bool> = ids(&window.targets).into_iter().map(is_written).collect();
                let given: Vec<bool> = mask.iter().map(|&value| value == 1.0).collect();
                assert!(mask.iter().all(|value| [0.0, 1.0].contains(value)));
                assert_eq!(given, expected, "{more}");
                assert_eq!(found.number, expected.iter().filter(|&&counts| counts).count());
                counted += found.number;
                all += expected.len();
            }
        }
        assert!(counted > all / 6 && counted < all / 2, "{counted} of {all}");
    }
}

/// Windows of a batch, with these targets in the place of its own.
fn with_targets(batch: Batch, change: impl Fn(i32) -> i32, device: &Device) -> Batch {
    let windows = batch.windows.into_iter().map(|window| {
        let shape = window.targets.dims();
        let changed: Vec<i32> = ids(&window.targets).into_iter().map(&change).collect();
        crate::training::streams::Window {
            targets: Tensor::from_data(TensorData::new(changed, shape), device),
            ..window
        }
    });
    Batch {
        windows: windows.collect(),
        lanes: batch.lanes,
    }
}

/// Loss of a step, and the gradients of all parameters, as bits.
fn learnt(task: &LanguageTask, model: &Dragon, batch: Batch) -> (f64, BTreeMap<String, Vec<u32>>) {
    let mut carry = task.carry(model).unwrap();
    let loss = task.loss(model, batch, &mut carry, context()).unwrap().value;
    let value = loss.clone().into_scalar::<f64>();
    let mut set = burn_dragon_train::api::expert::GradientSet::default();
    set.add(loss.backward(), model);
    let names = burn_dragon_core::api::expert::named_shapes(model).into_keys();
    let bits = names.map(|name| {
        let values: Vec<f32> = set.get(&name).unwrap().to_data().try_to_vec().unwrap();
        (name, values.into_iter().map(f32::to_bits).collect())
    });
    (value, bits.collect())
}

#[test]
fn the_loss_is_the_mean_over_what_counts_and_nothing_else_has_a_gradient() {
    for more in ["", "[sequence.streams]\nunroll = 2\nbackprop = 2\n"] {
        let task = task(more);
        let model = task.new_model().unwrap();
        let batch = || task.batch(position(0), &mut task.cursor().unwrap()).unwrap();
        let (loss, gradients) = learnt(&task, &model, batch());
        let other = |id: i32| {
            if is_written(id) {
                id
            } else {
                (id * 7 + 5) % IDS as i32
            }
        };
        let changed = learnt(&task, &model, with_targets(batch(), other, &task.device));
        assert_eq!(
            (loss.to_bits(), &gradients),
            (changed.0.to_bits(), &changed.1),
            "{more}"
        );
        let other = |id: i32| if is_written(id) { (id + 2) % IDS as i32 } else { id };
        let changed = learnt(&task, &model, with_targets(batch(), other, &task.device));
        assert_ne!(loss, changed.0);
        if more.is_empty() {
            let (mut nats, mut number) = (0.0, 0);
            for window in batch().windows {
                let inputs = window.inputs.clone().inner();
                let logits = model.valid().forward_pass(inputs, Pass::default());
                let losses = token_losses(logits, window.targets.clone().inner());
                let losses: Vec<f32> = losses.into_data().try_to_vec().unwrap();
                for (id, loss) in ids(&window.targets).into_iter().zip(losses) {
                    if is_written(id) {
                        (nats, number) = (nats + f64::from(loss), number + 1);
                    }
                }
            }
            let expected = nats / f64::from(number);
            assert!((loss - expected).abs() < 1e-5, "{loss}, expected {expected}");
        }
    }
}

#[test]
fn a_batch_in_which_nothing_counts_has_a_loss_and_gradients_of_0() {
    let task = task("");
    let model = task.new_model().unwrap();
    let mut batch = task.batch(position(0), &mut task.cursor().unwrap()).unwrap();
    for counted in batch
        .windows
        .iter_mut()
        .filter_map(|window| window.counted.as_mut())
    {
        counted.mask = counted.mask.clone() * 0.0;
        counted.number = 0;
    }
    let (loss, gradients) = learnt(&task, &model, batch);
    assert_eq!(loss, 0.0);
    let zero = |bits: &u32| f32::from_bits(*bits) == 0.0;
    assert!(gradients.values().all(|bits| bits.iter().all(zero)));
}

#[test]
fn an_evaluation_is_of_what_counts_however_it_is_read() {
    let task = task("");
    let (model, held_out) = (task.new_model().unwrap().valid(), &task.corpus().validation);
    let evaluator = Evaluator::new(&*task.corpus().tokenizer);
    let written = (0..held_out.len()).filter(|&at| is_written(held_out.ids.at(at) as i32));
    let number = written.count();
    assert_eq!(held_out.with_loss().0, number);
    for memory in [
        WindowMemory::Reset,
        WindowMemory::Carried,
        WindowMemory::Sliding { window: 4 },
    ] {
        for block_size in [3, 10, 500] {
            let reading = WindowReading { memory, block_size };
            let figures = evaluator.evaluate(&model, held_out, reading, None).unwrap();
            assert_eq!(figures.tokens, number as u64, "{reading:?}");
            assert!(figures.bits_per_byte.is_none(), "ids stand for no bytes");
        }
    }
    // Documents read whole, by the definition: a softmax in f64.
    let (mut nats, reading) = (
        0.0,
        WindowReading {
            memory: WindowMemory::Reset,
            block_size: 500,
        },
    );
    for document in held_out.documents() {
        let text: Vec<i32> = held_out.ids.read(document).iter().map(|&id| id as i32).collect();
        let inputs = TensorData::new(text[..text.len() - 1].to_vec(), [1, text.len() - 1]);
        let logits = model.forward(Tensor::from_data(inputs, &Device::flex()));
        let logits: Vec<f32> = logits.into_data().try_to_vec().unwrap();
        for (row, &target) in logits.chunks(IDS).zip(&text[1..]) {
            let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
            if is_written(target) {
                nats += sum.ln() - f64::from(row[target as usize]);
            }
        }
    }
    let figures = evaluator.evaluate(&model, held_out, reading, None).unwrap();
    let expected = nats / number as f64;
    assert!(
        (figures.loss - expected).abs() < 1e-4,
        "{}, expected {expected}",
        figures.loss
    );
}

#[test]
fn bits_per_byte_are_of_the_bytes_that_count() {
    let folder = tempfile::tempdir().unwrap();
    let line = |at: usize| {
        let messages = json!([
            { "role": "user", "content": format!("what is {at} + {at}?") },
            { "role": "assistant", "content": format!("\u{e9}: {}", 2 * at) },
        ]);
        format!("{}\n", json!({ "messages": messages }))
    };
    let lines: String = (0..40).map(line).collect();
    std::fs::write(folder.path().join("a.jsonl"), lines).unwrap();
    let text = "[dataset]\ntype = 'records'\npaths = ['a.jsonl']\n[dataset.chat]\n[sequence]\nblock_size = 16\n\
                [model]\nd_model = 16\nn_heads = 2\nn_neurons = 32\nn_levels = 1\n";
    let config: LanguageConfig = toml::from_str(text).unwrap();
    let task = LanguageTask::new(&config, folder.path(), &Device::flex().autodiff()).unwrap();
    assert!(matches!(task.config().dataset.source, SourceConfig::Records(_)));
    assert!(matches!(
        task.corpus().split,
        SplitKind::AtDocument { train_documents: 36 }
    ));
    let held_out = &task.corpus().validation;
    // "é: " is 4 bytes, two digits follow, then U+0003 and a line end.
    assert_eq!(held_out.with_loss(), (4 * 8, 4 * 8));
    let evaluation = task
        .evaluate(&task.new_model().unwrap().valid(), Scope::Full)
        .unwrap();
    let bits = evaluation.metrics["bits_per_byte"];
    assert!((bits - evaluation.loss / std::f64::consts::LN_2).abs() < 1e-9);
    let factor = task.figures()[0].factor.unwrap();
    assert!(
        (factor - 1.0 / std::f64::consts::LN_2).abs() < 1e-12,
        "a token is a byte"
    );
}

#[test]
fn a_text_in_which_nothing_counts_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&talks(folder.path()), "");
    let mut corpus = Corpus::load(&config.dataset, folder.path(), None).unwrap();
    corpus.validation.counted = Some(crate::data::Counted::default());
    let error = LanguageTask::with_corpus(&config, corpus, &Device::flex().autodiff()).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("the validation text") && said.contains("dataset.chat.mask"),
        "{said}"
    );
}

/// Keys of `[model.rho]` for the windows of a step: memory that is not carried, gradients that end, and figures.
#[test]
fn windows_carry_what_model_rho_says() {
    let streams = "[sequence.streams]\nunroll = 3\nbackprop = 3\n";
    let of = |keys: &str| {
        let task = task(&format!("{streams}{keys}"));
        let model = task.new_model().unwrap();
        let batch = || task.batch(position(0), &mut task.cursor().unwrap()).unwrap();
        let watched = LossContext {
            watch: true,
            ..context()
        };
        let mut carry = task.carry(&model).unwrap();
        let metrics = task.loss(&model, batch(), &mut carry, watched).unwrap().metrics;
        let (loss, gradients) = learnt(&task, &model, batch());
        (loss, gradients, metrics)
    };
    let rho = |keys: &str| of(&format!("[model.rho]\nprecision = 'fp32'\n{keys}"));
    let (loss, gradients, metrics) = of("");
    assert!(!metrics.contains_key("rho_error"));
    let (same, same_gradients, _) = rho("detach_between_windows = false\n");
    assert_eq!((same, &same_gradients), (loss, &gradients));
    let (detached, cut, metrics) = rho("");
    assert_eq!(detached, loss, "a detached memory has the same numbers");
    assert!(cut["decoder_x"] != gradients["decoder_x"]);
    assert!(!metrics.contains_key("rho_error"), "nothing changes memory");
    let (empty, _, _) = rho("carry_across_tbptt = false\n");
    assert!((empty - loss).abs() > 1e-6);
    // Every window begins anew: it is the loss of the windows by themselves.
    let alone = task(streams);
    let model = alone.new_model().unwrap();
    let batch = alone.batch(position(0), &mut alone.cursor().unwrap()).unwrap();
    let (mut sum, mut count) = (0.0, 0.0);
    for window in batch.windows {
        let pass = Pass {
            resets: window.resets.clone(),
            ..Pass::default()
        };
        let logits = model.forward_pass(window.inputs, pass);
        let counted = window.counted.unwrap();
        let losses = (token_losses(logits, window.targets) * counted.mask).sum();
        sum += losses.into_scalar::<f64>();
        count += counted.number as f64;
    }
    assert!((empty - sum / count).abs() < 1e-5, "{empty} {}", sum / count);

    let (lossy, _, metrics) = rho("compression = 'ternary_block_exp'\n");
    assert!((lossy - loss).abs() > 1e-6);
    assert!(metrics["rho_error"] > 0.1 && metrics["rho_error"] < 1.0 && metrics["rho_norm"] > 0.0);
    let (_, _, metrics) = rho("compression = 'ternary_block_exp'\nstats_monitoring = false\n");
    assert!(!metrics.contains_key("rho_error"));
}
