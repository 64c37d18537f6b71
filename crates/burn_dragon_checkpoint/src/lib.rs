//! Files of models of every family: what vision, the browser and a server carry.
//!
//! | what | where |
//! |---|---|
//! | the container of every file | `burnpack` |
//! | named tensors in a burnpack file, under a hash | `tensors` |
//! | what a save asks of a disk, and how a file is replaced whole | `disk` |
//! | a tensor as it is stored: numbers, or packed codes | `stored`, `precision` |
//! | a model in one self-describing `.bpk` | `model` |
//! | what a family tells the files about its models | `kind`, `companion` |
//! | a model as it is handed out: whole, in parts, in half precision | `bundle` |
//! | a memory in one `.state` | `state` |
//! | files of earlier versions | `upgrade` |
//! | what tells a model from every other | `hash` |
//! | a checkpoint folder: written whole or not at all, verified before it is trusted | `folder` |
//! | files that may be a stranger's: plain ones only | `plain` |
//! | text that may be a stranger's, as a person is shown it | `text` |
//! | how a text was written down: UTF-8, its mark, UTF-16 | `encoding` |
//!
//! Foreign weights, fetching, and what the verbs `verify`, `inspect`, `diff` do are in `burn_dragon_exchange`.
//!
//! Nothing in a file is executed, no path in a file is followed beyond a plain file name, and every length is checked
//! against the file before anything is allocated for it.

mod bounded;
mod bundle;
mod burnpack;
mod companion;
mod disk;
mod encoding;
mod error;
#[cfg(any(test, feature = "testing"))]
mod faulty;
mod folder;
mod hash;
mod kind;
mod model;
mod names;
mod plain;
mod precision;
mod state;
mod stored;
mod tensors;
mod text;
mod upgrade;

/// The curated names of this crate.
pub mod api {
    pub use crate::bundle::{
        Assembly, ExportOptions, Exported, PartsManifest, PartsProgress, export, export_name, read_parts,
    };
    #[cfg(feature = "web")]
    pub use crate::bundle::{ManifestEntry, PageHead, PageIndex};
    pub use crate::companion::{Companion, CompanionTensor, Extent, Layout};
    pub use crate::error::CheckpointError;
    pub use crate::folder::{CheckpointFolder, Checkpoints, Content, Pointer, Snapshot};
    pub use crate::kind::{CardText, Figure, Kinds, ModelKind, RunWords, TensorSpec};
    pub use crate::model::{ModelFile, ModelInfo, Provenance, StoredConfig};
    pub use crate::precision::StoredPrecision;
    pub use crate::state::{StateFile, StateInfo};
    pub use crate::stored::{Codes, Stored, StoredTensor};

    /// The layer below: named tensors in a file, hashes, disks, and what reads a stranger's files.
    pub mod expert {
        pub use crate::bounded::{List, Unique};
        pub use crate::bundle::{MAX_MANIFEST, PART, PartEntry, manifest_of, part_name};
        pub use crate::burnpack::{
            Contents, MAX_AXES, MAX_INDEX, MAX_TENSORS, MAX_TEXTS, PackError, Reader, is_name,
        };
        pub use crate::disk::{Disk, DiskFile, Os, beside, create_dirs, folder_of, sweep, write_atomic};
        pub use crate::encoding::{Foreign, SAMPLE, unmarked};
        #[cfg(any(test, feature = "testing"))]
        pub use crate::faulty::{Fault, Faulty};
        pub use crate::folder::{MAX_POINTER, Manifest};
        pub use crate::hash::{Hashed, hex, sha256, sha256_of_pieces};
        pub use crate::model::{Described, FORMATS as MODEL_FORMATS, described};
        pub use crate::names::is_plain_name;
        pub use crate::state::FORMATS as STATE_FORMATS;
        pub use crate::tensors::{NO_ROOM, TensorFile};
        pub use crate::text::{is_obeyed, listed, one_line, printable, shortened, shortened_to};

        /// A disk, and files that are written whole or not at all.
        pub mod disk {
            pub use crate::disk::{Disk, DiskFile, Os, beside, create_dirs, folder_of, sweep, write_atomic};
        }

        /// Files that may be a stranger's.
        pub mod plain {
            pub use crate::plain::{open, open_inside, read, read_text, read_text_inside, text, whole};
        }

        /// Files of earlier versions.
        pub mod upgrade {
            pub use crate::upgrade::{LANGUAGE, MODEL_1, STATE_2, TOKENIZER, info, model, state};
        }
    }
}
