use super::*;
use crate::encoder::memory_use::{MemoryUse, Order};
use crate::encoder::modes::Modes;
use crate::encoder::near::{AtBorder, NearConfig, NearShape};
use crate::encoder::step::{Backbone, State, StepPass};
use crate::encoder::testing::{close, differ, numbers, patches, trunk, trunk_config};
use burn_dragon_core::api::Pass;
use burn_dragon_core::api::structured::StepMode;

const GRID: Grid = Grid { height: 3, width: 4 };
const WIDTH: usize = 8;

/// Sums over the whole grid, without decay and modes.
fn dense_like() -> CellularConfig {
    CellularConfig {
        near: NearConfig {
            radius: 4,
            border: AtBorder::Drop,
            ..NearConfig::default()
        },
        decay: vec![1.0],
        modes: Modes::None,
        ..CellularConfig::default()
    }
}

fn made(config: &CellularConfig, device: &Device) -> (Cellular, Trunk) {
    (
        Cellular::new(config, &trunk_config(), 5, device).unwrap(),
        trunk(device),
    )
}

fn pass(memory: MemoryUse) -> StepPass {
    StepPass {
        memory,
        ..StepPass::default()
    }
}

/// The stream after a look of some steps on two pictures, a predicted step, and a look at other pictures.
fn walked(config: &CellularConfig, memory: MemoryUse, whole: bool) -> Vec<f32> {
    let device = Device::flex();
    let (cellular, trunk) = made(config, &device);
    let steps = cellular.steps(&trunk, GRID);
    let mut state = steps.start(patches(2, GRID.places(), WIDTH, 1, &device));
    if whole {
        steps.settle(&mut state).unwrap();
    }
    let pass = pass(memory);
    steps.look(&mut state, 2, pass).unwrap();
    steps.step(&mut state, StepMode::Predict, pass).unwrap();
    steps
        .observe(&mut state, patches(2, GRID.places(), WIDTH, 2, &device))
        .unwrap();
    steps.look(&mut state, 2, pass).unwrap();
    assert_eq!((state.steps(), state.banks().times()), (5, &[1, 1][..]));
    assert_eq!(state.banks().ages(), [0, 0]);
    numbers(&state.stream())
}

#[test]
fn the_first_step_over_the_whole_grid_is_a_level_of_the_trunk_with_full_reads() {
    let device = Device::flex();
    let (cellular, trunk) = made(&dense_like(), &device);
    let v = patches(2, GRID.places(), WIDTH, 1, &device);
    let steps = cellular.steps(&trunk, GRID);
    for dropout_seed in [None, Some(7)] {
        let mut state = steps.start(v.clone());
        let pass = StepPass {
            dropout_seed,
            ..StepPass::default()
        };
        steps.step(&mut state, StepMode::Observe, pass).unwrap();
        let level = trunk.forward(
            v.clone(),
            Pass {
                levels: Some(1),
                dropout_seed,
                ..Pass::default()
            },
        );
        close("a step", &numbers(&state.stream()), &numbers(&level), 1e-4);
    }
}

#[test]
fn whole_memories_are_the_writes_that_they_consist_of() {
    let configs = [
        CellularConfig::default(),
        CellularConfig {
            near: NearConfig {
                radius: 2,
                shape: NearShape::VonNeumann,
                itself: false,
                border: AtBorder::Drop,
            },
            decay: vec![0.5, 0.9],
            order: Order::ReadThenWrite,
            gains: Gains::Learnt,
            ..CellularConfig::default()
        },
    ];
    for config in configs {
        for memory in [
            MemoryUse::Carried,
            MemoryUse::WipedAt(4),
            MemoryUse::ResetEachStep,
            MemoryUse::NeverWritten,
        ] {
            let [factored, whole] = [false, true].map(|whole| walked(&config, memory, whole));
            close("the stream", &whole, &factored, 1e-4);
        }
    }
}

