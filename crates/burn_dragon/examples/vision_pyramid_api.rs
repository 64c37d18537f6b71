//! A stack of memories looks at a picture, and at what follows: frames with carried memory, and a prediction without a frame.
//!
//! `cargo run --release --example vision_pyramid_api`

use burn::tensor::Tensor;
use burn_dragon::api::core::Backend;
use burn_dragon::api::core::structured::StepMode;
use burn_dragon::api::vision::{
    BackboneKind, Data, DatasetConfig, GlyphsConfig, Hidden, ModelConfig, PictureShape, Pixels,
    PyramidConfig, StepPass, VisionEncoder, stack,
};
use burn_dragon::burn;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Backend::Cpu.select()?.device;
    let config = ModelConfig {
        kind: BackboneKind::Pyramid,
        pyramid: Some(PyramidConfig::scene_slots()),
        ..ModelConfig::default()
    };
    let encoder = VisionEncoder::new(&config, 1337, &device)?;

    // Two pictures of glyphs, drawn from a seed.
    let glyphs = DatasetConfig::Embedded(GlyphsConfig {
        count: 1,
        validation_count: 2,
        ..GlyphsConfig::default()
    });
    let shape = PictureShape {
        size: config.image_size,
        colours: config.colours,
    };
    let Data::Pictures(pictures) = glyphs.load(shape)? else {
        unreachable!("glyphs are pictures");
    };
    let frames: Vec<Tensor<4>> = pictures
        .validation
        .batch(&[0, 1])?
        .iter()
        .map(|example| {
            let numbers = stack(&[Pixels::from(&example.picture)]);
            let data = burn::tensor::TensorData::new(numbers, [1, shape.size, shape.size, 1]);
            Tensor::from_data(data, &device)
        })
        .collect();

    // The first frame, looked at twice; then the second one, with the memories of the first; then none.
    let first = encoder.embed(frames[0].clone(), &Hidden::Nothing);
    let backbone = encoder.backbone(&first, &Hidden::Nothing)?;
    let mut state = backbone.start(first);
    let pass = StepPass::default();
    backbone.step(&mut state, StepMode::Observe, pass)?;
    backbone.step(&mut state, StepMode::Refine, pass)?;
    backbone.observe(&mut state, encoder.embed(frames[1].clone(), &Hidden::Nothing))?;
    backbone.step(&mut state, StepMode::Observe, pass)?;
    backbone.step(&mut state, StepMode::Predict, pass)?;

    let summary = backbone.summary(&state)?;
    println!(
        "{} patches, {} steps, {} bytes of memory, time {:?}, age of the prediction {:?}, summary {:?}",
        config.patches(),
        state.steps(),
        state.banks().bytes(),
        state.banks().times(),
        state.banks().ages(),
        summary.dims()
    );
    assert_eq!(
        (state.banks().times(), state.banks().ages()),
        (&[1][..], &[1][..])
    );
    Ok(())
}
