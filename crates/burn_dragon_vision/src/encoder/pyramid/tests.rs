use super::*;
use crate::encoder::memory_use::{MemoryUse, Order};
use crate::encoder::step::{Backbone, State, StepPass};
use crate::encoder::testing::{close, differ, numbers, patches, trunk_config};
use burn_dragon_core::api::structured::StepMode;

/// Neither side is a multiple of the stride.
const GRID: Grid = Grid { height: 3, width: 5 };
const WIDTH: usize = 8;

fn made(config: &PyramidConfig) -> PyramidBackbone {
    PyramidBackbone::new(config, &trunk_config(), 5, &Device::flex()).unwrap()
}

fn small() -> PyramidConfig {
    PyramidConfig {
        hubs: 3,
        patch_rank: 4,
        coarse_rank: 5,
        hub_rank: 6,
        value_width: 7,
        ..PyramidConfig::default()
    }
}

/// State after a look, two predicted steps, and a look at another frame.
fn walked(backbone: &PyramidBackbone, memory: MemoryUse) -> State {
    let device = Device::flex();
    let steps = backbone.steps(GRID).unwrap();
    let pass = StepPass {
        memory,
        ..StepPass::default()
    };
    let mut state = steps.start(patches(2, GRID.places(), WIDTH, 1, &device));
    steps.look(&mut state, 2, pass).unwrap();
    (0..2).for_each(|_| steps.step(&mut state, StepMode::Predict, pass).unwrap());
    steps
        .observe(&mut state, patches(2, GRID.places(), WIDTH, 2, &device))
        .unwrap();
    steps.look(&mut state, 1, pass).unwrap();
    assert_eq!((state.steps(), state.banks().times()), (5, &[2, 2][..]));
    state
}

#[test]
fn without_hubs_cells_or_neighbours_it_is_another_function() {
    for order in [Order::WriteThenRead, Order::ReadThenWrite] {
        let backbone = made(&PyramidConfig { order, ..small() });
        let stream = |backbone: &PyramidBackbone| numbers(&walked(backbone, MemoryUse::Carried).stream());
        let mut streams = vec![stream(&backbone)];
        for links in [&BankLink::HUB[..], &BankLink::COARSE, &BankLink::LOCAL] {
            let schedule = Schedule::default().without(links);
            streams.push(stream(&backbone.clone().with_schedule(schedule)));
        }
        for (index, one) in streams.iter().enumerate() {
            assert!(streams[..index].iter().all(|other| differ(one, other)));
        }
    }
}

#[test]
fn memory_is_used_and_its_ablations_are_different_models() {
    let backbone = made(&small());
    let all = [
        MemoryUse::Carried,
        MemoryUse::WipedAt(3),
        MemoryUse::ResetEachStep,
        MemoryUse::NeverWritten,
    ];
    let streams = all.map(|memory| numbers(&walked(&backbone, memory).stream()));
    for (index, one) in streams.iter().enumerate() {
        assert!(streams[..index].iter().all(|other| differ(one, other)));
    }
}

#[test]
fn each_bank_decays_by_its_own_factor_and_only_with_time() {
    let config = PyramidConfig {
        decay: BankDecay {
            patch: 0.5,
            coarse: 0.25,
            hub: 0.8,
        },
        schedule: Schedule {
            predict: ModeLinks::of(&[]),
            refine: ModeLinks::of(&[]),
            ..Schedule::default()
        },
        ..small()
    };
    let backbone = made(&config);
    let steps = backbone.steps(GRID).unwrap();
    let mut state = steps.start(patches(2, GRID.places(), WIDTH, 1, &Device::flex()));
    steps
        .step(&mut state, StepMode::Observe, StepPass::default())
        .unwrap();
    let after = |mode| {
        let mut state = state.clone();
        steps.step(&mut state, mode, StepPass::default()).unwrap();
        state
    };
    let (refined, predicted) = (after(StepMode::Refine), after(StepMode::Predict));
    for (bank, factor) in [("patch", 0.5), ("coarse", 0.25), ("hub", 0.8)] {
        let rho = |state: &State| state.banks().bank(bank).unwrap().rho.clone();
        assert!(rho(&state).abs().max().into_scalar::<f32>() > 0.1);
        close(bank, &numbers(&rho(&refined)), &numbers(&rho(&state)), 0.0);
        close(
            bank,
            &numbers(&rho(&predicted)),
            &numbers(&(rho(&state) * factor)),
            1e-6,
        );
    }
    // Nothing was read: the streams stayed.
    close(
        "the stream",
        &numbers(&predicted.stream()),
        &numbers(&state.stream()),
        0.0,
    );
}