#[test]
fn a_state_that_settles_on_the_way_goes_on_as_before() {
    let device = Device::flex();
    let (cellular, trunk) = made(&CellularConfig::default(), &device);
    let steps = cellular.steps(&trunk, GRID);
    let mut state = steps.start(patches(2, GRID.places(), WIDTH, 1, &device));
    let go_on = |state: &mut State| {
        for mode in [StepMode::Observe, StepMode::Predict, StepMode::Refine] {
            steps.step(state, mode, StepPass::default()).unwrap();
        }
    };
    go_on(&mut state);
    let mut settled = state.clone();
    steps.settle(&mut settled).unwrap();
    let config = cellular.config();
    let bytes = config.whole_bytes(&trunk_config(), GRID);
    assert_eq!(settled.banks().bytes(), 2 * bytes); // of two pictures
    assert_eq!(settled.banks().times(), state.banks().times());
    go_on(&mut state);
    go_on(&mut settled);
    close(
        "the stream",
        &numbers(&settled.stream()),
        &numbers(&state.stream()),
        1e-4,
    );
}

#[test]
fn memory_is_used_and_its_ablations_are_different_models() {
    let config = CellularConfig::default();
    let all = [
        MemoryUse::Carried,
        MemoryUse::WipedAt(4),
        MemoryUse::ResetEachStep,
        MemoryUse::NeverWritten,
    ];
    let streams = all.map(|memory| walked(&config, memory, false));
    for (index, one) in streams.iter().enumerate() {
        for other in &streams[..index] {
            assert!(differ(one, other));
        }
    }
}

#[test]
fn memory_decays_with_time_alone_and_each_head_by_its_own_factor() {
    let device = Device::flex();
    let config = CellularConfig {
        decay: vec![0.5, 0.9],
        ..CellularConfig::default()
    };
    let (cellular, trunk) = made(&config, &device);
    let steps = cellular.steps(&trunk, GRID);
    let pass = StepPass::default();
    let never = self::pass(MemoryUse::NeverWritten);
    let mut state = steps.start(patches(1, GRID.places(), WIDTH, 1, &device));
    steps.settle(&mut state).unwrap();
    steps.step(&mut state, StepMode::Observe, pass).unwrap();
    let memory = |state: &State| state.banks().bank("patch").unwrap().rho.clone();
    let before = memory(&state);
    // A step that takes no time adds to memory what the step writes, and a predicted one to a memory that has faded.
    let fork = |mode, pass| {
        let mut state = state.clone();
        steps.step(&mut state, mode, pass).unwrap();
        state
    };
    let unwritten = memory(&fork(StepMode::Refine, never));
    close("memory", &numbers(&unwritten), &numbers(&before), 0.0);
    let mut plain = cellular.clone();
    plain.modes = None; // so that both modes write the same
    let steps = plain.steps(&trunk, GRID);
    let fork = |mode| {
        let mut state = state.clone();
        steps.step(&mut state, mode, pass).unwrap();
        memory(&state)
    };
    let written = fork(StepMode::Refine) - before.clone();
    let faded = fork(StepMode::Predict) - written;
    for (head, factor) in [0.5, 0.9].into_iter().enumerate() {
        let of_head = |rho: &Tensor<5>| rho.clone().narrow(1, head, 1);
        let expected = of_head(&before) * factor;
        close("a head", &numbers(&of_head(&faded)), &numbers(&expected), 1e-5);
    }
}

#[test]
fn a_shifted_picture_has_the_shifted_stream_away_from_the_border() {
    let device = Device::flex();
    let grid = Grid::new(7, 8);
    let (cellular, trunk) = made(&CellularConfig::default(), &device);
    let steps = cellular.steps(&trunk, grid);
    // Columns 0..8 of a picture of 9 columns, and columns 1..9.
    let wide: Tensor<4> = patches(1, 7 * 9, WIDTH, 1, &device).reshape([1, 7, 9, WIDTH]);
    let seen = |from: usize| {
        let v: Tensor<4> = wide.clone().narrow(2, from, 8).reshape([1, 1, 56, WIDTH]);
        let mut state = steps.start(v);
        steps.look(&mut state, 2, StepPass::default()).unwrap();
        let stream: Tensor<4> = state.stream().reshape([1, 7, 8, WIDTH]);
        stream
    };
    let [here, shifted] = [0, 1].map(seen);
    // Two steps of radius 1, and the mean of a border place, reach two places from the border.
    let inner = |stream: Tensor<4>, from: usize| numbers(&stream.narrow(1, 2, 3).narrow(2, from, 3));
    close(
        "the interior",
        &inner(shifted.clone(), 2),
        &inner(here.clone(), 3),
        1e-5,
    );
    assert!(differ(&inner(shifted, 2), &inner(here, 2)));
}

