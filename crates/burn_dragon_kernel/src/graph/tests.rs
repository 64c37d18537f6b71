//! The operations against their definitions: values, every gradient, odd shapes, threads.

use super::*;
use crate::mix::mix;
use crate::retention::Decay;
use crate::testing::{close, numbers, values};
use burn::tensor::Device;

/// Slopes of a decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Slopes {
    None,
    Constant,
    Learnt,
}

/// Sizes and kinds of the inputs of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) lanes: usize,
    pub(super) heads: usize,
    pub(super) readers: usize,
    pub(super) targets: usize,
    pub(super) neurons: usize,
    pub(super) width: usize,
    /// Edges that are drawn; duplicates fall out.
    pub(super) edges: usize,
    pub(super) value_heads: usize,
    /// Rows of the gates; 0 for none.
    pub(super) gates: usize,
    pub(super) normalisation: Normalisation,
    pub(super) slopes: Slopes,
    pub(super) order: WriteOrder,
}

/// Tensors of a case.
#[derive(Clone)]
pub(super) struct Inputs {
    pub(super) q: Tensor<4>,
    pub(super) keys: Tensor<4>,
    pub(super) v: Tensor<4>,
    pub(super) rho: Tensor<5>,
    pub(super) slopes: Option<Tensor<1>>,
    pub(super) edges: Edges,
    pub(super) decay: PlaceDecay,
}

pub(super) fn leaf<const R: usize>(tensor: Tensor<R>) -> Tensor<R> {
    if tensor.is_autodiff() {
        tensor.require_grad()
    } else {
        tensor
    }
}

impl Case {
    /// Sizes that fit no vector, graphs with and without edges, every kind of weight.
    pub(super) fn all() -> Vec<Self> {
        use Normalisation::*;
        use WriteOrder::*;
        let kinds = [
            (1, 1, [1, 1, 1, 1], 1, 1, 0, Sum, Slopes::None, DecayThenWrite),
            (
                2,
                3,
                [7, 5, 9, 6],
                20,
                1,
                0,
                Mean,
                Slopes::Constant,
                DecayThenWrite,
            ),
            (
                2,
                2,
                [6, 6, 17, 33],
                30,
                2,
                1,
                Symmetric,
                Slopes::Learnt,
                WriteThenDecay,
            ),
            (
                3,
                2,
                [5, 8, 16, 16],
                25,
                1,
                3,
                Mean,
                Slopes::Learnt,
                DecayThenWrite,
            ),
            (
                1,
                4,
                [40, 40, 33, 67],
                300,
                1,
                1,
                Symmetric,
                Slopes::Constant,
                WriteThenDecay,
            ),
            (
                2,
                1,
                [4, 3, 8, 130],
                0,
                1,
                2,
                Mean,
                Slopes::Constant,
                WriteThenDecay,
            ),
            (
                2,
                2,
                [90, 90, 20, 24],
                500,
                1,
                0,
                Sum,
                Slopes::None,
                WriteThenDecay,
            ),
        ];
        let case = |(lanes, heads, sizes, edges, value_heads, gates, normalisation, slopes, order)| {
            let [readers, targets, neurons, width] = sizes;
            Self {
                lanes,
                heads,
                readers,
                targets,
                neurons,
                width,
                edges,
                value_heads,
                gates,
                normalisation,
                slopes,
                order,
            }
        };
        kinds.into_iter().map(case).collect()
    }

    fn adjacency(&self) -> Adjacency {
        let edge = |edge: usize| {
            let word = mix(mix(edge as u64 + 1) ^ 77) as usize;
            (word % self.readers, (word >> 32) % self.targets)
        };
        let edges: Vec<_> = (0..self.edges).map(edge).collect();
        Adjacency::between(self.readers, self.targets, &edges).unwrap()
    }

