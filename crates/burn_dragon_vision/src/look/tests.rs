//! Tests of views.

use super::*;
use crate::encoder::{BackboneKind, ModelConfig};
use crate::export::model_file;
use crate::heads::HeadsConfig;
use crate::model::VisionModelConfig;
use burn::tensor::Device;

fn model(kind: BackboneKind) -> VisionModel {
    let config = VisionModelConfig {
        encoder: ModelConfig {
            kind,
            image_size: 16,
            d_model: 16,
            n_heads: 2,
            n_neurons: 32,
            n_levels: 2,
            ..ModelConfig::default()
        },
        heads: HeadsConfig {
            classes: Some(2),
            ..HeadsConfig::default()
        },
    };
    VisionModel::new(&config, 1, &Device::flex()).unwrap()
}

fn asked(model: &VisionModel, steps: Option<usize>) -> Result<Look, TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("picture.png");
    let mut picture = Picture::black(20, 12, Colours::Rgb);
    picture.pixel_mut(9, 6).copy_from_slice(&[250, 10, 90]);
    std::fs::write(&input, png(&picture).unwrap()).unwrap();
    let file = model_file(model, &["cat".to_string(), "dog".to_string()], (3, 9));
    let request = LookRequest {
        model: "model.bpk".into(),
        input,
        steps,
        device: Device::flex(),
    };
    look(file, &request)
}

#[test]
fn every_backbone_shows_what_it_has() {
    for (kind, rows) in [
        (BackboneKind::Dense, 3),
        (BackboneKind::Cellular, 3),
        (BackboneKind::Pyramid, 2),
        (BackboneKind::Convolution, 1),
    ] {
        let seen = asked(&model(kind), Some(3)).unwrap();
        assert_eq!(seen.lines.len(), 3, "{kind:?}");
        assert!(seen.lines[2].contains("cat") || seen.lines[2].contains("dog"));
        assert_eq!(seen.page.matches("<li>").count(), rows, "{kind:?}");
        assert!(seen.picture.starts_with(b"\x89PNG"));
    }
}

#[test]
fn a_number_of_levels_out_of_range_is_refused() {
    let error = asked(&model(BackboneKind::Dense), Some(0))
        .unwrap_err()
        .to_string();
    assert!(error.contains("--steps 0"), "{error}");
}