#[test]
fn a_lane_is_the_picture_alone() {
    let device = Device::flex();
    let (cellular, trunk) = made(&CellularConfig::default(), &device);
    let steps = cellular.steps(&trunk, GRID);
    for whole in [false, true] {
        let mut state = steps.start(patches(3, GRID.places(), WIDTH, 1, &device));
        if whole {
            steps.settle(&mut state).unwrap();
        }
        steps.look(&mut state, 2, StepPass::default()).unwrap();
        let mut alone = state.select(&[2, 0]).unwrap();
        for state in [&mut state, &mut alone] {
            steps.step(state, StepMode::Predict, StepPass::default()).unwrap();
        }
        let expected = state.select(&[2, 0]).unwrap();
        close(
            "lanes",
            &numbers(&alone.stream()),
            &numbers(&expected.stream()),
            1e-5,
        );
        assert_eq!(alone.banks().times(), [1, 1]);
        let error = state.select(&[3]).unwrap_err().to_string();
        assert!(error.starts_with("lane 3 does not exist"), "{error}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let device = Device::flex();
    let refused = |decay: &[f64]| {
        let config = CellularConfig {
            decay: decay.to_vec(),
            ..CellularConfig::default()
        };
        config.validate(&trunk_config()).unwrap_err().to_string()
    };
    let error = refused(&[0.9; 3]);
    assert!(
        error == "model.cellular.decay has 3 numbers; expected 1, or 2: one for each head",
        "{error}"
    );
    for wrong in [0.0, 1.5, f64::NAN] {
        let error = refused(&[0.5, wrong]);
        assert!(
            error.starts_with(&format!("model.cellular.decay has {wrong};")),
            "{error}"
        );
    }
    let (cellular, trunk) = made(&CellularConfig::default(), &device);
    let steps = cellular.steps(&trunk, GRID);
    let mut foreign = State::of_patches(patches(1, GRID.places(), WIDTH, 1, &device));
    let error = steps.step(&mut foreign, StepMode::Observe, StepPass::default());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("there is no bank `patch`")
    );
    let smaller = patches(1, GRID.places() - 1, WIDTH, 1, &device);
    let error = steps.observe(&mut foreign, smaller).unwrap_err().to_string();
    assert!(error.contains("expected [1, 1, 12, 8]"), "{error}");
}

#[test]
fn a_state_of_before_truncates_gradients_where_it_is_detached() {
    let device = Device::flex().autodiff();
    let (cellular, trunk) = made(&CellularConfig::default(), &device);
    let steps = cellular.steps(&trunk, GRID);
    for whole in [false, true] {
        for (detached, reaches) in [(false, true), (true, false)] {
            let v = patches(1, GRID.places(), WIDTH, 1, &device).require_grad();
            let mut state = steps.start(v.clone());
            if whole {
                steps.settle(&mut state).unwrap();
            }
            steps.look(&mut state, 2, StepPass::default()).unwrap();
            let mut state = if detached { state.detach() } else { state };
            steps
                .step(&mut state, StepMode::Refine, StepPass::default())
                .unwrap();
            let found = state.stream().powf_scalar(3.0).sum().backward();
            assert_eq!(v.grad(&found).is_some(), reaches);
            assert!(trunk.encoder.val().grad(&found).is_some());
        }
    }
}

#[test]
fn the_cost_is_counted_by_hand() {
    let (config, trunk) = (CellularConfig::default(), trunk_config());
    // 4 corners of 4 neighbours, 6 border places of 6, 2 of 9; 2 heads of 6 neurons, width 8.
    let pairs = 4 * 4 + 6 * 6 + 2 * 9;
    for writes in [0, 1, 5] {
        let reads = pairs * writes * 2 * (2 * (6 + 8));
        let flops = config.step_flops(&trunk, GRID, writes as usize);
        assert_eq!(flops, 12 * 3 * 2 * 12 * 8 + reads);
        assert_eq!(
            config.write_bytes(&trunk, GRID, writes as usize),
            4 * writes * 12 * (12 + 8)
        );
    }
    assert_eq!(config.whole_bytes(&trunk, GRID), 4 * 12 * 12 * 8);
}
