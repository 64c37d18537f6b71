//! Generation on a GPU is that on the processor: tokens, stops, and what goes on after them.
//!
//! Without an adapter each test says that it skipped.

use super::*;
use crate::tokenizer::ByteTokenizer;
use burn::tensor::Tensor;
use burn_dragon_core::api::{Backend, DragonConfig};

const BACKEND: Backend = if cfg!(feature = "cuda") {
    Backend::Cuda
} else {
    Backend::Wgpu
};

/// The same model on the processor and on the GPU, if there is one.
fn dragons() -> Option<[Dragon; 2]> {
    let Ok(selected) = BACKEND.select() else {
        println!("skipped: no adapter was found");
        return None;
    };
    let config = DragonConfig {
        n_neurons: 136,
        d_model: 20,
        n_levels: 2,
        init_std: 0.3,
        ..DragonConfig::tiny()
    };
    Some([Device::flex(), selected.device].map(|device| Dragon::new(&config, 2, &device).unwrap()))
}

fn config() -> GenerationConfig {
    GenerationConfig {
        max_tokens: Some(40),
        ..GenerationConfig::default()
    }
}

/// A generation from "Once", which ends after so many pieces of text at most, one more of 5 tokens, and the prefix.
fn twice(dragon: &Dragon, config: &GenerationConfig, pieces: usize) -> ([Generation; 2], Prefix) {
    let generator = Generator::new(dragon, Arc::new(ByteTokenizer), config).unwrap();
    let mut reading = generator.read(&b"Once".map(u32::from)).unwrap();
    let mut heard = 0;
    let first = generator.go_on(&mut reading, |_| {
        heard += 1;
        match heard < pieces {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    let more = GenerationConfig {
        max_tokens: Some(5),
        stop: Vec::new(),
        ..config.clone()
    };
    let generator = Generator::new(dragon, Arc::new(ByteTokenizer), &more).unwrap();
    let second = generator.go_on(&mut reading, |_| ControlFlow::Continue(()));
    ([first.unwrap(), second.unwrap()], reading)
}

#[track_caller]
fn same([processor, device]: &[Dragon; 2], config: &GenerationConfig, pieces: usize) -> Generation {
    let (expected, read) = twice(processor, config, pieces);
    let (found, reading) = twice(device, config, pieces);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.token_ids, expected.token_ids, "{config:?}");
        assert_eq!((&found.text, found.stopped), (&expected.text, expected.stopped));
    }
    assert_eq!((reading.tokens(), reading.seen()), (read.tokens(), read.seen()));
    let values = |prefix: &Prefix| {
        let rho = prefix.state().into_parts().0;
        let of = |rho: Tensor<4>| rho.into_data().try_to_vec::<f32>().unwrap();
        rho.into_iter().flat_map(of).collect::<Vec<_>>()
    };
    let (found, expected) = (values(&reading), values(&read));
    let size = expected.iter().map(|v| v.abs()).fold(0.0, f32::max);
    let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f32::max) < 1e-4 * size);
    let [first, _] = twice(device, config, pieces).0;
    first
}

/// Greedy, and from the seed's numbers; more tokens than are drawn at once.
#[test]
fn the_tokens_of_a_seed_are_those_of_the_processor() {
    let Some(dragons) = dragons() else { return };
    let sampled = GenerationConfig {
        temperature: 0.9,
        top_k: Some(40),
        repetition_penalty: Some(1.3),
        ..config()
    };
    for config in [
        GenerationConfig {
            temperature: 0.0,
            ..config()
        },
        sampled,
    ] {
        let generator = Generator::new(&dragons[1], Arc::new(ByteTokenizer), &config).unwrap();
        assert_eq!(generator.begin().drawn_on(), DrawnOn::Device { ahead: 16 });
        assert_eq!(same(&dragons, &config, 1000).token_ids.len(), 40);
    }
}

/// A stop text, or the one who listens, ends a generation within a batch; it goes on from there as on the processor.
#[test]
fn what_is_drawn_beyond_a_stop_is_forgotten() {
    let Some(dragons) = dragons() else { return };
    let whole = same(&dragons, &config(), 1000);
    let broken_off = same(&dragons, &config(), 7);
    assert!(broken_off.token_ids.len() < whole.token_ids.len());
    assert_eq!(
        broken_off.token_ids,
        whole.token_ids[..broken_off.token_ids.len()]
    );
    let ascii = whole
        .text
        .char_indices()
        .filter(|(at, c)| *at > 5 && c.is_ascii());
    let Some((_, letter)) = ascii.clone().next() else {
        panic!("no ASCII letter in {:?}", whole.text);
    };
    let stop = vec![letter.to_string()];
    let stopped = same(&dragons, &GenerationConfig { stop, ..config() }, 1000);
    assert!(stopped.stopped && stopped.token_ids.len() < 40);
}

/// A sliding context reads each token into two memories: token by token, with the processor's draws.
#[test]
fn a_sliding_context_is_that_of_the_processor_and_says_where_it_draws() {
    let Some(dragons) = dragons() else { return };
    let config = GenerationConfig {
        context: ContextStrategy::Sliding { window: 8 },
        max_tokens: Some(6),
        ..config()
    };
    let generator = Generator::new(&dragons[1], Arc::new(ByteTokenizer), &config).unwrap();
    let said = generator.begin().drawn_on().to_string();
    assert!(said.contains("read back") && said.contains("sliding"), "{said}");
    same(&dragons, &config, 1000);
}