    /// Leaves on a device; half of the neurons are silent.
    pub(super) fn inputs(&self, device: &Device) -> Inputs {
        let Self {
            lanes,
            heads,
            neurons,
            width,
            ..
        } = *self;
        let adjacency = self.adjacency();
        let gates = [self.gates, adjacency.edge_count()];
        let edges = Edges::new(adjacency, self.normalisation);
        let edges = match self.gates {
            0 => edges,
            _ => edges.gated(leaf(numbers(gates, 5, 3.0, device))),
        };
        let slopes = numbers([heads], 6, 0.5, device) + 0.3;
        let slopes = match self.slopes {
            Slopes::None => None,
            Slopes::Constant => Some(slopes),
            Slopes::Learnt => Some(leaf(slopes)),
        };
        let activity =
            |places, seed| leaf(numbers([lanes, heads, places, neurons], seed, 2.0, device).clamp_min(0.0));
        Inputs {
            q: activity(self.readers, 1),
            keys: activity(self.targets, 2),
            v: leaf(numbers(
                [lanes, self.value_heads, self.readers.max(self.targets), width],
                3,
                2.0,
                device,
            )),
            rho: leaf(numbers(
                [lanes, heads, self.targets, neurons, width],
                4,
                2.0,
                device,
            )),
            decay: PlaceDecay {
                decay: slopes.clone().map(Decay::new),
                order: self.order,
            },
            slopes,
            edges,
        }
    }
}

impl Inputs {
    /// Values of so many places.
    fn values(&self, places: usize) -> Tensor<4> {
        self.v.clone().narrow(2, 0, places)
    }

    /// Edges and decay, if a place writes into its own memory alone: as many readers as there are targets.
    fn of_places(&self) -> (Tensor<4>, Tensor<4>) {
        (self.keys.clone(), self.values(self.keys.dims()[2]))
    }
}

/// An operation, flattened.
pub(super) type Form = fn(&Inputs) -> Tensor<1>;

fn flat<const R: usize>(tensor: Tensor<R>) -> Tensor<1> {
    let entries = tensor.dims().iter().product::<usize>();
    tensor.reshape([entries])
}

/// Each operation, and its definition.
pub(super) const FORMS: [(&str, Form, Form); 4] = [
    (
        "read",
        |x| flat(graph_read(x.q.clone(), x.rho.clone(), &x.edges)),
        |x| flat(reference::graph_read(x.q.clone(), x.rho.clone(), &x.edges)),
    ),
    (
        "write",
        |x| {
            let v = x.values(x.q.dims()[2]);
            flat(graph_write(x.q.clone(), v, x.rho.clone(), &x.edges, &x.decay))
        },
        |x| {
            let v = x.values(x.q.dims()[2]);
            flat(reference::graph_write(
                x.q.clone(),
                v,
                x.rho.clone(),
                &x.edges,
                &x.decay,
            ))
        },
    ),
    (
        "write of places",
        |x| {
            let (q, v) = x.of_places();
            flat(place_write(q, v, x.rho.clone(), &x.decay))
        },
        |x| {
            let (q, v) = x.of_places();
            flat(reference::place_write(q, v, x.rho.clone(), &x.decay))
        },
    ),
    (
        "recall",
        |x| {
            let (keys, v) = x.of_places();
            flat(graph_recall(x.q.clone(), keys, v, &x.edges, &x.decay))
        },
        |x| {
            let (keys, v) = x.of_places();
            flat(reference::graph_recall(x.q.clone(), keys, v, &x.edges, &x.decay))
        },
    ),
];

fn outcome(case: &Case, form: Form) -> Vec<(&'static str, Vec<f32>)> {
    outcome_on(case, form, &Device::flex().autodiff())
}

