//! Models from and to elsewhere: weights of the official release, servers and hubs, and what the verbs on files do.
//!
//! | what | where |
//! |---|---|
//! | official PyTorch weights: `.safetensors` in and out, `.pt` in | `official` |
//! | models from a server or a hub, and to a hub, with the feature `fetch` | `fetch` |
//! | what a person means by MODEL | `resolve` |
//! | what is in a file, whether it is sound, what differs between two models | `inspect`, `verify`, `diff` |
//! | a model from one form to another | `convert` |
//!
//! None of them knows a family: what is a family's to say, its [`ModelKind`](burn_dragon_checkpoint::api::ModelKind) says,
//! and a caller hands in the [`Kinds`](burn_dragon_checkpoint::api::Kinds) that it knows. The official release defines language
//! models, so that its weights are models of that family.

mod convert;
mod diff;
#[cfg(feature = "fetch")]
mod fetch;
mod inspect;
mod official;
mod resolve;
mod verify;

/// The curated names of this crate.
pub mod api {
    pub use crate::convert::{AnyModel, Form, read_any};
    pub use crate::diff::{AssetDiff, Change, KeyDiff, ModelDiff, TensorDiff, diff};
    pub use crate::inspect::{Inspection, Statistics, TensorReport, inspect};
    pub use crate::official::{
        Imported, OfficialConfig, is_torch, read_safetensors, read_torch, write_safetensors,
    };
    pub use crate::resolve::{LoadedModel, ModelPath, Which};
    pub use crate::verify::{Check, Verdict, Verification, VerifyOptions, verify};

    /// Models from a server or a hub, and to a hub.
    #[cfg(feature = "fetch")]
    pub mod fetch {
        pub use crate::fetch::{
            Address, ENDPOINT, Event, FetchError, Fetched, Fetcher, Hub, HubId, Limits, MAIN, Source, Upload,
            Uploaded, cache_root, upload,
        };
    }

    /// The layer below: foreign files, tensor by tensor.
    pub mod expert {
        pub use crate::official::{Element, FREQUENCIES, ForeignFile, ForeignTensor, NAMES, STRAY, keys};
    }
}
