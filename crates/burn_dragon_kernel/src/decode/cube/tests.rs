//! Decoding on a GPU against its definition, and its draws against steps.

use super::*;
use crate::decode::device::{Ahead, DeviceDecode, DeviceParameters, Drawn};
use crate::decode::reference::{self, State};
use crate::decode::tests::{Draws, Model};
use crate::draw::{Draw, reference as draw_reference};
use crate::gpu::tests::{device, near};
use crate::testing::values;
use burn::tensor::{Device, Tensor};

/// Of sums of some hundred f32 in another order, through some levels.
const TOLERANCE: f64 = 2e-5;

/// Sizes that no power of two divides, a last chunk that is not full.
const ODD: Sizes = Sizes {
    levels: 3,
    heads: 2,
    neurons: 46,
    width: 20,
    vocab: 61,
};

fn model(sizes: Sizes, slopes: &[f64]) -> Model {
    let mut model = Model::new(sizes, 0.2, &mut Draws(5));
    model.slopes = slopes.to_vec();
    model
}

/// A model's parameters on a device.
fn on(model: &Model, device: &Device) -> DeviceParameters {
    let plain = model.parameters();
    let Sizes {
        heads,
        neurons,
        width,
        vocab,
        ..
    } = plain.sizes;
    let tensor = |values: &[f32]| Tensor::<1>::from_floats(values, device);
    DeviceParameters {
        sizes: plain.sizes,
        embed: tensor(plain.embed).reshape([vocab, width]),
        decoder_x: tensor(plain.decoder_x).reshape([heads, width, neurons]),
        decoder_y: tensor(plain.decoder_y).reshape([heads, width, neurons]),
        encoder: tensor(plain.encoder).reshape([heads * neurons, width]),
        lm_head: tensor(plain.lm_head).reshape([width, vocab]),
        frequencies: plain.frequencies.clone(),
        slopes: plain.slopes.to_vec(),
        eps: plain.eps,
    }
}

fn streams_of(model: &Model, device: &Device, lanes: usize) -> DeviceDecode {
    DeviceDecode::new(on(model, device), lanes).expect("a GPU has kernels for it")
}

fn f32s(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// Several lanes at different positions, far into a stream; with decay and without; rows wider than a cube.
#[test]
fn steps_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    let wide = Sizes {
        levels: 2,
        heads: 1,
        neurons: 72,
        width: 301,
        vocab: 32,
    };
    for (sizes, slopes, lanes) in [(ODD, &[][..], 3), (wide, &[0.3][..], 2)] {
        let model = model(sizes, slopes);
        let mut streams = streams_of(&model, &device, lanes);
        let positions: Vec<u64> = (0..lanes as u64).map(|lane| lane * 1_000_000_007).collect();
        let memories = (0..sizes.levels).map(|level| streams.memory(level)).collect();
        streams.restore(memories, &positions);
        let mut state = State {
            positions,
            ..State::new(&model.parameters(), lanes)
        };
        for step in 0..3 {
            let tokens: Vec<u32> = (0..lanes as u32).map(|lane| (lane * 7 + step * 5) % 32).collect();
            let expected = reference::step(&model.parameters(), &mut state, &tokens);
            near("logits", streams.read(&tokens), &f32s(&expected), TOLERANCE);
        }
        for (level, rho) in state.rho.iter().enumerate() {
            near("memory", &values(streams.memory(level)), &f32s(rho), TOLERANCE);
        }
        assert_eq!(streams.positions(), state.positions);
    }
}

/// A piece of many tokens is read as one by one, longer than the tape, with the same bits.
#[test]
fn tokens_read_at_once_are_those_read_one_by_one() {
    let Some(device) = device() else { return };
    let model = model(ODD, &[]);
    let (mut whole, mut single) = (streams_of(&model, &device, 2), streams_of(&model, &device, 2));
    let tokens: Vec<u32> = (0..2 * 19).map(|i| i * 11 % 61).collect();
    let found = whole.read(&tokens).to_vec();
    for t in 0..19 {
        single.read(&[tokens[t], tokens[19 + t]]);
    }
    assert_eq!(found, single.logits());
    assert_eq!(values(whole.memory(2)), values(single.memory(2)));
}

