use super::*;
use crate::data::Documents;
use crate::tokenizer::{ByteTokenizer, CharTokenizer, IdTokenizer};
use burn_dragon_core::api::DragonConfig;
use std::f64::consts::LN_2;

pub(super) fn dragon() -> Dragon {
    dragon_of(256)
}

fn dragon_of(vocab_size: usize) -> Dragon {
    let config = DragonConfig {
        n_neurons: 128,
        d_model: 16,
        n_levels: 2,
        init_std: 0.3,
        vocab_size,
        ..DragonConfig::tiny()
    };
    Dragon::new(&config, 1, &Device::flex()).unwrap()
}

pub(super) fn evaluator() -> Evaluator<'static> {
    Evaluator {
        lanes: 3,
        ..Evaluator::new(&ByteTokenizer)
    }
}

fn tokens(lengths: &[usize]) -> Tokens {
    let document =
        |(salt, &length): (usize, &usize)| (0..length).map(|i| ((i * i + salt) % 251) as u32).collect();
    let documents: Vec<Vec<u32>> = lengths.iter().enumerate().map(document).collect();
    let mut tokens = Tokens::default();
    for document in &documents {
        tokens.starts.push(tokens.bytes);
        tokens.bytes += document.len();
    }
    tokens.ids = documents.concat().into();
    tokens
}

const MEMORIES: [WindowMemory; 3] = [
    WindowMemory::Reset,
    WindowMemory::Carried,
    WindowMemory::Sliding { window: 12 },
];

fn of(tokens: &Tokens, memory: WindowMemory, block_size: usize) -> LanguageEvaluation {
    let reading = WindowReading { memory, block_size };
    evaluator().evaluate(&dragon(), tokens, reading, None).unwrap()
}

/// Cross entropy of each token but the first, in nats, by the definition: each window alone, softmax in f64.
fn costs(dragon: &Dragon, ids: &[u32], block_size: usize) -> Vec<f64> {
    let mut costs = Vec::new();
    for start in (0..ids.len() - 1).step_by(block_size) {
        let window = &ids[start..ids.len().min(start + block_size + 1)];
        let inputs: Vec<i32> = window[..window.len() - 1].iter().map(|&id| id as i32).collect();
        let inputs = TensorData::new(inputs, [1, window.len() - 1]);
        let logits = dragon.forward(Tensor::from_data(inputs, &dragon.device()));
        let [_, _, vocabulary] = logits.dims();
        let logits: Vec<f64> = logits.into_data().convert::<f64>().iter::<f64>().collect();
        for (row, &target) in logits.chunks(vocabulary).zip(&window[1..]) {
            let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
            costs.push(sum.ln() - row[target as usize]);
        }
    }
    costs
}

#[test]
fn the_figures_are_those_of_the_definition() {
    let (tokens, dragon) = (tokens(&[100, 1, 37, 16, 17]), dragon());
    let costs: Vec<f64> = tokens
        .documents()
        .flat_map(|document| costs(&dragon, &tokens.ids.read(document), 16))
        .collect();
    let figures = of(&tokens, WindowMemory::Reset, 16);
    assert_eq!((figures.documents, figures.tokens), (4, 99 + 36 + 15 + 16));
    assert_eq!(
        (figures.tokens, figures.bytes),
        (costs.len() as u64, costs.len() as u64)
    );
    let loss = costs.iter().sum::<f64>() / costs.len() as f64;
    assert!((figures.loss - loss).abs() < 1e-6, "{} {loss}", figures.loss);
    assert!((figures.bits_per_byte.unwrap() - loss / LN_2).abs() < 1e-6);
    assert_eq!((figures.unknown, figures.unknown_share), (0, 0.0));
}

#[test]
fn a_figure_does_not_depend_on_what_is_read_side_by_side() {
    let tokens = tokens(&[100, 3, 41, 41, 17, 90, 2, 64]);
    for memory in MEMORIES {
        let of = |lanes| {
            let reading = WindowReading {
                memory,
                block_size: 16,
            };
            let evaluator = Evaluator { lanes, ..evaluator() };
            evaluator.evaluate(&dragon(), &tokens, reading, None).unwrap()
        };
        for lanes in [2, 5, 100] {
            assert_eq!(of(lanes), of(1), "{memory:?} {lanes}");
        }
    }
}

/// Whatever the memory, a document says nothing of the next.
#[test]
fn a_text_costs_what_its_documents_cost_alone() {
    let lengths = [50, 2, 33, 128];
    let whole = tokens(&lengths);
    for memory in MEMORIES {
        let together = of(&whole, memory, 16);
        let mut nats = 0.0;
        for document in whole.documents() {
            let alone = Tokens {
                ids: whole.ids.read(document).into_owned().into(),
                starts: vec![0],
                ..Tokens::default()
            };
            let alone = of(&alone, memory, 16);
            nats += alone.loss * alone.tokens as f64;
        }
        let expected = nats / (lengths.iter().sum::<usize>() - lengths.len()) as f64;
        assert!((together.loss - expected).abs() < 1e-6, "{memory:?}");
    }
}

