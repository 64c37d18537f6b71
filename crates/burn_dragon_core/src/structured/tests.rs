//! Structured states and the routes between their banks.

use super::*;
use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use burn_dragon_kernel::api::{
    Decay, Grid, Link, Links, Neighbourhood, OfTokens, PyramidDecay, PyramidQueries, WriteOrder,
};

const LANES: usize = 2;
const HEADS: usize = 2;
const WIDTH: usize = 5;

fn shape(name: &str, places: Places, neurons: usize, stream: Option<usize>) -> BankShape {
    BankShape {
        name: name.into(),
        places,
        heads: HEADS,
        neurons,
        width: WIDTH,
        stream,
    }
}

fn banks() -> Vec<BankShape> {
    vec![
        shape("patch", Places::Grid(Grid::new(4, 5)), 4, Some(6)),
        shape("coarse", Places::Grid(Grid::new(2, 3)), 3, Some(6)),
        shape("hub", Places::Unordered(2), 6, None),
    ]
}

fn near() -> Via {
    Via::Local(Neighbourhood::moore(1))
}

/// All routes of a pyramid.
fn routes() -> Vec<Route> {
    let cell = Via::Cell { stride: 2 };
    let all = [
        ("patch", "patch", [near(), Via::Identity]),
        ("coarse", "coarse", [near(), Via::Identity]),
        ("patch", "coarse", [cell; 2]),
        ("patch", "hub", [Via::Dense; 2]),
        ("coarse", "hub", [Via::Dense; 2]),
    ];
    let both = |(source, target, [read, write]): (&str, &str, [Via; 2])| {
        [
            Route::new(source, target, Access::Read, read),
            Route::new(source, target, Access::Write, write),
        ]
    };
    all.into_iter().flat_map(both).collect()
}

fn random<const R: usize>(shape: [usize; R], device: &Device) -> Tensor<R> {
    Tensor::random(shape, Distribution::Uniform(0.1, 1.0), device)
}

fn tokens(device: &Device) -> PyramidTokens {
    let of = |tokens, size| random([LANES, HEADS, tokens, size], device);
    PyramidTokens {
        queries: PyramidQueries {
            patch_patch: of(20, 4),
            patch_coarse: of(20, 3),
            patch_hub: of(20, 6),
            coarse_coarse: of(6, 3),
            coarse_hub: of(6, 6),
        },
        values: OfTokens {
            patch: random([LANES, 1, 20, WIDTH], device),
            coarse: random([LANES, 1, 6, WIDTH], device),
        },
        gates: None,
    }
}

fn decay(device: &Device) -> PyramidDecay {
    let decay = Some(Decay::new(Tensor::from_floats([0.5, 1.0], device)));
    PyramidDecay {
        patch: decay.clone(),
        coarse: decay.clone(),
        hub: decay,
    }
}

fn pyramid(routes: Vec<Route>) -> PyramidRouting {
    let routing = Routing::new(banks(), routes).unwrap();
    PyramidRouting::new(routing, 2, WriteOrder::DecayThenWrite).unwrap()
}

/// A state after a step with all routes.
fn filled(device: &Device) -> StructuredState {
    let pyramid = pyramid(routes());
    let mut state = pyramid.state(LANES, device);
    pyramid
        .step(&mut state, StepMode::Observe, tokens(device), &decay(device))
        .unwrap();
    state
        .set_stream("patch", random([LANES, 1, 20, 6], device))
        .unwrap();
    state.advance(StepMode::Predict);
    state
}

fn values<const R: usize>(tensor: &Tensor<R>) -> Vec<f32> {
    tensor.clone().inner().into_data().try_to_vec().unwrap()
}

fn memories(state: &StructuredState) -> Vec<Vec<f32>> {
    let memory = |name: &String| values(&state.bank(name).unwrap().rho);
    state.names().iter().map(memory).collect()
}

#[test]
fn time_passes_in_predictions_alone_and_an_observation_ends_their_age() {
    let mut state = StructuredState::new(&banks(), 1, &Device::flex());
    let mut seen = Vec::new();
    for mode in [
        StepMode::Predict,
        StepMode::Predict,
        StepMode::Refine,
        StepMode::Observe,
        StepMode::Predict,
    ] {
        state.advance(mode);
        seen.push((state.times()[0], state.ages()[0]));
    }
    assert_eq!(seen, [(1, 1), (2, 2), (2, 2), (2, 0), (3, 1)]);
}

