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
//! | official PyTorch weights as `.safetensors` | [`official`] |
//! | what a person means by MODEL | [`resolve`] |
//!
//! Nothing in a file is executed, no path in a file is followed beyond a plain file name, and every length is checked
//! against the file before anything is allocated for it.

mod bounded;
pub mod bundle;
pub mod burnpack;
pub mod disk;
pub mod error;
pub mod folder;
pub mod hash;
pub mod model;
pub mod names;
pub mod official;
pub mod plain;
pub mod precision;
pub mod resolve;
pub mod state;
pub mod tensors;

pub use error::CheckpointError;

/// The curated names of this crate.
pub mod api {
    pub use crate::bundle::{
        Assembly, ExportOptions, Exported, PartsManifest, PartsProgress, export, read_parts,
    };
    pub use crate::error::CheckpointError;
    pub use crate::folder::{CheckpointFolder, Checkpoints, Content, Pointer, Snapshot};
    pub use crate::hash::model_hash;
    pub use crate::model::{ModelFile, ModelInfo, Provenance};
    pub use crate::official::OfficialConfig;
    pub use crate::precision::StoredPrecision;
    pub use crate::resolve::{LoadedModel, ModelPath, Which};
    pub use crate::state::{Sliding, StateFile, StateInfo, StateReader};

    /// The layer below: named tensors in a file.
    pub mod expert {
        pub use crate::bundle::{manifest_of, part_name};
        pub use crate::disk::{Disk, DiskFile, Os, write_atomic};
        pub use crate::hash::sha256;
        pub use crate::tensors::TensorFile;
    }
}