#[test]
fn windows_as_long_as_the_documents_are_the_same_with_any_memory() {
    let tokens = tokens(&[60, 31]);
    let whole = of(&tokens, WindowMemory::Reset, 100);
    let others = [
        of(&tokens, WindowMemory::Carried, 100),
        of(&tokens, WindowMemory::Carried, 7),
        of(&tokens, WindowMemory::Sliding { window: 60 }, 9),
    ];
    for other in others {
        assert!((other.loss - whole.loss).abs() < 1e-5, "{:?}", other.reading);
    }
    assert!((of(&tokens, WindowMemory::Reset, 7).loss - whole.loss).abs() > 1e-3);
}

/// What is padded, or read only for what comes after, is not counted.
#[test]
fn density_is_that_of_the_tokens_that_are_there() {
    let whole = tokens(&[70, 9, 23]);
    let figures = of(&whole, WindowMemory::Reset, 16);
    let (mut active, mut inputs) = (0.0, 0.0);
    for document in whole.documents() {
        let ids = &*whole.ids.read(document);
        for start in (0..ids.len() - 1).step_by(16) {
            let window = &ids[start..ids.len().min(start + 17)];
            let (tokens, _) = inputs_and_targets(&[window], &Device::flex());
            let mut probe = DensityProbe::default();
            let pass = burn_dragon_core::api::Pass {
                density: Some(&mut probe),
                ..Default::default()
            };
            dragon().forward_pass(tokens, pass);
            let length = (window.len() - 1) as f64;
            active += probe.density().x[1] * length;
            inputs += length;
        }
    }
    let density = figures.density.unwrap();
    assert_eq!((density.x.len(), inputs), (2, 69.0 + 8.0 + 22.0));
    assert!((density.x[1] - active / inputs).abs() < 1e-9);
    assert!(of(&whole, WindowMemory::Carried, 16).density.is_none());
}

#[test]
fn the_buckets_sum_to_the_whole() {
    let tokens = tokens(&[30, 600, 1, 1100, 257]);
    for memory in [WindowMemory::Carried, WindowMemory::Reset] {
        let whole = of(&tokens, memory, 60);
        assert_eq!((whole.documents, whole.tokens), (4, 29 + 599 + 1099 + 256));
        let counts: Vec<_> = whole.by_position.iter().map(|bucket| bucket.tokens).collect();
        assert_eq!(counts, [29 + 3 * 256, 2 * 256, 599 - 512 + 512, 1099 - 1024]);
        let bits = |bucket: &PositionScore| bucket.bits_per_byte.unwrap() * bucket.tokens as f64;
        let sum: f64 = whole.by_position.iter().map(bits).sum();
        assert!((sum / whole.tokens as f64 - whole.bits_per_byte.unwrap()).abs() < 1e-9);
        let starts: Vec<_> = whole.by_position.iter().map(|bucket| bucket.from).collect();
        assert_eq!(starts, [0, 256, 512, 1024]);
    }
}

#[test]
fn a_sample_of_everything_is_everything() {
    let tokens = tokens(&[90, 40]);
    for memory in MEMORIES {
        let reading = WindowReading {
            memory,
            block_size: 16,
        };
        let of = |windows| {
            evaluator()
                .evaluate(&dragon(), &tokens, reading, windows)
                .unwrap()
        };
        assert_eq!(of(Some(100)), of(None));
        assert_eq!(of(Some(2)).tokens, 32, "{memory:?}");
    }
}

#[test]
fn bits_are_of_the_bytes_of_the_text_whatever_the_model_knows() {
    let tokenizer = CharTokenizer::train(&[b"abc "], true).unwrap();
    let text = "ab \u{3042}\u{3044}\u{e9}c\u{3046}";
    let tokens = Tokens::encode(&Documents::new(vec![text.into()]), &tokenizer).unwrap();
    let evaluator = Evaluator {
        lanes: 1,
        ..Evaluator::new(&tokenizer)
    };
    for memory in MEMORIES {
        let reading = WindowReading {
            memory,
            block_size: 3,
        };
        let figures = evaluator.evaluate(&dragon_of(8), &tokens, reading, None).unwrap();
        // All but the first symbol, and the end of the text, which is no symbol.
        assert_eq!((figures.tokens, figures.bytes), (8, text.len() as u64 - 1));
        assert_eq!((figures.unknown, figures.unknown_share), (4, 4.0 / 7.0));
        let bits = figures.loss * 8.0 / LN_2 / (text.len() - 1) as f64;
        assert!((figures.bits_per_byte.unwrap() - bits).abs() < 1e-12);
    }
}

#[test]
fn tokens_of_which_nobody_knows_the_text_have_a_loss_alone() {
    let tokenizer = IdTokenizer::new(256);
    let evaluator = Evaluator {
        lanes: 1,
        ..Evaluator::new(&tokenizer)
    };
    let reading = WindowReading {
        memory: WindowMemory::Reset,
        block_size: 8,
    };
    let figures = evaluator
        .evaluate(&dragon(), &tokens(&[20]), reading, None)
        .unwrap();
    assert_eq!((figures.bits_per_byte, figures.bytes), (None, 0));
    assert_eq!(figures.loss, of(&tokens(&[20]), WindowMemory::Reset, 8).loss);
}

#[test]
fn a_text_of_single_tokens_is_refused() {
    for memory in MEMORIES {
        let reading = WindowReading {
            memory,
            block_size: 8,
        };
        let error = evaluator()
            .evaluate(&dragon(), &tokens(&[1, 1]), reading, None)
            .unwrap_err();
        let expected = LanguageError::NothingToPredict {
            text: "the text",
            documents: 2,
        };
        assert_eq!(error.to_string(), expected.to_string());
    }
}