#[test]
fn memory_decays_in_predictions_alone() {
    let device = Device::flex();
    let pyramid = pyramid(Vec::new()); // no routes: nothing but decay
    let before = filled(&device);
    for mode in StepMode::ALL {
        let mut state = before.clone();
        let reads = pyramid
            .step(&mut state, mode, tokens(&device), &decay(&device))
            .unwrap();
        assert!(reads.patch.is_none() && reads.coarse.is_none());
        for (after, before) in memories(&state).iter().zip(&memories(&before)) {
            let half = before.len() / LANES / HEADS;
            for (index, (after, before)) in after.iter().zip(before).enumerate() {
                let slope: f32 = if (index / half).is_multiple_of(HEADS) {
                    0.5
                } else {
                    1.0
                };
                let factor = if mode == StepMode::Predict {
                    (-slope).exp()
                } else {
                    1.0
                };
                assert!((after - factor * before).abs() <= 1e-6 * before.abs(), "{mode}");
            }
        }
    }
}

#[test]
fn a_route_is_used_in_its_modes() {
    let device = Device::flex();
    let only: Vec<Route> = routes()
        .into_iter()
        .map(|route| match (route.target.as_str(), route.access) {
            ("hub", _) => route.in_modes(&[StepMode::Predict]),
            (_, Access::Write) => route.in_modes(&[StepMode::Observe]),
            _ => route,
        })
        .collect();
    let pyramid = pyramid(only);
    let local: Links = [Link::PatchPatch, Link::PatchCoarse, Link::CoarseCoarse]
        .into_iter()
        .collect();
    let hubs: Links = [Link::PatchHub, Link::CoarseHub].into_iter().collect();
    assert_eq!(pyramid.links(StepMode::Observe), [local, local]);
    assert_eq!(pyramid.links(StepMode::Refine), [local, Links::none()]);
    assert_eq!(pyramid.links(StepMode::Predict), [Links::all(), hubs]);
    let before = filled(&device);
    let mut after = before.clone();
    pyramid
        .step(&mut after, StepMode::Refine, tokens(&device), &decay(&device))
        .unwrap();
    assert_eq!(
        memories(&after),
        memories(&before),
        "nothing writes while refining"
    );
}

#[test]
fn a_clone_is_a_fork() {
    let device = Device::flex();
    let (pyramid, first) = (pyramid(routes()), filled(&device));
    let before = memories(&first);
    let mut fork = first.clone();
    pyramid
        .step(&mut fork, StepMode::Predict, tokens(&device), &decay(&device))
        .unwrap();
    fork.advance(StepMode::Predict);
    assert_eq!(memories(&first), before);
    assert_ne!(memories(&fork), before);
    assert_eq!((first.times()[0], fork.times()[0]), (1, 2));
}

#[test]
fn gradients_pass_from_step_to_step_until_the_state_is_detached() {
    let device = Device::flex().autodiff();
    let pyramid = pyramid(routes());
    let gradient = |detached: bool| {
        let mut tokens = tokens(&device);
        let leaf = tokens.values.patch.clone().require_grad();
        tokens.values.patch = leaf.clone();
        let mut state = pyramid.state(LANES, &device).autodiff();
        let decay = decay(&device);
        let first = pyramid.step(&mut state, StepMode::Observe, tokens.clone(), &decay);
        assert_eq!(
            first.unwrap().patch.unwrap().sum().into_scalar::<f32>(),
            0.0,
            "nothing was written yet"
        );
        if detached {
            state = state.detach();
        }
        tokens.values.patch = tokens.values.patch.detach();
        let read = pyramid
            .step(&mut state, StepMode::Predict, tokens, &decay)
            .unwrap();
        let loss = read.patch.unwrap().sum();
        leaf.grad(&loss.backward()).map(|gradient| values(&gradient))
    };
    assert!(gradient(false).unwrap().iter().all(|gradient| *gradient > 0.0));
    assert!(gradient(true).is_none());
}

#[test]
fn lanes_are_selected_reset_and_merged() {
    let state = filled(&Device::flex());
    let both = state.select_lanes(&[1, 1, 0]).unwrap();
    assert_eq!(both.lanes(), 3);
    let again = StructuredState::merge(&[both.select_lanes(&[2]).unwrap(), both.select_lanes(&[0]).unwrap()]);
    assert_eq!(memories(&again.unwrap()), memories(&state));
    let reset = state.clone().reset_lanes(&[0]).unwrap();
    assert_eq!((reset.times(), reset.ages()), (&[0, 1][..], &[0, 1][..]));
    for (after, before) in memories(&reset).iter().zip(&memories(&state)) {
        let (first, second) = after.split_at(after.len() / 2);
        assert!(first.iter().all(|entry| *entry == 0.0));
        assert_eq!(second, &before[before.len() / 2..]);
    }
    assert_eq!(state.select_lanes(&[]).unwrap_err(), StructuredError::NoLanes);
    let none = state.clone().reset_lanes(&[2]).unwrap_err().to_string();
    assert_eq!(
        none,
        "lane 2 does not exist; the state has 2 lanes, counted from 0"
    );
    let mut other = banks();
    other[0].neurons = 9;
    let other = StructuredState::new(&other, 1, &Device::flex());
    let unlike = StructuredState::merge(&[state, other]).unwrap_err().to_string();
    assert!(
        unlike.contains("the memory of bank `patch` has shape [2, 20, 9, 5], expected [2, 20, 4, 5]"),
        "{unlike}"
    );
}