#[test]
fn further_steps_of_a_predicted_one_take_no_time_and_use_their_links_alone() {
    let stream = |substeps, substep| {
        let config = PyramidConfig {
            predict_substeps: substeps,
            substep,
            ..small()
        };
        let backbone = made(&config);
        let steps = backbone.steps(GRID).unwrap();
        let mut state = steps.start(patches(1, GRID.places(), WIDTH, 1, &Device::flex()));
        steps.look(&mut state, 2, StepPass::default()).unwrap();
        steps
            .step(&mut state, StepMode::Predict, StepPass::default())
            .unwrap();
        assert_eq!((state.steps(), state.banks().times()), (3, &[1][..]));
        let coarse = state.banks().bank("coarse").unwrap().stream.clone().unwrap();
        [numbers(&state.stream()), numbers(&coarse)]
    };
    let plain = stream(0, Substep::CoarseOnly);
    let coarse = stream(2, Substep::CoarseOnly);
    assert_eq!(coarse[0], plain[0]); // patches stay
    assert!(differ(&coarse[1], &plain[1]));
    let bridge = stream(2, Substep::LocalBridge);
    assert!(differ(&bridge[0], &plain[0]) && differ(&bridge[1], &plain[1]));
}

#[test]
fn memories_decay_once_in_a_predicted_step_however_many_further_steps_it_has() {
    let config = PyramidConfig {
        predict_substeps: 2,
        schedule: Schedule {
            predict: ModeLinks::of(&[]),
            ..Schedule::default()
        },
        ..small()
    };
    let backbone = made(&config);
    let steps = backbone.steps(GRID).unwrap();
    let mut state = steps.start(patches(1, GRID.places(), WIDTH, 1, &Device::flex()));
    steps
        .step(&mut state, StepMode::Observe, StepPass::default())
        .unwrap();
    let memory = |state: &State| state.banks().bank("patch").unwrap().rho.clone();
    let before = memory(&state);
    steps
        .step(&mut state, StepMode::Predict, StepPass::default())
        .unwrap();
    close(
        "memory",
        &numbers(&memory(&state)),
        &numbers(&(before * 0.9)),
        1e-6,
    );
}

#[test]
fn a_detached_state_keeps_its_numbers_and_ends_gradients() {
    let device = Device::flex().autodiff();
    let backbone = PyramidBackbone::new(&small(), &trunk_config(), 5, &device).unwrap();
    let steps = backbone.steps(GRID).unwrap();
    for (detached, reaches) in [(false, true), (true, false)] {
        let v = patches(1, GRID.places(), WIDTH, 1, &device).require_grad();
        let mut state = steps.start(v.clone());
        steps.look(&mut state, 2, StepPass::default()).unwrap();
        let before = numbers(&state.stream());
        let mut state = if detached { state.detach() } else { state };
        assert_eq!(numbers(&state.stream()), before);
        steps
            .step(&mut state, StepMode::Refine, StepPass::default())
            .unwrap();
        let found = state.stream().powf_scalar(3.0).sum().backward();
        assert_eq!(v.grad(&found).is_some(), reaches);
        assert!(backbone.value.val().grad(&found).is_some());
    }
}

#[test]
fn a_new_frame_replaces_patches_and_cells_and_keeps_memories() {
    let backbone = made(&small());
    let steps = backbone.steps(GRID).unwrap();
    let frame = |seed| patches(1, GRID.places(), WIDTH, seed, &Device::flex());
    let mut state = steps.start(frame(1));
    steps.look(&mut state, 2, StepPass::default()).unwrap();
    let (before, anew) = (state.clone(), steps.start(frame(2)));
    steps.observe(&mut state, frame(2)).unwrap();
    let bank = |state: &State, name| state.banks().bank(name).unwrap().clone();
    assert_eq!(numbers(&state.stream()), numbers(&anew.stream()));
    let cells = |state: &State| numbers(&bank(state, "coarse").stream.unwrap());
    assert_eq!(cells(&state), cells(&anew));
    for name in ["patch", "coarse", "hub"] {
        assert_eq!(
            numbers(&bank(&state, name).rho),
            numbers(&bank(&before, name).rho)
        );
    }
}

