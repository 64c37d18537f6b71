//! Tests of `streams.rs`.

use super::*;
use crate::data::SplitKind;
use crate::data::WindowStart;
use crate::tokenizer::TokenizerConfig;
use crate::training::sequence::ScaleConfig;
use std::collections::BTreeMap;

/// Tokens that say where they are.
fn corpus(lengths: &[usize]) -> Corpus {
    let starts = lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end - length)
    });
    let total: usize = lengths.iter().sum();
    let tokens = Tokens {
        ids: (0..total as u32).collect(),
        starts: starts.collect(),
        bytes: total,
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

/// So many lanes, whose windows start anywhere.
fn plan(streams: &StreamConfig, batch_size: usize, block_size: usize, corpus: &Corpus) -> StreamPlan {
    let mut config = LanguageConfig::default();
    config.training.batch_size = batch_size;
    config.sequence.block_size = block_size;
    config.dataset.windows = WindowStart::Anywhere;
    StreamPlan::new(streams, &config, corpus).unwrap()
}

fn ids(matrix: Tensor<2, Int>) -> Vec<Vec<i32>> {
    let width = matrix.dims()[1];
    let ids: Vec<i32> = matrix.into_data().convert::<i32>().try_to_vec().unwrap();
    ids.chunks(width).map(<[i32]>::to_vec).collect()
}

#[test]
fn a_mixture_reads_every_token_of_an_epoch_once_with_as_many_in_every_step() {
    let lengths = [100, 33, 57, 20, 1, 91, 64, 10];
    let corpus = corpus(&lengths);
    let streams = StreamConfig {
        scales: [(8, 3), (16, 2), (32, 1)]
            .map(|(block_size, weight)| ScaleConfig { block_size, weight })
            .to_vec(),
        ..StreamConfig::default()
    };
    let plan = plan(&streams, 4, 16, &corpus);
    let mut lanes = plan.cursor();
    let mut read = BTreeMap::new();
    let steps = 40;
    for step in 0..steps {
        let batch = plan
            .batch((step, u64::MAX), &corpus.train, &mut lanes, &Device::flex())
            .unwrap();
        let [window] = &batch.windows[..] else { panic!() };
        assert_eq!(window.inputs.dims().iter().product::<usize>(), 64);
        assert_eq!(window.inputs.dims()[0], batch.lanes.len());
        let rows = ids(window.inputs.clone())
            .into_iter()
            .zip(ids(window.targets.clone()));
        for (input, target) in rows.flat_map(|(inputs, targets)| inputs.into_iter().zip(targets)) {
            assert_eq!(target, input + 1);
            *read.entry(input).or_insert(0) += 1;
        }
    }
    // Lanes are at most one document apart from the same share of the row of all epochs.
    let epochs = steps as usize * 64 / plan.tokens_per_epoch();
    assert_eq!(read.len(), plan.tokens_per_epoch());
    assert!(
        read.values()
            .all(|&times| times + 2 >= epochs && times <= epochs + 3),
        "{read:?}"
    );
    assert_eq!(plan.memories(), 8);
}

#[test]
fn lanes_that_do_not_persist_begin_with_nothing_and_read_on_within_a_step() {
    let corpus = corpus(&[400, 300]);
    let streams = StreamConfig {
        persistent: 0.5,
        unroll: 3,
        backprop: 1,
        ..StreamConfig::default()
    };
    let plan = plan(&streams, 4, 8, &corpus);
    let mut lanes = plan.cursor();
    for step in 0..5 {
        let batch = plan
            .batch((step, u64::MAX), &corpus.train, &mut lanes, &Device::flex())
            .unwrap();
        assert_eq!(batch.lanes, [0, 1, 2, 3]);
        let rows: Vec<_> = batch
            .windows
            .iter()
            .map(|window| ids(window.inputs.clone()))
            .collect();
        for (place, window) in batch.windows.iter().enumerate() {
            for (lane, row) in rows[place].iter().enumerate() {
                let begins = window.resets.of_lane(lane).first() == Some(&0);
                let fresh = place == 0 && (lane > 1 || step == 0);
                assert_eq!(begins, fresh, "{step} {place} {lane}");
                if let Some(before) = place.checked_sub(1) {
                    assert_eq!(row[0], rows[before][lane][7] + 1);
                }
            }
        }
    }
}

#[test]
fn lanes_that_persist_go_on_from_step_to_step() {
    let corpus = corpus(&[400, 300]);
    let plan = plan(&StreamConfig::default(), 2, 8, &corpus);
    let mut lanes = plan.cursor();
    let mut last: Option<Vec<Vec<i32>>> = None;
    for step in 0..20 {
        let batch = plan
            .batch((step, u64::MAX), &corpus.train, &mut lanes, &Device::flex())
            .unwrap();
        let rows = ids(batch.windows[0].inputs.clone());
        if let Some(last) = last {
            for (row, last) in rows.iter().zip(last) {
                assert_eq!(row[0], last[7] + 1);
            }
        }
        last = Some(rows);
    }
}
