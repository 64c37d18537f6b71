//! The decoder is the model: every way to read a stream gives the same logits and the same state.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::{Decoder, DecoderError, Dragon, DragonConfig, DragonState};

const LENGTH: usize = 40;

fn config() -> DragonConfig {
    DragonConfig {
        vocab_size: 61,
        d_model: 24,
        n_heads: 3,
        n_neurons: 3 * 46,
        n_levels: 3,
        init_std: 0.3,
        ..DragonConfig::tiny()
    }
}

fn dragon() -> Dragon {
    Dragon::new(&config(), 5, &Device::flex()).unwrap()
}

/// `[B, T]`, lane by lane.
fn tokens(lanes: usize, length: usize) -> Vec<u32> {
    (0..lanes * length)
        .map(|i| (i * i * 7 + i * 3) as u32 % 61)
        .collect()
}

/// Token t of each lane.
fn at(tokens: &[u32], length: usize, t: usize) -> Vec<u32> {
    tokens.chunks_exact(length).map(|lane| lane[t]).collect()
}

/// Logits `[B, T, V]` of the parallel form.
fn parallel(dragon: &Dragon, tokens: &[u32], lanes: usize) -> Vec<f32> {
    let ids: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
    let ids = TensorData::new(ids, [lanes, tokens.len() / lanes]);
    let ids = Tensor::<2, Int>::from_data(ids, &dragon.device());
    dragon
        .forward(ids)
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .unwrap()
}

#[track_caller]
fn close(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}");
    let size = b.iter().map(|v| v.abs()).fold(0.0, f32::max);
    let error = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error <= 1e-5 * size, "{what}: off by {error:e} of {size:e}");
}

fn memory(state: &DragonState) -> Vec<Vec<f32>> {
    state
        .rho()
        .iter()
        .map(|rho| rho.clone().into_data().convert::<f32>().try_into_vec().unwrap())
        .collect()
}

#[test]
fn steps_of_any_number_of_lanes_are_the_parallel_form() {
    let (dragon, vocab) = (dragon(), config().vocab_size);
    for lanes in [1, 3] {
        let tokens = tokens(lanes, LENGTH);
        let expected = parallel(&dragon, &tokens, lanes);
        let mut decoder = Decoder::new(&dragon, lanes);
        for t in 0..LENGTH {
            let logits = decoder.step(&at(&tokens, LENGTH, t)).unwrap();
            for (lane, logits) in logits.chunks_exact(vocab).enumerate() {
                let place = (lane * LENGTH + t) * vocab;
                close(
                    &format!("lane {lane} of {lanes}, token {t}"),
                    logits,
                    &expected[place..][..vocab],
                );
            }
        }
        assert_eq!(decoder.positions(), vec![LENGTH as u64; lanes]);
    }
}

#[test]
fn a_prompt_read_as_a_window_or_in_pieces_leaves_the_same_state_as_steps() {
    let (dragon, tokens) = (dragon(), tokens(2, LENGTH));
    let mut stepped = Decoder::new(&dragon, 2);
    for t in 0..LENGTH {
        stepped.step(&at(&tokens, LENGTH, t)).unwrap();
    }
    let mut whole = Decoder::new(&dragon, 2);
    whole.read(&tokens).unwrap();
    let mut pieces = Decoder::new(&dragon, 2);
    for range in [0..3, 3..25, 25..40] {
        let piece: Vec<u32> = tokens
            .chunks_exact(LENGTH)
            .flat_map(|lane| lane[range.clone()].to_vec())
            .collect();
        pieces.read(&piece).unwrap();
    }
    let expected = stepped.step(&[1, 2]).unwrap().to_vec();
    for (what, decoder) in [("whole", &mut whole), ("pieces", &mut pieces)] {
        assert_eq!(decoder.positions(), [LENGTH as u64; 2]);
        close(what, decoder.step(&[1, 2]).unwrap(), &expected);
        for (a, b) in memory(&decoder.state()).iter().zip(memory(&stepped.state())) {
            close(what, a, &b);
        }
    }
}

#[test]
fn a_state_that_was_taken_out_and_put_back_goes_on_with_the_same_bits() {
    let dragon = dragon();
    let mut original = Decoder::new(&dragon, 2);
    for t in 0..10 {
        original.step(&[t, t + 20]).unwrap();
    }
    let mut fork = original.clone();
    let mut restored = Decoder::from_state(&dragon, original.state()).unwrap();
    for t in 0..5 {
        let expected = original.step(&[t, 7]).unwrap().to_vec();
        assert_eq!(fork.step(&[t, 7]).unwrap(), expected);
        assert_eq!(restored.step(&[t, 7]).unwrap(), expected);
    }
}

