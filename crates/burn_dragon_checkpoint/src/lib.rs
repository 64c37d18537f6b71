//! Files for models of every family: models, exports, memories and checkpoints.
//!
//! | what | where |
//! |---|---|
//! | container of every file | `burnpack` |
//! | named tensors in a burnpack file, with a hash | `tensors` |
//! | file system operations of a save, atomic replacement of a file | `disk` |
//! | stored form of a tensor: numbers, or packed codes | `stored`, `precision` |
//! | model in one self-describing `.bpk` | `model` |
//! | description of a family's models | `kind`, `companion` |
//! | export of a model: whole, in parts, in half precision | `bundle` |
//! | memory in one `.state` file | `state`, `structured` |
//! | files of earlier versions | `upgrade` |
//! | hash of a model | `hash` |
//! | checkpoint folder: written atomically, verified before use | `folder` |
//! | opening of untrusted files: plain files only | `plain` |
//! | untrusted text in messages | `text` |
//! | text encodings: UTF-8, byte-order mark, UTF-16 | `encoding` |
//!
//! Foreign weights, downloads, and the verbs `verify`, `inspect` and `diff` are in `burn_dragon_exchange`.
//!
//! Nothing in a file is executed. Only plain file names are followed, never paths. Every length is checked against the
//! size of the file before memory is allocated.

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
mod structured;
mod tensors;
mod text;
mod tree_hash;
mod upgrade;

/// Curated names of this crate.
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
    pub use crate::stored::{Codes, Coding, Stored, StoredTensor};

    /// Lower layer: named tensors in a file, hashes, disks, and readers of untrusted files.
    pub mod expert {
        pub use crate::bounded::{List, Unique};
        pub use crate::bundle::{MAX_MANIFEST, MAX_PARTS, PART, PartEntry, manifest_of, part_name};
        pub use crate::burnpack::{
            ALIGNMENT, Contents, Entry, Hashed as HashedPack, Layout, MAX_AXES, MAX_INDEX, MAX_NAME,
            MAX_TENSORS, MAX_TEXTS, PackError, Reader, is_name,
        };
        pub use crate::disk::{Disk, DiskFile, Os, beside, create_dirs, folder_of, sweep, write_atomic};
        pub use crate::encoding::{Foreign, SAMPLE, unmarked};
        #[cfg(any(test, feature = "testing"))]
        pub use crate::faulty::{Fault, Faulty};
        pub use crate::folder::{FileEntry, MAX_POINTER, Manifest};
        pub use crate::hash::{Algorithm, Hashed, hex, sha256, sha256_of_pieces};
        pub use crate::model::{
            Described, FORMAT as MODEL_FORMAT, FORMATS as MODEL_FORMATS, MAX_TEXT, described,
        };
        pub use crate::names::is_plain_name;
        pub use crate::state::{FORMAT as STATE_FORMAT, FORMATS as STATE_FORMATS};
        pub use crate::tensors::{NO_ROOM, TensorFile};
        pub use crate::text::{is_obeyed, listed, one_line, printable, shortened, shortened_to};

        /// Disk trait, and atomic writing of files.
        pub mod disk {
            pub use crate::disk::{Disk, DiskFile, Os, beside, create_dirs, folder_of, sweep, write_atomic};
        }

        /// Readers of untrusted files.
        pub mod plain {
            pub use crate::plain::{open, open_inside, read, read_text, read_text_inside, text, whole};
        }

        /// Upgrades of files from earlier versions.
        pub mod upgrade {
            pub use crate::upgrade::{LANGUAGE, MODEL_1, STATE_2, TOKENIZER, info, model, state};
        }
    }
}
