//! Long contexts: large positions, long streams, a memory that does not grow.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod oracle;
mod subject;

use burn::tensor::{DType, Device};
use burn_dragon_core::api::{Decoder, Dragon, DragonConfig, DragonState};
use oracle::{Oracle, Turning, distance, lane};
use subject::{dragon, values};

/// A billion tokens on.
const FAR: u64 = 1_000_000_000;

/// So small that a million tokens are read in seconds.
fn config() -> DragonConfig {
    DragonConfig {
        vocab_size: 16,
        d_model: 8,
        n_heads: 2,
        n_neurons: 32,
        n_levels: 2,
        dropout: 0.0,
        init_std: 0.3,
        ..DragonConfig::tiny()
    }
}

/// Token t of an endless text.
fn token(t: u64) -> usize {
    (t.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as usize % 16
}

fn tokens(from: u64, length: u64) -> Vec<usize> {
    (from..from + length).map(token).collect()
}

/// An empty memory that says it is at a position.
fn at(dragon: &Dragon, position: u64) -> DragonState {
    let (rho, _) = dragon.empty_state(1).into_parts();
    DragonState::from_parts(rho, vec![position])
}

fn logits(dragon: &Dragon, tokens: &[usize], state: DragonState) -> Vec<f64> {
    values(
        dragon
            .forward_with_state(lane(tokens), state)
            .unwrap()
            .0
            .into_data(),
    )
}

#[test]
fn a_text_a_billion_tokens_on_reads_as_at_the_beginning() {
    let text = tokens(0, 200);
    for (dtype, tolerance) in [(DType::F32, 1e-4), (DType::F64, 1e-6)] {
        let dragon = dragon(&config(), dtype, &Device::flex());
        let mut oracle = Oracle::new(&dragon, Turning::Memory, 0); // knows no positions
        let exact: Vec<f64> = text.iter().flat_map(|&token| oracle.step(token)).collect();
        for start in [0, FAR, FAR + 17, FAR - 100, 1 << 40] {
            // At 2^40 a phase is known to 2^-53 of 2^38 turns.
            let tolerance = if start > 2 * FAR { 1e-3 } else { tolerance };
            let given = logits(&dragon, &text, at(&dragon, start));
            let off = distance(&given, &exact);
            println!("{dtype:?} at {start}: {off:e}");
            assert!(off < tolerance, "{dtype:?} at {start}: {off:e}");
        }
    }
}

#[test]
fn the_decoder_a_billion_tokens_on_reads_as_at_the_beginning() {
    let dragon = dragon(&config(), DType::F32, &Device::flex());
    let mut oracle = Oracle::new(&dragon, Turning::Memory, 0);
    let mut decoder = Decoder::from_state(&dragon, at(&dragon, FAR)).unwrap();
    for token in tokens(0, 300) {
        let given = decoder.step(&[token as u32]).unwrap();
        let given: Vec<f64> = given.iter().map(|&logit| f64::from(logit)).collect();
        let off = distance(&given, &oracle.step(token));
        assert!(off < 1e-4, "{off:e}");
    }
    assert_eq!(decoder.positions(), [FAR + 300]);
}

#[test]
fn the_phases_of_the_oracle_are_the_models_a_billion_tokens_on() {
    let dragon = dragon(&config(), DType::F64, &Device::flex());
    let text = tokens(0, 100);
    let mut oracle = Oracle::new(&dragon, Turning::Tokens, FAR);
    let exact: Vec<f64> = text.iter().flat_map(|&token| oracle.step(token)).collect();
    let (given, state) = dragon.forward_with_state(lane(&text), at(&dragon, FAR)).unwrap();
    assert!(distance(&values(given.into_data()), &exact) < 1e-6);
    for (level, rho) in state.rho().iter().enumerate() {
        assert!(distance(&values(rho.to_data()), &oracle.rho[level]) < 1e-5);
    }
}

/// Reads `length` tokens in f32, in windows, rebased every `rebase` tokens, and beside it in f64, one by one. Gives how
/// far the outputs of the last hundred tokens are apart, with the f32 memory rebased before them.
fn drift(length: u64, rebase: u64) -> f64 {
    const WINDOW: u64 = 100;
    let dragon = dragon(&config(), DType::F32, &Device::flex());
    let mut oracle = Oracle::new(&dragon, Turning::Tokens, 0);
    let mut state = dragon.empty_state(1);
    let bytes = state.bytes();
    let mut since = 0;
    for start in (0..length).step_by(WINDOW as usize) {
        let window = tokens(start, WINDOW);
        state = dragon.forward_with_state(lane(&window), state).unwrap().1;
        since += WINDOW;
        if since >= rebase {
            state = state.rebase(dragon.config()).unwrap();
            since = 0;
        }
        for &token in &window {
            oracle.step(token);
        }
        assert_eq!((state.bytes(), state.positions()), (bytes, &[since][..]));
    }
    let rebased = state.rebase(dragon.config()).unwrap();
    let last = tokens(length, WINDOW);
    let exact: Vec<f64> = last.iter().flat_map(|&token| oracle.step(token)).collect();
    let forgotten = logits(&dragon, &last, dragon.empty_state(1));
    assert!(distance(&forgotten, &exact) > 0.1, "the memory does not matter");
    distance(&logits(&dragon, &last, rebased), &exact)
}

#[test]
fn invariant_42_twenty_thousand_tokens_in_f32_do_not_drift() {
    for rebase in [u64::MAX, 3000] {
        let off = drift(20_000, rebase);
        println!("rebased every {rebase}: {off:e}");
        assert!(off < 1e-5, "{off:e}");
    }
}

/// `cargo test --release -p burn_dragon_core -p burn_dragon_cli --test long_context -- --ignored --nocapture`
#[test]
#[ignore = "a million tokens, twice"]
fn invariant_42_a_million_tokens_in_f32_do_not_drift() {
    for rebase in [u64::MAX, 100_000] {
        let start = std::time::Instant::now();
        let off = drift(1_000_000, rebase);
        println!(
            "rebased every {rebase}: {off:e}, {:.0} s",
            start.elapsed().as_secs_f64()
        );
        assert!(off < 2e-4, "{off:e}");
    }
}
