//! Exchange of models with the outside: weights of the official release, servers and hubs, and the verbs on files.
//!
//! | what | where |
//! |---|---|
//! | official PyTorch weights: `.safetensors` in and out, `.pt` in | `official` |
//! | downloads of models from a server or a hub, and uploads to a hub, with the feature `fetch` | `fetch` |
//! | meaning of a given MODEL | `resolve` |
//! | inspection of a file, its checks, difference of two models | `inspect`, `verify`, `diff` |
//! | conversion between file formats | `convert` |
//!
//! This crate knows no family. The [`ModelKind`](burn_dragon_checkpoint::api::ModelKind) of a family describes its
//! models, and a caller passes in the [`Kinds`](burn_dragon_checkpoint::api::Kinds) that it knows. The official release
//! defines language models, so its weights are models of that family.

mod convert;
mod diff;
#[cfg(feature = "fetch")]
mod fetch;
mod inspect;
mod official;
mod resolve;
mod verify;

/// Curated names of this crate.
pub mod api {
    pub use crate::convert::{AnyModel, Form, read_any};
    pub use crate::diff::{AssetDiff, Change, KeyDiff, ModelDiff, TensorDiff, diff};
    pub use crate::inspect::{Inspection, Statistics, TensorReport, inspect};
    pub use crate::official::{
        Imported, OfficialConfig, is_torch, read_safetensors, read_torch, write_safetensors,
    };
    pub use crate::resolve::{LoadedModel, ModelPath, Which};
    pub use crate::verify::{Check, Verdict, Verification, VerifyOptions, verify};

    /// Downloads of models from a server or a hub, and uploads to a hub.
    #[cfg(feature = "fetch")]
    pub mod fetch {
        pub use crate::fetch::{
            Address, DataFile, ENDPOINT, Event, FetchError, Fetched, Fetcher, Hub, HubId, Limits, MAIN,
            Source, Upload, Uploaded, cache_root, upload,
        };
    }

    /// Lower layer: foreign files, tensor by tensor.
    pub mod expert {
        pub use crate::official::{Element, FREQUENCIES, ForeignFile, ForeignTensor, NAMES, STRAY, keys};
    }
}
