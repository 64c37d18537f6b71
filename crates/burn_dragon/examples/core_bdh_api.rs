//! The model as a library: one function in two forms, parallel and recurrent.
//!
//! `cargo run --release --example core_bdh_api`

use burn::tensor::{Int, Tensor};
use burn_dragon::api::core::{Backend, Dragon, DragonConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = Backend::Auto.select()?;
    println!("backend {} ({})", backend.name, backend.why);

    let config = DragonConfig {
        n_levels: 3,
        ..DragonConfig::tiny()
    };
    let dragon = Dragon::new(&config, 1337, &backend.device)?;
    let cost = config.cost();
    println!(
        "{} parameters, {} bytes of state a lane",
        cost.parameters(),
        cost.state_bytes()
    );

    let tokens = Tensor::<2, Int>::from_data([[77, 105, 114, 97, 32, 104, 105, 100]], &backend.device);

    // The parallel form: a window at once.
    let whole = dragon.forward(tokens.clone()); // [1, 8, 256]

    // The recurrent form: the same tokens in two pieces, with the state carried between them as a value.
    let (first, state) = dragon.forward_with_state(tokens.clone().narrow(1, 0, 3), dragon.empty_state(1))?;
    let (second, state) = dragon.forward_with_state(tokens.narrow(1, 3, 5), state)?;
    let pieces = Tensor::cat(vec![first, second], 1);

    let difference = (whole - pieces).abs().max().into_scalar::<f32>();
    println!(
        "position {:?}, largest difference between the forms {difference:.1e}",
        state.positions()
    );
    assert!(difference < 1e-4);
    Ok(())
}