/// What is computed, and the gradients of all inputs.
pub(super) fn outcome_on(case: &Case, form: Form, device: &Device) -> Vec<(&'static str, Vec<f32>)> {
    let inputs = case.inputs(device);
    let output = form(&inputs);
    // Without a sum, for which a GPU would try out many kernels.
    let found = (output.clone() * numbers(output.dims(), 9, 2.0, device)).backward();
    fn gradient<const R: usize>(of: &Tensor<R>, found: &burn::tensor::Gradients) -> Vec<f32> {
        of.grad(found)
            .map_or_else(|| vec![0.0; of.dims().iter().product()], values)
    }
    let mut outcome = vec![
        ("value", values(output)),
        ("dq", gradient(&inputs.q, &found)),
        ("dkeys", gradient(&inputs.keys, &found)),
        ("dv", gradient(&inputs.v, &found)),
        ("drho", gradient(&inputs.rho, &found)),
    ];
    if let Some(gates) = &inputs.edges.gates {
        outcome.push(("dgates", gradient(gates, &found)));
    }
    if let Some(slopes) = inputs.slopes.filter(Tensor::is_tracked) {
        outcome.push(("dslopes", gradient(&slopes, &found)));
    }
    outcome
}

#[test]
fn values_and_every_gradient_are_those_of_the_definition() {
    for case in Case::all() {
        for (name, fast, slow) in FORMS {
            let (fast, slow) = (outcome(&case, fast), outcome(&case, slow));
            assert_eq!(fast.len(), slow.len());
            for ((what, fast), (_, slow)) in fast.iter().zip(&slow) {
                close(&format!("{what} of the {name} of {case:?}"), fast, slow);
            }
        }
    }
}

#[test]
fn a_write_of_places_is_a_write_through_edges_to_themselves() {
    for case in Case::all()
        .into_iter()
        .filter(|case| case.targets == case.readers)
    {
        let inputs = case.inputs(&Device::flex());
        let own = Adjacency::from_edges(case.targets, &[], SelfEdges::Add).unwrap();
        let own = Edges::new(own, case.normalisation);
        let (q, v) = inputs.of_places();
        let through = graph_write(q.clone(), v.clone(), inputs.rho.clone(), &own, &inputs.decay);
        let written = place_write(q, v, inputs.rho, &inputs.decay);
        assert_eq!(values(written), values(through));
    }
}

#[test]
fn gradients_are_finite_differences() {
    let case = Case::all()[2];
    let device = Device::flex();
    let along = |shape: [usize; 1]| values(numbers(shape, 9, 2.0, &device));
    let loss = |form: Form, inputs: &Inputs| -> f64 {
        let output = form(inputs);
        let weights = along(output.dims());
        let terms = values(output).into_iter().zip(weights);
        terms.map(|(a, b)| f64::from(a) * f64::from(b)).sum()
    };
    for (name, form, _) in FORMS {
        let gradients = outcome(&case, form);
        let inputs = case.inputs(&device);
        let step = 2e-2;
        for (what, gradient) in gradients.iter().skip(1) {
            let at = (0..gradient.len()).max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs()));
            let at = at.unwrap();
            let moved = |by: f32| loss(form, &inputs.moved(what, at, by));
            let slope = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let given = f64::from(gradient[at]);
            assert!(
                (slope - given).abs() <= 5e-3 * given.abs().max(0.05),
                "{what} of the {name} at {at}: {given}, by differences {slope}"
            );
        }
    }
}

impl Inputs {
    /// The inputs, with one entry of one of them moved.
    fn moved(&self, what: &str, at: usize, by: f32) -> Self {
        fn with<const R: usize>(tensor: &Tensor<R>, at: usize, by: f32) -> Tensor<R> {
            let (shape, mut entries) = (tensor.dims(), values(tensor.clone()));
            entries[at] += by;
            Tensor::from_data(burn::tensor::TensorData::new(entries, shape), &tensor.device())
        }
        let mut moved = self.clone();
        match what {
            "dq" => moved.q = with(&self.q, at, by),
            "dkeys" => moved.keys = with(&self.keys, at, by),
            "dv" => moved.v = with(&self.v, at, by),
            "drho" => moved.rho = with(&self.rho, at, by),
            "dgates" => moved.edges.gates = self.edges.gates.as_ref().map(|gates| with(gates, at, by)),
            _ => {
                let slopes = self.slopes.as_ref().map(|slopes| with(slopes, at, by));
                moved.decay.decay = slopes.map(Decay::new);
            }
        }
        moved
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    #[cfg(feature = "rayon")]
    for case in [Case::all()[4], Case::all()[6]] {
        for (name, fast, _) in FORMS {
            let outcomes = [1, 2, 5].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                pool.unwrap().install(|| outcome(&case, fast))
            });
            assert_eq!(outcomes[0], outcomes[1], "{name}");
            assert_eq!(outcomes[0], outcomes[2], "{name}");
        }
    }
}

