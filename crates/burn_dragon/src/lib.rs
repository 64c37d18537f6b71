//! Train, study and deploy Dragon Hatchling (BDH) models in Rust, on Burn.
//!
//! This crate is the facade: [`api`] has the curated names of the crates below it.
//!
//! | module | what |
//! |---|---|
//! | [`api::core`] | models: configuration, forward, carried state, cost, backends |
//! | [`api::kernel`] | numeric operations, each with its reference definition |
//! | [`api::checkpoint`] | files of every family: models, bundles, checkpoint folders, memories |
//! | [`api::exchange`] | official weights, hubs, and the commands on files: verify, inspect, diff, convert |
//! | [`api::stream`] | continuing streams: lanes of documents, windows, carry policies, resumable positions |
//! | `api::train` | the training loop, and the traits that a family implements (feature `train`, on by default) |
//! | [`api::language`] | language models: data, training, evaluation, generation |
//! | [`api::graph`] | graph models: memories of nodes, distances, classification of nodes and graphs (feature `train`) |
//! | [`api::sudoku`] | sudoku models: puzzles, exact solver, training, solving (feature `train`) |
//! | [`api::vision`] | vision models: pictures, encoders, objectives with and without labels, probes (feature `train`) |
//! | [`api::expert`] | parts behind those, for those who build on them |
//! | [`burn`] | the tensor library |
//!
//! ```
//! use burn_dragon::api::core::{Backend, Dragon, DragonConfig};
//! use burn_dragon::api::language::{GenerationConfig, Generator, Tokenizer, TokenizerConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Backend::Cpu.select()?.device;
//! let config = DragonConfig { n_neurons: 256, ..DragonConfig::tiny() };
//! let dragon = Dragon::new(&config, 1337, &device)?;
//! let settings = GenerationConfig { max_tokens: Some(8), ..GenerationConfig::default() };
//! let tokenizer = TokenizerConfig::default().train(&[])?;
//! let generation = Generator::new(&dragon, tokenizer, &settings)?.complete("Once upon a time")?;
//! assert_eq!(generation.token_ids.len(), 8);
//! # Ok(())
//! # }
//! ```

/// The tensor library, in the version of this crate: types of its tensors, modules and devices are those of [`api`].
pub use burn;

/// Curated names of all crates.
pub mod api {
    pub use burn_dragon_checkpoint::api as checkpoint;
    pub use burn_dragon_core::api as core;
    pub use burn_dragon_exchange::api as exchange;
    #[cfg(feature = "train")]
    pub use burn_dragon_graph::api as graph;
    pub use burn_dragon_kernel::api as kernel;
    pub use burn_dragon_language::api as language;
    pub use burn_dragon_stream::api as stream;
    #[cfg(feature = "train")]
    pub use burn_dragon_sudoku::api as sudoku;
    #[cfg(feature = "train")]
    pub use burn_dragon_train::api as train;
    #[cfg(feature = "train")]
    pub use burn_dragon_vision::api as vision;

    /// Parts behind the curated names, crate by crate.
    pub mod expert {
        pub use burn_dragon_checkpoint::api::expert as checkpoint;
        pub use burn_dragon_core::api::expert as core;
        pub use burn_dragon_exchange::api::expert as exchange;
        #[cfg(feature = "train")]
        pub use burn_dragon_graph::api::expert as graph;
        pub use burn_dragon_kernel::api::expert as kernel;
        pub use burn_dragon_language::api::expert as language;
        pub use burn_dragon_stream::api::expert as stream;
        #[cfg(feature = "train")]
        pub use burn_dragon_sudoku::api::expert as sudoku;
        #[cfg(feature = "train")]
        pub use burn_dragon_train::api::expert as train;
        #[cfg(feature = "train")]
        pub use burn_dragon_vision::api::expert as vision;
    }
}