#[test]
fn what_is_stored_is_restored() {
    let device = Device::flex();
    for dtype in [DType::F32, DType::BF16] {
        let state = filled(&device).cast(dtype);
        let stored = state.store();
        let names: Vec<&str> = stored.tensors.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "rho.coarse",
                "rho.hub",
                "rho.patch",
                "stream.coarse",
                "stream.patch"
            ]
        );
        let same = StructuredState::restore(&banks(), stored.clone(), &device).unwrap();
        assert_eq!(same.store(), stored);
    }
}

#[test]
fn a_state_of_another_model_is_not_restored() {
    type Change<'a> = &'a dyn Fn(&mut StoredBanks);
    let device = Device::flex();
    let stored = filled(&device).store();
    let refusal = |change: Change<'_>| {
        let mut stored = stored.clone();
        change(&mut stored);
        StructuredState::restore(&banks(), stored, &device)
            .unwrap_err()
            .to_string()
    };
    let put = |stored: &mut StoredBanks, name: &str, data: TensorData| {
        stored.tensors.insert(name.into(), data);
    };
    let without = |stored: &mut StoredBanks| {
        stored.tensors.remove("rho.hub");
    };
    let changes: [(Change<'_>, &str); 6] = [
        (&without, "there is no tensor `rho.hub` among the stored ones"),
        (
            &|stored| put(stored, "rho.moon", TensorData::zeros::<f32, _>([2, 1])),
            "the stored tensor `rho.moon` belongs to no bank",
        ),
        (
            &|stored| put(stored, "rho.hub", TensorData::zeros::<f32, _>([2, 1])),
            "the memory of bank `hub` has shape [2, 1], expected [2, 2, 2, 6, 5]",
        ),
        (
            &|stored| put(stored, "rho.hub", TensorData::zeros::<i32, _>([2, 2, 2, 6, 5])),
            "the stored tensor `rho.hub` is I32, expected a float type",
        ),
        (&|stored| stored.ages.push(3), "3 lanes, expected 2"),
        (&|stored| stored.times.push(3), "2 lanes, expected 3"),
    ];
    for (change, expected) in changes {
        let given = refusal(change);
        assert!(given.contains(expected), "{given}");
    }
}

#[test]
fn a_step_refuses_a_state_of_other_banks() {
    let device = Device::flex();
    let pyramid = pyramid(routes());
    let mut state = StructuredState::new(&banks()[..2], LANES, &device);
    let refused = pyramid.step(&mut state, StepMode::Observe, tokens(&device), &decay(&device));
    let expected = "the banks are patch, coarse, expected patch, coarse, hub";
    assert!(refused.unwrap_err().to_string().starts_with(expected));
    let refused = state
        .set_memory("hub", Tensor::zeros([1; 5], &device))
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no bank `hub`; the state has patch, coarse"
    );
    let refused = state
        .set_stream("patch", Tensor::zeros([2, 1, 20, 7], &device))
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("the stream of bank `patch` has shape [2, 1, 20, 7], expected [2, 1, 20, 6]")
    );
}

fn refusal(banks: Vec<BankShape>, route: Route) -> String {
    Routing::new(banks, vec![route]).unwrap_err().to_string()
}

