//! The operations on a GPU against their definitions on the processor: values, every gradient, odd shapes, empty rows.

use crate::backend::DragonBackend;
use crate::gpu::tests::{device, near};
use crate::graph::tests::{Case, FORMS, Form, Slopes, leaf, outcome_on};
use crate::graph::{
    Adjacency, Edges, Normalisation, PlaceDecay, SelfEdges, backward, graph_read, graph_recall, place_write,
};
use crate::retention::WriteOrder;
use crate::testing::{numbers, values};
use burn::tensor::{Device, Tensor};
use burn_cubecl::CubeBackend;

/// Of sums of some thousand f32 in another order.
const TOLERANCE: f64 = 5e-6;

/// The cases of the processor, and one place with more neurons than a team has units. Learnt slopes are operations of the
/// library, for whose sums it tries out kernels for seconds: they have a test of their own.
fn cases() -> Vec<Case> {
    let one = Case {
        neurons: 70,
        width: 45,
        gates: 1,
        ..Case::all()[0]
    };
    let constant = |case: Case| Case {
        slopes: match case.slopes {
            Slopes::None => Slopes::None,
            _ => Slopes::Constant,
        },
        ..case
    };
    Case::all().into_iter().chain([one]).map(constant).collect()
}

#[test]
fn values_and_every_gradient_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    let (here, there) = (device.autodiff(), Device::flex().autodiff());
    for case in cases() {
        for form in FORMS {
            same(&case, form, &here, &there);
        }
    }
}

#[track_caller]
fn same(case: &Case, (name, fast, slow): (&str, Form, Form), here: &Device, there: &Device) {
    let (fast, slow) = (outcome_on(case, fast, here), outcome_on(case, slow, there));
    assert_eq!(fast.len(), slow.len());
    for ((what, fast), (_, slow)) in fast.iter().zip(&slow) {
        let what = format!("{what} of the {name} of {case:?}");
        near(&what, fast, slow, TOLERANCE);
    }
}

#[test]
fn gradients_flow_to_learnt_slopes() {
    let Some(device) = device() else { return };
    let case = Case::all()[2];
    assert_eq!(case.slopes, Slopes::Learnt);
    let (here, there) = (device.autodiff(), Device::flex().autodiff());
    same(&case, FORMS[3], &here, &there);
}

/// Without edges the definition computes; with them the GPU does, and leaves no operation to it.
#[test]
fn the_gpu_takes_every_case_that_has_edges() {
    let Some(device) = device() else { return };
    for case in cases() {
        let x = case.inputs(&device);
        let has_edges = x.edges.adjacency.edge_count() > 0;
        let decay = &x.decay;
        let v = |places| x.v.clone().narrow(2, 0, places);
        let (of_readers, of_targets) = (v(case.readers), v(case.targets));
        let read = backward::read::<CubeBackend>(&x.q, &x.rho, &x.edges);
        assert_eq!(read.is_some(), has_edges, "{case:?}");
        let recall = backward::recall::<CubeBackend>(&x.q, &x.keys, &of_targets, &x.edges, decay);
        assert_eq!(recall.is_some(), has_edges, "{case:?}");
        let rho = &mut Some(x.rho.clone());
        let written = backward::write::<CubeBackend>(&x.q, &of_readers, rho, Some(&x.edges), decay);
        assert_eq!(written.is_some(), has_edges, "{case:?}");
        assert_eq!(rho.is_none(), has_edges, "{case:?}");
        let rho = &mut Some(x.rho.clone());
        assert!(backward::write::<CubeBackend>(&x.keys, &of_targets, rho, None, decay).is_some());
    }
}

/// The bits do not depend on the order in which units run, nor on what else the device does.
#[test]
fn the_same_input_gives_the_same_bits() {
    let Some(device) = device() else { return };
    let here = device.autodiff();
    for case in [cases()[4], cases()[3]] {
        for (name, form, _) in FORMS {
            let once = outcome_on(&case, form, &here);
            let again = std::thread::scope(|scope| {
                let beside = scope.spawn(|| outcome_on(&Case::all()[6], form, &here));
                let again = outcome_on(&case, form, &here);
                assert!(beside.join().is_ok());
                again
            });
            assert_eq!(once, again, "{name}");
        }
    }
}

/// Only what is asked for is computed, and what has no autodiff gets no gradient.
#[test]
fn what_has_no_autodiff_is_a_constant() {
    let Some(device) = device() else { return };
    let here = device.clone().autodiff();
    let case = cases()[3];
    let (whole, plain) = (case.inputs(&here), case.inputs(&device));
    let expected = outcome_on(&case, FORMS[3].2, &Device::flex().autodiff());
    let v = || plain.v.clone().narrow(2, 0, case.targets);
    let read = graph_recall(
        whole.q.clone(),
        plain.keys.clone(),
        v(),
        &plain.edges,
        &plain.decay,
    );
    let entries = read.dims().iter().product::<usize>();
    let weights = numbers([entries], 9, 2.0, &here);
    let found = (read.reshape([entries]) * weights).backward();
    assert!(plain.keys.grad(&found).is_none());
    near(
        "dq",
        &values(whole.q.grad(&found).unwrap()),
        &expected[1].1,
        TOLERANCE,
    );
}

