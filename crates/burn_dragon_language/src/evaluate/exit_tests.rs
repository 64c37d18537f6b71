use super::*;
use crate::data::Documents;
use crate::evaluate::WindowMemory;
use crate::tokenizer::ByteTokenizer;
use burn::tensor::Device;
use burn_dragon_core::api::DragonConfig;

#[test]
fn without_confidence_it_is_the_loss_of_windows_and_with_it_levels_are_left_out() {
    let config = DragonConfig {
        d_model: 16,
        n_heads: 2,
        n_neurons: 64,
        n_levels: 3,
        ..DragonConfig::tiny()
    };
    let dragon = Dragon::new(&config, 3, &Device::flex()).unwrap();
    let documents = Documents::new(vec![
        b"the red key is under the mill".to_vec(),
        b"and so on".to_vec(),
    ]);
    let tokens = Tokens::encode(&documents, &ByteTokenizer).unwrap();
    let reading = WindowReading {
        memory: WindowMemory::Reset,
        block_size: 8,
    };
    let evaluator = Evaluator::new(&ByteTokenizer);
    let windows = evaluator.evaluate(&dragon, &tokens, reading, None).unwrap();
    let exit = |confidence, least_levels| Exit {
        confidence,
        least_levels,
    };
    let score = |exit| {
        evaluator
            .with_exit(&dragon, &tokens, (reading, 100), exit)
            .unwrap()
    };
    let all = score(exit(1.1, 1)); // no token is so likely
    assert_eq!((all.levels, all.tokens), (3.0, windows.tokens));
    assert!(
        (all.loss - windows.loss).abs() < 1e-5,
        "{} {}",
        all.loss,
        windows.loss
    );
    let one = score(exit(1e-3, 1));
    let two = score(exit(1e-3, 2));
    assert_eq!((one.levels, two.levels), (1.0, 2.0));
    let of_levels = |levels| {
        let dragon = dragon.clone().with_levels(levels).unwrap();
        evaluator.evaluate(&dragon, &tokens, reading, None).unwrap().loss
    };
    assert!((one.loss - of_levels(1)).abs() < 1e-5);
    assert!((two.loss - of_levels(2)).abs() < 1e-5);
}
