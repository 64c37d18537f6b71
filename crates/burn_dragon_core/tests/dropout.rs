//! Dropout masks of a pass: functions of the pass's seed and of the level.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::tensor::{DType, Device, Int, Tensor};
use burn_dragon_core::api::expert::{Keys, Level, Norm, Quantisers, Reader, View, derive};
use burn_dragon_core::api::{Credit, Dragon, DragonConfig, Pass, Precision};
use burn_dragon_kernel::api::{DropoutMask, LevelWeights, Retention, join, norm};
use subject::{config, dragon, values};

fn dropping() -> DragonConfig {
    DragonConfig {
        dropout: 0.4,
        ..config()
    }
}

/// The logits of a window, put together level by level with these masks.
fn with_masks(dragon: &Dragon, tokens: Tensor<2, Int>, masks: &[DropoutMask]) -> Tensor<3> {
    let config = dragon.config();
    let [lanes, length] = tokens.dims();
    let device = dragon.device();
    let rows = dragon.embed.val().select(0, tokens.reshape([lanes * length]));
    let mut v = norm(rows, config.norm_eps).reshape([lanes, 1, length, config.d_model]);
    let level = Level {
        weights: LevelWeights::new(
            dragon.trunk.decoder_x.val(),
            dragon.trunk.decoder_y.val(),
            dragon.trunk.encoder.val(),
        ),
        rotation: config.frequencies().rotation(&[0], length, DType::F64, &device),
        keys: Keys::default(),
        read: Reader::causal(),
        retention: Retention::default(),
        norm: Norm::layer(config.norm_eps),
        thresholds: None,
        quantisers: Quantisers::default(),
        precision: Precision::F32,
        credit: Credit::Full,
    };
    for mask in masks {
        let u = level.run(v.clone(), None, Some(*mask), View::Nothing).u;
        v = join(v, u, config.norm_eps);
    }
    let logits = v
        .reshape([lanes * length, config.d_model])
        .matmul(dragon.lm_head.val());
    logits.reshape([lanes, length, config.vocab_size])
}

#[test]
fn every_level_has_a_mask_of_its_own() {
    let dragon = dragon(&dropping(), DType::F64, &Device::flex());
    let tokens = Tensor::<2, Int>::from_data([[1, 5, 5, 2, 0, 9], [6, 1, 5, 3, 1, 30]], &Device::flex());
    let pass = Pass {
        dropout_seed: Some(4),
        ..Pass::default()
    };
    let given = values(dragon.forward_pass(tokens.clone(), pass).into_data());
    let mask = |level: u64| DropoutMask::new(derive(4, "level", 0, level), 0.4);
    let off = |masks: [DropoutMask; 3]| {
        let expected = values(with_masks(&dragon, tokens.clone(), &masks).into_data());
        given
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max)
    };
    let own = off([0, 1, 2].map(mask));
    assert!(own < 1e-10, "{own:e}");
    assert!(off([0, 0, 0].map(mask)) > 1e-3, "the masks make no difference");
}