#[test]
fn routes_that_do_not_fit_their_banks_are_refused() {
    let (read, write) = (Access::Read, Access::Write);
    for (route, expected) in [
        (
            Route::new("patch", "moon", read, Via::Dense),
            "route patch -> moon (read, dense): there is no bank `moon`; there are patch, coarse, hub",
        ),
        (
            Route::new("hub", "hub", read, near()),
            "route hub -> hub (read, local): bank `hub` is no grid",
        ),
        (
            Route::new("patch", "coarse", read, near()),
            "route patch -> coarse (read, local): neighbours are of one bank",
        ),
        (
            Route::new("patch", "patch", write, near()),
            "route patch -> patch (write, local): local is a way to read",
        ),
        (
            Route::new("patch", "coarse", write, Via::Identity),
            "route patch -> coarse (write, identity): 20 places and 6 places",
        ),
        (
            Route::new("patch", "coarse", write, Via::Cell { stride: 3 }),
            "a grid of 4 x 5 with stride 3 has 2 x 2 cells, but bank `coarse` has 2 x 3",
        ),
        (
            Route::new("patch", "coarse", write, Via::Cell { stride: 0 }),
            "the stride is 0, expected at least 1",
        ),
        (
            Route::new("patch", "hub", write, Via::Dense).in_modes(&[StepMode::Refine; 2]),
            "route patch -> hub (write, dense) is listed twice in mode refine",
        ),
    ] {
        let given = refusal(banks(), route);
        assert!(given.contains(expected), "{given}");
    }
    let twice = [routes()[0].clone(), routes()[0].clone()].to_vec();
    let given = Routing::new(banks(), twice).unwrap_err().to_string();
    assert!(given.contains("listed twice in mode observe"), "{given}");
}

#[test]
fn banks_that_are_none_are_refused() {
    let mut twice = banks();
    twice[1].name = "patch".into();
    let given = Routing::new(twice, Vec::new()).unwrap_err().to_string();
    assert_eq!(
        given,
        "two banks are called `patch`; give each bank a name of its own"
    );
    let mut empty = banks();
    empty[2].places = Places::Unordered(0);
    let given = Routing::new(empty, Vec::new()).unwrap_err().to_string();
    assert_eq!(given, "bank `hub` has 0 places, expected at least 1");
}

#[test]
fn a_pyramid_refuses_what_it_does_not_have() {
    let build = |banks: Vec<BankShape>, routes: Vec<Route>, stride: usize| {
        let routing = Routing::new(banks, routes).unwrap();
        PyramidRouting::new(routing, stride, WriteOrder::DecayThenWrite)
            .unwrap_err()
            .to_string()
    };
    let given = build(
        banks(),
        vec![Route::new("hub", "patch", Access::Read, Via::Dense)],
        2,
    );
    let expected = "route hub -> patch (read, dense): a pyramid has no such route; its routes are patch -> patch (read, local)";
    assert!(given.starts_with(expected), "{given}");
    assert!(
        build(banks(), Vec::new(), 4).contains("with stride 4 has 1 x 2 cells, but bank `coarse` has 2 x 3")
    );
    let missing = build(banks()[..2].to_vec(), Vec::new(), 2);
    assert!(
        missing.contains("there is no bank `hub`; there are patch, coarse"),
        "{missing}"
    );
    let mut wide = banks();
    wide[2].width = 9;
    let given = build(wide, Vec::new(), 2);
    assert_eq!(
        given,
        "banks `patch` and `hub` have [5, 9], expected the same columns"
    );
    let other = Via::Local(Neighbourhood::von_neumann(2));
    let differs = vec![
        Route::new("patch", "patch", Access::Read, near()).in_modes(&[StepMode::Observe]),
        Route::new("patch", "patch", Access::Read, other).in_modes(&[StepMode::Predict]),
    ];
    assert!(build(banks(), differs, 2).contains("differ between modes"));
}

#[test]
fn a_memory_is_changed_in_place_and_keeps_its_shape() {
    let mut state = StructuredState::new(&banks(), LANES, &Device::flex());
    let written = state.change_memory("hub", |rho| (rho + 2.0, 7)).unwrap();
    assert_eq!(written, 7);
    let rho = state.bank("hub").unwrap().rho.clone();
    assert_eq!(rho.min().into_scalar::<f32>(), 2.0);
    let narrow = state.change_memory("hub", |rho| (rho.narrow(2, 0, 1), ()));
    assert!(narrow.unwrap_err().to_string().contains("memory of bank `hub`"));
    assert!(state.change_memory("hubs", |rho| (rho, ())).is_err());
}

#[test]
fn a_bank_is_added_to_a_state_of_as_many_lanes_whose_time_goes_on() {
    let device = Device::flex();
    let mut state = StructuredState::new(&[], LANES, &device);
    state.advance(StepMode::Predict);
    let bank = |lanes| Bank {
        rho: Tensor::ones([lanes, HEADS, 3, 4, WIDTH], &device),
        stream: None,
    };
    state.add_bank("patch", bank(LANES)).unwrap();
    assert_eq!((state.names().len(), state.times()), (1, &[1, 1][..]));
    state.add_bank("patch", bank(LANES)).unwrap();
    assert_eq!(state.names().len(), 1);
    assert!(state.add_bank("other", bank(LANES + 1)).is_err());
}
