//! The kernels of the GPU against the definitions on the processor: values and every gradient.

use crate::gpu::tests::{device, near};
use crate::graph::tests::{Case, FORMS, outcome_on};
use burn::tensor::Device;

#[test]
fn values_and_every_gradient_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    for case in Case::all() {
        for (name, form, definition) in FORMS {
            let found = outcome_on(&case, form, &device.clone().autodiff());
            let expected = outcome_on(&case, definition, &Device::flex().autodiff());
            assert_eq!(found.len(), expected.len());
            for ((what, found), (_, expected)) in found.iter().zip(&expected) {
                near(
                    &format!("{what} of the {name} of {case:?}"),
                    found,
                    expected,
                    3e-6,
                );
            }
        }
    }
}

#[test]
fn without_gradients_the_values_are_the_same() {
    let Some(device) = device() else { return };
    for case in Case::all() {
        for (name, form, definition) in FORMS {
            let found = crate::testing::values(form(&case.inputs(&device)));
            let expected = crate::testing::values(definition(&case.inputs(&Device::flex())));
            near(&format!("{name} of {case:?}"), &found, &expected, 3e-6);
        }
    }
}