#[test]
fn memories_that_others_hold_stay_as_they_were() {
    let Some(device) = device() else { return };
    let case = Case::all()[1];
    let inputs = case.inputs(&device);
    let before = values(inputs.rho.clone());
    let v = inputs.v.clone().narrow(2, 0, case.targets);
    let shared = place_write(inputs.keys.clone(), v.clone(), inputs.rho.clone(), &inputs.decay);
    assert_eq!(values(inputs.rho.clone()), before);
    let alone = Tensor::from_data(inputs.rho.into_data(), &device);
    let in_place = place_write(inputs.keys, v, alone, &inputs.decay);
    assert_eq!(values(in_place), values(shared));
}

/// What a silent neuron has in a memory is not seen, and what is not a number elsewhere is.
#[test]
fn silent_neurons_take_no_part() {
    let Some(device) = device() else { return };
    let edges = Adjacency::from_edges(2, &[(0, 1), (1, 0)], SelfEdges::Keep).unwrap();
    let edges = Edges::new(edges, Normalisation::Sum);
    let q = Tensor::<4>::from_data([[[[0.0, 2.0], [1.0, 0.0]]]], &device);
    let rho = [[[[[f32::NAN], [f32::NAN]], [[f32::INFINITY], [3.0]]]]];
    let read = values(graph_read(q, Tensor::<5>::from_data(rho, &device), &edges));
    assert_eq!(read[0], 6.0);
    assert!(read[1].is_nan());
}

/// Shapes alone decide: nothing of this size is ever made.
#[test]
fn what_is_too_large_or_empty_is_left_to_the_definition() {
    let Some(device) = device() else { return };
    let edges = |places| {
        let own = Adjacency::from_edges(places, &[], SelfEdges::Add).unwrap();
        Edges::new(own, Normalisation::Sum)
    };
    let of = |places: usize, neurons: usize, width: usize| {
        let q = Tensor::<4>::zeros([1, 1, 1, 1], &device).expand([1, 1, places, neurons]);
        let rho = Tensor::<5>::zeros([1; 5], &device).expand([1, 1, places, neurons, width]);
        backward::read::<CubeBackend>(&q, &rho, &edges(places)).is_some()
    };
    assert!(of(2, 3, 5));
    assert!(!of(2, 1 << 15, (1 << 15) + 1));
    assert!(CubeBackend::takes(&[&[2, 1 << 15, 1 << 15]]));
    assert!(!CubeBackend::takes(&[&[1], &[4, 0]]));
    assert!(!CubeBackend::takes(&[&[usize::MAX; 5]]));
}

/// The tables of an adjacency are made once for a device, and an adjacency of its own has its own.
#[test]
fn tables_are_copied_to_a_device_once() {
    use super::copies::Table;
    use super::edges::End;
    let Some(device) = device() else { return };
    let like = CubeBackend::take(Tensor::<1>::zeros([1], &device))
        .unwrap()
        .numbers;
    let path = || Adjacency::undirected(3, &[(0, 1), (1, 2)], SelfEdges::Keep).unwrap();
    let adjacency = path();
    let buffer = |adjacency: &Adjacency, table| {
        let table = adjacency.table(&like, table);
        table.handle.clone().binding().memory.id()
    };
    let rows = || Table::Rows(End::Targets);
    assert_eq!(buffer(&adjacency, rows()), buffer(&adjacency.clone(), rows()));
    assert_ne!(buffer(&adjacency, rows()), buffer(&adjacency, Table::Pairs));
    assert_ne!(buffer(&adjacency, rows()), buffer(&path(), rows()));
}

/// A write and a read of it are a recall, also on the device.
#[test]
fn a_recall_is_a_read_of_what_was_written() {
    let Some(device) = device() else { return };
    let case = Case::all()[4];
    let inputs = case.inputs(&device);
    let v = inputs.v.clone().narrow(2, 0, case.targets);
    let decay = PlaceDecay {
        order: WriteOrder::WriteThenDecay,
        ..inputs.decay.clone()
    };
    let empty = leaf(inputs.rho.zeros_like());
    let memories = place_write(inputs.keys.clone(), v.clone(), empty, &decay);
    let read = graph_read(inputs.q.clone(), memories, &inputs.edges);
    let recalled = graph_recall(inputs.q, inputs.keys, v, &inputs.edges, &decay);
    near("recall", &values(recalled), &values(read), TOLERANCE);
}