const DRAW: Draw = Draw {
    temperature: 0.8,
    top_k: Some(20),
    top_p: None,
    penalty: Some(1.2),
};

fn uniforms(count: usize) -> Vec<f64> {
    (0..count).map(|i| (i as f64 * 0.618).fract()).collect()
}

/// What lanes draw, one step after another, by the definition of a draw from the logits of the same device.
fn one_by_one(streams: &mut DeviceDecode, tokens: &[u32], ahead: &Ahead<'_>) -> Vec<Vec<u32>> {
    let vocab = streams.logits().len() / tokens.len();
    let (mut next, mut seen) = (tokens.to_vec(), ahead.seen.to_vec());
    let mut drawn = vec![Vec::new(); tokens.len()];
    for step in 0..ahead.count {
        let logits = streams.read(&next).to_vec();
        for (lane, logits) in logits.chunks_exact(vocab).enumerate() {
            let uniform = || ahead.uniforms[lane * ahead.count + step];
            let token =
                draw_reference::draw(logits, &ahead.draw, seen[lane].iter().copied(), uniform).unwrap();
            drawn[lane].push(token);
            seen[lane].retain(|&other| other != token);
            seen[lane].push(token);
            next[lane] = token;
        }
    }
    drawn
}

/// Each lane draws as it would alone, in one batch and in two, the launches captured or not; where a lane ends, the
/// other goes on.
#[test]
fn tokens_drawn_ahead_are_those_of_steps_until_the_end_token() {
    let Some(device) = device() else { return };
    let model = model(ODD, &[]);
    let (uniforms, seen) = (uniforms(2 * 9), [vec![1, 2, 3], vec![]]);
    let ahead = Ahead {
        count: 9,
        draw: DRAW,
        uniforms: &uniforms,
        seen: &seen,
        end: None,
        keeps: false,
    };
    let (mut streams, mut steps) = (streams_of(&model, &device, 2), streams_of(&model, &device, 2));
    let expected = one_by_one(&mut steps, &[4, 5], &ahead);
    let found = streams.draw(&[4, 5], &ahead);
    assert_eq!(
        found.iter().map(|lane| lane.tokens.clone()).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(streams.logits(), steps.logits());
    assert_eq!(values(streams.memory(2)), values(steps.memory(2)));

    let end = expected[0][4];
    let until = expected
        .iter()
        .map(|lane| lane.iter().position(|&token| token == end).map_or(9, |at| at + 1));
    let until: Vec<usize> = until.collect();
    let mut streams = streams_of(&model, &device, 2);
    let found = streams.draw(
        &[4, 5],
        &Ahead {
            end: Some(end),
            ..ahead
        },
    );
    for ((found, expected), &until) in found.iter().zip(&expected).zip(&until) {
        assert_eq!((&found.tokens[..], found.stuck), (&expected[..until], false));
    }
    assert_eq!(
        streams.positions(),
        until.iter().map(|&read| read as u64).collect::<Vec<_>>()
    );
    // The memory is that of the tokens before the end.
    let mut alone = streams_of(&model, &device, 1);
    let read: Vec<u32> = [4].iter().chain(&expected[0]).take(until[0]).copied().collect();
    let logits = alone.read(&read);
    assert_eq!(logits, &streams.logits()[..61]);
    let memory = values(alone.memory(1));
    assert_eq!(memory, values(streams.memory(1))[..memory.len()]);
}

/// After a rewind, and after a draw with other settings, with a graph or without, the streams are those that read no
/// further.
#[test]
fn a_rewind_leaves_the_bits_of_what_was_read() {
    let Some(device) = device() else { return };
    let model = model(ODD, &[]);
    let (uniforms, seen) = (uniforms(2 * 6), [vec![], vec![]]);
    let ahead = Ahead {
        count: 6,
        draw: DRAW,
        uniforms: &uniforms,
        seen: &seen,
        end: None,
        keeps: true,
    };
    let mut streams = streams_of(&model, &device, 2);
    streams.read(&[7, 8]);
    let mut fork = streams.clone();
    let drawn: Vec<Drawn> = streams.draw(&[4, 5], &ahead);
    streams.rewind(&[3, 6]);
    assert_eq!(streams.positions(), [4, 7]);
    let mut steps = streams_of(&model, &device, 1);
    steps.read(&[&[7, 4][..], &drawn[0].tokens[..2]].concat());
    assert_eq!(steps.logits(), &streams.logits()[..61]);
    let memory = values(steps.memory(2));
    assert_eq!(memory, values(streams.memory(2))[..memory.len()]);
    // From here both go on alike, and a fork from before knows nothing of it.
    let next = [drawn[0].tokens[2], drawn[1].tokens[5]];
    assert_eq!(steps.read(&next[..1]), &streams.read(&next)[..61]);
    assert_eq!(fork.draw(&[4, 5], &ahead), drawn);
}

/// A lane that has nothing to draw from stays where it is, and has read what it drew.
#[test]
fn a_lane_with_nothing_to_draw_is_stuck_there() {
    let Some(device) = device() else { return };
    let mut model = model(ODD, &[]);
    model.matrices[4][3] = f32::NAN; // a logit of token 3
    let mut streams = streams_of(&model, &device, 1);
    let ahead = Ahead {
        count: 4,
        draw: Draw {
            temperature: 0.0,
            penalty: None,
            ..DRAW
        },
        uniforms: &[],
        seen: &[],
        end: None,
        keeps: false,
    };
    let found = streams.draw(&[1], &ahead);
    assert_eq!(
        found,
        [Drawn {
            tokens: vec![],
            stuck: true
        }]
    );
    assert_eq!(streams.positions(), [1]);
    assert!(streams.logits()[3].is_nan() && streams.logits()[4].is_finite());
}

/// With wgpu the launches of a token are captured, and those of other settings anew.
#[cfg(all(feature = "wgpu", not(feature = "cuda")))]
#[test]
fn launches_are_captured_where_the_device_can() {
    use crate::decode::device::{self, DeviceStreams};
    let Some(device) = device() else { return };
    let parameters = device::on::<CubeBackend>(&on(&model(ODD, &[]), &device)).unwrap();
    let mut streams = Streams::new(Arc::new(Weights::new(parameters)), 1);
    let ahead = Ahead {
        count: 3,
        draw: Draw {
            temperature: 0.0,
            penalty: None,
            ..DRAW
        },
        uniforms: &[],
        seen: &[],
        end: None,
        keeps: false,
    };
    let first = streams.draw(&[0], &[1], &ahead).0;
    assert!(streams.has_graph());
    let again = streams.draw(&[3], &first[0].tokens[2..], &ahead).0;
    let expected = streams_of(&model(ODD, &[]), &device, 1).draw(&[1], &Ahead { count: 6, ..ahead });
    assert_eq!(
        [&first[0].tokens[..], &again[0].tokens].concat(),
        expected[0].tokens
    );
}

#[test]
fn chunks_are_as_small_as_keep_a_device_busy_and_no_smaller() {
    let cut = |count, rows| (Cut::new(count, rows).chunk, Cut::new(count, rows).chunks);
    assert_eq!(cut(46, 2), (32, 2));
    assert_eq!(cut(8192, 4), (64, 128));
    assert_eq!(cut(8192, 16), (256, 32));
    assert_eq!(cut(1, 1), (32, 1));
}
