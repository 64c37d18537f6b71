//! Files of Dragon Hatchling models.
//!
//! | what | where |
//! |---|---|
//! | the container of every file | [`burnpack`] |
//! | named tensors in a burnpack file, under a hash | [`tensors`] |
//! | what a save asks of a disk, and how a file is replaced whole | [`disk`] |
//! | a model in one self-describing `.bpk` | [`model`] |
//! | a model as it is handed out: whole, in parts, in half precision | [`bundle`] |
//! | a memory in one `.state` | [`state`] |
//! | what tells a model from every other | [`hash`] |
//! | a checkpoint folder: written whole or not at all, verified before it is trusted | [`folder`] |
//! | files that may be a stranger's: plain ones only | [`plain`] |
//! | text that may be a stranger's, as a person is shown it | [`text`] |
//! | how a text was written down: UTF-8, its mark, UTF-16 | [`encoding`] |
//! | official PyTorch weights: `.safetensors` in and out, `.pt` in | [`official`] |
//! | what is in a file, whether it is sound, what differs between two models | [`inspect`], [`verify`], [`diff`] |
//! | what a person means by MODEL | [`resolve`] |
//! | models from a server or a hub, with the feature `fetch` | `fetch` |
//!
//! Nothing in a file is executed, no path in a file is followed beyond a plain file name, and every length is checked
//! against the file before anything is allocated for it.

mod bounded;
pub mod bundle;
pub mod burnpack;
pub mod diff;
pub mod disk;
pub mod encoding;
pub mod error;
#[doc(hidden)]
pub mod faulty;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod folder;
pub mod hash;
pub mod inspect;
pub mod model;
pub mod names;
pub mod official;
pub mod plain;
pub mod precision;
pub mod resolve;
pub mod state;
pub mod tensors;
pub mod text;
pub mod verify;

pub use error::CheckpointError;

/// The curated names of this crate.
pub mod api {
    pub use crate::bundle::{
        Assembly, ExportOptions, Exported, PartsManifest, PartsProgress, export, export_name, read_parts,
    };
    pub use crate::diff::{Change, ModelDiff, TensorDiff, diff};
    pub use crate::error::CheckpointError;
    pub use crate::folder::{CheckpointFolder, Checkpoints, Content, Pointer, Snapshot};
    pub use crate::hash::model_hash;
    pub use crate::inspect::{Inspection, Statistics, TensorReport, inspect};
    pub use crate::model::{LearntMemory, LearntReading, ModelFile, ModelInfo, Provenance};
    pub use crate::official::{
        Imported, OfficialConfig, is_torch, read_safetensors, read_torch, write_safetensors,
    };
    pub use crate::precision::StoredPrecision;
    pub use crate::resolve::{LoadedModel, ModelPath, Which};
    pub use crate::state::{Sliding, StateFile, StateInfo, StateReader};
    pub use crate::verify::{Check, Verdict, Verification, VerifyOptions, verify};

    /// Models from a server or a hub, and to a hub.
    #[cfg(feature = "fetch")]
    pub mod fetch {
        pub use crate::fetch::{
            Address, ENDPOINT, Event, FetchError, Fetched, Fetcher, Hub, HubId, Limits, MAIN, Source, Upload,
            Uploaded, cache_root, upload,
        };
    }

    /// The layer below: named tensors in a file.
    pub mod expert {
        pub use crate::bundle::{manifest_of, part_name};
        pub use crate::disk::{Disk, DiskFile, Os, write_atomic};
        pub use crate::encoding::{Foreign, unmarked};
        pub use crate::hash::sha256;
        pub use crate::tensors::TensorFile;
        pub use crate::text::{is_obeyed, one_line, printable, shortened, shortened_to};
    }
}