#[test]
fn what_has_no_autodiff_is_a_constant() {
    let device = Device::flex().autodiff();
    for case in Case::all() {
        let whole = case.inputs(&device);
        let plain = case.inputs(&Device::flex());
        let parts = Inputs {
            q: whole.q.clone(),
            ..plain
        };
        for (name, form, _) in [FORMS[0], FORMS[1], FORMS[3]] {
            let output = form(&parts);
            assert!(output.is_autodiff());
            let found = (output.clone() * numbers(output.dims(), 9, 2.0, &device))
                .sum()
                .backward();
            assert!(parts.rho.grad(&found).is_none() && parts.v.grad(&found).is_none());
            let dq = outcome(&case, form).swap_remove(1).1;
            let given = whole.q.grad(&found).map_or_else(|| vec![0.0; dq.len()], values);
            close(&format!("{name} of {case:?}"), &given, &dq);
        }
    }
}

#[test]
fn memories_that_others_hold_stay_as_they_were() {
    let case = Case::all()[1];
    let inputs = case.inputs(&Device::flex());
    let before = values(inputs.rho.clone());
    let (q, v) = inputs.of_places();
    let written = place_write(q.clone(), v.clone(), inputs.rho.clone(), &inputs.decay);
    assert_eq!(values(inputs.rho.clone()), before);
    let alone = Tensor::from_data(inputs.rho.into_data(), &Device::flex());
    let in_place = place_write(q, v, alone, &inputs.decay);
    assert_eq!(values(in_place), values(written));
}

#[test]
fn decay_over_no_time_keeps_everything_and_over_two_writes_decays_twice() {
    let case = Case::all()[1];
    let inputs = case.inputs(&Device::flex());
    let silent = || inputs.keys.clone() * 0.0;
    let after = |time| {
        let v = inputs.values(case.targets);
        values(place_write(
            silent(),
            v,
            inputs.rho.clone(),
            &inputs.decay.over(time),
        ))
    };
    assert_eq!(after(0.0), values(inputs.rho.clone()));
    let once = Tensor::from_data(
        burn::tensor::TensorData::new(after(1.0), inputs.rho.dims()),
        &Device::flex(),
    );
    let twice = place_write(silent(), inputs.values(case.targets), once, &inputs.decay);
    close("twice", &after(2.0), &values(twice));
}

/// The message of a panic.
fn panic_of(work: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(work).expect_err("a panic");
    *panic.downcast::<String>().expect("a text")
}

#[test]
fn shapes_that_do_not_fit_are_named_with_what_was_expected() {
    let device = Device::flex();
    let q = || Tensor::<4>::ones([2, 3, 4, 5], &device);
    let rho = |targets| Tensor::<5>::ones([2, 3, targets, 5, 6], &device);
    let edges = || Edges::new(Adjacency::between(4, 7, &[(0, 6)]).unwrap(), Normalisation::Sum);
    let gates = |rows| Tensor::<2>::ones([rows, 2], &device);
    let said = panic_of(|| drop(graph_read(q(), rho(8), &edges())));
    assert!(
        said.contains("graph_read: the adjacency (readers, targets) has shape [4, 7], expected [4, 8]"),
        "{said}"
    );
    let said = panic_of(|| drop(graph_read(q(), rho(7), &edges().gated(gates(2)))));
    assert!(
        said.contains("the gates has shape [2, 2], expected [2, 1]"),
        "{said}"
    );
    let v = Tensor::<4>::ones([2, 2, 4, 6], &device);
    let said = panic_of(|| drop(place_write(q(), v, rho(4), &PlaceDecay::default())));
    assert!(
        said.contains("place_write: v has shape [2, 2, 4, 6], expected [2, 3, 4, 6]"),
        "{said}"
    );
}