#[test]
fn a_state_far_into_a_stream_goes_on_there() {
    let dragon = dragon();
    let mut decoder = Decoder::new(&dragon, 1);
    decoder.read(&tokens(1, 20)).unwrap();
    let (rho, _) = decoder.state().into_parts();
    for position in [1_000_000_000, 3] {
        let state = DragonState::from_parts(rho.clone(), vec![position]);
        let ids = Tensor::<2, Int>::from_data([[9]], &dragon.device());
        let (expected, next) = dragon.forward_with_state(ids, state.clone()).unwrap();
        let mut decoder = Decoder::from_state(&dragon, state).unwrap();
        let expected: Vec<f32> = expected.into_data().try_into_vec().unwrap();
        close("logits", decoder.step(&[9]).unwrap(), &expected);
        for (a, b) in memory(&decoder.state()).iter().zip(memory(&next)) {
            close("memory", a, &b);
        }
    }
}

#[test]
fn a_model_of_another_precision_is_decoded_through_its_tensors() {
    let vocab = config().vocab_size;
    let mut precise = dragon();
    precise.embed = precise.embed.map(|w| w.cast(DType::F64));
    precise.trunk.decoder_x = precise.trunk.decoder_x.map(|w| w.cast(DType::F64));
    precise.trunk.decoder_y = precise.trunk.decoder_y.map(|w| w.cast(DType::F64));
    precise.trunk.encoder = precise.trunk.encoder.map(|w| w.cast(DType::F64));
    precise.lm_head = precise.lm_head.map(|w| w.cast(DType::F64));
    let tokens = tokens(1, 24);
    let expected = parallel(&precise, &tokens, 1);
    let mut decoder = Decoder::new(&precise, 1);
    assert_eq!(decoder.density(), None);
    close(
        "prompt",
        decoder.read(&tokens[..20]).unwrap(),
        &expected[19 * vocab..][..vocab],
    );
    close(
        "step",
        decoder.step(&tokens[20..21]).unwrap(),
        &expected[20 * vocab..][..vocab],
    );
    assert_eq!(decoder.state().rho()[0].dtype(), DType::F64);
}

#[test]
fn the_density_of_a_step_is_that_of_its_activities() {
    let dragon = dragon();
    let mut decoder = Decoder::new(&dragon, 1);
    decoder.read(&tokens(1, 20)).unwrap();
    decoder.step(&[3]).unwrap();
    let density = decoder.density().unwrap();
    assert_eq!(density.x.len(), 3);
    assert!(
        density
            .x
            .iter()
            .zip(&density.y)
            .all(|(x, y)| 0.2 < *x && *x < 0.8 && *y > 0.05 && y < x)
    );
}

#[test]
fn tokens_and_states_that_do_not_fit_are_refused_and_change_nothing() {
    let dragon = dragon();
    let mut decoder = Decoder::new(&dragon, 2);
    decoder.step(&[1, 2]).unwrap();
    let before = memory(&decoder.state());
    assert_eq!(
        decoder.step(&[1]),
        Err(DecoderError::Tokens { given: 1, lanes: 2 })
    );
    assert_eq!(
        decoder.read(&[1, 2, 3]),
        Err(DecoderError::Tokens { given: 3, lanes: 2 })
    );
    assert_eq!(
        decoder.read(&[]),
        Err(DecoderError::Tokens { given: 0, lanes: 2 })
    );
    let unknown = DecoderError::Vocabulary {
        token: 61,
        vocab_size: 61,
    };
    assert_eq!(decoder.step(&[1, 61]), Err(unknown.clone()));
    assert!(unknown.to_string().contains("0 to 60"), "{unknown}");
    let narrow = DragonConfig {
        d_model: 8,
        ..config()
    };
    let state = DragonState::new(&narrow, 2, &Device::flex());
    assert!(matches!(
        decoder.resume(state.clone()),
        Err(DecoderError::State(_))
    ));
    assert!(matches!(
        Decoder::from_state(&dragon, state),
        Err(DecoderError::State(_))
    ));
    assert!(matches!(
        decoder.resume(dragon.empty_state(1)),
        Err(DecoderError::State(_))
    ));
    assert_eq!(memory(&decoder.state()), before);
    assert_eq!(decoder.positions(), [1, 1]);
}

/// After a window the memory is where the window left it, until a single token or another memory comes.
#[test]
fn what_a_window_left_is_gone_on_with_and_gives_way_to_another_memory() {
    let dragon = dragon();
    let (text, more) = (tokens(1, 40), tokens(1, 7));
    let mut decoder = Decoder::new(&dragon, 1);
    decoder.read(&text).unwrap();
    let left = decoder.state();
    let stepped = |mut decoder: Decoder| {
        let mut logits = Vec::new();
        more.iter()
            .for_each(|&token| logits.extend_from_slice(decoder.step(&[token]).unwrap()));
        (logits, memory(&decoder.state()), decoder.positions().to_vec())
    };
    let expected = stepped(Decoder::from_state(&dragon, left.clone()).unwrap());
    assert_eq!(expected.2, [47]);
    assert_eq!(stepped(decoder.clone()), expected);
    assert_eq!(stepped(decoder.fresh()).2, [7]);
    // Window upon window, and a memory in between.
    decoder.read(&text).unwrap();
    assert_eq!(decoder.positions(), [80]);
    decoder.resume(left).unwrap();
    assert_eq!(
        (decoder.positions(), stepped(decoder.clone())),
        (&[40][..], expected)
    );
}
