use super::*;
use crate::config::{ModelConfig, Observation, SharedMemory};
use crate::data::{Data, DatasetConfig, GeneratedTask, GeneratorConfig, NbodyConfig};
use crate::graph::Labels;
use crate::model::{GraphDragon, GraphDragonConfig, PlaceMemory};
use burn::module::Param;
use burn::tensor::Device;

pub(in crate::motion) fn data(inputs: BodyInputs) -> (Data, Motion) {
    let generator = GeneratorConfig {
        task: GeneratedTask::Nbody,
        graphs: 2,
        validation_graphs: 3,
        test_graphs: 1,
        nodes: [2, 4],
        nbody: Some(NbodyConfig {
            inputs,
            observed_frames: 2,
            rollout_frames: 6,
            ..NbodyConfig::default()
        }),
        ..GeneratorConfig::default()
    };
    let data = DatasetConfig::Embedded(generator).load().unwrap();
    let motion = data.schema.target.motion().unwrap();
    (data, motion)
}

pub(in crate::motion) fn model(data: &Data, decay: f64, device: &Device) -> GraphDragon {
    model_with(data, decay, None, None, device)
}

pub(in crate::motion) fn model_with(
    data: &Data,
    decay: f64,
    observation: Option<Observation>,
    shared_memory: Option<SharedMemory>,
    device: &Device,
) -> GraphDragon {
    let config = GraphDragonConfig {
        model: ModelConfig {
            d_model: 8,
            n_neurons: 16,
            n_heads: 2,
            n_levels: 2,
            decay,
            observation,
            shared_memory,
            init_std: 0.3,
            ..ModelConfig::default()
        },
        schema: data.schema.clone(),
    };
    GraphDragon::new(&config, 1, device).unwrap()
}

/// Outputs of 0 are constant velocity: a model without a readout has the errors of the control, in every frame.
#[test]
fn a_model_without_outputs_is_constant_velocity() {
    let (data, motion) = data(BodyInputs::PositionsAndVelocities);
    let mut model = model(&data, 0.5, &Device::flex());
    model.readout = Param::from_tensor(model.readout.val().zeros_like());
    let found = score(&model, &motion, &data.validation, 6, GraphPass::default()).unwrap();
    let control = constant_velocity(&motion, &data.validation, 6);
    assert_eq!(found.by_frame, control.by_frame);
    assert_eq!((found.losses.len(), control.by_frame.len()), (2, 6));
    assert!(control.by_frame[5] > control.by_frame[0] && control.by_frame[0] > 0.0);
}

/// Where velocities are not seen, bodies go on with the displacement between the two newest frames.
#[test]
fn without_velocities_the_control_goes_on_with_the_last_displacement() {
    let (data, motion) = data(BodyInputs::Positions);
    let first = &data.validation[..1];
    let Labels::Frames(frames) = &first[0].labels else {
        panic!()
    };
    let mut sum = 0.0;
    for at in 0..frames.frame(0).len() {
        let [before, newest, next] = [0, 1, 2].map(|frame| f64::from(frames.frame(frame)[at]));
        sum += (next - 2.0 * newest + before).powi(2);
    }
    let expected = sum / frames.frame(0).len() as f64;
    let found = constant_velocity(&motion, first, 1).first();
    assert!(
        (found - expected).abs() < 1e-6 * expected.max(1e-3),
        "{found} {expected}"
    );
}

#[test]
fn the_first_frame_of_a_roll_out_is_that_of_the_outputs_in_every_use_of_memory() {
    let (data, motion) = data(BodyInputs::Positions);
    let model = model(&data, 0.5, &Device::flex());
    let mut firsts = Vec::new();
    for memory in [
        PlaceMemory::Carried,
        PlaceMemory::ResetEachLevel,
        PlaceMemory::WipedAt(2),
        PlaceMemory::NeverWritten,
    ] {
        let pass = GraphPass {
            memory,
            ..GraphPass::default()
        };
        let found = score(&model, &motion, &data.validation, 1, pass).unwrap();
        // The scaled outputs are positions alone, so that the loss is the error in units of the scale.
        let scaled = found.first() / motion.scales[0].powi(2);
        let loss = found.losses[1];
        assert!((scaled - loss).abs() < 1e-3 * loss, "{memory:?}: {scaled} {loss}");
        firsts.push(loss);
    }
    firsts.dedup();
    assert_eq!(
        firsts.len(),
        4,
        "each use of memory has figures of its own: {firsts:?}"
    );
}
