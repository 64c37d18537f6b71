use super::*;
use crate::baselines::BaselineConfig;
use crate::config::{BaselineName, Observation, SharedMemory};
use crate::input::FeatureScale;
use crate::motion::BodyInputs;
use crate::motion::evaluate::tests::{data, model, model_with};
use burn::tensor::Device;

/// The executor forms the memories, training keeps the writes: the same outputs frame by frame, also with a decay, a gate and a
/// shared memory.
#[test]
fn frames_by_executor_are_those_of_training() {
    let (data, motion) = data(BodyInputs::Positions);
    for (decay, gate, shared) in [
        (0.0, None, None),
        (0.5, None, Some(SharedMemory::Mean)),
        (0.0, Some(Observation::Gated), Some(SharedMemory::Mean)),
        (1.0, Some(Observation::Gated), None),
    ] {
        let model = model_with(&data, decay, gate, shared, &Device::flex());
        let frames = batch_frames(&data.validation, 2);
        let graphs = graphs(&data.validation);
        let rolled = model
            .rollout(&graphs, &frames, &motion, 3, PlaceMemory::Carried)
            .unwrap();
        let mut seen = frames;
        for next in &rolled {
            let last = model.outputs(&graphs, &seen, &motion, GraphPass::default());
            push_next(&mut seen, last.unwrap().pop(), &motion);
            let pairs = seen.last().unwrap().iter().zip(next);
            let off = pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
            assert!(off < 1e-5, "decay {decay}: {off}");
        }
    }
}

/// What was seen in a frame before changes the outputs if memories are carried, and not if they are emptied.
#[test]
fn a_memory_alone_carries_a_frame_before_the_newest() {
    let (data, motion) = data(BodyInputs::Positions);
    let graphs = graphs(&data.validation);
    let frames = batch_frames(&data.validation, 2);
    let other = vec![
        frames[0].iter().map(|value| value + 0.5).collect(),
        frames[1].clone(),
    ];
    let outputs = |decay: f64, frames: &[BatchFrame]| -> Vec<f32> {
        let model = model(&data, decay, &Device::flex());
        let outputs = model.outputs(&graphs, frames, &motion, GraphPass::default());
        let last = outputs.unwrap().pop().unwrap();
        last.into_data().convert::<f32>().iter::<f32>().collect()
    };
    assert_ne!(outputs(0.5, &frames), outputs(0.5, &other));
    assert_ne!(outputs(1.0, &frames), outputs(1.0, &other));
    assert_eq!(outputs(0.0, &frames), outputs(0.0, &other));
}

#[test]
fn gradients_reach_the_weights_through_frames_before_the_newest() {
    let (data, motion) = data(BodyInputs::Positions);
    let model = model(&data, 0.5, &Device::flex().autodiff());
    let loss = losses(&model, &motion, &data.train, GraphPass::default()).unwrap();
    let last = loss.last().cloned().unwrap();
    assert!(last.clone().into_scalar::<f64>() > 0.0);
    let gradients = last.backward();
    for weight in [model.features.val(), model.readout.val()] {
        let gradient = weight.grad(&gradients).unwrap();
        assert!(gradient.abs().max().into_scalar::<f64>() > 0.0);
    }
}

/// A learnt gate lets the state carry what was seen before, also where memories are emptied.
#[test]
fn a_gate_carries_a_frame_before_the_newest_in_the_states() {
    let (data, motion) = data(BodyInputs::Positions);
    let graphs = graphs(&data.validation);
    let frames = batch_frames(&data.validation, 2);
    let other = vec![
        frames[0].iter().map(|value| value + 0.5).collect(),
        frames[1].clone(),
    ];
    let gated = model_with(&data, 0.0, Some(Observation::Gated), None, &Device::flex());
    let outputs = |frames: &[BatchFrame]| -> Vec<f32> {
        let outputs = gated.outputs(&graphs, frames, &motion, GraphPass::default());
        let last = outputs.unwrap().pop().unwrap();
        last.into_data().convert::<f32>().iter::<f32>().collect()
    };
    assert_ne!(outputs(&frames), outputs(&other));
    // A gate without weights is half open: a state half-way to the frame.
    let half = GraphDragon::from_weights(gated.config(), &Device::flex(), |_, shape| {
        TensorData::new(vec![0f32; shape.iter().product()], shape.to_vec())
    });
    let tensor = |value: f32| Tensor::<4>::full([1, 1, 2, 8], value, &Device::flex());
    let merged = half.unwrap().merged(Some(tensor(1.0)), tensor(3.0));
    let off = (merged - tensor(2.0)).abs().max().into_scalar::<f64>();
    assert!(off < 1e-6, "{off}");
}

/// A baseline reads all observed frames at once.
#[test]
fn a_baseline_reads_every_observed_frame() {
    let (data, motion) = data(BodyInputs::Positions);
    let config = BaselineConfig {
        schema: data.schema.at_once(),
        width: 8,
        levels: 2,
        dropout: 0.0,
        scale: FeatureScale::Root,
    };
    let graphs = graphs(&data.validation);
    let frames = batch_frames(&data.validation, 2);
    let mut other = frames.clone();
    other[0][0] += 1.0;
    for name in [BaselineName::Gcn, BaselineName::Gru, BaselineName::Mlp] {
        let model = Baseline::new(name, &config, 1, &Device::flex());
        let of = |frames: &[BatchFrame]| {
            let memory = PlaceMemory::Carried;
            model.rollout(&graphs, frames, &motion, 2, memory).unwrap()
        };
        assert_ne!(of(&frames), of(&other), "{name:?}");
        assert_eq!(of(&frames).len(), 2);
    }
}