#[test]
fn readouts_are_vectors_of_the_model_width_and_of_what_they_say() {
    let of = |readout| {
        let backbone = made(&PyramidConfig { readout, ..small() });
        let state = walked(&backbone, MemoryUse::Carried);
        let steps = backbone.steps(GRID).unwrap();
        let summary = steps.summary(&state).unwrap();
        assert_eq!(summary.dims(), [2, WIDTH]);
        let coarse = state.banks().bank("coarse").unwrap().stream.clone().unwrap();
        (
            numbers(&summary),
            numbers(&state.mean()),
            numbers(&coarse.mean_dim(2)),
        )
    };
    let (summary, mean, _) = of(Readout::PatchMean);
    assert_eq!(summary, mean);
    let (hub, mean, _) = of(Readout::Hub);
    assert!(differ(&hub, &mean));
    let (both, _, coarse) = of(Readout::HubAndCoarse);
    let sum: Vec<f32> = hub
        .iter()
        .zip(&coarse)
        .map(|(hub, coarse)| hub + coarse)
        .collect();
    close("hub and coarse", &both, &sum, 1e-5);
}

#[test]
fn the_state_has_the_bytes_of_the_formula() {
    let backbone = made(&small());
    let state = walked(&backbone, MemoryUse::Carried);
    let cells = 4 * WIDTH as u64 * 6;
    assert_eq!(
        state.banks().bytes(),
        2 * (backbone.config().memory_bytes(GRID) + cells)
    );
}

#[test]
fn presets_are_valid_and_predict_from_hubs_alone() {
    for preset in [PyramidConfig::scene_slots(), PyramidConfig::graph_bridge()] {
        preset.validate().unwrap();
        let of_patches = |link: &&BankLink| {
            [BankLink::PatchPatch, BankLink::PatchCoarse, BankLink::PatchHub].contains(link)
        };
        let reads: Vec<_> = preset.schedule.predict.reads.iter().filter(of_patches).collect();
        assert_eq!(reads, [&BankLink::PatchHub]);
        assert_eq!(
            toml::from_str::<PyramidConfig>(&toml::to_string(&preset).unwrap()).unwrap(),
            preset
        );
        walked(&made(&preset), MemoryUse::Carried);
    }
}

#[test]
fn what_cannot_be_is_refused_by_its_key() {
    let refused = |change: fn(&mut PyramidConfig)| {
        let mut config = PyramidConfig::default();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    };
    for (key, error) in [
        ("model.pyramid.stride is 0;", refused(|config| config.stride = 0)),
        (
            "model.pyramid.hub_rank is 65537;",
            refused(|config| config.hub_rank = 65537),
        ),
        (
            "model.pyramid.hubs is 8; expected 1",
            refused(|config| config.hub_gates = HubGates::Even),
        ),
        (
            "model.pyramid.decay.coarse is 1.5;",
            refused(|config| config.decay.coarse = 1.5),
        ),
        (
            "model.pyramid.predict_substeps is 65;",
            refused(|config| config.predict_substeps = 65),
        ),
        (
            "model.pyramid.near_cell has radius 0",
            refused(|config| {
                config.near_cell.radius = 0;
                config.near_cell.itself = false;
            }),
        ),
    ] {
        assert!(error.starts_with(key), "{error}");
    }
    assert!(made(&small()).steps(Grid::new(0, 4)).is_err());
    let backbone = made(&small());
    let mut foreign = State::of_patches(patches(1, 15, WIDTH, 1, &Device::flex()));
    let steps = backbone.steps(GRID).unwrap();
    let error = steps
        .step(&mut foreign, StepMode::Observe, StepPass::default())
        .unwrap_err();
    assert!(error.to_string().contains("no bank `coarse`"), "{error}");
}

#[test]
fn dropout_is_a_function_of_its_seed_and_the_step() {
    let device = Device::flex();
    let sizes = burn_dragon_core::api::TrunkConfig {
        dropout: 0.5,
        ..trunk_config()
    };
    let backbone = PyramidBackbone::new(&small(), &sizes, 5, &device).unwrap();
    let steps = backbone.steps(GRID).unwrap();
    let stream = |dropout_seed| {
        let pass = StepPass {
            dropout_seed,
            ..StepPass::default()
        };
        let mut state = steps.start(patches(1, GRID.places(), WIDTH, 1, &device));
        steps.look(&mut state, 2, pass).unwrap();
        numbers(&state.stream())
    };
    let [none, one, other] = [None, Some(1), Some(2)].map(stream);
    assert_eq!(one, stream(Some(1)));
    assert!(differ(&none, &one) && differ(&one, &other));
}
